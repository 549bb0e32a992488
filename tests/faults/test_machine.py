"""What goes wrong on this machine: disks, folders, files, clocks, locks, ports and DCMTK's tools.

Two tables, BEFORE and DURING, are the list of faults. Each fault is there while passes are made, or begins in the
middle of a pull; the invariants hold after every pass, the exit status is the contract's, standard error or the log
names the cause. Then the fault ends, and the passes that follow finish every study. Faults that a table cannot hold
have a test of their own below. With `--full` every tool is replaced in every way.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import NamedTuple

import pytest

from scanner_mover.site.state import VERSION as VERSION_OF_STATE
from tests.faults.limits import LONG, short_limits
from tests.faults.table import Entry
from tests.integration import invariants
from tests.integration.scenario import Scenario, Study
from tests.support.clock import Clock
from tests.support.receiver import StorescpReceiver
from tests.support.scripted import Break, ScriptedScanner
from tests.support.site import BIN, Site, held_by_flock, path_without_ours, wait_until

IMAGES = 6
DAY = 86400
TOOLS = ("findscu", "movescu", "storescp", "dump2dcm", "dcmdump")
VERSION_OF_DCMTK = "$dcmtk: NAME v3.6.7 2022-04-22 $"


def _filler(folder: Path) -> Path:
    """What fills the disk of DATADIR or SERVERDIR, where no program looks."""
    inside = folder / ("config" if (folder / "config").is_dir() else "logs")
    inside.mkdir(exist_ok=True)
    return inside / ".filler"


class Lab:
    """What a fault may touch: the site, its scanner, and the study that the passes work on."""

    def __init__(self, scenario: Scenario, scanner: ScriptedScanner, study: Study) -> None:
        self.scenario = scenario
        self.scanner = scanner
        self.site = scenario.site
        self.data = scenario.site.data
        self.study = study
        self.request = self.data / "active-scans" / study.uid


Fault = Callable[[Lab], AbstractContextManager[None]]


class Row(NamedTuple):
    """A fault, the exit statuses that a pass may have with it, and what standard error or the log says of it."""

    fault: Fault
    statuses: tuple[int, ...]
    says: str


# Kinds of fault


def gone(*parts: str, stays_away: bool = False) -> Fault:
    """The file or folder below the site is not there; `stays_away`: nobody brings it back."""

    @contextlib.contextmanager
    def fault(lab: Lab) -> Iterator[None]:
        path = lab.site.root.joinpath(*parts)
        aside = lab.site.root / "aside"
        path.rename(aside)
        yield
        if not stays_away:
            if path.is_dir():
                # What was made in its place meanwhile is brought home.
                for made in (one for one in path.rglob("*") if not one.is_dir()):
                    target = aside / made.relative_to(path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.rename(target)
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            aside.rename(path)

    return fault


def read_only(*parts: str) -> Fault:
    """The folder below the site is mounted read-only; without the right to mount it may not be written."""

    @contextlib.contextmanager
    def fault(lab: Lab) -> Iterator[None]:
        folder = lab.site.root.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        if not MAY_MOUNT:
            folder.chmod(0o555)
            yield
            folder.chmod(0o755)
            return
        mount("--bind", str(folder), str(folder))
        try:
            mount("-o", "remount,bind,ro", str(folder))
            yield
        finally:
            unmount(folder)

    return fault


def full_disk(*parts: str, bytes_left: int) -> Fault:
    """The folder below the site is a disk of its own with this many bytes left; there is room at the end."""

    @contextlib.contextmanager
    def fault(lab: Lab) -> Iterator[None]:
        folder = lab.site.root.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        filled = lab.site.root / "filled"
        shutil.copytree(folder, filled, symlinks=True)
        mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
        try:
            shutil.copytree(filled, folder, dirs_exist_ok=True, symlinks=True)
            fill(folder, bytes_left)
            yield
            _filler(folder).unlink(missing_ok=True)
            shutil.rmtree(filled)
            # What lies on the small disk now is what the site has.
            shutil.copytree(folder, filled, symlinks=True)
        finally:
            unmount(folder)
        shutil.rmtree(folder)
        filled.rename(folder)
        if parts[0] == "data" and len(parts) > 1:  # what a line asks for where a disk is gone for good
            folder.joinpath(".here").mkdir(exist_ok=True)

    return fault


def instead(content: bytes | str, *parts: str) -> Fault:
    """Something else in the place of a file: a content, or a "folder" or a "link" to nowhere."""

    @contextlib.contextmanager
    def fault(lab: Lab) -> Iterator[None]:
        path = lab.site.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if content == "folder":
            path.mkdir()
        elif content == "link":
            path.symlink_to("nowhere")
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        before = path.lstat().st_ino
        yield
        if path.is_dir():
            shutil.rmtree(path)
        elif path.lstat().st_ino == before:  # a state file was written anew
            path.unlink()

    return fault


def variable(name: str, value: str) -> Fault:
    @contextlib.contextmanager
    def fault(lab: Lab) -> Iterator[None]:
        before = lab.site.environment.get(name)
        lab.site.environment[name] = value
        yield
        del lab.site.environment[name]
        if before is not None:
            lab.site.environment[name] = before

    return fault


@contextlib.contextmanager
def taken_port(lab: Lab) -> Iterator[None]:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", lab.site.receive_port))
        other.listen()
        yield


@contextlib.contextmanager
def held_lock(lab: Lab) -> Iterator[None]:
    with held_by_flock(lab.site.lock_file):
        yield


@contextlib.contextmanager
def held_folder(lab: Lab) -> Iterator[None]:
    with held_by_flock(lab.data / "active-scans"):
        yield


# DCMTK's tools, replaced. What a fake says of its version is good, so that it is used.

GARBAGE = "os.write(1, os.urandom(3000)); os.write(2, b'W: \\0\\xff F: E: \\n\\n' + os.urandom(300))"
WAYS = {
    "prints garbage": GARBAGE,
    "prints garbage and fails": GARBAGE + "; sys.exit(1)",
    "never ends": "time.sleep(600)",
    "writes without end": "while True: os.write(1, b'I: x' * 16000)",
    "writes one line without end on standard error": "while True: os.write(2, b'x' * 64000)",
    "is killed by a signal": "os.kill(os.getpid(), signal.SIGSEGV)",
    "exits 127": "sys.exit(127)",
    "says nothing": "pass",
    "ignores SIGTERM and never ends": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
}
# One of each in CI. A dcmdump or dump2dcm that never ends is waited for longer than CI has time.
WAYS_IN_CI = {
    ("findscu", "writes without end"),
    ("findscu", "is killed by a signal"),
    ("movescu", "prints garbage"),
    ("movescu", "never ends"),
    ("storescp", "exits 127"),
    ("dump2dcm", "exits 127"),
    ("dcmdump", "prints garbage and fails"),
}


def replaced(tool: str, way: str) -> Fault:
    @contextlib.contextmanager
    def fault(lab: Lab) -> Iterator[None]:
        answer = f"if '--version' in sys.argv: print({VERSION_OF_DCMTK.replace('NAME', tool)!r}); sys.exit()\n"
        fake = lab.site.tool(tool, f"import os, signal, sys, time\n{answer}{WAYS[way]}\n")
        yield
        fake.unlink()

    return fault


def missing_tool(tool: str, *, executable: bool = True, there: bool = True) -> Fault:
    """The PATH has every other tool, and this one not at all, not executable or with an interpreter that is gone."""

    @contextlib.contextmanager
    def fault(lab: Lab) -> Iterator[None]:
        folder = lab.site.root / "few tools"
        folder.mkdir()
        for name in TOOLS:
            found = shutil.which(name, path=path_without_ours())
            assert found, f"{name} is not installed"
            (folder / name).symlink_to(found)
        (folder / tool).unlink()
        if there:
            (folder / tool).write_text("#!/no/such/interpreter\n")
            (folder / tool).chmod(0o755 if executable else 0o644)
        with variable("PATH", str(folder))(lab):
            yield
        shutil.rmtree(folder)

    return fault


# The tables


PIDS = ("server", ".pids")
STATE = (*PIDS, "moveFromScanner.state.json")
BEGIN = f'{{"version": {VERSION_OF_STATE}, '
HUGE = BEGIN + '"failed_pulls": 1e400, "requests": {}}'
SHAPES = BEGIN + '"last_pass": [], "reported": 3, "faults": {}, "requests": {"UID": {"series": [1]}}}'
MANY = BEGIN + '"last_pass": {"seconds": 1e300, "exit_status": ' + "9" * 5000 + "}}"
WENT_ON = "going on without it"

# While it lasts, from the first pass on.
BEFORE: dict[str, Row] = {
    "state file: empty": Row(instead(b"", *STATE), (0,), WENT_ON),
    "state file: binary": Row(instead(bytes(range(256)) * 40, *STATE), (0,), WENT_ON),
    "state file: another JSON": Row(instead("[1, 2]", *STATE), (0,), WENT_ON),
    "state file: of a later version": Row(instead('{"version": 99}', *STATE), (0,), WENT_ON),
    "state file: an infinite number": Row(instead(HUGE, *STATE), (0,), WENT_ON),
    "state file: a number of 5,000 digits": Row(instead(MANY, *STATE), (0,), WENT_ON),
    "state file: brackets without end": Row(instead("[" * 100_000, *STATE), (0,), WENT_ON),
    "state file: values of wrong types": Row(instead(SHAPES, *STATE), (0,), "is broken for UID"),
    "state file: a folder in its place": Row(instead("folder", *STATE), (4,), "the state file "),
    "state file: a link to nowhere": Row(instead("link", *STATE), (0,), "move enabled"),
    "lock file: a folder in its place": Row(instead("folder", *PIDS, "moveFromScanner.lock"), (4,), "the lock "),
    "log: a folder in its place": Row(instead("folder", "server", "logs", "moveFromScanner.log"), (4,), "the log "),
    "log: a file in its folder's place": Row(instead(b"", "server", "logs"), (4,), "the log "),
    "DICOMPORT is taken": Row(taken_port, (4,), "(DICOMPORT)"),
    "lock held by flock": Row(held_lock, (1,), ""),
    "active-scans held by flock": Row(held_folder, (1,), ""),
    "TMPDIR is missing": Row(variable("TMPDIR", "/no/such/folder"), (0,), "move enabled"),
    "DCMDICTPATH leads nowhere": Row(variable("DCMDICTPATH", "/no/such/dicom.dic"), (0,), "move enabled"),
    "site is gone": Row(gone("data", "site", stays_away=True), (0,), "move enabled"),
    "site/raw is gone": Row(gone("data", "site", "raw", stays_away=True), (0,), "move enabled"),
    "scanner is gone": Row(gone("data", "scanner"), (0,), "could not find"),
    "read-only: DATADIR": Row(read_only("data"), (4,), "read-only"),
    "read-only: site/raw": Row(read_only("data", "site", "raw"), (4,), "cannot be written"),
    "read-only: active-scans": Row(read_only("data", "active-scans"), (4,), "read-only"),
    "read-only: finished-scans": Row(read_only("data", "finished-scans"), (4,), "read-only"),
    "read-only: .pids": Row(read_only(*PIDS), (4,), "Read-only file system"),
    "read-only: logs": Row(read_only("server", "logs"), (4,), "Read-only file system"),
    "full disk: DATADIR": Row(full_disk("data", bytes_left=0), (4, 5), "No space left"),
    "full disk: SERVERDIR": Row(full_disk("server", bytes_left=0), (4,), "No space left"),
    **{
        f"{tool} is missing": Row(missing_tool(tool, there=False), (4,), f"{tool} is not on the PATH")
        for tool in ("movescu", "storescp", "dcmdump")
    },
    "movescu is not executable": Row(missing_tool("movescu", executable=False), (4,), "movescu is not on the PATH"),
    "findscu has no interpreter": Row(missing_tool("findscu"), (4,), "findscu cannot be started"),
    "movescu has no interpreter": Row(missing_tool("movescu"), (4,), "movescu cannot be started"),
}

NAMED = {"findscu": (4, 5), "movescu": (4, 5), "storescp": (4, 5), "dump2dcm": (4,), "dcmdump": (0, 4, 5)}
STATE_FAULTS = [row.fault for name, row in BEFORE.items() if name.startswith("state file")]
TOOL_FAULTS = {f"{tool} {way}": Row(replaced(tool, way), NAMED[tool], "") for tool in TOOLS for way in WAYS}

# It begins when some images of a pull have come.


def touch(lab: Lab) -> AbstractContextManager[None]:
    os.utime(lab.request, (0, 0))
    os.utime(lab.request)
    return contextlib.nullcontext()


def written_anew(lab: Lab) -> AbstractContextManager[None]:
    part = lab.request.with_name(".new")
    part.write_text("again")
    part.rename(lab.request)
    return contextlib.nullcontext()


def deleted(lab: Lab) -> AbstractContextManager[None]:
    lab.request.unlink()
    lab.scenario.requested.remove(lab.study.uid)
    return contextlib.nullcontext()


@contextlib.contextmanager
def replaced_by_folder(lab: Lab) -> Iterator[None]:
    lab.request.unlink()
    lab.request.mkdir()
    lab.scenario.requested.remove(lab.study.uid)
    yield
    lab.request.rmdir()
    lab.scenario.request(lab.study)


@contextlib.contextmanager
def filled_up(lab: Lab) -> Iterator[None]:
    fill(lab.data, 0)
    yield
    _filler(lab.data).unlink()


@contextlib.contextmanager
def made_read_only(lab: Lab) -> Iterator[None]:
    mount("-o", "remount,ro", str(lab.data))
    yield
    mount("-o", "remount,rw", str(lab.data))


def emptied_staging(lab: Lab) -> AbstractContextManager[None]:
    for path in received(lab.site):
        path.unlink(missing_ok=True)
    return contextlib.nullcontext()


def cut_staging(lab: Lab) -> AbstractContextManager[None]:
    """As a disk does that loses what it was given."""
    os.truncate(received(lab.site)[0], 5000)
    return contextlib.nullcontext()


def mixed_up_staging(lab: Lab) -> AbstractContextManager[None]:
    """One image has the content of another: that one is here once, and the other is missing."""
    one, other = sorted(received(lab.site))[:2]
    shutil.copyfile(other, one)
    return contextlib.nullcontext()


def removed_staging(lab: Lab) -> AbstractContextManager[None]:
    for folder in invariants.staging(lab.site):
        shutil.rmtree(folder, ignore_errors=True)
    return contextlib.nullcontext()


def removed_lock(lab: Lab) -> AbstractContextManager[None]:
    lab.site.lock_file.unlink()
    return contextlib.nullcontext()


def removed_work(lab: Lab) -> AbstractContextManager[None]:
    for folder in invariants.work_folders(lab.site):
        shutil.rmtree(folder)
    return contextlib.nullcontext()


def more_requests(lab: Lab) -> AbstractContextManager[None]:
    lab.scenario.acquire(1)
    return contextlib.nullcontext()


DURING: dict[str, Row] = {
    "request touched": Row(touch, (0,), ""),
    "request written anew": Row(written_anew, (0,), ""),
    "request deleted": Row(deleted, (0,), "was taken away meanwhile"),
    "request replaced by a folder": Row(replaced_by_folder, (0,), "was taken away meanwhile"),
    "more requests come": Row(more_requests, (0,), ""),
    "disk fills up": Row(filled_up, (4, 5), ""),
    "disk turns read-only": Row(made_read_only, (4, 5), ""),
    "staging is emptied": Row(emptied_staging, (0, 4, 5), ""),
    "an image in staging is cut": Row(cut_staging, (5,), "set aside"),
    "two images in staging are mixed up": Row(mixed_up_staging, (0,), "we do have"),
    "staging is removed": Row(removed_staging, (4, 5), ""),
    "working folder is removed": Row(removed_work, (0, 4, 5), ""),
    "lock file is removed": Row(removed_lock, (0,), ""),
    "site/raw vanishes": Row(gone("data", "site", "raw"), (0, 4, 5), ""),
    "scanner vanishes": Row(gone("data", "scanner"), (0,), ""),
    "finished-scans vanishes": Row(gone("data", "finished-scans", stays_away=True), (0,), "JOB "),
    "logs vanish": Row(gone("server", "logs", stays_away=True), (0, 4), ""),
    ".pids vanishes": Row(gone("server", ".pids", stays_away=True), (4,), ".pids"),
    "state file: garbage": Row(instead(b"\0", *STATE), (0,), ""),
    "state file: a folder in its place": Row(instead("folder", *STATE), (4,), "the state file"),
}
# Each has a near relation in the table, or a test without a scanner.
ONLY_IN_FULL = {
    "state file: binary",
    "state file: a number of 5,000 digits",
    "state file: another JSON",
    "state file: of a later version",
    "state file: an infinite number",
    "state file: brackets without end",
    "state file: a link to nowhere",
    "log: a folder in its place",
    "active-scans held by flock",
    "DCMDICTPATH leads nowhere",
    "site is gone",
    "read-only: active-scans",
    "read-only: .pids",
    "dcmdump is missing",
    "movescu is missing",
    "findscu has no interpreter",
    "movescu is not executable",
    "log: a file in its folder's place",
    "scanner is gone",
    "request touched",
    "request written anew",
    "logs vanish",
    "working folder is removed",
    "lock held by flock",
    "TMPDIR is missing",
    "read-only: logs",
    "more requests come",
    "two images in staging are mixed up",
    "staging is emptied",
    "lock file is removed",
    "scanner vanishes",
    "state file: garbage",
}
ON_A_SMALL_DISK = {"disk fills up", "disk turns read-only"}
# What only our own time limits end: a tool that never ends, and storescp, which answers nothing when it could not write
# the last fragment of an image.
ENDED_BY_A_LIMIT = {
    *(f"{tool} {way}" for tool in TOOLS for way in WAYS if "never ends" in way),
    "full disk: DATADIR",
    "staging is removed",
    *ON_A_SMALL_DISK,
}


def may_mount() -> bool:
    """Whether this user may: root outside of a container that forbids it."""
    return (
        os.geteuid() == 0
        and subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode == 0
    )


MAY_MOUNT = may_mount()


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def fill(folder: Path, bytes_left: int) -> None:
    """Write until the disk is full, then leave this many bytes."""
    filler = _filler(folder)
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(filler, max(0, filler.stat().st_size - bytes_left))


def received(site: Site) -> list[Path]:
    return [path for folder in invariants.staging(site) for path in folder.glob("[!.]*")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("--full")

    def possible(name: str) -> bool:
        needs_mount = name.startswith("full disk") or name in ON_A_SMALL_DISK
        # Who may not mount takes rights away instead, which stops root nowhere.
        as_root = name.startswith("read-only") and os.geteuid() == 0
        return MAY_MOUNT or not (needs_mount or as_root)

    if "before" in metafunc.fixturenames:
        tools = TOOL_FAULTS if full else [f"{tool} {way}" for tool, way in sorted(WAYS_IN_CI)]
        names = [name for name in [*BEFORE, *tools] if possible(name) and (full or name not in ONLY_IN_FULL)]
        metafunc.parametrize("before", names)
    if "during" in metafunc.fixturenames:
        names = [name for name in DURING if possible(name) and (full or name not in ONLY_IN_FULL)]
        metafunc.parametrize("during", names)


@pytest.fixture
def scenario(request: pytest.FixtureRequest, tmp_path: Path, site: Site, scripted: ScriptedScanner) -> Scenario:
    """Its line in the table has the name of the fault, or of the test."""
    name = request.node.originalname.removeprefix("test_").replace("_", " ")
    for kind, prefix in (("before", ""), ("during", "in a pull: ")):
        if kind in request.fixturenames:
            name = prefix + request.getfixturevalue(kind)
    return Scenario(tmp_path, site, scripted, Entry(request, name))


@pytest.fixture
def lab(scenario: Scenario, scripted: ScriptedScanner) -> Lab:
    return Lab(scenario, scripted, scenario.acquire(IMAGES))


# The tests of the tables


@pytest.mark.timeout(1800)
def test_a_fault_before_the_pass(lab: Lab, before: str, full: bool) -> None:
    row = BEFORE.get(before) or TOOL_FAULTS[before]
    lab.scenario.have(lab.study.paths[:2])
    with row.fault(lab), short_limits(lab.site, when=before in ENDED_BY_A_LIMIT):
        reported = [checked(lab, lab.site.move(seconds=600 if full else 300), row) for _ in range(3 if full else 1)]
        # Whoever has no log to look at is told once.
        assert reported[0].returncode in (0, 1) or reported[0].stderr
        assert row.says in reported[0].stderr + log_of(lab.site)
    assert_all_finish(lab)


def test_a_fault_in_a_pull(lab: Lab, during: str) -> None:
    row = DURING[during]
    with contextlib.ExitStack() as stack:
        if during in ON_A_SMALL_DISK:
            stack.enter_context(full_disk("data", bytes_left=500_000)(lab))
        stack.enter_context(short_limits(lab.site, when=during in ENDED_BY_A_LIMIT))
        with in_the_middle(lab) as process, row.fault(lab):
            lab.scanner.go_on()
            done = checked(lab, ended(process), row)
            assert done.returncode == 0 or done.stderr
            assert row.says in done.stderr + log_of(lab.site)
        lab.site.config(**LONG)
        assert_all_finish(lab)


@contextlib.contextmanager
def in_the_middle(lab: Lab, images: int = 2) -> Iterator["Popen[str]"]:
    """A pass whose scanner stops after this many images, until the test lets it go on."""
    lab.scanner.script.hold_after = images
    with lab.site.moving() as process:
        wait_until(lambda: lab.scanner.is_held and len(received(lab.site)) >= images)
        yield process


def checked(lab: Lab, done: "CompletedProcess[str]", row: Row) -> "CompletedProcess[str]":
    """What a pass may end and say with the fault; the requests and images are as the invariants want them."""
    said = done.stderr + log_of(lab.site)
    assert done.returncode in row.statuses, (done, said)
    assert "Traceback" not in said, said
    # A line for each thing that is wrong, each once.
    lines = done.stderr.splitlines()
    assert len(lines) == len(set(lines)) <= 4, done
    if (lab.data / "active-scans").is_dir() and (lab.data / "scanner").is_dir():
        for uid in lab.scenario.requested:
            invariants.check_request(lab.site, lab.scanner, uid)
    invariants.check_images(lab.site, lab.scanner)
    assert invariants.processes_of(lab.site) == []
    # Whoever reads the state while a pass writes it, or cannot write it, finds a whole one.
    if lab.site.state_file.is_file() and row.fault not in STATE_FAULTS:
        lab.site.state()
    return done


def assert_all_finish(lab: Lab) -> None:
    """The fault is over: all invariants hold, and a few passes finish what is requested."""
    for _ in range(3):
        lab.scenario.every_pause_is_over()
        lab.scenario.a_pass()
        if lab.site.requests_in("active-scans") == []:
            break
    invariants.check(lab.site, lab.scanner, lab.scenario.requested)
    finished = lab.site.requests_in("finished-scans")
    assert finished == sorted(lab.scenario.requested), lab.site.log()


def log_of(site: Site) -> str:
    path = site.server / "logs" / "moveFromScanner.log"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def ended(process: "Popen[str]") -> "CompletedProcess[str]":
    out, error = process.communicate(timeout=240)
    return CompletedProcess(process.args, process.returncode, out, error)


# What a table cannot hold


def test_active_scans_vanishes_for_a_while(lab: Lab) -> None:
    with gone("data", "active-scans")(lab):
        done = lab.site.move()
        assert (done.returncode, done.stderr) == (0, ""), done
    assert_all_finish(lab)


@pytest.mark.parametrize("beside", [False, True], ids=["nothing else is requested", "another study is requested"])
def test_a_folder_of_requests_that_cannot_be_read_makes_no_pass_forget(lab: Lab, beside: bool) -> None:
    """What is known of a study holds while nobody can see whether it is requested: else this one would be finished,
    for a step of it was in progress, and its MPPS file is gone.
    """
    step = lab.site.mpps(lab.study.uid, ended=False, name="MPPS.1.2.0")
    if beside:
        lab.scenario.acquire(1, ended=False)
    lab.scenario.a_pass()
    inside = Path(lab.request.parent, *["deeper"] * 101)
    inside.mkdir(parents=True)
    lab.request.rename(inside / lab.request.name)
    done = lab.site.move()
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    (inside / lab.request.name).rename(lab.request)
    shutil.rmtree(lab.request.parent / "deeper")
    step.unlink()
    for _ in range(2):
        lab.scenario.every_pause_is_over()
        lab.site.move()
    assert lab.request.exists()


def test_the_disk_of_datadir_is_not_mounted(lab: Lab) -> None:
    with gone("data")(lab):
        done = lab.site.move()
        assert done.returncode == 4
        assert "is its disk mounted?" in done.stderr
        assert not lab.data.exists()
    assert_all_finish(lab)


@pytest.mark.skipif(not MAY_MOUNT, reason="needs the right to mount")
@pytest.mark.parametrize("folder", ["data/site/raw", "data/active-scans"])
def test_the_disk_of_a_folder_is_not_mounted(lab: Lab, folder: str) -> None:
    """Its mount point is there, and empty: nothing is retrieved into it, and nothing is taken for not requested."""
    there = lab.site.root / folder
    aside = lab.site.root / "disk"
    there.mkdir(parents=True, exist_ok=True)
    there.rename(aside)
    there.mkdir()
    mount("--bind", str(aside), str(there))
    mount("-t", "tmpfs", "tmpfs", str(there))
    try:
        shutil.copytree(aside, there, dirs_exist_ok=True)
        lab.scanner.script.send_only.update(dict.fromkeys(lab.study.series, 1))
        lab.scenario.a_pass()
        shutil.copytree(there, aside, dirs_exist_ok=True)
    finally:
        unmount(there)
        unmount(there)
    lab.scanner.script.send_only.clear()
    moves = len(lab.scanner.moves)
    done = lab.site.move()
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    assert f"{there} was on a disk of its own and is on none now: is that disk mounted?" in done.stderr
    assert len(lab.scanner.moves) == moves and list(there.iterdir()) == []
    there.rmdir()
    aside.rename(there)
    there.joinpath(".here").mkdir()
    assert_all_finish(lab)


def test_no_file_may_be_as_large_as_an_image(lab: Lab) -> None:
    """As a full disk, for those who may not mount one: the kernel ends whoever writes on (RLIMIT_FSIZE)."""
    program = ("prlimit", "--fsize=8000", "--", str(BIN / "scanner-mover"), "move", "--receive")
    done = lab.site.mover(*program[1:], program=str(shutil.which("prlimit")))
    lab.scenario.check(done, 4)
    assert len(done.stderr.splitlines()) == 1 and "images cannot be written into" in done.stderr
    assert lab.scenario.where(lab.study) == "active-scans"
    assert_all_finish(lab)


def test_what_is_known_outlives_a_disk_that_is_full(lab: Lab) -> None:
    (series,) = lab.study.series
    lab.scanner.script.send_only[series] = 2
    lab.scenario.a_pass()
    known = lab.site.state()
    program = ("prlimit", "--fsize=100", "--", str(BIN / "scanner-mover"), "move", "--receive")
    lab.scenario.check(lab.site.mover(*program[1:], program=str(shutil.which("prlimit"))), 4)
    assert lab.site.state() == known
    lab.scanner.script.send_only.clear()
    assert_all_finish(lab)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_killed_while_an_image_is_written(lab: Lab, name: str) -> None:
    """The image that is cut then is no fault of the scanner's: it is removed, and pulled again."""
    sent = signal.Signals[name]
    lab.scanner.script.breaks = Break("inside image", 2, "silence")
    with lab.site.moving() as process:
        wait_until(lambda: len([path for path in received(lab.site) if path.stat().st_size]) > 2)
        process.send_signal(sent)
        done = ended(process)
    assert done.returncode in (-sent, 128 + sent)
    assert "Traceback" not in done.stderr
    wait_until(lambda: not invariants.processes_of(lab.site))
    lab.scanner.script.breaks = None
    lab.scenario.a_pass()
    assert lab.scenario.where(lab.study) == "finished-scans"
    assert not (lab.data / "site" / "rejected").exists()


