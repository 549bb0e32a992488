"""What a daemon knows of the installed files: that they changed, that they start, and all that a pass imports."""

import os
import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from scanner_mover.commands import child_program, installed
from scanner_mover.dcmtk import dump2dcm

PACKAGES = ("dcmtk", "site", "scanner", "transfer")


def test_a_fingerprint_changes_with_a_file_and_with_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(installed, "_FOLDER", str(tmp_path))
    (tmp_path / "module.py").write_text("1")
    (tmp_path / "__pycache__").mkdir()
    first = installed.fingerprint()
    (tmp_path / "__pycache__" / "module.pyc").write_text("compiled")
    (tmp_path / "module.py").read_text()
    assert installed.fingerprint() == first != frozenset()
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "find.dump").write_text("1")
    second = installed.fingerprint()
    assert second != first
    (tmp_path / "part").write_text("1")
    (tmp_path / "part").replace(tmp_path / "module.py")
    assert installed.fingerprint() != second, "a file of the same size in its place"
    (tmp_path / "module.py").unlink()
    assert len(installed.fingerprint()) == 1


def names_below(folder: str, ending: str) -> set[str]:
    path = os.path.join(installed._FOLDER, folder)
    return {name.removesuffix(ending) for name in os.listdir(path) if name.endswith(ending)}


@pytest.fixture
def loaded(monkeypatch):
    """What `load_all` imports and which templates it reads; only the packages are imported really."""
    original = installed.importlib.import_module

    def loaded(for_a_terminal: bool) -> tuple[list[str], list[str]]:
        modules: list[str] = []
        templates: list[str] = []

        def note(name: str) -> Any:
            modules.append(name)
            return original(name) if name in installed._PACKAGES else None

        with monkeypatch.context() as patch:
            patch.setattr(installed.importlib, "import_module", note)
            patch.setattr(dump2dcm, "template", templates.append)
            installed.load_all(for_a_terminal=for_a_terminal)
        return modules, templates

    return loaded


def test_every_module_that_a_pass_may_need_is_imported_and_every_template_read(loaded):
    modules, templates = loaded(False)
    for package in PACKAGES:
        expected = {f"scanner_mover.{package}.{name}" for name in names_below(package, ".py") - {"__init__"}}
        assert len(expected) > 5 and expected <= set(modules)
    assert {"ctypes", "traceback", "pydicom.charset"} <= set(modules)
    assert sorted(templates) == sorted(f"{name}.dump" for name in names_below("templates", ".dump"))


def test_what_shows_a_pass_on_a_terminal_is_imported_there_only(loaded):
    shows = "scanner_mover.display.live_table"
    assert shows in loaded(True)[0] and shows not in loaded(False)[0]


def test_a_file_that_goes_while_pip_is_at_work_is_left_out_of_the_fingerprint(monkeypatch, tmp_path):
    (tmp_path / "here.py").write_text("1")
    (tmp_path / "gone.py").symlink_to("nowhere")
    monkeypatch.setattr(installed, "_FOLDER", str(tmp_path))
    assert [os.path.basename(one.path) for one in installed.fingerprint()] == ["here.py"]


class Runs:
    """Programs that are not run: `commands` are those that were to be, and `ends` how, in turn."""

    def __init__(self, patch: pytest.MonkeyPatch, *ends: int | Exception) -> None:
        self.commands: list[list[str]] = []
        self._ends = list(ends)
        patch.setattr(child_program, "run", self._run)

    def _run(self, command: Sequence[str], **options: Any) -> SimpleNamespace:
        self.commands.append(list(command))
        assert options["timeout"] > 0 and {options[name] for name in ("stdin", "stdout", "stderr")} == {-3}
        end = self._ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return SimpleNamespace(returncode=end)


@pytest.mark.parametrize(
    ("ends", "starts"),
    [
        ((0, 0), True),
        ((1,), False),
        ((-11,), False),
        ((0, 1), False),
        ((FileNotFoundError(2, "No such file or directory"),), False),
        ((0, subprocess.TimeoutExpired("python", 120)), False),
    ],
)
def test_it_starts_when_it_says_its_version_and_all_that_a_pass_needs_can_be_imported(monkeypatch, ends, starts):
    runs = Runs(monkeypatch, *ends)
    assert installed.starts() is starts
    assert len(runs.commands) == len(ends)


@pytest.mark.parametrize(
    ("called", "arguments", "program"),
    [
        (["python3", "/bin/scanner-mover"], ["move", "--every", "60"], ["/bin/scanner-mover"]),
        (["python3", "-I", "/bin/scanner-mover"], ["move"], ["-I", "/bin/scanner-mover"]),
        (["python3", "-m", "scanner_mover"], ["move", "LAB", "-v"], ["-m", "scanner_mover"]),
        (["python3", "/bin/moveFromScanner.sh"], [], ["/bin/moveFromScanner.sh"]),
    ],
)
def test_it_is_tried_as_we_were_called_and_takes_over_with_the_same_arguments(monkeypatch, called, arguments, program):
    monkeypatch.setattr(sys, "orig_argv", [*called, *arguments])
    monkeypatch.setattr(sys, "argv", [called[-1], *arguments])
    runs = Runs(monkeypatch, 0, 0)
    assert installed.starts()
    assert runs.commands[0] == [sys.executable, *program, "--version"]
    executed: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda *given: executed.append(given))
    installed.execute_anew()
    assert executed == [(sys.executable, [sys.executable, *program, *arguments])]


def test_its_imports_are_tried_where_ours_come_from(monkeypatch):
    """Without the folder that one happens to be in (-P), and with all that a terminal needs."""
    runs = Runs(monkeypatch, 0, 0)
    monkeypatch.setattr(sys, "path", ["/some'where", *sys.path])
    installed.starts()
    python, *options, text = runs.commands[1]
    assert (python, options) == (sys.executable, ["-P", "-c"])
    known, asked = sys.path.copy(), []
    sys.path.append("/of/the/other")
    monkeypatch.setattr(installed, "load_all", lambda **given: asked.append(given))
    exec(text, {})
    assert sys.path == known and asked == [{"for_a_terminal": True}]
