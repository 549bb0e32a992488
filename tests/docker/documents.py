"""The documents of the project as their readers use them: code blocks, commands of our program, tables."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from tests.docker.files import TOP

README = TOP / "README.md"
DEPLOYMENT = TOP / "docker" / "README.md"
DOCUMENTS = (
    README,
    DEPLOYMENT,
    TOP / "scanner_mover" / "README.md",
    TOP / "tests" / "README.md",
    TOP / ".github" / "CONTRIBUTING.md",
)
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", flags=re.MULTILINE | re.DOTALL)
_PROGRAM = re.compile(r"(?<![\w./-])(?:[\w./~-]*/)?(scanner-mover|moveFromScanner\.sh)(?= [a-z-]|$)")


class Block(NamedTuple):
    """A fenced block of code: the line that it begins in, its language, its text."""

    line: int
    language: str
    text: str


def blocks(path: Path, language: str | None = None) -> list[Block]:
    """The blocks of the document, those of one LANGUAGE if it is given ("": without one)."""
    text = path.read_text()
    found = [Block(text.count("\n", 0, one.start()) + 1, one[2], one[3]) for one in _BLOCK.finditer(text)]
    return [block for block in found if language in (None, block.language)]


def our_commands(path: Path) -> list[list[str]]:
    """Every command of `scanner-mover` in the document: in blocks, in tables and in the text, without the program."""
    text = path.read_text()
    inline = re.findall(r"(?<![\w`])`([\w/~.$][^`\n]*)`(?![\w`])", _BLOCK.sub("", text))
    lines = [line for block in blocks(path) if block.language in ("sh", "") for line in block.text.splitlines()]
    found = []
    for line in (*inline, *lines):
        if line.lstrip().startswith("#"):
            continue
        for part in re.split(r"&&|\|\||;", line):
            if (program := _PROGRAM.search(part)) and program[1] == "scanner-mover":
                arguments = part[program.end() :].strip()
                if arguments and "…" not in arguments:
                    found.append(shlex.split(arguments))
    return found


def table(path: Path, heading: str) -> list[list[str]]:
    """The rows of the first table whose heading's first cell is HEADING; without the heading."""
    lines = path.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def quoted(cell: str) -> list[str]:
    """What stands between backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)
