"""The command line of `move` as cron's lines have it, read without typer: importing that takes longer than the pass.

A plain module. What is not plain (another subcommand, help, a mistake) is left to typer, which knows what to say.
"""

import re
from collections.abc import Sequence
from typing import Any

from scanner_mover.single_pass import Options

_TEXTS = {"--config": "config", "--server-dir": "server_dir"}
_SECONDS = {"--settle": "settle_seconds", "--give-up-after": "give_up_after_seconds", "--every": "every_seconds"}
_FLAGS = {
    "--receive": ("receive", True),
    "--no-receive": ("receive", False),
    "--dry-run": ("dry_run", True),
    "--json": ("json", True),
    "--verbose": ("verbose", True),
    "-v": ("verbose", True),
}
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def of_move(arguments: Sequence[str]) -> Options | None:
    """The options of `move` in ARGUMENTS, all that follows the program's name; None when they are typer's to read."""
    if arguments[:1] != ["move"]:
        return None
    given: dict[str, Any] = {}
    studies: list[str] = []
    left = iter(arguments[1:])
    for argument in left:
        if argument in _FLAGS:
            name, value = _FLAGS[argument]
            given[name] = value
        elif argument in _TEXTS or argument in _SECONDS or argument == "--study":
            text = next(left, "-")
            if text.startswith("-"):
                return None
            if argument in _TEXTS:
                given[_TEXTS[argument]] = text
            elif argument == "--study":
                studies.append(text)
            elif _NUMBER.fullmatch(text):
                given[_SECONDS[argument]] = float(text)
            else:
                return None
        elif argument.startswith("-") or "project" in given:
            return None
        else:
            given["project"] = argument
    return Options(studies=tuple(studies), **given)
