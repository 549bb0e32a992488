"""The modules that know DCMTK's tools, against the real ones, fake ones and recorded output of four versions.

`fixtures/record.py` recorded it; `fixtures/dcmtk-VERSION/index.json` says what ran and what each sample shows.
"""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scanner_mover.dcmtk.tool import Run, Toolbox

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
NEEDED = ["3.6.5", "3.6.7", "3.6.9", "3.7.0"]
#: Every version that was recorded.
VERSIONS = sorted(path.name.removeprefix("dcmtk-") for path in FIXTURES.glob("dcmtk-*"))


class Sample(NamedTuple):
    """What one run of a tool printed, in lines as the program sees them, and what `index.json` says of it."""

    out: list[str]
    err: list[str]
    index: dict[str, Any]

    @property
    def lines(self) -> list[str]:
        return self.err + self.out


class Played(Toolbox):
    """A toolbox in which no process runs: each tool prints these lines and exits with this status.

    For what is made of lines that were recorded. That the lines of a process are those that it prints, and what we do
    about one that hangs or crashes, is in `test_tool.py`.
    """

    def __init__(self, out: Sequence[str] = (), err: Sequence[str] = (), exit_status: int = 0) -> None:
        tools = ("findscu", "movescu", "dump2dcm", "dcmdump", "echoscu", "storescp")
        super().__init__({name: f"/usr/bin/{name}" for name in tools}, {})
        self.__dict__["_run"] = Run(list(out), list(err), exit_status)

    def run(
        self, name: str, arguments: Sequence[str], *, on_line: Callable[[str], None] | None = None, **_: object
    ) -> Run:
        assert name in self.paths and all(isinstance(argument, str) for argument in arguments)
        run: Run = self.__dict__["_run"]
        for line in run.err + run.out:
            if on_line is not None:
                on_line(line)
        return run


def played(version: str, name: str) -> Played:
    """What the sample `name` of DCMTK `version` was."""
    recorded = sample(version, name)
    return Played(recorded.out, recorded.err, recorded.index["exit_status"])


def sample(version: str, name: str) -> Sample:
    """The sample `name` of DCMTK `version`; KeyError when it was not recorded."""
    folder = FIXTURES / f"dcmtk-{version}"
    index = _index(version)[name]
    return Sample(_lines(folder, index["stdout"]), _lines(folder, index["stderr"]), index)


def samples_of(version: str, tool: str) -> list[str]:
    """The names of all samples of one tool."""
    return [name for name, one in _index(version).items() if one["tool"] == tool]


@functools.cache
def _index(version: str) -> dict[str, dict[str, Any]]:
    samples = json.loads((FIXTURES / f"dcmtk-{version}" / "index.json").read_text(encoding="utf-8"))["samples"]
    assert isinstance(samples, dict)
    return samples


def _lines(folder: Path, name: str | None) -> list[str]:
    if name is None:
        return []
    text = (folder / name).read_bytes().decode("utf-8", "surrogateescape")
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
