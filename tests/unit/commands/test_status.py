"""What `status` shows in which form, which options do not go together, and when a health check fails."""

import json
import sys

import pytest

from scanner_mover.arguments import StatusOptions
from scanner_mover.commands import audit, check, status
from scanner_mover.display import status_screen
from scanner_mover.errors import ConfigurationError, ExitStatus, UnknownProjectError, UnusableError, UsageError
from tests.support.site import Site
from tests.unit.display.overviews import STUCK, overview

FORMS = {"json": '{"project": "ABCD"', "prometheus": "# HELP scanner_mover_", "html": "<!DOCTYPE html>"}


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    monkeypatch.delenv("SCANNER_MOVER_CONFIG", raising=False)
    monkeypatch.delenv("SERVERDIR", raising=False)
    return Site(tmp_path, scanner_port=104, receive_port=11112)


@pytest.fixture
def looks() -> list:
    """The settings and the folders that were looked at."""
    return []


@pytest.fixture
def screens(monkeypatch) -> list:
    """The overviews that are shown on a terminal."""
    shown: list = []
    monkeypatch.setattr(status_screen, "show_overview", shown.append)
    return shown


@pytest.fixture
def run(site, looks, screens, monkeypatch):
    """`status` with these options, where the folders hold a stuck request, or what `changes` say."""

    def run(changes: dict | None = None, terminal: bool = False, **options: object) -> int:
        def look(*arguments: object):
            looks.append(arguments)
            return overview(STUCK, **{"looked_at": 1000.0, "last_pass_at": 988.0, **(changes or {})})

        monkeypatch.setattr(status, "look", look)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
        places = {"config": str(site.config_file), "server_dir": str(site.server)}
        return status.run(StatusOptions(**{**places, **options}), "scanner-mover")

    return run


@pytest.mark.parametrize(
    "options",
    [
        {"json": True, "prometheus": True},
        {"prometheus": True, "html": True},
        {"json": True, "check": True},
        {"html": True, "audit": True},
        {"check": True, "audit": True},
        {"audit": True, "json": True, "prometheus": True},
    ],
)
def test_only_one_form_can_be_shown(run, looks, options):
    with pytest.raises(UsageError, match="only one can be shown") as raised:
        run(**options)
    assert raised.value.exit_status == ExitStatus.USAGE
    assert looks == []


@pytest.mark.parametrize(
    "options", [{"since": "60"}, {"since": ""}, {"request": True}, {"request": True, "json": True}]
)
def test_options_of_the_audit_need_it(run, options):
    with pytest.raises(UsageError, match=r"^--since and --request belong to --audit$"):
        run(**options)


@pytest.mark.parametrize("options", [{"output": ""}, {"output": "file", "check": True}])
def test_an_output_that_cannot_be(run, options):
    with pytest.raises(UsageError, match=r"^--output takes the name of a file"):
        run(**options)


@pytest.mark.parametrize("form", list(FORMS))
def test_each_form_on_standard_output_and_in_a_file(run, capsys, tmp_path, form):
    assert run(**{form: True}) == ExitStatus.OK
    printed = capsys.readouterr().out
    assert printed.startswith(FORMS[form]) and printed.endswith("\n")
    file = tmp_path / "output"
    assert run(**{form: True}, output=str(file)) == ExitStatus.OK
    assert file.read_text().startswith(FORMS[form])
    assert capsys.readouterr().out == ""


def test_json_is_one_object_on_one_line(run, capsys):
    run(json=True)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert [one["study"] for one in json.loads(printed)["requests"]] == [STUCK.report.study_instance_uid]


def test_a_pipe_gets_plain_lines(run, screens, capsys):
    assert run() == ExitStatus.OK
    assert screens == []
    printed = capsys.readouterr().out
    assert printed.startswith("ABCD: switched on\n") and printed.endswith("\n")
    assert STUCK.report.study_instance_uid in printed


@pytest.mark.parametrize("most", [None, 60.0])
def test_a_terminal_gets_the_screen(run, screens, capsys, most):
    assert run(terminal=True, max_age_seconds=most) == ExitStatus.OK
    assert [one.requests for one in screens] == [(STUCK,)]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("form", list(FORMS))
def test_a_form_that_was_asked_for_is_printed_on_a_terminal_too(run, screens, capsys, form):
    run(terminal=True, **{form: True})
    assert screens == []
    assert capsys.readouterr().out.startswith(FORMS[form])


@pytest.mark.parametrize("most", [None, 60.0])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_file_gets_plain_lines_wherever_standard_output_goes(run, screens, capsys, tmp_path, terminal, most):
    file = tmp_path / "output"
    assert run(terminal=terminal, output=str(file), max_age_seconds=most) == ExitStatus.OK
    assert file.read_text().startswith("ABCD: switched on\n")
    assert screens == [] and capsys.readouterr().out == ""


