"""Finds DCMTK's tools and runs one: environment, time limits, and a clean end whatever happens.

Exit statuses of these tools lie, so none is judged here: what a tool said goes back to the module that knows the tool.
"""

import contextlib
import ctypes
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import sh

from scanner_mover.dcmtk.child import Child, Limits
from scanner_mover.errors import UnusableError
from scanner_mover.signals import check, deferred
from scanner_mover.text import printable

TOOLS = ("findscu", "movescu", "dump2dcm", "dcmdump")
OLDEST = (3, 6, 1)
INSTALL = "install DCMTK (Debian, Ubuntu: apt-get install dcmtk)"

# Seconds between two looks at what a tool has done so far.
_MEANWHILE_SECONDS = 0.25

# The last one is what a dictionary without DICOM's own tags leads to.
_NO_DICTIONARY = re.compile(
    r"[WEF]: .*(?:no data dictionary loaded|Data dictionary missing"
    r"|DIMSE: Command Build Failed: .* Unknown Tag & Data)"
)
_VERSION = re.compile(r"\$dcmtk: \S+ v(\d{1,9})\.(\d{1,9})\.(\d{1,9})")

_NO_LIMITS = Limits()
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

    def heard(self, line: str, is_error: bool) -> None:
        """Take in one line that the tool said."""
        (self.err if is_error else self.out).append(line)


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
        most_seconds: float | None = None,
        on_line: Callable[[str], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Run:
        """Run the tool NAME with ARGUMENTS in FOLDER and wait for its end.

        It is ended when for `stall_seconds` it printed nothing and the value of `progress` stayed the same, or when for
        `most_seconds` that value stayed the same, whatever it printed.
        `on_line` gets each line, in another thread, and must not raise. `meanwhile` is called now and then while the
        tool runs; when it raises, the tool is ended. Whatever way this is left, no process of the tool's is.

        Raises UnusableError when the tool cannot be started or has no data dictionary.
        """
        run = Run()

        def heard(line: str, is_error: bool) -> None:
            run.heard(line, is_error)
            if on_line is not None:
                on_line(line)

        limits = Limits(stall_seconds, most_seconds, progress)
        with self.started(name, arguments, folder, heard, limits) as child:
            while meanwhile is not None and not child.falls_silent(_MEANWHILE_SECONDS):
                meanwhile()
            child.wait()
        return _ended(name, run, child)

    def run_together(
        self, name: str, calls: Sequence[Sequence[str]], *, stall_seconds: float, most_seconds: float
    ) -> list[Run]:
        """As `run`, with each of CALLS, the arguments of one, at the same time.

        Raises UnusableError as `run` does.
        """
        runs = [Run() for _ in calls]
        with contextlib.ExitStack() as stack:
            children = [
                stack.enter_context(self.started(name, arguments, None, run.heard, Limits(stall_seconds, most_seconds)))
                for run, arguments in zip(runs, calls, strict=True)
            ]
            for child in children:
                child.wait()
        return [_ended(name, run, child) for run, child in zip(runs, children, strict=True)]

    @contextlib.contextmanager
    def started(
        self,
        name: str,
        arguments: Sequence[str],
        folder: str | None,
        heard: Callable[[str, bool], None],
        limits: Limits = _NO_LIMITS,
    ) -> Iterator[Child]:
        """Start the tool NAME in a process group of its own; at the end of the `with` nothing of that group is left.

        `heard` gets each line and whether it came on standard error, in another thread, and must not raise. Raises
        UnusableError when the tool cannot be started.
        """
        check()
        child: Child | None = None
        try:
            with open(os.devnull, "rb") as nothing, deferred():
                child = self._start(name, arguments, folder, nothing, heard, limits)
            yield child
        finally:
            if child is not None:
                with deferred():
                    child.end()

    def _start(
        self,
        name: str,
        arguments: Sequence[str],
        folder: str | None,
        nothing: BinaryIO,
        heard: Callable[[str, bool], None],
        limits: Limits,
    ) -> Child:
        out, out_child = os.pipe()
        err, err_child = os.pipe()
        try:
            process = sh.Command(self.paths[name])(
                *arguments,
                _in=nothing,
                _out=out_child,
                _err=err_child,
                _bg=True,
                _bg_exc=False,
                _no_pipe=True,
                _return_cmd=True,
                _new_group=True,
                _preexec_fn=_die_with_parent(os.getpid()),
                _cwd=folder,
                _env=self.environment,
                _ok_code=_ANY_EXIT_STATUS,
                _encoding="utf-8",
            )
        except (sh.CommandNotFound, sh.ForkException, OSError, UnicodeError) as error:
            os.close(out)
            os.close(err)
            what = f"{self.paths[name]} cannot be started: {_last_line(error)}"
            raise UnusableError(f"{what}; {INSTALL}") from error
        finally:
            os.close(out_child)
            os.close(err_child)
        return Child(process, out, err, heard, limits)


def _ended(name: str, run: Run, child: Child) -> Run:
    """RUN with the end of CHILD, the tool NAME."""
    run.exit_status, run.ended = child.exit_status, child.ended
    if any(_NO_DICTIONARY.match(line) for line in run.err):  # standard output has names of files
        raise UnusableError(
            f"{name} finds no DICOM data dictionary: {INSTALL}, or set DCMDICTPATH to the path of its dicom.dic"
        )
    return run


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
