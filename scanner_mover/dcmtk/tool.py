"""Finds DCMTK's tools and runs one: environment, time limits, and a clean end whatever happens.

Exit statuses of these tools lie (they are 0 when the scanner hangs up), so none is judged here: the output of a tool
goes back to the module that knows the tool.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sh

from scanner_mover import templates
from scanner_mover.dcmtk.child import Child, Ending, Limits
from scanner_mover.dcmtk.start import INSTALL, start
from scanner_mover.errors import UnusableError
from scanner_mover.signals import check, deferred

TOOLS = ("findscu", "movescu", "dump2dcm", "dcmdump")
OLDEST = (3, 6, 1)

#: A dictionary of the tags that our query files have and that we read, and of group 0002.
SMALL_DICTIONARY = os.path.join(os.path.dirname(templates.__file__), "small.dic")

# No tool that reads a file or asks needs more. A data set is kept in memory: of a file with 64 MB of tiny elements
# dcmdump makes 1.5 GB, and an answer may have no end.
_MOST_MEMORY_BYTES = 1024 * 1024 * 1024
# Seconds between two calls of `meanwhile`.
_MEANWHILE_SECONDS = 0.25

# The last one is said with a dictionary that lacks DICOM's own tags.
_NO_DICTIONARY = re.compile(
    r"[WEF]: .*(?:no data dictionary loaded|Data dictionary missing"
    r"|DIMSE: Command Build Failed: .* Unknown Tag & Data)"
)
_VERSION = re.compile(r"\$dcmtk: \S+ v(\d{1,9})\.(\d{1,9})\.(\d{1,9})")

_NO_LIMITS = Limits()


@dataclass
class Run:
    """How one run of a tool went: its lines on standard output and standard error, and its exit status.

    `ended` says why we ended it, None when it ended by itself.
    """

    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    exit_status: int = 0
    ended: Ending | None = None

    def add(self, line: str, is_error: bool) -> None:
        """Take in one line of its output."""
        (self.err if is_error else self.out).append(line)


class Call(NamedTuple):
    """One of several calls of a tool at the same time: its arguments, and who gets its lines and ends it.

    `on_line` and `over_limit` are those of `Toolbox.run`.
    """

    arguments: Sequence[str]
    on_line: Callable[[str], None] | None = None
    over_limit: Callable[[], str | None] | None = None


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
        small_dictionary: bool = False,
    ) -> Run:
        """Run the tool NAME with ARGUMENTS in FOLDER and wait for its end.

        `stall_seconds`, `most_seconds` and `progress` are those of `Limits`. `on_line` gets each line, in another
        thread, and must not raise. `meanwhile` is called now and then while the tool runs; when it raises, the tool is
        ended. On any way out every process of the tool's group has ended. With `small_dictionary` the tool knows the
        tags of this program only: reading Debian's dictionary is most of a small tool's life.

        Raises UnusableError when the tool cannot be started or has no data dictionary.
        """
        run = Run()
        limits = Limits(stall_seconds, most_seconds, progress, most_memory_bytes=_MOST_MEMORY_BYTES)
        tools = self._with_small_dictionary() if small_dictionary else self
        with tools.started(name, arguments, folder, _collector(run, on_line), limits) as child:
            while meanwhile is not None and not child.falls_silent(_MEANWHILE_SECONDS):
                meanwhile()
                check()
            child.wait()
        return _with_end_of(child, run)

    def _with_small_dictionary(self) -> "Toolbox":
        # DCMTK divides DCMDICTPATH at colons.
        if ":" in SMALL_DICTIONARY or not os.path.isfile(SMALL_DICTIONARY):
            return self
        return Toolbox(self.paths, {**self.environment, "DCMDICTPATH": SMALL_DICTIONARY})

    def run_together(self, name: str, calls: Sequence[Call], *, stall_seconds: float, most_seconds: float) -> list[Run]:
        """As `run`, with all CALLS at the same time. Gives one run for each.

        Raises UnusableError as `run` does.
        """
        runs = [Run() for _ in calls]
        with contextlib.ExitStack() as stack:
            children = []
            for run, call in zip(runs, calls, strict=True):
                limits = Limits(
                    stall_seconds, most_seconds, over_limit=call.over_limit, most_memory_bytes=_MOST_MEMORY_BYTES
                )
                started = self.started(name, call.arguments, None, _collector(run, call.on_line), limits)
                children.append(stack.enter_context(started))
            for child in children:
                child.wait()
        return [_with_end_of(child, run) for child, run in zip(children, runs, strict=True)]

    @contextlib.contextmanager
    def started(
        self,
        name: str,
        arguments: Sequence[str],
        folder: str | None,
        on_output: Callable[[str, bool], None],
        limits: Limits = _NO_LIMITS,
    ) -> Iterator[Child]:
        """Start the tool NAME in a process group of its own. At the end of the `with` nothing of that group is left.

        `on_output` gets each line and whether it came on standard error, in another thread, and must not raise.

        Raises UnusableError when the tool cannot be started.
        """
        check()
        child = start(self.paths[name], arguments, folder, self.environment, on_output, limits)
        try:
            yield child
        finally:
            with deferred():
                child.end()


def _collector(run: Run, on_line: Callable[[str], None] | None) -> Callable[[str, bool], None]:
    """What takes in each line of a tool: into RUN, and on to ON_LINE."""

    def on_output(line: str, is_error: bool) -> None:
        run.add(line, is_error)
        if on_line is not None:
            on_line(line)

    return on_output


def _with_end_of(child: Child, run: Run) -> Run:
    """RUN with the end of CHILD, its process."""
    run.exit_status, run.ended = child.exit_status, child.ended
    # Not on standard output, which has names of files.
    if any(_NO_DICTIONARY.match(line) for line in run.err):
        raise no_dictionary()
    return run


def no_dictionary() -> UnusableError:
    """The error that there is no data dictionary: the same for all tools, which look in the same places."""
    return UnusableError(
        f"DCMTK finds no DICOM data dictionary: {INSTALL}, or set DCMDICTPATH to the path of its dicom.dic"
    )


def find_tools(names: Sequence[str] = TOOLS) -> Toolbox:
    """Find the tools NAMES on the PATH, and make the environment that they get (R8).

    Raises UnusableError, which says what to install, when one is not there.
    """
    paths = {}
    for name in names:
        try:
            paths[name] = str(sh.Command(name))
        except sh.CommandNotFound:
            raise UnusableError(f"{name} is not on the PATH: {INSTALL}") from None
    environment = dict(os.environ)
    # Without it DCMTK leaves Nagle's algorithm on, and each message waits 40 ms for the other side's acknowledgement.
    environment["TCP_NODELAY"] = "1"
    # The words of the tools are read.
    environment["LC_ALL"] = "C"
    dictionaries = [path for path in environment.pop("DCMDICTPATH", "").split(":") if os.path.isfile(path)]
    if dictionaries:
        environment["DCMDICTPATH"] = ":".join(dictionaries)
    return Toolbox(paths, environment)


def version(tools: Toolbox, name: str) -> tuple[int, int, int]:
    """The version of the tool NAME.

    Raises UnusableError when it prints none, or is older than 3.6.1: its output differs (R12).
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
