"""One line of `status --check`."""

import enum
from collections.abc import Iterator
from typing import NamedTuple


class Verdict(enum.Enum):
    """What a line says: all is well, what to do, or what could not be tested: never here, or not while all is busy."""

    OK = "ok"
    FIX = "fix"
    NOT_TESTED = "not tested"
    BUSY = "not tested for now"


class Finding(NamedTuple):
    """One line: its verdict and its text."""

    verdict: Verdict
    text: str


Findings = Iterator[Finding]


def ok(text: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, text)


def fix(text: str) -> Finding:
    """Something is wrong; TEXT says what to do."""
    return Finding(Verdict.FIX, text)


def not_tested(text: str) -> Finding:
    """Something that this machine cannot find out; TEXT says how to try it."""
    return Finding(Verdict.NOT_TESTED, text)


def busy(text: str) -> Finding:
    """Something that the scanner has no time for now."""
    return Finding(Verdict.BUSY, text)
