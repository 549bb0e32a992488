"""`move --every`: passes without a gap or an overlap until a signal ends it, as a daemon's owner needs it."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom.dataset import Dataset

import scanner_mover
from tests.integration.invariants import assert_study_is_here, processes_of, staging
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import by_study, mr_series, uid
from tests.support.ports import free_port
from tests.support.scripted import Answer, Script, ScriptedScanner
from tests.support.site import BIN, Site, flock, held_by_flock, is_running, wait_until

LONG = "SCANNER_MOVER_LONG"
BEGIN = "move enabled, start getScans"


def passes(site: Site) -> int:
    """How many passes have begun, by the log."""
    return site.messages().count(BEGIN)


def last_status(site: Site) -> int | None:
    """The exit status of the last pass, None before the first."""
    return site.state()["last_pass"]["exit_status"] if site.state_file.exists() else None


def ended(process: "subprocess.Popen[str]", number: int) -> int:
    """Send the signal; the exit status. The promise is 5 s."""
    process.send_signal(number)
    return process.wait(240)


@contextlib.contextmanager
def running(site: Site, every: float, *arguments: str, **more: Mapping[str, str | None]) -> Iterator:
    """`move --every` while the block runs, which ends by SIGTERM with 0 unless the block ended it."""
    with site.moving("--every", str(every), *arguments, **more) as process:
        yield process
        if process.poll() is None:
            assert ended(process, signal.SIGTERM) == 0
        assert "Traceback" not in process.stderr.read()


class Clocked(ScriptedScanner):
    """Notes when it is asked, and is silent before each answer for the next of `silences` seconds."""

    def __init__(self, silences: Iterable[float]) -> None:
        self.times: list[float] = []
        self.answered: list[float] = []
        self._silences = iter(silences)
        super().__init__(script=Script(find_answers={"SERIES": self._wait}))

    def _wait(self, query: Dataset) -> Iterable[Answer]:
        self.times.append(time.monotonic())
        self._ending.wait(next(self._silences))
        self.answered.append(time.monotonic())
        return []


# When


def test_one_pass_ends_before_the_next_begins(tmp_path):
    with Clocked(itertools.repeat(0.3)) as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        site.request(uid())
        with running(site, 0.1):
            wait_until(lambda: passes(site) >= 6, 240)
        for end, begin in zip(scanner.answered, scanner.times[1:], strict=False):
            assert end <= begin
    marks = [text for text in site.messages() if text == BEGIN or text.startswith("pass over")]
    assert len(marks) > 10
    assert {text == BEGIN for text in marks[::2]} == {True}
    assert {text.startswith("pass over 1 request:") for text in marks[1::2]} == {True}


@pytest.mark.parametrize("every", ["0", "-1", "nan", "inf", "1e300", "soon"])
def test_wrong_seconds_are_wrong_usage(tmp_path, every):
    site = Site(tmp_path)
    before = site.tree()
    done = site.move("--every", every)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert site.tree() == before


def test_R29_a_daemon_is_nobody_s_hand(tmp_path):
    """`--study` alone does not wait before it asks again; a pass that is made again and again does."""
    study = uid()
    images = mr_series(tmp_path / "images", study_instance_uid=study, series_instance_uid=f"{study}.1", images=2)
    with ScriptedScanner(by_study(images), script=Script(sends_nothing=True)) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        site.config(receive=True)
        scanner.destinations["MOVER"] = site.receive_port
        with running(site, 0.1, "--study", study, "--settle", "0") as process:
            wait_until(lambda: sum(text.startswith("pass over") for text in site.messages()) >= 8, 240)
            assert ended(process, signal.SIGTERM) == 0
    assert len(scanner.moves) <= 2, "as a series, and by name"


def test_each_pass_prints_one_object(tmp_path):
    site = Site(tmp_path)
    with site.moving("--every", "0.1", "--json") as process:
        reports = [json.loads(process.stdout.readline()) for _ in range(5)]
        assert ended(process, signal.SIGTERM) == 0
    assert {report["project"] for report in reports} == {"ABCD"}
    assert sorted(report["started"] for report in reports) == [report["started"] for report in reports]


# What changes meanwhile


def test_a_changed_configuration_counts_from_the_next_pass_and_a_broken_one_ends_nothing(tmp_path):
    with ScriptedScanner() as first, ScriptedScanner() as second:
        site = Site(tmp_path, scanner_port=first.port)
        site.request(uid())
        with site.moving("--every", "0.2") as process:
            wait_until(lambda: first.asked)
            assert not second.asked
            good = site.config_file.read_bytes()
            for broken, status in ((b'{"DATADIR": ', 3), (b"", 3)):
                site.config_file.write_bytes(broken)
                wait_until(lambda status=status: last_status(site) == status)
            site.config_file.unlink()
            asked = len(first.asked)
            wait_until(lambda: last_status(site) == 3)
            assert process.poll() is None
            site.config_file.write_bytes(good)
            wait_until(lambda: len(first.asked) > asked)
            site.config(SCANNERPORT=second.port)
            wait_until(lambda: second.asked)
            wait_until(lambda: last_status(site) == 0)
            assert ended(process, signal.SIGTERM) == 0
            reported = process.stderr.read()
    assert "is not JSON" in reported
    assert "Traceback" not in reported
    # A change is told once, not each pass.
    assert len(reported.splitlines()) <= 6, reported


def test_crons_pass_that_holds_the_lock_in_between_does_no_harm(tmp_path):
    site = Site(tmp_path)
    with site.moving("--every", "0.1") as process:
        wait_until(lambda: passes(site) >= 2)
        holding = contextlib.ExitStack()

        def taken() -> bool:
            with contextlib.suppress(AssertionError):
                holding.enter_context(held_by_flock(site.lock_file))
                return True
            return False

        with holding:
            wait_until(taken)
            begun = passes(site)
            time.sleep(1.5)
            assert passes(site) == begun
            assert process.poll() is None
        wait_until(lambda: passes(site) >= begun + 3)
        assert ended(process, signal.SIGTERM) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")


def test_crons_passes_beside_it_do_no_harm(tmp_path):
    with ScriptedScanner() as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        site.request(uid())
        with running(site, 0.2):
            statuses = [site.mover(program="moveFromScanner.sh").returncode for _ in range(4)]
        assert set(statuses) <= {0, 1}
    assert processes_of(site) == []


def test_a_request_is_seen_although_the_folder_was_not_there(tmp_path):
    """What a site's operator does under a running mover: takes away a folder, and puts it back."""
    with ScriptedScanner() as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        with running(site, 0.1):
            wait_until(lambda: passes(site) >= 1)
            site.data.rename(tmp_path / "unmounted")
            wait_until(lambda: last_status(site) == 4)
            (tmp_path / "unmounted").rename(site.data)
            site.request(uid())
            wait_until(lambda: scanner.asked)
            wait_until(lambda: last_status(site) == 0)