def test_a_file_that_cannot_be_written(run, tmp_path):
    with pytest.raises(UnusableError, match=str(tmp_path / "none")):
        run(output=str(tmp_path / "none" / "file"))


def test_problems_are_lines_on_standard_error_and_no_failure(run, capsys):
    assert run({"problems": ("the switch cannot be read", "the state is damaged")}, json=True) == ExitStatus.OK
    printed = capsys.readouterr()
    assert printed.err == "scanner-mover: the switch cannot be read\nscanner-mover: the state is damaged\n"
    assert json.loads(printed.out)


@pytest.mark.parametrize(
    ("most", "changes", "complaint"),
    [
        (12.0, {}, None),
        (11.9, {}, "the last pass is 12 seconds old: does cron run us?"),
        (0.5, {"last_pass_at": 999.0}, "the last pass is 1 second old: does cron run us?"),
        (0.0, {"last_pass_at": 1000.0}, None),
        (0.0, {"last_pass_at": 1060.0}, None),
        (60.0, {"last_pass_at": None}, "there never was a pass"),
        (1.0, {"running": True}, None),
        (1.0, {"running": True, "last_pass_at": None}, None),
        (1.0, {"running": None}, "the last pass is 12 seconds old: does cron run us?"),
        (1.0, {"running": True, "hangs": "it seems to hang"}, "it seems to hang"),
        (60.0, {"running": True, "hangs": "it seems to hang"}, "it seems to hang"),
    ],
)
def test_a_health_check_says_nothing_or_why_it_fails(run, capsys, most, changes, complaint):
    assert run(changes, max_age_seconds=most) == (ExitStatus.OK if complaint is None else ExitStatus.ATTENTION)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == ("" if complaint is None else f"scanner-mover: {complaint}\n")


@pytest.mark.parametrize("changes", [{"last_pass_at": None}, {"last_pass_at": 0.0}, {"hangs": "it seems to hang"}])
def test_without_a_greatest_age_any_is_good(run, capsys, changes):
    assert run(changes) == ExitStatus.OK
    assert capsys.readouterr().err == ""


def test_a_form_is_printed_also_when_the_last_pass_is_too_old(run, capsys):
    assert run(json=True, max_age_seconds=1.0) == ExitStatus.ATTENTION
    assert json.loads(capsys.readouterr().out)["project"] == "ABCD"


def test_the_folders_of_the_site_are_looked_at_and_nothing_is_received(site, run, looks):
    site.config(receive=True)
    run()
    [(settings, server)] = looks
    assert (settings.project, settings.data_dir, settings.receive) == ("ABCD", str(site.data), False)
    assert server.lock.startswith(f"{site.server}/")


def test_a_project_has_its_own_keys_and_files(tmp_path, site, run, looks):
    other = Site(tmp_path / "other", scanner_port=105, receive_port=11113, project="SITE2")
    run(config=str(other.config_file), project="SITE2")
    [(settings, server)] = looks
    assert (settings.project, settings.port) == ("SITE2", 105)
    assert "SITE2" in server.lock


def test_configuration_and_folders_come_from_the_environment(site, run, looks, monkeypatch):
    monkeypatch.setenv("SCANNER_MOVER_CONFIG", str(site.config_file))
    monkeypatch.setenv("SERVERDIR", str(site.server))
    run(config=None, server_dir=None)
    [(settings, server)] = looks
    assert settings.file == str(site.config_file)
    assert server.lock.startswith(f"{site.server}/")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"project": "NONE"}, UnknownProjectError),
        ({"project": "../up"}, UsageError),
        ({"config": "/none/config.json"}, ConfigurationError),
    ],
)
def test_what_is_not_configured_is_not_looked_at(run, looks, options, error):
    with pytest.raises(error):
        run(**options)
    assert looks == []


def test_the_check_gets_a_configuration_that_nobody_has_read(site, run, looks, monkeypatch):
    site.config_file.write_text("{")
    calls = []
    monkeypatch.setattr(check, "run", lambda *arguments: calls.append(arguments) or ExitStatus.ATTENTION)
    assert run(check=True, max_age_seconds=1.0) == ExitStatus.ATTENTION
    [(file, project, server)] = calls
    assert (file, project) == (str(site.config_file), "ABCD")
    assert server.lock.startswith(f"{site.server}/")
    assert looks == []


@pytest.mark.parametrize("as_json", [True, False])
def test_the_audit_gets_its_options(site, run, looks, monkeypatch, as_json):
    calls = []
    monkeypatch.setattr(audit, "run", lambda *arguments: calls.append(arguments) or ExitStatus.SCANNER)
    assert run(audit=True, json=as_json, since="60d", request=True, output="file") == ExitStatus.SCANNER
    [(settings, _, options)] = calls
    assert settings.data_dir == str(site.data)
    assert (options.json, options.since, options.request, options.output) == (as_json, "60d", True, "file")
    assert looks == []
