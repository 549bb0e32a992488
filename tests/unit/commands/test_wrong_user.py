"""The warning to root, with owners that the test makes up: whose log or folder of requests it is decides."""

import json
from types import SimpleNamespace

import pytest

from scanner_mover.arguments import MoveOptions
from scanner_mover.commands import wrong_user

USERS = {0: "root", 1001: "mover", 1002: "two words"}


@pytest.fixture
def said(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """What is said when files have these owners; a file without one is not there."""
    keys = {"SCANNERIP": "scanner", "SCANNERPORT": 4006, "SCANNERAETITLE": "SCANNER", "DICOMAETITLE": "MOVER"}
    file = tmp_path / "config.json"
    top = {**keys, "DATADIR": "/mover/data", "SCANNER_MOVER": {"receive": True}}
    file.write_text(json.dumps({**top, "SITES": {"PCGC": {**keys, "DATADIR": "/pcgc/data"}}}))

    def said(owners: dict[str, int], *, environ: dict[str, str] | None = None, **options) -> list[str]:
        def stat(path: str) -> SimpleNamespace:
            if path not in owners:
                raise FileNotFoundError(path)
            return SimpleNamespace(st_uid=owners[path])

        lines: list[str] = []
        monkeypatch.setattr(wrong_user, "os", SimpleNamespace(stat=stat, environ=environ or {}))
        monkeypatch.setattr(
            wrong_user, "pwd", SimpleNamespace(getpwuid=lambda uid: SimpleNamespace(pw_name=USERS[uid]))
        )
        monkeypatch.setattr(wrong_user, "say", lines.append)
        given = {"config": str(file), "server_dir": "/server", **options}
        wrong_user.warn(MoveOptions(**given), "/usr/bin/scanner-mover")
        return lines

    return said


LOG = "/server/logs/moveFromScanner.log"
REQUESTS = "/mover/data/active-scans"


def warning(path: str, name: str, quoted: str | None = None) -> list[str]:
    return [
        f"you are root, but {path} belongs to {name}: the passes of {name} cannot write what this pass makes; "
        f"use: sudo -u {quoted or name} scanner-mover move"
    ]


@pytest.mark.parametrize(
    ("owners", "path"),
    [
        ({LOG: 1001, REQUESTS: 1002}, LOG),
        ({LOG: 1001, REQUESTS: 0}, LOG),
        ({LOG: 1001}, LOG),
        ({REQUESTS: 1001}, REQUESTS),
    ],
)
def test_the_log_decides_and_before_the_first_pass_the_folder_of_requests(said, owners, path):
    assert said(owners) == warning(path, "mover")


@pytest.mark.parametrize("owners", [{}, {LOG: 0}, {REQUESTS: 0}, {LOG: 0, REQUESTS: 1001}])
def test_there_is_no_warning_when_root_runs_the_passes_or_nobody_did(said, owners):
    assert said(owners) == []


@pytest.mark.parametrize(("uid", "name", "quoted"), [(4242, "#4242", "'#4242'"), (1002, "two words", "'two words'")])
def test_a_user_without_a_name_or_with_a_strange_one_is_quoted_for_the_shell(said, uid, name, quoted):
    assert said({LOG: uid}) == warning(LOG, name, quoted)


def test_a_dry_run_makes_nothing_that_others_cannot_write(said):
    assert said({LOG: 1001}, dry_run=True) == []


@pytest.mark.parametrize("path", ["/server/logs/moveFromScannerPCGC.log", "/pcgc/data/active-scans"])
def test_a_project_has_its_own_log_and_folder_of_requests(said, path):
    assert said({path: 1001}, project="PCGC") == warning(path, "mover")
    assert said({path: 1001}) == []


def test_the_environment_names_the_folder_of_the_log(said):
    log = "/elsewhere/logs/moveFromScanner.log"
    assert said({log: 1001}, environ={"SERVERDIR": "/elsewhere"}, server_dir=None) == warning(log, "mover")


@pytest.mark.parametrize("options", [{"project": "../up"}, {"project": "NONE"}, {"config": "/dev/null/none"}])
def test_what_the_pass_itself_will_complain_of_is_no_warning(said, options):
    assert said({LOG: 1001, "/server/logs/moveFromScannerNONE.log": 1001}, **options) == []