def test_movers_and_a_script_at_once(lab: Lab, full: bool) -> None:
    """Whoever comes second leaves at once, and a script that waits for the lock gets it when the pass is over."""
    lab.scanner.script.seconds_between_images = 0.02
    statuses: list[int | None] = []
    for _ in range(20 if full else 1):
        lab.site.lock_file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            movers = [stack.enter_context(lab.site.moving()) for _ in range(2)]
            waiting = stack.enter_context(
                subprocess.Popen(["flock", str(lab.site.lock_file), "true"], stdin=subprocess.DEVNULL)
            )
            done = [ended(mover) for mover in movers]
            assert waiting.wait(240) == 0
        statuses += [one.returncode for one in done]
        assert {one.returncode for one in done} <= {0, 1}, done
        assert not any(one.stderr or one.stdout for one in done), done
        invariants.check(lab.site, lab.scanner, lab.scenario.requested)
        # The script may have come first, for a moment.
        if lab.site.requests_in("active-scans") == []:
            assert len(lab.scanner.moves) == len(lab.scenario.requested), "two passes pulled one series"
            lab.scenario.acquire(IMAGES)
    assert_all_finish(lab)
    assert 0 in statuses


def first(lab: Lab, images: int) -> set[str]:
    """The SOPInstanceUIDs of the study's first images."""
    return {lab.scenario.filed(path).name for path in lab.study.paths[:images]}


