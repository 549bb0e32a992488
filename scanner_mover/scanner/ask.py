"""Asks the scanner many queries (C-FIND) in few associations, and again those that were left unanswered."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace

from scanner_mover.config import Settings
from scanner_mover.dcmtk import findscu
from scanner_mover.dcmtk.dump2dcm import Query
from scanner_mover.dcmtk.findscu import Found
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError, reason
from scanner_mover.failures import Failure
from scanner_mover.rules.retrieving import ends_the_pass, is_worth_another_try
from scanner_mover.scanner.query_files import QueryFiles
from scanner_mover.scanner.retry import with_retries

# Queries in one association: an argument list of 2 MB takes far more.
_QUERIES_AN_ASSOCIATION = 1000


def ask(
    tools: Toolbox,
    settings: Settings,
    files: QueryFiles,
    queries: Sequence[Query],
    tags: Sequence[str],
    *,
    retries: int,
    log: Callable[[str], None] | None = None,
    most_read: int | None = None,
) -> list[Found]:
    """Send QUERIES and read the elements TAGS (`0020,000d`) of the answers; gives one `Found` for each query.

    FILES makes the query files, and the answers are written beside them and removed when they were read. What fails in
    a way that may be gone in a moment is asked again, up to RETRIES times (`retry`); LOG gets a line for each time.
    After a failure that ends the pass no further association is tried, and the queries that are left carry that
    failure. `most_read` and what is raised are those of `findscu.find`; also ValueError for a value that cannot stand
    in a query.
    """
    found: list[Found] = []
    for start in range(0, len(queries), _QUERIES_AN_ASSOCIATION):
        end = ending(found)
        if end is not None:
            return found + [Found([], end)] * (len(queries) - start)
        some = queries[start : start + _QUERIES_AN_ASSOCIATION]

        def send(left: Sequence[str]) -> list[Found]:
            return _send(tools, settings, files.folder, left, tags, most_read)

        answered = _with_retries(send, [files.file(query) for query in some], retries, log)
        found += [_about(query, one) for query, one in zip(some, answered, strict=True)]
    return found


def ending(found: Sequence[Found]) -> Failure | None:
    """The failure in FOUND after which nothing else is worth sending in this pass; None: there is none."""
    return next((one.failure for one in found if one.failure is not None and ends_the_pass(one.failure)), None)


def _with_retries(
    send: Callable[[Sequence[str]], list[Found]],
    query_files: Sequence[str],
    retries: int,
    log: Callable[[str], None] | None,
) -> list[Found]:
    """SEND QUERY_FILES, and again those that are worth it."""
    found: dict[int, Found] = {}
    left = list(range(len(query_files)))

    def attempt() -> Failure | None:
        nonlocal left
        found.update(zip(left, send([query_files[number] for number in left]), strict=True))
        again = [number for number in left if is_worth_another_try(found[number].failure)]
        # The association broke off at the first of them: the others are asked before it this time.
        left = again[1:] + again[:1]
        return found[left[0]].failure if left else None

    with_retries(attempt, lambda failure: failure, retries, log)
    return [found[number] for number in range(len(query_files))]


def _send(
    tools: Toolbox,
    settings: Settings,
    folder: str,
    query_files: Sequence[str],
    tags: Sequence[str],
    most_read: int | None,
) -> list[Found]:
    """Send QUERY_FILES once, with the answers in a new folder in FOLDER."""
    try:
        answers = tempfile.mkdtemp(prefix="answers.", dir=folder)
    except OSError as error:
        raise UnusableError(f"no folder can be made in {folder}: {reason(error)}") from error
    try:
        return findscu.find(tools, settings, query_files, answers, tags, most_read=most_read)
    finally:
        # They can be many, and have patients' names in them. `ignore_errors` lets some errors through.
        with contextlib.suppress(OSError):
            shutil.rmtree(answers, ignore_errors=True)


def _about(query: Query, found: Found) -> Found:
    """FOUND, whose failure knows the level of QUERY."""
    return found if found.failure is None else replace(found, failure=found.failure.about(level=query.level))
