"""findscu: asks the scanner (C-FIND, study root), any number of queries in one association.

With `-X -od FOLDER` it writes each answer to a file and names the file in its text. A query counts as answered only
when its own final status was Success: the exit status says nothing of that (findscu exits with 0 when the scanner
fails a query or hangs up).
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scanner_mover.config import Settings
from scanner_mover.dcmtk import dcmdump, failure, tls
from scanner_mover.dcmtk.association import address, options, whole_seconds
from scanner_mover.dcmtk.dcmdump import Dump
from scanner_mover.dcmtk.failure import Failure, Kind
from scanner_mover.dcmtk.tool import Toolbox, version

_SENDING = re.compile(r"I: Sending Find Request.*")
_ANSWER = re.compile(r"I: Received Find Response \d+ .*")
_WRITING = re.compile(r"I: Writing response dataset to file: (.*)")
_FINAL = re.compile(r"I: Received Final Find Response \((.*)\)")


@dataclass
class Asked:
    """What the text says of one query: how many answers came, the files they are in, and the final status."""

    answers: int = 0
    files: list[str] = field(default_factory=list)
    status: str | None = None


@dataclass(frozen=True)
class Found:
    """The answers to one query; `failure` is None when the query ended with status Success."""

    answers: list[Dump]
    failure: Failure | None


def parse(lines: Iterable[str]) -> list[Asked]:
    """What findscu's lines at `-v` say of each query that was sent, in order."""
    asked: list[Asked] = []
    for line in lines:
        if _SENDING.fullmatch(line):
            asked.append(Asked())
        elif not asked:
            continue
        elif _ANSWER.fullmatch(line):
            asked[-1].answers += 1
        elif found := _WRITING.fullmatch(line):
            asked[-1].files.append(os.path.basename(found[1]))
        elif found := _FINAL.fullmatch(line):
            asked[-1].status = found[1]
    return asked


def find(
    tools: Toolbox,
    settings: Settings,
    queries: Sequence[str],
    folder: str,
    tags: Sequence[str],
    *,
    most_read: int | None = None,
) -> list[Found]:
    """Send the query files QUERIES in one association and read the elements TAGS of each answer.

    FOLDER is new and empty; the answers are written there. Gives one `Found` for each query; those that were not
    answered any more when the association ended carry its failure. Of each query's answers at most `most_read` are
    read. Raises UnusableError when a tool cannot run or is too old, ConfigurationError when it cannot use `tls`.
    """
    output = ["-td", whole_seconds(settings.response_timeout_seconds), "-X", "-od", folder]
    run = tools.run(
        "findscu",
        [*options(settings), "--study", *output, *address(settings), *queries],
        stall_seconds=settings.connect_timeout_seconds + 2 * settings.response_timeout_seconds,
    )
    lines = run.err + run.out
    tls.check_said(settings, lines)
    asked = parse(lines)
    if not asked and run.ended is None:
        version(tools, "findscu")  # one that is too old says nothing that is understood (R12)
    names = [name for query in asked for name in query.files[:most_read]]
    read = {dump.file: dump for dump in dcmdump.dump(tools, folder, names, tags)}
    trouble = failure.of_lines(lines) if run.ended is None else Failure(Kind.STALLED, run.ended)
    found = []
    for query in asked:
        answers = [read[name] for name in query.files[:most_read]]
        if query.status is None:
            found.append(Found(answers, trouble))
        elif len(query.files) < query.answers or any(answer.error for answer in answers):
            found.append(Found(answers, Failure(Kind.INTERRUPTED, "an answer could not be read")))
        else:
            found.append(Found(answers, failure.of_status(query.status)))
    return found + [Found([], trouble)] * (len(queries) - len(found))