# How it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_between_passes(tmp_path, number):
    site = Site(tmp_path)
    with site.moving("--every", "600") as process:
        wait_until(lambda: site.state_file.exists())
        wait_until(lambda: flock(site.lock_file) == 0)
        assert ended(process, number) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
    assert processes_of(site) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_the_middle_of_a_c_move(tmp_path, number):
    port = free_port()
    study = uid()
    paths = mr_series(tmp_path / "i", study_instance_uid=study, series_instance_uid=f"{study}.1", images=50)
    slow = Script(seconds_between_images=0.5)
    with ScriptedScanner(by_study(paths), {"MOVER": port}, script=slow) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=port, receive=True)
        site.request(study)
        with site.moving("--every", "1") as process:
            wait_until(lambda: any(len(list(folder.glob("MR.*"))) > 1 for folder in staging(site)))
            assert ended(process, number) == 0
            assert "Traceback" not in process.stderr.read()
        wait_until(lambda: processes_of(site) == [], 240)
        assert site.requests_in("active-scans") == [study]
        assert flock(site.lock_file) == 0
        # What came whole is kept, for this pass or the next one; what was cut short is not.
        scanner.script.seconds_between_images = 0
        site.mpps(study)
        assert site.move().returncode == 0, site.log()
        assert site.requests_in("finished-scans") == [study]
        assert_study_is_here(site, scanner, study)
        assert staging(site) == []


def test_a_signal_ends_it_while_the_scanner_is_silent(tmp_path):
    with ScriptedScanner(script=Script(find_silence=600)) as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        site.request(uid())
        with site.moving("--every", "1") as process:
            wait_until(lambda: scanner.asked)
            assert ended(process, signal.SIGTERM) == 0
        wait_until(lambda: processes_of(site) == [], 240)


def test_a_pass_that_was_ended_on_purpose_has_not_failed(tmp_path):
    """`status` and the metrics would alarm somebody at each restart of the service."""
    with ScriptedScanner() as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        site.request(uid())
        assert site.move().returncode == 0
        scanner.script.find_silence = 600
        asked = len(scanner.asked)
        with site.moving("--every", "1") as process:
            wait_until(lambda: len(scanner.asked) > asked)
            assert ended(process, signal.SIGTERM) == 0
            assert process.stderr.read() == ""
    assert last_status(site) == 0
    assert "exit status 0" in site.mover("status").stdout


