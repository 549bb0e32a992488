"""What `init` prints: what to register on the scanner, the lines for the crontab, what to do next, and warnings."""

import os
import shlex
import socket
import sys
from types import SimpleNamespace

import pytest

from scanner_mover import config
from scanner_mover.arguments_by_hand import InitOptions
from scanner_mover.commands import init
from scanner_mover.commands.init_questions import Answers
from scanner_mover.commands.new_site import Owner
from scanner_mover.site.folders import DEFAULT_SERVER_DIR
from tests.support.site import shell_tool

ANSWERS = Answers("127.0.0.1", 4006, "CONSOLE", "MOVER", "/srv/images", True, 11112)
SCRIPT = "moveFromScanner.sh"


def plan(**changes: object) -> init._Plan:
    """A site in the places that nobody needs to name."""
    owner = Owner("mover", 1001, 1101)
    return init._Plan(ANSWERS, config.DEFAULT_FILE, DEFAULT_SERVER_DIR, owner, f"/none/bin/{SCRIPT}")._replace(
        **changes
    )


def crontab(plan: init._Plan) -> list[str]:
    """The lines to paste, without the comment."""
    first, empty, *lines = init._to_paste(plan)
    assert (first, empty) == (f"Paste into the crontab of {plan.owner.name} (crontab -e):", "")
    return [line for line in lines if not line.startswith("#")]


# The program that cron calls


def test_cron_calls_the_program_beside_the_one_that_was_called(tmp_path):
    shell_tool(tmp_path / "two words", SCRIPT, "")
    assert init._script(str(tmp_path / "two words" / "scanner-mover")) == f"'{tmp_path}/two words/{SCRIPT}'"


def test_cron_gets_an_absolute_path_also_when_we_were_called_by_a_relative_one(tmp_path, monkeypatch):
    shell_tool(tmp_path, SCRIPT, "")
    monkeypatch.chdir(tmp_path)
    assert init._script("./scanner-mover") == f"{tmp_path}/{SCRIPT}"


@pytest.mark.parametrize("beside", ["nothing", "no program"])
def test_else_the_program_beside_python_counts_and_else_the_module(tmp_path, monkeypatch, beside):
    if beside == "no program":
        (tmp_path / SCRIPT).touch(0o644)
    python = tmp_path / "a python" / "python3"
    monkeypatch.setattr(sys, "executable", str(python))
    assert init._script(str(tmp_path / "scanner-mover")) == f"'{python}' -m scanner_mover move"
    shell_tool(python.parent, SCRIPT, "")
    assert init._script(str(tmp_path / "scanner-mover")) == f"'{python.parent}/{SCRIPT}'"


# What to register on the scanner


def test_the_scanner_is_to_know_our_title_address_and_port():
    assert init._to_register(plan()) == [
        "Register on the scanner, in its list of DICOM nodes:",
        "  AE title  MOVER",
        "  address   127.0.0.1",
        "  port      11112",
        "and allow this node to query and retrieve (C-FIND and C-MOVE).",
    ]


@pytest.mark.parametrize(("port", "shown"), [(104, "104"), (None, "the one of the program that receives")])
def test_where_another_program_receives_it_is_told_where_images_go(port, shown):
    lines = init._to_register(plan(answers=ANSWERS._replace(receive=False, receive_port=port)))
    assert f"  port      {shown}" in lines
    assert lines[-1] == "Another program must receive there and file each image below /srv/images/site/raw."


def test_an_address_that_cannot_be_found_out_is_that_of_this_machine_by_name(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "mover.example")
    # It is no address of IPv4, and nobody is asked for it.
    assert init._own_address(ANSWERS._replace(host="::1")) == "that of mover.example, as the scanner sees it"


# The crontab


def test_a_pass_begins_every_quarter_of_a_minute_and_is_mailed_to_the_user():
    assert crontab(plan()) == [
        "MAILTO=mover",
        f"* * * * * /none/bin/{SCRIPT}",
        f"* * * * * sleep 15; /none/bin/{SCRIPT}",
        f"* * * * * sleep 30; /none/bin/{SCRIPT}",
        f"* * * * * sleep 45; /none/bin/{SCRIPT}",
    ]


def test_a_percent_sign_ends_no_line_of_the_crontab():
    assert crontab(plan(script="/none/100%/move.sh"))[1:3] == [
        r"* * * * * /none/100\%/move.sh",
        r"* * * * * sleep 15; /none/100\%/move.sh",
    ]


@pytest.mark.parametrize(
    ("changes", "variables"),
    [
        ({}, []),
        ({"file": "/srv/c.json"}, ["SCANNER_MOVER_CONFIG=/srv/c.json"]),
        ({"server_dir": "/srv/server"}, ["SERVERDIR=/srv/server"]),
        ({"file": "/a b.json", "server_dir": "/s"}, ["SCANNER_MOVER_CONFIG=/a b.json", "SERVERDIR=/s"]),
    ],
)
def test_the_crontab_names_the_places_that_a_pass_would_not_find(changes, variables):
    assert crontab(plan(**changes))[1:-4] == variables


@pytest.mark.parametrize("name", ["bin", "two words"])
def test_the_places_beside_the_program_need_no_name(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SERVERDIR", "/elsewhere")  # which cron does not have
    (tmp_path / "logs").mkdir()
    script = shlex.quote(str(tmp_path / name / SCRIPT))
    beside, elsewhere = plan(script=script, server_dir=str(tmp_path)), plan(script=script)
    assert crontab(beside)[1] == f"* * * * * {script}"
    assert init._to_do_next(beside)[-1] == "Then test the set-up: scanner-mover status --check"
    assert crontab(elsewhere)[1] == f"SERVERDIR={DEFAULT_SERVER_DIR}"
    assert init._to_do_next(elsewhere)[-1].endswith(f"--check --server-dir {DEFAULT_SERVER_DIR}")


# What to do next


def test_the_next_steps_name_the_folders_and_the_check_as_it_can_be_pasted():
    assert init._to_do_next(plan(file="/a b.json", server_dir="/the server")) == [
        "The scanner's MPPS files must arrive in /srv/images/scanner. Where there are none, set no_mpps_after_seconds",
        "in /a b.json. A request is an empty file in /srv/images/active-scans",
        "whose name is a StudyInstanceUID; scanner-mover find --request makes them.",
        "Then test the set-up: scanner-mover status --check --config '/a b.json' --server-dir '/the server'",
    ]


@pytest.mark.parametrize(
    ("uid", "user", "dcmtk", "words"),
    [
        (1001, None, True, []),
        (0, "root", True, []),
        (0, None, True, ["add --user USER"]),
        (1001, None, False, ["apt-get install dcmtk"]),
        (0, None, False, ["add --user USER", "apt-get install dcmtk"]),
    ],
)
def test_root_without_a_user_and_a_missing_dcmtk_are_warned_of(monkeypatch, capsys, uid, user, dcmtk, words):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    programs = {"findscu": "/usr/bin/findscu"} if dcmtk else {}
    monkeypatch.setattr(init, "shutil", SimpleNamespace(which=programs.get))
    init._warn(InitOptions(user=user))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines, strict=True))