def test_the_clock_jumps_a_day_forth_and_back(lab: Lab) -> None:
    """Between passes and in the middle of one; while it is wrong the study cannot be finished."""
    scenario, clock = lab.scenario, Clock(lab.site.root / "clock")
    lab.site.environment |= clock.environment
    (series,) = lab.study.series
    lab.scanner.script.send_only[series] = first(lab, 2)
    for day in (DAY, 0, -DAY, DAY):
        clock.jump(day)
        scenario.a_pass()
        assert scenario.where(lab.study) == "active-scans"
        scenario.time_passes(10)
    # Only what is over age in two passes a minute apart has failed.
    clock.jump(0)
    scenario.a_pass()
    lab.scanner.script.send_only[series] = first(lab, 4)
    for day in (DAY, -DAY):
        shutil.rmtree(lab.site.series(lab.study.uid, series))
        scenario.every_pause_is_over()
        with in_the_middle(lab) as process:
            clock.jump(day)
            lab.scanner.go_on()
            done = ended(process)
        assert done.returncode in (0, 5), done  # 5: nothing new comes of it any more, which is told (R31)
        scenario.check(done, done.returncode)
        assert scenario.where(lab.study) == "active-scans"
        scenario.time_passes(100)
        clock.jump(0)
    lab.scanner.script.send_only.clear()
    assert_all_finish(lab)


def test_the_receiver_stops_halfway(lab: Lab, receive_port: int, tmp_path: Path) -> None:
    """Without --receive: the program that listens on DICOMPORT goes away in a C-MOVE, and comes back."""
    lab.site.receive = False
    receiver = StorescpReceiver(tmp_path / "receiver", lab.data, port=receive_port)
    with contextlib.ExitStack() as stack:
        stack.enter_context(receiver)
        lab.scanner.script.hold_after = 2
        with lab.site.moving() as process:
            wait_until(lambda: lab.scanner.is_held)
            receiver.stop()
            lab.scanner.go_on()
            done = ended(process)
        lab.scenario.check(done, 5)
        assert len(done.stderr.splitlines()) == 1
        assert lab.scenario.where(lab.study) == "active-scans"
        assert 0 < len(receiver.arrived()) < IMAGES
        # Nobody listens in this one.
        lab.scenario.a_pass(exit_status=5)
        receiver.start()
        lab.scenario.a_pass()
        wait_until(lambda: len(receiver.linked()) == IMAGES)
        assert_all_finish(lab)
