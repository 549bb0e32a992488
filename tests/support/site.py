"""One site on disk, and the installed programs run on it as cron and people run them: as processes of their own.

How a test uses it:

    site = Site(tmp_path, scanner_port=scanner.port, receive_port=free_port(), receive=True)
    site.request(study)
    site.mpps(study, ended=True)
    assert site.move().returncode == 0
    assert site.requests_in("finished-scans") == [study]

Beside it: `fake_tool`, `shell_tool`, and what it takes to look at locks and processes.
"""

import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scanner_mover.dcmtk.tool import Toolbox, find_tools, version
from tests.support import objects, ports
from tests.support.process import environment

#: A folder of DCMTK's tools that go before the machine's own for the program under test (`--dcmtk`).
dcmtk: Path | None = None

BIN = Path(sys.executable).parent
_SECONDS_BETWEEN_LOOKS = 0.01
_SAY_HELD = "import time; print('held', flush=True); time.sleep(600)"
# The last one would have each run compile the whole program, which pip does once.
_NOT_INHERITED = {"SCANNER_MOVER_CONFIG", "SERVERDIR", "LC_ALL", "TZ", "PYTHONDONTWRITEBYTECODE"}

# Says which version it is, then leaves its number and never ends.
_HANGING_FINDSCU = """
import os, sys, time
if "--version" in sys.argv:
    print("$dcmtk: findscu v3.6.7 2022-04-22 $")
    sys.exit()
with open({started!r} + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename({started!r} + ".part", {started!r})
time.sleep(600)
"""


class Site:
    """DATADIR, SERVERDIR and `config.json` below `root`, switched on and with nothing requested.

    The options of SCANNER_MOVER are the keyword arguments that are left: `Site(tmp_path, retries=1)`. By default no
    time is spent waiting (`settle_seconds`, `quiet_seconds` and `repull_after_seconds` are 0, `retries` 0) and the
    disk may be full (`reserve_bytes` 0). Without `scanner_port` nobody listens where the scanner should be.
    `project` puts all keys into SITES.PROJECT and is given to `move`. `receive` adds --receive to each `move`.

    Others change at any time: `environment` (variables of each run), `receive`, `project`, and the keys by `config`.
    """

    def __init__(
        self,
        root: Path,
        *,
        scanner_port: int | None = None,
        receive_port: int | None = None,
        scanner_ae_title: str = "SCANNER",
        ae_title: str = "MOVER",
        project: str | None = None,
        receive: bool = False,
        **options: Any,
    ) -> None:
        self.root = root
        self.data = root / "data"
        self.server = root / "server"
        self.config_file = root / "config.json"
        self.scanner_port = scanner_port or ports.free_port()
        self.receive_port = receive_port or ports.free_port()
        self.project = project
        self.receive = receive
        self.keys: dict[str, Any] = {
            "DATADIR": str(self.data),
            "SCANNERIP": ports.LOOPBACK,
            "SCANNERPORT": self.scanner_port,
            "SCANNERAETITLE": scanner_ae_title,
            "DICOMAETITLE": ae_title,
            "DICOMPORT": self.receive_port,
        }
        self.options: dict[str, Any] = {
            "settle_seconds": 0,
            "repull_after_seconds": 0,
            "quiet_seconds": 0,
            "retries": 0,
            "reserve_bytes": 0,
            **options,
        }
        self.environment = _environment(self.config_file, self.server)
        for name in ("active-scans", "scanner", "config", "site/raw"):
            (self.data / name).mkdir(parents=True)
        self.switch(b"010\n")
        self.config()

    # What the site has

    def config(self, **keys: Any) -> None:
        """Set keys (in capitals) and options of SCANNER_MOVER (the others), take away those that are None; write."""
        for name, value in keys.items():
            where = self.keys if name.isupper() else self.options
            where[name] = copy.deepcopy(value)
            if value is None:
                del where[name]
        value = {**self.keys, "SCANNER_MOVER": self.options}
        self.config_file.write_text(json.dumps({"SITES": {self.project: value}} if self.project else value, indent=1))

    def switch(self, content: bytes | None) -> None:
        """Write `config/enabled`; None removes it."""
        path = self.data / "config" / "enabled"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)

    def request(self, name: str, age_seconds: float = 0, content: bytes = b"") -> Path:
        """A file in active-scans, touched `age_seconds` ago; `name` may hold a folder, which is made."""
        path = self.data / "active-scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        touched = time.time() - age_seconds
        os.utime(path, (touched, touched))
        return path

    def mpps(self, study_instance_uid: str, *, ended: bool | str | None = True, name: str | None = None) -> Path:
        """An MPPS file of a study, see `objects.mpps`."""
        path = self.data / "scanner" / (name or f"{study_instance_uid}.mpps")
        return objects.mpps(path, study_instance_uid=study_instance_uid, ended=ended)

    def series(self, study_instance_uid: str, series_instance_uid: str) -> Path:
        """The folder of a series in site/raw, which need not be there."""
        return self.data / "site" / "raw" / study_instance_uid / series_instance_uid

    def images(self, study_instance_uid: str, series_instance_uid: str) -> list[str]:
        """The names of everything in that folder."""
        folder = self.series(study_instance_uid, series_instance_uid)
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def tool(self, name: str, text: str) -> Path:
        """A fake tool, see `fake_tool`, that this site's programs find before the real one until it is removed."""
        folder = self.root / "tools"
        if not folder.is_dir():
            self.environment["PATH"] = f"{folder}{os.pathsep}{self.environment['PATH']}"
        return fake_tool(folder, name, text)

    def hang(self) -> Path:
        """From now on a pass with something to do hangs in a fake findscu, which leaves its process number in a file.

        Returns that file: wait for it with `wait_until`.
        """
        started = self.root / "started"
        self.tool("findscu", _HANGING_FINDSCU.format(started=str(started)))
        return started

    # What happens

    def mover(
        self,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        program: str | Path = "scanner-mover",
        umask: int = -1,
        seconds: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run an installed program (or any file, as a link to one) to its end; `env` adds variables, None removes.

        It has no terminal. What cannot be decoded in its output is written `\\xNN`.
        """
        return subprocess.run(
            [str(BIN / program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            env=self._variables(env),
            umask=umask,
            timeout=seconds,
        )

    def move(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """One pass: `scanner-mover move` with the project, `--receive` if so set, and `arguments`; `more` as above."""
        return self.mover(*self._move(), *arguments, **more)

    def report(self, *arguments: str, **more: Any) -> dict[str, Any]:
        """The object that a pass with `--json` prints."""
        done = self.move("--json", *arguments, **more)
        value = json.loads(done.stdout)
        assert isinstance(value, dict), done
        return value

    @contextlib.contextmanager
    def moving(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> Iterator["subprocess.Popen[str]"]:
        """A pass that goes on while the block runs; killed at its end if it is still there."""
        process = subprocess.Popen(
            [str(BIN / "scanner-mover"), *self._move(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="backslashreplace",
            env=self._variables(env),
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    # What came of it

    def log(self, project: str | None = None) -> str:
        """The text of the log, empty when there is none."""
        path = self.server / "logs" / f"moveFromScanner{project or self.project or ''}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def messages(self) -> list[str]:
        """The log's messages, without their times."""
        return [line.split(": ", 1)[1] for line in self.log().splitlines()]

    @property
    def lock_file(self) -> Path:
        return self.server / ".pids" / f"moveFromScanner{self.project or ''}.lock"

    @property
    def state_file(self) -> Path:
        return self.server / ".pids" / f"moveFromScanner{self.project or ''}.state.json"

    def state(self) -> dict[str, Any]:
        """What is in the state file."""
        value = json.loads(self.state_file.read_text(encoding="utf-8"))
        assert isinstance(value, dict)
        return value

    def requests_in(self, folder: str) -> list[str]:
        """Every file below active-scans, finished-scans or failed-scans, by its path in there."""
        top = self.data / folder
        return sorted(path.relative_to(top).as_posix() for path in top.rglob("*") if not path.is_dir())

    def tree(self, below: str = ".") -> dict[str, tuple[int, int, bytes]]:
        """The folder `below` and everything in it: mode, time of modification and content of each path."""
        found = {}
        top = self.root / below
        for path in [top, *top.rglob("*")]:
            status = path.lstat()
            content = b""
            if path.is_symlink():
                content = os.fsencode(path.readlink())
            elif path.is_file():
                content = path.read_bytes()
            found[str(path.relative_to(self.root))] = (status.st_mode, status.st_mtime_ns, content)
        return found

    def _move(self) -> list[str]:
        return ["move", *([self.project] if self.project else []), *(["--receive"] if self.receive else [])]

    def _variables(self, env: Mapping[str, str | None] | None) -> dict[str, str]:
        variables = {**self.environment, **(env or {})}
        return {name: value for name, value in variables.items() if value is not None}


def _environment(config_file: Path, server: Path) -> dict[str, str]:
    variables = {name: value for name, value in environment(tcp_nodelay=False).items() if name not in _NOT_INHERITED}
    return {
        **variables,
        "PATH": path_without_ours(),
        "SCANNER_MOVER_CONFIG": str(config_file),
        "SERVERDIR": str(server),
    }


def path_without_ours() -> str:
    """The PATH without the folder of our programs: pynetdicom installs a findscu and a movescu of its own there.

    With `--dcmtk` the tools of that folder come first.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    tools = [] if dcmtk is None else [str(dcmtk)]
    return os.pathsep.join(tools + [folder for folder in folders if Path(folder) != BIN])


def real_tools(*names: str) -> Toolbox:
    """The real tools of those names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path_without_ours())
        return find_tools(names)