def test_a_signal_during_the_start_ends_it_with_0_or_by_the_signal(tmp_path):
    """However early it comes: no traceback, and nothing is left."""
    for milliseconds in (0, 30, 60, 90, 120, 150):
        site = Site(tmp_path / str(milliseconds))
        with site.moving("--every", "1") as process:
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGTERM)
            assert process.wait(240) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
            assert "Traceback" not in process.stderr.read()
        assert processes_of(site) == []


# SIGHUP


def _rotate(site: Site) -> tuple[Path, Path]:
    path = site.server / "logs" / "moveFromScanner.log"
    old = path.with_suffix(".log.1")
    path.rename(old)
    return path, old


def test_a_hangup_in_the_middle_of_a_pass_reopens_the_log(tmp_path):
    with Clocked(itertools.repeat(3)) as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        site.request(uid())
        with running(site, 600) as process:
            wait_until(lambda: scanner.times)
            path, old = _rotate(site)
            process.send_signal(signal.SIGHUP)
            assert not scanner.answered, "the pass was over: this proved nothing"
            wait_until(lambda: path.exists() and "pass over 1 request:" in site.log())
            assert process.poll() is None
    assert "pass over" not in old.read_text()
    assert BEGIN in old.read_text()


def test_hangups_between_passes_end_nothing_and_leave_nothing_open(tmp_path):
    site = Site(tmp_path)
    with running(site, 0.5) as process:

        def open_logs() -> int:
            found = 0
            for descriptor in Path("/proc", str(process.pid), "fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    found += "moveFromScanner.log" in str(descriptor.readlink())
            return found

        for _ in range(5):
            begun = passes(site)
            wait_until(lambda begun=begun: passes(site) > begun and flock(site.lock_file) == 0)
            process.send_signal(signal.SIGHUP)
        begun = passes(site)
        wait_until(lambda: passes(site) > begun)
        # A pass has it open for a moment.
        wait_until(lambda: open_logs() == 0, 240)
        assert process.poll() is None


def test_a_hangup_when_the_log_cannot_be_opened_ends_nothing(tmp_path):
    site = Site(tmp_path)
    with running(site, 2) as process:
        wait_until(lambda: site.state_file.exists())
        wait_until(lambda: flock(site.lock_file) == 0)
        logs = site.server / "logs"
        logs.rename(site.server / "logs.away")
        logs.write_text("a file where the folder was")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: process.poll() is not None or last_status(site) == 4)
        assert process.poll() is None, process.stderr.read()
        logs.unlink()
        wait_until(lambda: last_status(site) == 0)


def test_without_every_a_hangup_ends_the_pass(tmp_path):
    site = Site(tmp_path)
    site.request(uid())
    started = site.hang()
    with site.moving() as process:
        wait_until(started.exists)
        process.send_signal(signal.SIGHUP)
        assert process.wait(240) == 128 + signal.SIGHUP
    assert not is_running(int(started.read_text()))


# systemd


