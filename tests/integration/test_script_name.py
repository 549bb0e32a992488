"""`moveFromScanner.sh`: the reference's one argument, its exit statuses, and what a pass with nothing to do costs."""

import os
import pty
import re
import subprocess
import sys
from importlib import import_module

import pytest

from tests.support.site import BIN, Site, held_by_flock

STUDY = "1.2.826.0.1.3680043.10.1561.50"
PROGRAM = "moveFromScanner.sh"
# What takes its time to import.
COSTLY = {
    *("typer", "click", "rich", "sh", "tenacity", "pydicom"),
    *("dataclasses", "inspect", "typing", "logging", "asyncio", "subprocess", "tempfile", "datetime"),
}


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


def imported(site: Site, *arguments: str) -> set[str]:
    """The modules that ARGUMENTS import, without any those of a pass, as the interpreter itself lists them."""
    program, *others = arguments or (PROGRAM,)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(BIN / program), *others],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=site.environment,
    )
    return set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", done.stderr, re.MULTILINE))


def docstring(module: str) -> str:
    """What MODULE says of itself, in one line and in small letters."""
    return " ".join((import_module(module).__doc__ or "").split()).lower()


@pytest.mark.parametrize("state", ["nothing to do", "switched off", "a name that is no UID", "no folder"])
def test_a_pass_with_nothing_to_do_imports_nothing_that_costs(site, state):
    if state == "switched off":
        site.request(STUDY)
        site.switch(b"00")
    elif state == "a name that is no UID":
        site.request("README")
    elif state == "no folder":
        (site.data / "active-scans").rmdir()
    for _ in range(2):
        modules = imported(site)
        assert "scanner_mover.__main__" in modules and "json" in modules, "the list can be relied on"
        assert modules & COSTLY == set()
    assert len(site.messages()) >= 2


def test_a_pass_with_nothing_to_do_imports_few_modules_of_ours(site):
    """Each costs about as much as a hundredth of a bare Python, whatever is in it: count before you add one."""
    imported(site)
    ours = {name for name in imported(site) if name.split(".")[0] == "scanner_mover"}
    assert len(ours) <= 35, sorted(ours)
    needless = {name for name in ours if re.search(r"\.(rules|dcmtk|templates|hooks|notify|history|advice)\b", name)}
    assert needless == set()
    folders = {name.rpartition(".")[0] for name in ours}
    unsaid = [name for name in sorted(ours - folders) if "plain module" not in docstring(name)]
    assert unsaid == [], "the docstring of each says that it is one"


@pytest.mark.parametrize("looked_at", [False, True], ids=["no pass has looked at it", "a pass has looked at it"])
def test_status_of_a_request_imports_little(site, looked_at):
    site.config(SCANNERPORT=1)
    site.request(STUDY)
    if looked_at:
        site.mover("move")
    modules = imported(site, "scanner-mover", "status")
    assert "scanner_mover.transfer.overview" in modules
    assert ("scanner_mover.rules.records" in modules) is looked_at
    assert modules & COSTLY == {"datetime"}


def test_it_does_what_scanner_mover_move_does(tmp_path):
    logs, states = [], []
    for number, arguments in enumerate(([PROGRAM], ["scanner-mover", "move"])):
        site = Site(tmp_path / str(number), scanner_port=1)
        site.request(STUDY, age_seconds=10)
        site.request("no uid")
        done = site.mover(*arguments[1:], program=arguments[0])
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1)
        logs.append([line.replace(str(site.root), "ROOT") for line in site.messages() if "pass over" not in line])
        states.append(sorted(site.state()))
        assert site.requests_in("active-scans") == [STUDY, "no uid"]
    assert logs[0] == logs[1]
    assert states[0] == states[1]


def test_R2_its_one_argument_is_the_project(tmp_path):
    site = Site(tmp_path, project="LAB")
    assert site.mover("LAB", program=PROGRAM).returncode == 0
    assert site.messages() == ["move enabled, start getScans"]
    assert site.mover(program=PROGRAM).returncode == 3, "there are no keys at the top"


@pytest.mark.parametrize(
    "arguments", [["one", "two"], ["--dry-run"], ["--json"], ["-x"], ["../LAB"], ["a/b"], ["LAB", ""]]
)
def test_wrong_usage_is_2_and_changes_nothing(site, arguments):
    site.request(STUDY)
    before = site.tree()
    done = site.mover(*arguments, program=PROGRAM)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert site.tree() == before


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_help_is_0_on_standard_output(site, argument):
    done = site.mover(argument, program=PROGRAM)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PROJECT" in done.stdout and "scanner-mover" in done.stdout


def test_the_exit_statuses_of_the_contract(site):
    def status(**env: str | None) -> int:
        return site.mover(program=PROGRAM, env=env).returncode

    assert status() == 0
    with held_by_flock(site.lock_file):
        assert status() == 1
    site.config(SCANNERIP=None)
    assert status() == 3
    site.config(SCANNERIP="127.0.0.1")
    site.request(STUDY)
    assert status(PATH=None) == 4
    assert status() == 5
    site.switch(None)
    assert status() == 0


def test_it_needs_nothing_of_cron_s_poor_environment(site):
    """Neither HOME nor LANG nor a PATH: cron gives little, and a request needs DCMTK on the PATH alone."""
    kept = {name: site.environment[name] for name in ("SCANNER_MOVER_CONFIG", "SERVERDIR")}
    site.environment = kept
    assert site.mover(program=PROGRAM).returncode == 0
    site.request(STUDY)
    site.environment = {**kept, "PATH": "/usr/bin:/bin"}
    done = site.mover(program=PROGRAM)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1)


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_closed_standard_streams_are_no_crash(site, closed):
    """As with `>&-` in a crontab, or under a daemon that closes all three."""
    site.request(STUDY)
    code = f"import os, sys; [os.close(number) for number in {closed}]; os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(BIN / PROGRAM)], check=False, capture_output=True, env=site.environment
    )
    assert done.returncode == 5 and b"Traceback" not in done.stderr
    assert site.requests_in("active-scans") == [STUDY]
    assert site.state()["last_pass"]["exit_status"] == 5


def test_on_a_terminal_a_fault_is_told_each_time(site):
    site.config(SCANNERPORT="x")
    for _ in range(2):
        terminal, ours = pty.openpty()
        done = subprocess.run(
            [str(BIN / PROGRAM)], check=False, stdin=ours, stdout=ours, stderr=ours, env=site.environment
        )
        os.close(ours)
        text = os.read(terminal, 10_000).decode()
        os.close(terminal)
        assert done.returncode == 3
        assert "SCANNERPORT" in text
