"""The command line is declared once: what is read without typer, what typer reads, and what its help says."""

import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from scanner_mover.arguments import MoveOptions, read_plain
from scanner_mover.arguments_by_hand import Level
from scanner_mover.cli import app
from scanner_mover.options import Kind, declared
from scanner_mover.subcommands import SUBCOMMANDS

NAMES = sorted(
    {
        name
        for subcommand in SUBCOMMANDS
        if subcommand.name in ("move", "status")
        for option in declared(subcommand.options).values()
        for name in option.names
    }
)
WORDS = st.sampled_from(
    [
        *NAMES,
        *("PCGC", "ABCD", "", "x y", "/data/config.json", "1.2.3", "5", "0", "2.5", "007", "1e3", "-1", "nan", "inf"),
        *("--", "-", "--help", "-h", "--config=x", "--conf", "-vv", "--settle=1", "--unknown", "move", "find", "1_000"),
        *("true", "False", "60d", "."),
    ]
)


def by_typer(arguments: list[str]) -> Any:
    """The options that typer makes of it; None for what it refuses or answers by itself."""
    seen: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner_mover.commands.run", lambda options, program: seen.append(options) or 0)
        CliRunner().invoke(app, arguments)
    return seen[0] if seen else None


@settings(deadline=None)
@given(st.sampled_from(["move", "status"]), st.lists(WORDS, max_size=6))
def test_what_is_read_here_typer_reads_the_same(subcommand, words):
    options = read_plain([subcommand, *words])
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
        ["status", "--check"],
        ["status", "--audit", "--since", "60d", "--request"],
        ["status", "--html", "--output", "/var/www/html/mover.html"],
    ],
)
def test_what_cron_and_monitoring_have_is_read_here(words):
    options = read_plain(words)
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
        ["move", "--dry-run", "true"],
        ["status", "--max-age", "-1"],
    ],
)
def test_the_rest_is_left_to_typer(words):
    assert read_plain(words) is None


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


def help_of(*subcommand: str) -> str:
    done = CliRunner().invoke(app, [*subcommand, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert done.exit_code == 0
    return re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize("subcommand", SUBCOMMANDS, ids=lambda subcommand: subcommand.name)
def test_help_says_all_that_is_declared(subcommand):
    text = help_of(subcommand.name)
    for option in declared(subcommand.options).values():
        assert option.help in text
        assert f"[default: {option.default}]" in text or not option.default
        for name in option.names:
            assert name in text
    assert f"Example: {subcommand.example}" in text
    for status, meaning in subcommand.exit_statuses.items():
        assert f"{status} {meaning}" in text
    assert "128 + n" in text
    assert "<bool>" not in text
    assert subcommand.help in help_of(), "the list of subcommands cuts no line"


def test_help_shows_the_defaults_that_count():
    assert "[default: 5]" in help_of("move") and "[default: 86400]" in help_of("move")
    assert "[default: --no-receive" in help_of("move")
    assert "[default: study]" in help_of("find")


def test_each_option_has_one_name_and_one_kind_wherever_it_is_declared():
    kinds: dict[str, set[Kind]] = {}
    for subcommand in SUBCOMMANDS:
        for option in declared(subcommand.options).values():
            for name in option.names:
                kinds.setdefault(name, set()).add(option.kind)
    several = {name for name, found in kinds.items() if len(found) > 1}
    assert several == {"--study"}, "of find it is a filter, of move it may be repeated"


@pytest.mark.parametrize("words", [["move", "--dry-run", "true"], ["status", "--json", "FALSE"], ["find", "true"]])
def test_a_value_for_a_flag_is_refused_and_explained(words):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert f"'{words[-1]}' is no project; options such as --dry-run take no value" in done.output


@pytest.mark.parametrize("level", ["image", "STUDY", ""])
def test_a_level_is_one_of_two(level):
    assert CliRunner().invoke(app, ["find", "--level", level]).exit_code == 2
    assert by_typer(["find", "--level", "series"]).level is Level.SERIES


@pytest.mark.parametrize("option", ["--patient-id", "--patient-name", "--date", "--modality", "--description"])
def test_an_empty_filter_is_refused(option):
    done = CliRunner().invoke(app, ["find", option, ""])
    assert done.exit_code == 2 and "would match everything" in done.output


def complete(*words: str, env: dict[str, str] | None = None) -> list[str]:
    """What bash is given to complete the last of WORDS to."""
    variables = {
        "_SCANNER_MOVER_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["scanner-mover", *words]),
        "COMP_CWORD": str(len(words)),
        **(env or {}),
    }
    done = CliRunner().invoke(app, [], env=variables, prog_name="scanner-mover")
    return done.output.split()


def test_projects_are_completed_from_the_configuration(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"SITES": {"PCGC": {}, "PILOT": {}, "LAB": {}}}')
    assert complete("move", "--config", str(file), "P") == ["PCGC", "PILOT"]
    assert complete("status", "L", env={"SCANNER_MOVER_CONFIG": str(file)}) == ["LAB"]
    assert complete("move", "--config", str(tmp_path / "none"), "P") == []


def test_levels_are_completed():
    assert complete("find", "--level", "s") == ["study", "series"]


def test_a_record_is_complete_without_a_word():
    assert read_plain(["move"]) == MoveOptions()
    assert all(option.help.endswith(".") for one in SUBCOMMANDS for option in declared(one.options).values())