class Manager:
    """systemd's end of NOTIFY_SOCKET: a real datagram socket, by path or in the abstract namespace."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while text := self._socket.recv(4096).decode():
            self.heard.append(text)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", "\0" + self.address[1:] if self.address.startswith("@") else self.address)
        self._thread.join(5)
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path) -> Iterator[Manager]:
    name = f"scanner-mover-test-{os.getpid()}-{tmp_path.name}"
    manager = Manager(f"@{name}" if request.param == "abstract" else os.path.relpath(tmp_path / "notify"))
    if request.param == "path":
        manager.address = str(tmp_path / "notify")
    yield manager
    manager.close()


def test_systemd_is_told_that_it_is_ready_alive_and_stopping(tmp_path, manager):
    # The scanner is silent meanwhile: what is said then is said in the middle of a pass.
    with ScriptedScanner(script=Script(find_silence=600)) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        site.request(uid())
        with site.moving("--every", "1", env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "600000"}) as process:
            wait_until(lambda: "READY=1" in manager.heard)
            wait_until(lambda: scanner.asked)
            before = manager.heard.count("WATCHDOG=1")
            wait_until(lambda: manager.heard.count("WATCHDOG=1") >= before + 4)
            assert "STOPPING=1" not in manager.heard
            assert ended(process, signal.SIGTERM) == 0
        wait_until(lambda: "STOPPING=1" in manager.heard)
    assert manager.heard[0] == "READY=1"
    assert manager.heard[-1] == "STOPPING=1"
    assert set(manager.heard) == {"READY=1", "WATCHDOG=1", "STOPPING=1"}
    assert manager.heard.count("READY=1") == 1


def test_without_a_watchdog_nothing_is_said_in_between(tmp_path):
    manager = Manager(f"@scanner-mover-test-{os.getpid()}-{tmp_path.name}")
    site = Site(tmp_path)
    with running(site, 0.1, env={"NOTIFY_SOCKET": manager.address}):
        wait_until(lambda: passes(site) >= 5)
    wait_until(lambda: "STOPPING=1" in manager.heard)
    manager.close()
    assert manager.heard == ["READY=1", "STOPPING=1"]


@pytest.mark.parametrize("usec", ["", "soon", "-1", "0", "٣"])
def test_a_strange_watchdog_or_a_socket_that_is_gone_ends_nothing(tmp_path, usec):
    site = Site(tmp_path)
    with running(site, 0.1, env={"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": usec}):
        wait_until(lambda: passes(site) >= 2)


# Updates


class Copy:
    """A copy of the program, as `pip install` would put it in its place; it notes which process runs which version."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "scanner_mover"
        self._notes = folder / "notes"
        self._seconds = 0
        shutil.copytree(Path(scanner_mover.__file__).parent, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {"PYTHONPATH": str(folder)}
        self.install("1")

    def install(self, version: str) -> None:
        """Put VERSION into its place."""
        part = self.package.parent / "part"
        part.write_text(
            f"import os\n__version__ = {version!r}\n"
            f"with open({str(self._notes)!r}, 'a') as notes:\n    print(os.getpid(), __version__, file=notes)\n"
        )
        # What Python compiled is taken for current while size and second of the source are the same.
        self._seconds += 10
        os.utime(part, (time.time() + self._seconds,) * 2)
        part.replace(self.package / "__init__.py")

    def runs(self, process_id: int, version: str) -> bool:
        return f"{process_id} {version}" in self._notes.read_text().splitlines()


@contextlib.contextmanager
def running_copy(site: Site, copy: Copy, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "scanner_mover", "move", "--every", "0.5", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**site.environment, **copy.environment},
        cwd=copy.package.parent,
    )
    try:
        wait_until(lambda: passes(site) >= 1, 240)
        assert copy.runs(process.pid, "1")
        yield process
        assert ended(process, signal.SIGTERM) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_a_new_version_takes_over_in_the_same_process(tmp_path):
    site, copy = Site(tmp_path / "site"), Copy(tmp_path)
    with running_copy(site, copy) as process:
        copy.install("2")
        wait_until(lambda: copy.runs(process.pid, "2"), 120)
        begun = passes(site)
        wait_until(lambda: passes(site) >= begun + 2, 240)
        # A hangup right after the exec ends nothing either.
        copy.install("3")
        while not copy.runs(process.pid, "3"):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        begun = passes(site)
        wait_until(lambda: passes(site) >= begun + 2, 240)
    assert site.messages().count("the installed program has changed: it takes over") == 2


@pytest.mark.parametrize("how", ["missing", "broken"])
def test_until_the_new_version_starts_the_old_one_goes_on(tmp_path, how):
    site, copy = Site(tmp_path / "site"), Copy(tmp_path)
    with ScriptedScanner() as scanner:
        site.config(SCANNERPORT=scanner.port)
        with running_copy(site, copy) as process:
            module, template = copy.package / "scanner" / "retrieve.py", copy.package / "templates" / "series_find.dump"
            whole = {path: path.read_bytes() for path in (module, template)}
            template.unlink()
            module.unlink()
            if how == "broken":
                module.write_text("def half(")
            copy.install("2")
            note = "the installed program has changed and does not start: the old one goes on"
            wait_until(lambda: note in site.messages())
            assert not copy.runs(process.pid, "2")
            # The old one has all that it needs, although nothing was asked before.
            site.request(uid())
            wait_until(lambda: scanner.asked)
            begun = passes(site)
            wait_until(lambda: passes(site) >= begun + 2)
            assert site.messages().count(note) == 1
            for path, content in whole.items():
                path.write_bytes(content)
            wait_until(lambda: copy.runs(process.pid, "2"))
            begun = passes(site)
            wait_until(lambda: passes(site) > begun)


def test_systemd_notices_nothing_of_an_update(tmp_path):
    manager = Manager(f"@scanner-mover-test-{os.getpid()}-{tmp_path.name}")
    site, copy = Site(tmp_path / "site"), Copy(tmp_path)
    site.environment |= {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "3000000"}
    with running_copy(site, copy) as process:
        copy.install("2")
        wait_until(lambda: copy.runs(process.pid, "2"), 120)
        wait_until(lambda: manager.heard.count("READY=1") == 2, 240)
        before = manager.heard.count("WATCHDOG=1")
        wait_until(lambda: manager.heard.count("WATCHDOG=1") > before, 240)
        assert "STOPPING=1" not in manager.heard
    manager.close()
    assert manager.heard[-1] == "STOPPING=1"


