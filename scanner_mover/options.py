"""What an option of the command line is, and how words are read as options without typer. A plain module."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from scanner_mover.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from typing import Any

# Compiled when it is needed, as all patterns of plain modules: a pass with nothing to do has no time for it.
_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,9})?"
# Nobody's project: what comes of `--dry-run true`.
VALUES_OF_FLAGS = ("true", "false")


class Kind(enum.Enum):
    """What an option takes."""

    PROJECT = enum.auto()  # the one argument without a name
    TEXT = enum.auto()
    FILTER = enum.auto()  # a text that must not be empty: an unset variable would match everything
    FILE = enum.auto()
    FOLDER = enum.auto()
    TEXTS = enum.auto()  # may be repeated
    SECONDS = enum.auto()
    COUNT = enum.auto()  # a whole number, 1 or more
    PORT = enum.auto()
    CHOICE = enum.auto()  # a member of an enumeration
    FLAG = enum.auto()  # there or not
    SWITCH = enum.auto()  # on, off, or not said


class Option(Record):
    """One option: its NAMES (of a switch the one that turns it on and the one that turns it off) and its help.

    `default` is what counts when nothing is given, where the record's own default does not say it.
    """

    names: tuple[str, ...]
    kind: Kind
    help: str
    metavar: str = ""
    default: str = ""


def declared(record: type) -> dict[str, Option]:
    """The options of a record, by the names of its fields."""
    return {name: annotation.__metadata__[0] for name, annotation in record.__annotations__.items()}


def read(record: type, words: Iterator[str]) -> dict[str, Any] | None:
    """The values of RECORD's fields in WORDS; None when typer must read them."""
    fields = declared(record)
    by_name = {name: field for field, option in fields.items() for name in option.names}
    given: dict[str, Any] = {}
    for word in words:
        field = by_name.get(word)
        if field is None:
            if word.startswith("-") or "project" in given or word.lower() in VALUES_OF_FLAGS:
                return None
            given["project"] = word
        elif fields[field].kind in (Kind.FLAG, Kind.SWITCH):
            given[field] = fields[field].kind is Kind.FLAG or word == fields[field].names[0]
        else:
            value = _value(fields[field].kind, next(words, "-"))
            if value is None:
                return None
            given[field] = (*given.get(field, ()), value) if fields[field].kind is Kind.TEXTS else value
    return given


def _value(kind: Kind, word: str) -> str | float | None:
    """The value that WORD is for an option of KIND; None when typer must look at it."""
    if word.startswith("-"):
        return None
    if kind is Kind.SECONDS:
        return float(word) if re.fullmatch(_NUMBER, word) else None
    return word
