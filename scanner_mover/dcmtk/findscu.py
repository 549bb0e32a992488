"""findscu: asks the scanner (C-FIND, study root), any number of queries in one association.

With `-X -od FOLDER` it writes each answer to a file and names the file in its output. A query counts as answered only
when its own final status was Success: the exit status says nothing of that (findscu exits with 0 when the scanner
fails a query or hangs up).
"""

import contextlib
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scanner_mover.config import Settings
from scanner_mover.dcmtk import dcmdump, failure
from scanner_mover.dcmtk.association import (
    address,
    options,
    output_lines,
    stall_seconds,
    whole_seconds,
    why_unanswered,
)
from scanner_mover.dcmtk.child import Why
from scanner_mover.dcmtk.dcmdump import Dump
from scanner_mover.dcmtk.tool import Call, Run, Toolbox, version
from scanner_mover.errors import UnusableError, reason
from scanner_mover.failures import Failure, Kind, Service
from scanner_mover.files import free_bytes_at

#: The answers to one query that are taken: their number, and their bytes.
MOST_ANSWERS = 100_000
MOST_BYTES = 64 * 1024 * 1024

# Answers that never end are cut off after this many times the limit of one answer: an hour, by default.
_MOST_LIMITS = 60
# How often the other queries are asked again because one before them had answers without end.
_MOST_ENDLESS = 3
# Bytes taken on a disk that is fuller than the reserve: a few answers, so that what is complete can be closed.
_SMALL_BYTES = 1024 * 1024
# With less than that free, an answer that cannot be read was written to a full disk.
_NO_ROOM_BYTES = 64 * 1024

_SENDING = re.compile(r"I: Sending Find Request.*")
_ANSWER = re.compile(r"I: Received Find Response \d+ .*")
_WRITING = re.compile(r"I: Writing response dataset to file: (.*)")
_FINAL = re.compile(r"I: Received Final Find Response \((.*)\)")


@dataclass
class Asked:
    """What the output says of one query: how many answers arrived, the files they are in, and the final status."""

    answers: int = 0
    files: list[str] = field(default_factory=list)
    status: str | None = None

    def add(self, line: str) -> None:
        """Take in one line of the output that is about this query."""
        if _ANSWER.fullmatch(line):
            self.answers += 1
        elif found := _WRITING.fullmatch(line):
            self.files.append(os.path.basename(found[1]))
        elif found := _FINAL.fullmatch(line):
            self.status = found[1]


@dataclass(frozen=True)
class Found:
    """The answers to one query; `failure` is None when the query ended with status Success."""

    answers: list[Dump]
    failure: Failure | None


def parse(lines: Iterable[str]) -> list[Asked]:
    """What findscu's output at `-v` says of each query that was sent, in order."""
    asked: list[Asked] = []
    for line in lines:
        if _SENDING.fullmatch(line):
            asked.append(Asked())
        elif asked:
            asked[-1].add(line)
    return asked


