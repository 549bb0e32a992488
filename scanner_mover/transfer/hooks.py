"""The programs of a site that hear of what happened: `on_finished`, `on_failed`, `on_fault` (README, "Options").

The first half is pure: which program gets which event, and its JSON. The second half runs the programs, and imports
what is slow only then.
"""

import contextlib
import enum
import json
import os
import stat
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from scanner_mover import signals
from scanner_mover.config import Settings
from scanner_mover.errors import reason
from scanner_mover.text import beginning, printable

if TYPE_CHECKING:
    from scanner_mover.dcmtk.child import Child

MOST_SECONDS = 60.0


class EventKind(enum.Enum):
    """What happened, in the words of the JSON."""

    FINISHED = "finished"
    FAILED = "failed"
    FAULT = "fault"
    RECOVERED = "recovered"


_OPTIONS = {
    EventKind.FINISHED: "on_finished",
    EventKind.FAILED: "on_failed",
    EventKind.FAULT: "on_fault",
    EventKind.RECOVERED: "on_fault",
}


class EventSeries(NamedTuple):
    """One series of the study: images expected (None: not known) and received."""

    series_instance_uid: str
    expected: int | None
    received: int


class Event(NamedTuple):
    """Something that a site wants to hear of.

    `time` is ISO 8601 with offset, `text` the line that the pass says; neither they nor anything else names a patient.
    `is_second_try` is true for an event that could not be delivered in an earlier pass.
    """

    kind: EventKind
    project: str
    study_instance_uid: str | None
    text: str
    time: str
    series: tuple[EventSeries, ...] = ()
    is_second_try: bool = False

    @property
    def option(self) -> str:
        """The option of SCANNER_MOVER that names the program which hears of it."""
        return _OPTIONS[self.kind]

    def to_json(self) -> dict[str, Any]:
        """The object on the program's standard input, and in the state file."""
        return {
            "event": self.kind.value,
            "project": self.project,
            "study": self.study_instance_uid,
            "text": self.text,
            "series": [
                {"series": one.series_instance_uid, "expected": one.expected, "received": one.received}
                for one in self.series
            ],
            "time": self.time,
        }


class Undelivered(NamedTuple):
    """An event that its program did not take, and why, as a line for the log."""

    event: Event
    text: str


def second_try(value: Any) -> Event | None:
    """The event in VALUE, an object of `Event.to_json` from the state file; None when it is broken."""
    try:
        series = tuple(
            EventSeries(str(one["series"]), _count(one["expected"]), _count(one["received"]) or 0)
            for one in value["series"]
        )
        study = value["study"]
        texts = [value[key] for key in ("project", "text", "time")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(study, str | None):
            return None
        project, text, time = texts
        return Event(EventKind(value["event"]), project, study, text, time, series, is_second_try=True)
    except (KeyError, TypeError, ValueError):
        return None


def to_keep(undelivered: Iterable[Undelivered]) -> list[dict[str, Any]]:
    """What the state file keeps for the next pass: each event is tried twice, then it is lost."""
    return [one.event.to_json() for one in undelivered if not one.event.is_second_try]


def distrust(file: str) -> str | None:
    """Why the programs in the configuration FILE must not be run, with what to do; None when they may.

    Whoever may write FILE can run programs with our rights. So it must belong to root or to our user, and nobody
    outside its group may write it.
    """
    try:
        status = os.stat(file)
    except OSError as error:
        return f"{file} cannot be looked at ({reason(error)}): its programs on_finished, on_failed, on_fault do not run"
    if status.st_uid not in (0, os.geteuid()):
        what = "belongs to another user: chown it to root"
    elif status.st_mode & stat.S_IWOTH:
        what = "can be written by everybody: chmod o-w it"
    else:
        return None
    return f"{file} {what}; until then its programs on_finished, on_failed, on_fault do not run"


def run_hooks(settings: Settings, events: Sequence[Event]) -> list[Undelivered]:
    """Run the site's program for each of EVENTS, one after the other; gives those that failed.

    To be called without the lock, after the state was written: a program may take `MOST_SECONDS`, then it is ended with
    all that it started. One that had to be ended is not run again for the events that are left. Raises Ended.
    """
    wanted = [event for event in events if getattr(settings, event.option) is not None]
    if not wanted:
        return []
    why_not = distrust(settings.file)
    if why_not is not None:
        return [Undelivered(event, why_not) for event in wanted]
    failed = []
    hanging: set[str] = set()
    for event in wanted:
        command = getattr(settings, event.option)
        if event.option in hanging:
            failure: str | None = "not run: it did not end for the event before"
        else:
            failure, was_ended = _run(command, json.dumps(event.to_json()) + "\n")
            if was_ended:
                hanging.add(event.option)
        if failure is not None:
            failed.append(Undelivered(event, f"{event.option}: {command[0]}: {failure}"))
    return failed


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _run(command: Sequence[str], text: str) -> tuple[str | None, bool]:
    """Run COMMAND with TEXT on its standard input; gives what went wrong, and whether we had to end it."""
    lines: list[str] = []

    def keep_last(line: str, is_error: bool) -> None:
        lines[:] = [line]

    try:
        child = _start(command, text, keep_last)
    except _CannotStartError as error:
        return str(error), False
    try:
        child.wait()
    finally:
        with signals.deferred():
            child.end()
    output = f": {beginning(printable(lines[0]))}" if lines else ""
    if child.ended is not None:
        return f"{child.ended.text}{output}", True
    status = child.exit_status
    if status < 0:
        return f"ended by signal {-status}{output}", False
    return (f"exit status {status}{output}", False) if status else (None, False)


class _CannotStartError(Exception):
    """A program cannot be started; the text says why."""


def _start(command: Sequence[str], text: str, on_output: Any) -> "Child":
    """Start COMMAND in a process group of its own; whatever fails on the way is closed and ended again.

    Raises _CannotStartError.
    """
    import sh

    from scanner_mover.dcmtk.child import Child, Limits
    from scanner_mover.dcmtk.start import pipe

    with contextlib.ExitStack() as undo, contextlib.ExitStack() as childs_ends:
        try:
            # Not a pipe: a program that reads nothing must not hold us.
            given = childs_ends.enter_context(open(os.memfd_create("event"), "w+b"))
            given.write(text.encode("utf-8"))
            given.seek(0)
            out, out_of_child = pipe(undo, childs_ends)
            err, err_of_child = pipe(undo, childs_ends)
            process = sh.Command(command[0])(
                *command[1:],
                _in=given,
                _out=out_of_child,
                _err=err_of_child,
                _cwd="/",
                _bg=True,
                _bg_exc=False,
                _new_group=True,
                _no_pipe=True,
                _return_cmd=True,
                _ok_code=tuple(range(-64, 256)),
            )
            child = Child(process, out, err, on_output, Limits(most_seconds=MOST_SECONDS))
        except sh.CommandNotFound:
            raise _CannotStartError("there is no such program") from None
        except (sh.ForkException, OSError, UnicodeError, RuntimeError) as error:  # RuntimeError: no more threads
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise _CannotStartError(f"it cannot be started: {last}") from error
        undo.pop_all()
        return child
