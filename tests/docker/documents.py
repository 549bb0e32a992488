"""The documents of the project as their readers use them: code blocks, commands of our program, tables."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from tests.docker.files import TOP

README = TOP / "README.md"
DEPLOYMENT = TOP / "docker" / "README.md"
MAP = TOP / "scanner_mover" / "README.md"
TESTS = TOP / "tests" / "README.md"
CONTRIBUTING = TOP / ".github" / "CONTRIBUTING.md"
DOCUMENTS = (README, DEPLOYMENT, MAP, TESTS, CONTRIBUTING)
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


def quoted_in_text(path: Path) -> set[str]:
    """What stands between backticks anywhere in the document, but for its blocks of code."""
    return set(quoted(_BLOCK.sub("", path.read_text())))


def missing_files(path: Path) -> set[str]:
    """The files and folders that the document names and that are neither at the top nor below its own folder."""
    folders = tuple(f"{one.name}/" for one in TOP.iterdir() if one.is_dir())
    endings = (".py", ".dump", ".dic", ".md", ".toml", "/")
    words = {word for word in quoted_in_text(path) if re.fullmatch(r"[\w./]+", word)}
    named = {word for word in words if word.endswith(endings) or word.startswith(folders)}
    assert len(named) > 5, "there are names to look for"
    return {
        name
        for name in named
        if not (TOP / name).exists() and not (path.parent / name).exists() and not any(path.parent.rglob(name))
    }