class _Arriving:
    """The answers of one findscu while they arrive in FOLDER: says when there are too many of them."""

    def __init__(self, folder: str, reserve_bytes: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._query = Asked()
        self._bytes = self._bytes_of_query = self._number_of_files = 0
        #: There was no room for them.
        self.no_room = False

    def on_line(self, line: str) -> None:
        """Take in one line of the output."""
        if _SENDING.fullmatch(line):
            self._count_files(len(self._query.files))
            self._query = Asked()
            self._bytes_of_query = self._number_of_files = 0
        else:
            self._query.add(line)
            # The last file is being written.
            self._count_files(len(self._query.files) - 1)

    def _count_files(self, number: int) -> None:
        """Count the bytes of the query's files up to NUMBER."""
        for name in self._query.files[self._number_of_files : number]:
            size = _size(os.path.join(self._folder, name))
            self._bytes += size
            self._bytes_of_query += size
            self._number_of_files += 1

    def over_limit(self) -> str | None:
        """Why findscu must be ended; None: it may go on."""
        last = sum(_size(os.path.join(self._folder, name)) for name in self._query.files[self._number_of_files :])
        if self._query.answers > MOST_ANSWERS:
            return f"ended: more than {MOST_ANSWERS} answers to one query"
        if self._bytes_of_query + last > MOST_BYTES:
            return f"ended: more than {MOST_BYTES} bytes of answers to one query"
        if self._bytes + last > _SMALL_BYTES and _free_bytes(self._folder) < self._reserve_bytes:
            self.no_room = True
            return "ended: no room for the answers"
        return None


def find(
    tools: Toolbox,
    settings: Settings,
    queries: Sequence[str],
    folder: str,
    tags: Sequence[str],
    *,
    most_read: int | None = None,
) -> list[Found]:
    """Send the query files QUERIES and read the elements TAGS of each answer.

    They are sent in one association, or shared among as many at once as the settings allow. The answers are written
    to FOLDER, which is new and empty. Gives one `Found` for each query; those that were not answered when their
    association ended carry its failure. A query with more than `MOST_ANSWERS` answers, or `MOST_BYTES`, is a failure
    of kind LIMIT without answers, and those behind it are asked in another association. Of each query's answers at
    most `most_read` are read; when there are that many, it is no failure that there are too many.

    Raises UnusableError when a tool cannot run or is too old, when FOLDER cannot be written, or when the disk is fuller
    than `reserve_bytes`; ConfigurationError when a tool cannot use `tls`.
    """
    numbers = itertools.count()
    found: dict[int, Found] = {}
    left: Sequence[int] = range(len(queries))
    for _ in range(_MOST_ENDLESS):
        shares = [
            _Share(some, _new_folder(folder, str(next(numbers)))) for some in _divided(left, settings.associations)
        ]
        for share, some in zip(shares, _find(tools, settings, queries, shares, tags, most_read), strict=True):
            found.update(zip(share.numbers, some, strict=False))
        left = [number for number in left if number not in found]
        if not left:
            break
    endless = Failure(Kind.INTERRUPTED, "not asked: the answers to other queries did not end").about(Service.FIND)
    return [found.get(number, Found([], endless)) for number in range(len(queries))]


class _Share(NamedTuple):
    """The queries of one association: their numbers in the call, and the new folder of their answers."""

    numbers: Sequence[int]
    output: str


def _divided(numbers: Sequence[int], most: int) -> list[Sequence[int]]:
    """NUMBERS in at most MOST parts of about one size, in their order."""
    size = -(-len(numbers) // most)
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _new_folder(folder: str, name: str) -> str:
    path = os.path.join(folder, name)
    try:
        os.mkdir(path)
    except OSError as error:
        raise UnusableError(f"the folder {path} cannot be made: {reason(error)}") from error
    return path


def _find(
    tools: Toolbox,
    settings: Settings,
    queries: Sequence[str],
    shares: Sequence[_Share],
    tags: Sequence[str],
    most_read: int | None,
) -> list[list[Found]]:
    """What was found for the queries of each share; it is shorter than the share when findscu was ended in it."""
    runs = _run(tools, settings, queries, shares)
    asked = [parse(output_lines(settings, run)) for run in runs]
    if any(not of_run and run.ended is None for run, of_run in zip(runs, asked, strict=True)):
        version(tools, "findscu")  # one that is too old prints nothing that is understood (R12)
    found = []
    for share, run, of_run in zip(shares, runs, asked, strict=True):
        if of_run and _had_no_end(run) and of_run[-1].status is None and most_read is None:
            of_run[-1].files.clear()  # reading them would take minutes, and say nothing that can be relied on
        names = [name for query in of_run for name in query.files[:most_read]]
        read = {dump.file: dump for dump in dcmdump.dump(tools, share.output, names, tags, small_dictionary=True)}
        if any(dump.error for dump in read.values()) or any(len(one.files) < one.answers for one in of_run):
            _see_that_there_is_room(share.output)
        found.append([_found(run, query, read, most_read) for query in of_run])
        if not _over_limit(run):
            found[-1] += [Found([], _why_unanswered(run).about(Service.FIND))] * (len(share.numbers) - len(of_run))
    return found


def _over_limit(run: Run) -> bool:
    return run.ended is not None and run.ended.why is Why.LIMIT


def _had_no_end(run: Run) -> bool:
    """Whether RUN was ended because its answers were too many, or trickled in for too long."""
    return run.ended is not None and run.ended.why in (Why.LIMIT, Why.TOO_LONG)


def _why_unanswered(run: Run) -> Failure:
    """Why RUN ended without a final status of its last query."""
    failed = why_unanswered(run)
    return failed._replace(text="ended: its answers did not end") if failed.kind is Kind.ENDLESS else failed


def _run(tools: Toolbox, settings: Settings, queries: Sequence[str], shares: Sequence[_Share]) -> list[Run]:
    """Run findscu for all SHARES at the same time."""
    before = [*options(settings), "--study", "-td", whole_seconds(settings.response_timeout_seconds), "-X", "-od"]
    arriving = [_Arriving(share.output, settings.reserve_bytes) for share in shares]
    calls = [
        Call(
            [*before, share.output, *address(settings), *(queries[number] for number in share.numbers)],
            answers.on_line,
            answers.over_limit,
        )
        for share, answers in zip(shares, arriving, strict=True)
    ]
    runs = tools.run_together(
        "findscu",
        calls,
        stall_seconds=stall_seconds(settings),
        most_seconds=_MOST_LIMITS * settings.response_timeout_seconds,
    )
    if any(answers.no_room for answers in arriving):
        raise UnusableError(
            f"less than {settings.reserve_bytes} bytes (reserve_bytes) are free for the scanner's answers in "
            f"{os.path.dirname(shares[0].output)}: make room"
        )
    return runs


def _see_that_there_is_room(folder: str) -> None:
    """Raise UnusableError when the disk of FOLDER is full: that, not the scanner, is why an answer cannot be read."""
    if _free_bytes(folder) < _NO_ROOM_BYTES:
        raise UnusableError(f"there is no room for the scanner's answers in {os.path.dirname(folder)}: make room")


def _found(run: Run, query: Asked, read: Mapping[str, Dump], most_read: int | None) -> Found:
    """What was found for one query that RUN sent."""
    answers = [read[name] for name in query.files[:most_read]]
    failed: Failure | None
    if query.status is None:
        failed = _why_unanswered(run)
        if failed.kind is Kind.LIMIT and most_read is not None and len(answers) >= most_read:
            failed = None
    elif len(query.files) < query.answers or any(answer.error for answer in answers):
        failed = Failure(Kind.INTERRUPTED, "an answer could not be read")
    else:
        failed = failure.of_status(query.status)
    return Found(answers, failed and failed.about(Service.FIND))


def _size(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _free_bytes(folder: str) -> int:
    """The bytes that are free for us where FOLDER is; a disk that cannot be asked is full."""
    with contextlib.suppress(OSError):
        return free_bytes_at(folder)
    return 0
