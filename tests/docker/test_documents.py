"""README and the other documents: every command in them is understood, and what can be run here is run."""

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from scanner_mover import config
from scanner_mover.cli import app
from scanner_mover.config import Settings
from scanner_mover.errors import ExitStatus
from tests.docker.documents import (
    CONTRIBUTING,
    DEPLOYMENT,
    DOCUMENTS,
    MAP,
    README,
    TESTS,
    blocks,
    missing_files,
    our_commands,
    quoted,
    quoted_in_text,
    table,
)
from tests.docker.files import DOCKER, TOP
from tests.support.site import BIN, Site, fake_tool

_SHELL = [
    pytest.param(path, block.text, id=f"{path.parent.name}/{path.name}:{block.line}")
    for path in DOCUMENTS
    if path.exists()
    for block in blocks(path, "sh")
]
_OURS = [
    pytest.param(command, id=f"{path.parent.name}/{path.name}: {' '.join(command)}")
    for path in DOCUMENTS
    if path.exists()
    for command in our_commands(path)
]
_BIN = "/var/www/html/server/bin"
_TIME = "2026-01-31T09:30:00+01:00"
_EVENT = {"event": "finished", "project": "ABCD", "study": "1.2.3", "text": "done", "series": [], "time": _TIME}


def test_the_readme_is_short_before_its_reference_part() -> None:
    before, _, reference = README.read_text().partition("\n# Reference\n")
    assert reference
    assert len(before.split()) <= 1500


def test_the_two_marked_commands_are_there() -> None:
    for mark in ("<!-- the demo command -->", "<!-- the test command -->"):
        assert README.read_text().count(f"{mark}\n```sh\n") == 1


