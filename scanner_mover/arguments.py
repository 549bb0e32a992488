"""The command lines that cron and monitoring have, read without typer: importing that takes longer than a pass.

A plain module. What is not plain (another subcommand, help, a mistake) is left to typer, which knows what to say.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class _Plain(NamedTuple):
    """The options of one subcommand, each with the name of what it sets."""

    texts: Mapping[str, str]
    seconds: Mapping[str, str]
    flags: Mapping[str, tuple[str, bool]]
    repeated: Mapping[str, str] = {}


_FOLDERS = {"--config": "config", "--server-dir": "server_dir"}
_MOVE = _Plain(
    texts=_FOLDERS,
    seconds={"--settle": "settle_seconds", "--give-up-after": "give_up_after_seconds", "--every": "every_seconds"},
    flags={
        "--receive": ("receive", True),
        "--no-receive": ("receive", False),
        "--dry-run": ("dry_run", True),
        "--json": ("json", True),
        "--verbose": ("verbose", True),
        "-v": ("verbose", True),
    },
    repeated={"--study": "studies"},
)
_STATUS = _Plain(
    texts=_FOLDERS,
    seconds={"--max-age": "max_age_seconds"},
    flags={"--json": ("json", True), "--prometheus": ("prometheus", True)},
)


def of_move(arguments: Sequence[str]) -> dict[str, Any] | None:
    """The options of `move` in ARGUMENTS, all that follows the program's name; None when they are typer's to read."""
    return _read(arguments[1:], _MOVE) if arguments[:1] == ["move"] else None


def of_status(arguments: Sequence[str]) -> dict[str, Any] | None:
    """As `of_move`, the options of `status`."""
    return _read(arguments[1:], _STATUS) if arguments[:1] == ["status"] else None


def _read(arguments: Sequence[str], plain: _Plain) -> dict[str, Any] | None:
    given: dict[str, Any] = {}
    left = iter(arguments)
    for argument in left:
        if argument in plain.flags:
            name, value = plain.flags[argument]
            given[name] = value
        elif argument in plain.texts or argument in plain.seconds or argument in plain.repeated:
            text = next(left, "-")
            if text.startswith("-") or (argument in plain.seconds and not _NUMBER.fullmatch(text)):
                return None
            if argument in plain.texts:
                given[plain.texts[argument]] = text
            elif argument in plain.seconds:
                given[plain.seconds[argument]] = float(text)
            else:
                name = plain.repeated[argument]
                given[name] = (*given.get(name, ()), text)
        elif argument.startswith("-") or "project" in given:
            return None
        else:
            given["project"] = argument
    return given