def dcmtk_version() -> tuple[int, int, int]:
    """The version of DCMTK that the program under test finds."""
    return version(real_tools("findscu"), "findscu")


def fake_tool(folder: Path, name: str, text: str) -> Path:
    """An executable of that name in `folder` (made when missing) that is the Python program `text`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable} -IS\n{text}")
    path.chmod(0o755)
    return path


def shell_tool(folder: Path, name: str, text: str) -> Path:
    """As `fake_tool`, and `text` is a shell script: it starts in a tenth of the time that a Python program takes."""
    path = fake_tool(folder, name, "")
    path.write_text(f"#!/bin/sh\n{text}")
    return path


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Return as soon as `condition` is true; TimeoutError when it is not after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not so after {seconds} s")
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def is_running(process_id: int) -> bool:
    """Whether there is such a process, and it is not one that only waits to be reaped."""
    try:
        state = Path("/proc", str(process_id), "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def flock(path: Path) -> int:
    """The exit status of the shell's `flock -n PATH true`: 1 when somebody holds the lock."""
    return subprocess.run(["flock", "-n", str(path), "true"], check=False, stdin=subprocess.DEVNULL).returncode


@contextlib.contextmanager
def held_by_flock(path: Path, *, wait: bool = False) -> Iterator["subprocess.Popen[bytes]"]:
    """A real `flock` holds the lock on `path`, a file or a folder, while the block runs.

    With `wait` it gets the lock as soon as whoever has it lets go; without, somebody else's lock is a failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        ["flock", *([] if wait else ["-n"]), str(path), sys.executable, "-ISc", _SAY_HELD],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n", f"{path} is held by another"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # Its child has the lock, too, and is gone when nobody can write to the pipe any more.
        assert process.stdout is not None
        process.stdout.read()
        process.stdout.close()
        process.wait()
