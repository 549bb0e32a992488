"""Finds DCMTK's tools and runs one: environment, time limits, and a clean end whatever happens.

Exit statuses of these tools lie, so none is judged here: what a tool said goes back to the module that knows the tool.
"""

import contextlib
import ctypes
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sh

from scanner_mover.errors import UnusableError
from scanner_mover.log import printable
from scanner_mover.signals import deferred

TOOLS = ("findscu", "movescu", "dump2dcm", "dcmdump")
OLDEST = (3, 6, 1)
INSTALL = "install DCMTK (Debian, Ubuntu: apt-get install dcmtk)"

# Seconds between asking a tool to end and killing it.
_GRACE_SECONDS = 2.0
# No tool prints more than this by itself; one that does is broken and is ended.
_MOST_BYTES = 256 * 1024 * 1024
_MOST_LINE = 1024 * 1024

_NO_DICTIONARY = re.compile(r"no data dictionary loaded|Data dictionary missing")
_VERSION = re.compile(r"\$dcmtk: \S+ v(\d+)\.(\d+)\.(\d+)")

_ANY_EXIT_STATUS = tuple(range(-64, 256))
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Run:
    """What one run of a tool said: its lines on standard output and standard error, and how it ended.

    `ended` says why we ended it, None when it ended by itself.
    """

    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    exit_status: int = 0
    ended: str | None = None


@dataclass(frozen=True)
class Toolbox:
    """The tools of one pass: where they are, and the environment that all of them get."""

    paths: dict[str, str]
    environment: dict[str, str]

    def run(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        folder: str | None = None,
        stall_seconds: float,
        progress: Callable[[], Any] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Run:
        """Run the tool NAME with ARGUMENTS in FOLDER and wait for its end.

        It is ended when for `stall_seconds` it printed nothing and the value of `progress` stayed the same.
        `on_line` gets each line, in another thread, and must not raise.
        Whatever way this is left, no process of the tool's is.

        Raises UnusableError when the tool cannot be started or has no data dictionary.
        """
        run = Run()
        watch = _Watch(stall_seconds, progress)

        def heard(lines: list[str], line: str) -> None:
            watch.bytes += len(line)
            lines.append(line.rstrip("\r\n")[:_MOST_LINE])
            if on_line is not None:
                on_line(lines[-1])

        with self.started(
            name, arguments, folder, lambda line: heard(run.out, line), lambda line: heard(run.err, line)
        ) as child:
            watch.begin(child)
            try:
                child.wait()
            finally:
                watch.stop()
        run.exit_status = child.exit_code
        run.ended = watch.verdict
        if any(_NO_DICTIONARY.search(line) for line in run.err + run.out):
            raise UnusableError(
                f"{name} finds no DICOM data dictionary: {INSTALL}, or set DCMDICTPATH to the path of its dicom.dic"
            )
        return run

    @contextlib.contextmanager
    def started(
        self,
        name: str,
        arguments: Sequence[str],
        folder: str | None,
        on_out: Callable[[str], None],
        on_err: Callable[[str], None],
    ) -> Iterator[Any]:
        """Start the tool NAME in a process group of its own; at the end of the `with` nothing of that group is left.

        `on_out` and `on_err` get each line and must not raise. Raises UnusableError when it cannot be started.
        """
        with open(os.devnull, "rb") as nothing:
            with deferred():
                try:
                    child = sh.Command(self.paths[name])(
                        *arguments,
                        _in=nothing,
                        _out=on_out,
                        _err=on_err,
                        _bg=True,
                        _bg_exc=False,
                        _tty_out=False,
                        _no_pipe=True,
                        _return_cmd=True,
                        _new_group=True,
                        _preexec_fn=_die_with_parent(os.getpid()),
                        _cwd=folder,
                        _env=self.environment,
                        _ok_code=_ANY_EXIT_STATUS,
                        _encoding="utf-8",
                        _decode_errors="surrogateescape",
                    )
                except (sh.CommandNotFound, sh.ForkException, OSError, UnicodeError) as error:
                    what = f"{self.paths[name]} cannot be started: {_last_line(error)}"
                    raise UnusableError(f"{what}; {INSTALL}") from error
            try:
                yield child
            finally:
                with deferred():
                    _end(child)


class _Watch(threading.Thread):
    """Ends a tool that makes no progress or prints without end."""

    def __init__(self, stall_seconds: float, progress: Callable[[], Any] | None) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self.verdict: str | None = None
        self._stall_seconds = stall_seconds
        self._progress = progress
        self._over = threading.Event()
        self._child: Any = None

    def begin(self, child: Any) -> None:
        self._child = child
        self.start()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        seen: Any = None
        since = time.monotonic()
        while not self._over.wait(min(0.5, self._stall_seconds / 4)):
            now = self.bytes, self._progress() if self._progress is not None else None
            if self.bytes > _MOST_BYTES:
                self.verdict = "ended: it printed without end"
            elif now != seen:
                seen, since = now, time.monotonic()
                continue
            elif time.monotonic() - since >= self._stall_seconds:
                self.verdict = f"ended: no progress for {self._stall_seconds:g} seconds"
            else:
                continue
            _signal(self._child, signal.SIGTERM)
            if not self._over.wait(_GRACE_SECONDS):
                _signal(self._child, signal.SIGKILL)
            return


def _end(child: Any) -> None:
    """End CHILD and its process group if any of it is left, and wait for it."""
    if child.is_alive():
        _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while child.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
    _signal(child, signal.SIGKILL)
    child.wait()


def _signal(child: Any, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pgid, number)


def _die_with_parent(parent: int) -> Callable[[], None]:
    """For the child, between fork and exec: the kernel kills it when we die, also by `kill -9`."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return printable(lines[-1].strip()) if lines else type(error).__name__


def find_tools(names: Sequence[str] = TOOLS) -> Toolbox:
    """Find the tools NAMES on the PATH and prepare their environment (R8, facts of `TCP_NODELAY`).

    Raises UnusableError that says what to install.
    """
    paths = {}
    for name in names:
        try:
            paths[name] = str(sh.Command(name))
        except sh.CommandNotFound:
            raise UnusableError(f"{name} is not on the PATH: {INSTALL}") from None
    environment = dict(os.environ)
    # Without it every message waits 40 ms for the other side's delayed acknowledgement.
    environment["TCP_NODELAY"] = "1"
    # The tools' words are parsed.
    environment["LC_ALL"] = "C"
    dictionaries = [path for path in environment.pop("DCMDICTPATH", "").split(":") if os.path.isfile(path)]
    if dictionaries:
        environment["DCMDICTPATH"] = ":".join(dictionaries)
    return Toolbox(paths, environment)


def version(tools: Toolbox, name: str) -> tuple[int, int, int]:
    """The version of the tool NAME.

    Raises UnusableError when it tells none or is older than 3.6.1, whose answers read differently (R12).
    """
    run = tools.run(name, ["--version"], stall_seconds=10)
    found = _VERSION.search(run.out[0]) if run.out else None
    if found is None:
        raise UnusableError(f"{tools.paths[name]} does not say which version of DCMTK it is: {INSTALL}")
    major, minor, patch = (int(number) for number in found.groups())
    if (major, minor, patch) < OLDEST:
        raise UnusableError(
            f"{tools.paths[name]} is DCMTK {major}.{minor}.{patch}: 3.6.1 or newer is needed; {INSTALL}"
        )
    return major, minor, patch
