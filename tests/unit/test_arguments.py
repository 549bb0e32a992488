"""The command lines that are read without typer: typer would read the same."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from scanner_mover.arguments import of_move, of_status
from scanner_mover.cli import app
from scanner_mover.commands import status
from scanner_mover.transfer import one_pass

WORDS = st.sampled_from(
    [
        *("--config", "--server-dir", "--study", "--settle", "--give-up-after", "--every", "--max-age"),
        *("--receive", "--no-receive", "--dry-run", "--json", "--verbose", "-v", "--prometheus", "--check", "--audit"),
        *("PCGC", "ABCD", "", "x y", "/data/config.json", "1.2.3", "5", "0", "2.5", "007", "1e3", "-1", "nan", "inf"),
        *("--", "-", "--help", "-h", "--config=x", "--conf", "-vv", "--settle=1", "--unknown", "move", "find", "1_000"),
    ]
)


def by_typer(arguments: list[str]) -> Any:
    """The options that typer makes of it; None for what it refuses or answers by itself."""
    seen: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("move", "status"):
            patch.setattr(f"scanner_mover.commands.{name}.run", lambda options, program: seen.append(options) or 0)
        CliRunner().invoke(app, arguments)
    return seen[0] if seen else None


def read(arguments: list[str]) -> Any:
    """The options that are read without it; None for what is left to typer."""
    plain = of_move(arguments)
    if plain is not None:
        return one_pass.Options(**plain)
    plain = of_status(arguments)
    return None if plain is None else status.Options(**plain)


@given(st.sampled_from(["move", "status"]), st.lists(WORDS, max_size=6))
def test_what_is_read_here_typer_reads_the_same(subcommand, words):
    options = read([subcommand, *words])
    if options is not None:
        assert by_typer([subcommand, *words]) == options


@pytest.mark.parametrize(
    "words",
    [
        ["move"],
        ["move", "PCGC"],
        ["move", "--receive", "--json"],
        ["move", "--config", "/data/config.json", "--server-dir", "/srv", "--settle", "0", "PCGC"],
        ["move", "--study", "1.2", "--study", "1.3", "--dry-run", "-v"],
        ["move", "--every", "15", "--give-up-after", "2.5", "--no-receive"],
        ["status"],
        ["status", "PCGC", "--json"],
        ["status", "--prometheus", "--config", "/data/config.json", "--server-dir", "/srv"],
        ["status", "--max-age", "120"],
    ],
)
def test_what_cron_and_monitoring_have_is_read_here(words):
    options = read(words)
    assert options is not None
    assert options == by_typer(words)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["find"],
        ["--version"],
        ["move", "--help"],
        ["move", "A", "B"],
        ["move", "--every"],
        ["move", "--every", "x"],
        ["move", "--config", "--json"],
        ["move", "--config=x"],
        ["move", "--unknown"],
        ["move", "--settle", "nan"],
        ["move", "--settle", "-1"],
        ["move", "--"],
        ["status", "--check"],
        ["status", "--audit"],
        ["status", "--max-age", "-1"],
    ],
)
def test_the_rest_is_left_to_typer(words):
    assert read(words) is None


def test_a_pass_with_nothing_to_do_imports_no_typer(tmp_path):

    (tmp_path / "active-scans").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "enabled").write_text("010")
    (tmp_path / "config.json").write_text(
        f'{{"DATADIR": "{tmp_path}", "SCANNERIP": "127.0.0.1", "SCANNERPORT": 1, "SCANNERAETITLE": "S", '
        '"DICOMAETITLE": "M"}'
    )
    done = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", "-m", "scanner_mover", "move"),
            *("--config", str(tmp_path / "config.json"), "--server-dir", str(tmp_path / "server")),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "scanner_mover.transfer.one_pass" in imported
    assert imported.isdisjoint({"typer", "click", "rich", "sh", "tenacity", "pydicom", "dataclasses", "subprocess"})