def test_an_error_of_ours_in_a_pass_ends_no_daemon(tmp_path):
    site, copy = Site(tmp_path / "site"), Copy(tmp_path)
    assert site.move().returncode == 0
    with (copy.package / "site" / "requests.py").open("a") as module:
        module.write("\n\ndef scan(*args, **kwargs):\n    raise KeyError('ours')\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "scanner_mover", "move", "--every", "0.2"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**site.environment, **copy.environment},
        cwd=copy.package.parent,
    )
    try:
        wait_until(lambda: passes(site) >= 4, 240)
        assert ended(process, signal.SIGTERM) == 0
        reported = process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert reported.count("\n") == 1 and "an error of scanner-mover itself (KeyError)" in reported
    assert site.log().count("Traceback (most recent call last)") == 1


# For weeks


class _Measure(NamedTuple):
    rss: int
    descriptors: int
    threads: int


def _measure(process_id: int) -> _Measure:
    """Between two passes: a pass opens more for a moment, so the least of many looks counts."""
    looks = []
    for _ in range(40):
        process = Path("/proc", str(process_id))
        status = dict(line.split(":", 1) for line in process.joinpath("status").read_text().splitlines())
        looks.append(
            _Measure(
                int(status["VmRSS"].split()[0]) * 1024,
                len(list(process.joinpath("fd").iterdir())),
                int(status["Threads"]),
            )
        )
        time.sleep(0.02)
    return _Measure(*(min(look[number] for look in looks) for number in range(3)))


@pytest.mark.timeout(1800)
def test_it_runs_on_without_growing_and_misses_no_request(tmp_path):
    """60 passes against a real dcmqrscp while studies come and go; 1,000 with SCANNER_MOVER_LONG=1 in the environment.

    Every fifth pass a new study lies at the scanner and is requested; its request goes when it is finished. In between
    the scanner is switched off for a while. Resident memory may grow from the first fifth of the passes to the end
    by a tenth and 2 MiB (the allocator's own noise); open files and threads not at all. `-s` shows the numbers.
    """
    number = 1000 if os.environ.get(LONG) == "1" else 60
    port = free_port()
    site = Site(tmp_path / "site", receive_port=port, receive=True, connect_timeout_seconds=1)
    printed = tmp_path / "printed"
    requested: list[str] = []

    def made() -> int:
        return printed.read_bytes().count(b"\n")

    def settled() -> bool:
        return site.requests_in("active-scans") == []

    with (
        Dcmqrscp(tmp_path / "scanner", {"MOVER": port}, port=site.scanner_port) as scanner,
        printed.open("wb") as output,
        (tmp_path / "errors").open("wb") as errors,
    ):
        process = subprocess.Popen(
            [str(BIN / "scanner-mover"), "move", "--receive", "--every", "0.2", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=site.environment,
            start_new_session=True,
        )
        try:
            began = None
            for due in range(0, number, 5):
                wait_until(lambda due=due: made() >= due, 300)
                assert process.poll() is None
                study = uid()
                images = mr_series(
                    tmp_path / "acquired" / study,
                    study_instance_uid=study,
                    series_instance_uid=f"{study}.1",
                    images=1 + due % 3,
                )
                scanner.store(images)
                site.mpps(study)
                site.request(study)
                requested.append(study)
                if due % 50 == 25:
                    # A console that is off for a few passes.
                    scanner.stop()
                    there = made()
                    wait_until(lambda there=there: made() >= there + 2, 240)
                    scanner.start()
                if began is None and due >= number // 5:
                    wait_until(settled, 240)
                    began = _measure(process.pid)
            wait_until(lambda: made() >= number and settled(), 300)
            end = _measure(process.pid)
            count = made()
            assert ended_process(process) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert site.requests_in("finished-scans") == sorted(requested)
        for study in requested:
            assert_study_is_here(site, scanner, study)
    assert "Traceback" not in (tmp_path / "errors").read_text()
    assert processes_of(site) == []
    assert began is not None
    for name, value in (("passes", count), ("studies", len(requested)), ("at first", began), ("at the end", end)):
        print(f"{name}: {value}")
    assert end.descriptors == began.descriptors
    assert end.threads == began.threads
    assert end.rss < began.rss * 1.1 + (2 << 20)


def ended_process(process: "subprocess.Popen[bytes]") -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(240)
