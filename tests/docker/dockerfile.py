"""The Dockerfile and .dockerignore, parsed: as much of their languages as ours use."""

import fnmatch
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction of a Dockerfile: its name in capitals, and the rest of the line with continuations joined."""

    name: str
    rest: str


def parse(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, in order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    instructions = []
    for line in joined.splitlines():
        name, _, rest = line.strip().partition(" ")
        instructions.append(Instruction(name.upper(), rest.strip()))
    return instructions


def exec_form(rest: str) -> list[str]:
    """The arguments of an instruction in exec form: a JSON list."""
    try:
        arguments = json.loads(rest)
    except ValueError:
        arguments = None
    if not isinstance(arguments, list) or not all(isinstance(one, str) for one in arguments):
        raise ValueError(f"not in exec form: {rest}")
    return arguments


def copied(rest: str) -> tuple[str | None, list[str], str]:
    """A COPY: the stage that it copies from (None: the context), its sources, its target."""
    words = shlex.split(rest)
    stage = None
    while words and words[0].startswith("--"):
        option, _, value = words.pop(0).partition("=")
        if option != "--from":
            raise ValueError(f"COPY {option} is not known here")
        stage = value
    return stage, words[:-1], words[-1]


def ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether .dockerignore's PATTERNS keep PATH, relative to the context, out of it: the last that matches counts."""
    parts = path.split("/")
    parents = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    out = False
    for pattern in patterns:
        glob = pattern.lstrip("!").strip("/")
        # `**/` stands for any number of folders, none too; else the pattern begins at the top, and * ends at a slash.
        ends = [parent.rpartition("/")[2] if glob.startswith("**/") else parent for parent in parents]
        glob = glob.removeprefix("**/")
        if any(end.count("/") == glob.count("/") and fnmatch.fnmatchcase(end, glob) for end in ends):
            out = not pattern.startswith("!")
    return out


def ignore_patterns(context: Path) -> list[str]:
    """The patterns of the context's .dockerignore."""
    lines = (context / ".dockerignore").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
