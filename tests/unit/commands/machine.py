"""A machine for `status --check`: DCMTK's tools lie on its PATH, and no process runs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from scanner_mover.dcmtk.tool import Call, Run, Toolbox, no_dictionary

TOOLS = ["findscu", "movescu", "dump2dcm", "dcmdump", "echoscu"]
RECEIVING = [*TOOLS, "storescp", "dcmsend"]

ECHOED = ["I: Received Echo Response (Success)"]
SENT = "I: Sending Find Request (MsgID 1)"
FOUND = [SENT, "I: Received Final Find Response (Success)"]


class Machine:
    """A machine on whose PATH these tools lie, and that plays what each of them says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.versions = dict.fromkeys(RECEIVING, "3.6.7")
        self.help = dict.fromkeys(RECEIVING, "  +tls  --enable-tls  key certificate")
        #: The output of each run, the last one for ever, of the tools that ask the scanner.
        self.answers: dict[str, list[list[str]]] = {"echoscu": [ECHOED], "findscu": [FOUND]}
        self.has_dictionary = True
        #: The tools that asked the scanner or were asked for help, in order, and the query files that were sent.
        self.asked: list[str] = []
        self.helped: list[str] = []
        self.queries: list[str] = []
        folder.mkdir()
        for name in RECEIVING:
            (folder / name).touch(0o755)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.delenv("DCMDICTPATH", raising=False)
        monkeypatch.setattr(
            Toolbox, "run", lambda *arguments, small_dictionary=False, **_: self._run(*arguments, small_dictionary)
        )
        monkeypatch.setattr(Toolbox, "run_together", lambda *arguments, **_: self._run_together(*arguments))

    def without(self, name: str) -> None:
        (self.folder / name).unlink()

    def _run(self, tools: Toolbox, name: str, arguments: Sequence[str], small_dictionary: bool) -> Run:
        assert tools.paths[name] == str(self.folder / name)
        if arguments == ["--version"]:
            return Run([f"$dcmtk: {name} v{self.versions[name]} 2022-04-22 $"])
        if arguments == ["--help"]:
            self.helped.append(name)
            return Run([self.help[name]])
        if name == "dump2dcm":
            Path(arguments[-1]).write_bytes(Path(arguments[-2]).read_bytes())
            return Run()
        if name == "dcmdump":
            if not (self.has_dictionary or small_dictionary):
                raise no_dictionary()
            return Run()
        return self._answer(name)

    def _run_together(self, tools: Toolbox, name: str, calls: Sequence[Call]) -> list[Run]:
        self.queries += [Path(call.arguments[-1]).read_text() for call in calls]
        return [self._answer(name) for _ in calls]

    def _answer(self, name: str) -> Run:
        self.asked.append(name)
        answers = self.answers[name]
        return Run(err=answers.pop(0) if len(answers) > 1 else answers[0])
