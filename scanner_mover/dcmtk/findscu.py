"""findscu: asks the scanner (C-FIND, study root), any number of queries in one association.

With `-X -od FOLDER` it writes each answer to a file and names the file in its text. A query counts as answered only
when its own final status was Success: the exit status says nothing of that (findscu exits with 0 when the scanner
fails a query or hangs up).
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scanner_mover.config import Settings
from scanner_mover.dcmtk import dcmdump, failure
from scanner_mover.dcmtk.association import address, options, output_lines, stall_seconds, whole_seconds, why_unanswered
from scanner_mover.dcmtk.dcmdump import Dump
from scanner_mover.dcmtk.tool import Call, Run, Toolbox, version
from scanner_mover.failures import Failure, Kind

# Answers that never end are cut off after so many times the limit of one: an hour, by default.
_MOST_LIMITS = 60

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
    """Send the query files QUERIES and read the elements TAGS of each answer.

    They are sent in one association, or shared among as many at once as the settings allow. FOLDER is new and empty;
    the answers are written there. Gives one `Found` for each query; those that were not answered any more when their
    association ended carry its failure. Of each query's answers at most `most_read` are read. Raises UnusableError
    when a tool cannot run or is too old, ConfigurationError when it cannot use `tls`.
    """
    shares = _shares(queries, settings.associations)
    calls = []
    for number, share in enumerate(shares):
        output = os.path.join(folder, str(number))
        os.mkdir(output)
        output_options = ["-td", whole_seconds(settings.response_timeout_seconds), "-X", "-od", output]
        calls.append(Call([*options(settings), "--study", *output_options, *address(settings), *share]))
    runs = tools.run_together(
        "findscu",
        calls,
        stall_seconds=stall_seconds(settings),
        most_seconds=_MOST_LIMITS * settings.response_timeout_seconds,
    )
    asked = []
    for number, run in enumerate(runs):
        asked.append(parse(output_lines(settings, run)))
        if not asked[-1] and run.ended is None:
            version(tools, "findscu")  # one that is too old says nothing that is understood (R12)
        for query in asked[-1]:
            query.files = [os.path.join(str(number), name) for name in query.files]
    names = [name for one in asked for query in one for name in query.files[:most_read]]
    read = {dump.file: dump for dump in dcmdump.dump(tools, folder, names, tags)}
    found = []
    for run, one, share in zip(runs, asked, shares, strict=True):
        found += _found(run, one, read, most_read)
        found += [Found([], why_unanswered(run))] * (len(share) - len(one))
    return found


def _shares(queries: Sequence[str], most: int) -> list[Sequence[str]]:
    """QUERIES in at most MOST shares of about one size, in their order."""
    size = -(-len(queries) // most)
    return [queries[start : start + size] for start in range(0, len(queries), size)]


def _found(run: Run, asked: Sequence[Asked], read: Mapping[str, Dump], most_read: int | None) -> list[Found]:
    """What was found for each query that was sent in one association."""
    found = []
    for query in asked:
        answers = [read[name] for name in query.files[:most_read]]
        if query.status is None:
            found.append(Found(answers, why_unanswered(run)))
        elif len(query.files) < query.answers or any(answer.error for answer in answers):
            found.append(Found(answers, Failure(Kind.INTERRUPTED, "an answer could not be read")))
        else:
            found.append(Found(answers, failure.of_status(query.status)))
    return found