@pytest.mark.parametrize(("path", "text"), _SHELL)
def test_a_shell_understands_each_block(path: Path, text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for name in re.findall(r"(?<![\w./])(?:docker|tests|fixtures|\.ci)/[\w./@-]+", text):
        assert list(TOP.glob(f"{name}*")), name


@pytest.mark.parametrize("command", _OURS)
def test_our_program_understands_each_of_its_commands(command: list[str]) -> None:
    program = typer.main.get_command(app)
    words = ["2" if word in ("SECONDS", "N") else word for word in command]
    if words[0].startswith("-"):
        assert words[0] in ("--version", "--help", "--install-completion")
        return
    context = program.make_context("scanner-mover", [], resilient_parsing=True)
    name, subcommand, arguments = program.resolve_command(context, words)  # type: ignore[attr-defined]
    assert subcommand is not None
    if "--help" not in arguments:
        subcommand.make_context(name, arguments, parent=context)


def test_there_are_commands_to_check() -> None:
    assert len(_SHELL) >= 15
    assert len(_OURS) >= 25


@pytest.fixture
def replaced(tmp_path: Path) -> Iterator[Site]:
    """A site with the script in its old place, and README's lines for putting the program there run on it."""
    site = Site(tmp_path)
    script = site.server / "bin" / "moveFromScanner.sh"
    script.parent.mkdir(parents=True)
    (site.server / "logs").mkdir()
    script.write_text("#!/bin/sh\necho the script\n")
    script.chmod(0o755)
    yield site


def _block(first_words: str) -> str:
    (block,) = [block.text for block in blocks(README, "sh") if first_words in block.text]
    return block


def _run(text: str, site: Site) -> None:
    """Run TEXT as it stands, but for the places on this machine."""
    for there, here in (
        ("sudo ", ""),
        ("/var/www/html/server", str(site.server)),
        ("/opt/scanner-mover/bin", str(BIN)),
    ):
        text = text.replace(there, here)
    subprocess.run(["bash", "-ec", text], check=True, env=site.environment, cwd=site.root)


def test_the_program_gets_into_the_scripts_place_and_back(replaced: Site) -> None:
    script = replaced.server / "bin" / "moveFromScanner.sh"
    install, *lines = _block("cp -pn").splitlines()
    assert "pip install" in install, "done by the README's two commands, in a fresh Debian"
    _run("\n".join(lines), replaced)
    environment = {name: value for name, value in replaced.environment.items() if name != "SERVERDIR"}
    done = subprocess.run([script], check=False, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert replaced.messages() == ["move enabled, start getScans"]
    _run("\n".join(lines), replaced)
    _run(_block("moveFromScanner.sh.old /var"), replaced)
    assert subprocess.run([script], check=True, capture_output=True, text=True).stdout == "the script\n"


def test_a_failed_request_is_requested_again_as_the_readme_says(tmp_path: Path) -> None:
    (line,) = re.findall(r"`(mv /data/failed-scans/[^`]*)`", README.read_text())
    site = Site(tmp_path)
    site.request("1.2.3", age_seconds=90000)
    failed = site.data / "failed-scans"
    failed.mkdir()
    (site.data / "active-scans/1.2.3").rename(failed / "1.2.3")
    text = line.replace("/data/", f"{site.data}/").replace("UID", "1.2.3")
    subprocess.run(["bash", "-ec", text], check=True)
    assert site.requests_in("active-scans") == ["1.2.3"]
    assert not list(failed.iterdir())


@pytest.mark.parametrize("path", [README, DEPLOYMENT], ids=["README", "docker"])
def test_each_json_is_one_and_a_configuration_is_a_usable_one(path: Path, tmp_path: Path) -> None:
    for block in blocks(path, "json"):
        value = json.loads(block.text)
        if "SCANNER_MOVER" in value:
            site = Site(tmp_path, **value["SCANNER_MOVER"])
            settings = config.load(str(site.config_file), config.DEFAULT_PROJECT)
            assert settings.on_failed == tuple(value["SCANNER_MOVER"]["on_failed"])
        else:
            assert value.keys() == _EVENT.keys()


def test_the_table_of_options_has_all_of_them_with_their_defaults() -> None:
    defaults = {name: default for name, default in Settings._field_defaults.items() if name not in Settings._fields[:8]}
    rows = {name: row for row in table(README, "option") for name in quoted(row[0])}
    assert rows.keys() == defaults.keys()
    words = {None: ("none", "all", "DCMTK's", "as the umask says"), False: ("false",), 1 << 30: ("1 GiB",)}
    for name, row in rows.items():
        default = defaults[name]
        assert row[1] in (words[default] if default in (None, False, 1 << 30) else (str(default),)), name


def test_the_table_of_exit_statuses_has_all_of_them() -> None:
    assert [row[0] for row in table(README, "status")] == [*(str(int(status)) for status in ExitStatus), "128 + n"]


def test_each_message_of_the_readme_is_one_of_the_program() -> None:
    texts = _texts_of_the_program()
    for heading in ("the line says", "message"):
        for row in table(README, heading):
            for message in quoted(row[0]):
                # What the program fills in is …, N or in capitals.
                parts = [part.strip(' "') for part in re.split(r"…|\b[A-Z][A-Z/]+\b|\bN\b", message)]
                for part in parts:
                    assert len(part) < 4 or any(part in text for text in texts), f"{message}: {part!r}"


@pytest.mark.parametrize("path", [MAP, TESTS, CONTRIBUTING], ids=["map", "tests", "contributing"])
def test_each_file_that_a_document_for_contributors_names_is_there(path: Path) -> None:
    assert missing_files(path) == set()
    assert [line for line in path.read_text().splitlines() if len(line) > 120] == []


def test_the_map_of_the_code_has_each_folder_and_the_names_of_what_is_in_it() -> None:
    folders = {f"{one.name}/" for one in MAP.parent.iterdir() if one.is_dir() and one.name != "__pycache__"}
    assert folders <= set(quoted("".join(row[0] for row in table(MAP, "folder"))))
    names = {word for word in quoted_in_text(MAP) if re.fullmatch(r"(?!R\d)\w*_\w+|[A-Z]\w+\.\w+", word)}
    assert len(names) > 5
    code = "\n".join(path.read_text() for path in MAP.parent.rglob("*.py"))
    assert [name for name in names for part in name.split(".") if not re.search(rf"\b{part}\b", code)] == []


@pytest.mark.parametrize("path", sorted((TOP / "fixtures/pictures").glob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_asks_for_nothing_of_the_web_and_has_no_script(path: Path) -> None:
    text = path.read_text()
    assert f"{path.relative_to(TOP)}" in README.read_text() + DEPLOYMENT.read_text()
    assert "<script" not in text and "@font-face" not in text
    assert re.findall(r'(?:href|src|url)[=(]["\']?(?!#)[^)"\']*', text) == []
    assert path.stat().st_size < 100_000


def _texts_of_the_program() -> list[str]:
    nodes = (
        node
        for path in (TOP / "scanner_mover").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr)
    )
    found = []
    for node in nodes:
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        texts = [part.value if isinstance(part, ast.Constant) else "\0" for part in parts]
        found.append("".join(text for text in texts if isinstance(text, str)))
    return found


def test_the_mail_hook_mails_the_event(tmp_path: Path) -> None:
    fake_tool(
        tmp_path / "bin", "sendmail", f"import sys; open({str(tmp_path / 'mail')!r}, 'w').write(sys.stdin.read())"
    )
    script = (DOCKER / "hooks/mail-event").read_text()
    assert "/usr/sbin/sendmail -t" in script
    script = script.replace("/usr/sbin/sendmail", str(tmp_path / "bin/sendmail"))
    subprocess.run(
        ["sh", "-c", script, "mail-event", "oncall@example.org"], input=json.dumps(_EVENT), check=True, text=True
    )
    head, _, body = (tmp_path / "mail").read_text().partition("\n\n")
    assert head.splitlines()[0] == "To: oncall@example.org"
    assert head.splitlines()[1].startswith("Subject: scanner-mover on ")
    assert body == f"done\n\n{json.dumps(_EVENT)}\n"


def test_the_hook_of_the_next_step_leaves_one_file_for_the_study(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([DOCKER / "hooks/next-step", tmp_path], input=json.dumps(_EVENT), check=True, text=True)
    assert {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()} == {"1.2.3": _EVENT}
    assert subprocess.run([DOCKER / "hooks/next-step", tmp_path], input="{}", check=False, text=True).returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["1.2.3"]


def test_a_hook_can_be_run() -> None:
    for path in (DOCKER / "hooks").iterdir():
        assert os.access(path, os.X_OK), path
        assert shutil.which("sh")
