"""`status --check` as a whole: which checks are made, what is said of each finding, and when it exits with 1."""

import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from scanner_mover.commands import check, check_configuration, check_receiving, check_scanner, check_server
from scanner_mover.commands.check_line import Finding, Findings, busy, fix, not_tested, ok
from scanner_mover.errors import ConfigurationError, Ended, ExitStatus, UnusableError
from scanner_mover.site.folders import ServerFolders
from tests.support.site import Site

SERVER = ServerFolders("/server", "ABCD")
FIRST = [
    *("check_configuration.values", "check_configuration.hooks", "check_configuration.other_projects"),
    *("check_scanner.tools", "check_server.switch", "check_server.script", "check_server.folders"),
    *("check_server.owners", "check_server.disk", "check_server.clock", "check_server.passes"),
]
OURS = ["check_receiving.port", "check_receiving.rules", "check_receiving.own_name", "check_receiving.trial"]
ANOTHERS = ["check_scanner.other_receiver"]
LAST = ["check_scanner.scanner", "check_scanner.sending", "check_server.faults"]
ONLY_IN_PCGC = "check_configuration.only_in_pcgc"

Made = dict[str, tuple[object, ...] | None]


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path, scanner_port=104, receive_port=11112)


@pytest.fixture
def made(monkeypatch) -> Made:
    """In place of all checks such as find nothing but their own name; what each was given, None: it was not made."""
    made: Made = {}

    def replace(module: ModuleType, name: str) -> None:
        label = f"{module.__name__.rpartition('.')[2]}.{name}"
        made[label] = None

        def one(*arguments: object) -> Findings:
            made[label] = arguments
            yield ok(label)

        monkeypatch.setattr(module, name, one)

    for module in (check_configuration, check_receiving, check_scanner, check_server):
        for name, one in list(vars(module).items()):
            if getattr(one, "__annotations__", {}).get("return") is Findings:
                replace(module, name)
    return made


# Which checks are made


@pytest.mark.parametrize(("receive", "receiving"), [(None, ANOTHERS), (False, ANOTHERS), (True, OURS)])
def test_the_scanner_comes_after_all_that_is_here(site, made, receive, receiving):
    site.config(receive=receive)
    names = [finding.text for finding in check.check(str(site.config_file), "ABCD", SERVER)]
    assert names == [*FIRST, *receiving, *LAST]


def test_every_check_that_there_is_is_made_with_a_receiver_or_without(site, made):
    for receive in (True, False):
        site.config(receive=receive)
        list(check.check(str(site.config_file), "ABCD", SERVER))
    assert [name for name, arguments in made.items() if arguments is None] == [ONLY_IN_PCGC]


def test_each_check_is_about_the_project_that_is_asked_for(site, made):
    own = {**site.keys, "DATADIR": "/mine", "SCANNERIP": "mine"}
    site.config_file.write_text(json.dumps({**site.keys, "SITES": {"MINE": own}}))
    list(check.check(str(site.config_file), "MINE", SERVER))
    assert made["check_server.switch"] is not None
    settings, folders = made["check_server.switch"]
    assert (settings.project, settings.host, folders.enabled) == ("MINE", "mine", "/mine/config/enabled")
    assert made["check_scanner.scanner"] == (settings,)
    assert made["check_server.script"] == ("/server",)
    assert made["check_server.faults"] == (SERVER,)


def test_a_configuration_that_cannot_be_used_is_all_that_is_looked_at(site, made):
    site.config(SCANNERPORT="no port")
    first, *more = check.check(str(site.config_file), "ABCD", SERVER)
    assert first == fix(f"{site.config_file}: SCANNERPORT is not a port from 1 to 65535: 'no port'")
    assert more == [ok(ONLY_IN_PCGC)]
    assert {name: given for name, given in made.items() if given is not None} == {
        ONLY_IN_PCGC: (str(site.config_file), "ABCD")
    }


# What one check finds, and what the others do


def of(*steps: Finding | Exception | Ended) -> Findings:
    """A check that finds these things, one after the other."""
    for step in steps:
        if not isinstance(step, Finding):
            raise step
        yield step


def all_of(*checks: Findings) -> list[Finding]:
    return list(check._all([lambda one=one: one for one in checks]))


@pytest.mark.parametrize("error", [UnusableError("no dictionary"), ConfigurationError("no dictionary")])
def test_an_error_ends_one_check_and_no_other(error):
    found = all_of(of(ok("one"), error, ok("never")), of(ok("two")))
    assert found == [ok("one"), fix("no dictionary"), ok("two")]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b cannot be tested: Permission denied"),
        (OSError(24, "Too many open files"), "the set-up cannot be tested: Too many open files"),
    ],
)
def test_what_the_system_refuses_is_named(error, text):
    assert all_of(of(error), of(ok("two")), of(error)) == [fix(text), ok("two")], "once"


@pytest.mark.parametrize("error", [ZeroDivisionError(), Ended(15)])
def test_an_error_of_ours_and_a_signal_are_no_findings(error):
    with pytest.raises(type(error)):
        all_of(of(error), of(ok("two")))


@pytest.mark.parametrize(
    "checks",
    [
        [of(fix("no findscu")), of(fix("no findscu"))],
        [of(fix("no findscu")), of(UnusableError("no findscu"))],
        [of(UnusableError("no findscu")), of(UnusableError("no findscu"))],
        [of(UnusableError("no findscu")), of(fix("no findscu"))],
        [of(UnusableError("no findscu")), of(fix(f"{check_server.REPORTED}no findscu"))],
        [of(fix("no findscu")), of(fix(f"{check_server.REPORTED}no findscu"))],
        [of(fix("no findscu"), fix("no findscu"))],
    ],
)
def test_what_several_checks_meet_is_named_once(checks):
    assert all_of(*checks) == [fix("no findscu")]


def test_what_the_last_pass_reported_and_no_check_meets_is_named():
    reported = fix(f"{check_server.REPORTED}no room")
    assert all_of(of(fix("no findscu")), of(reported)) == [fix("no findscu"), reported]


# What is printed


@pytest.fixture
def run(monkeypatch):
    """Run it, where these are the findings."""

    def run(*findings: Finding) -> int:
        monkeypatch.setattr(check, "check", lambda *_: iter(findings))
        return check.run("config.json", "ABCD", SERVER)

    return run


READY = "ready: nothing to fix"
TOO_BUSY = "nothing to fix, but the scanner was too busy to be tested: try again"


@pytest.mark.parametrize(
    ("findings", "last", "exit_status"),
    [
        ([ok("a")], READY, ExitStatus.OK),
        ([ok("a"), not_tested("b")], READY, ExitStatus.OK),
        ([busy("a"), ok("b")], TOO_BUSY, ExitStatus.OK),
        ([ok("a"), fix("b"), ok("c")], "1 thing to fix", ExitStatus.ATTENTION),
        ([fix("a"), busy("b"), fix("c"), not_tested("d")], "2 things to fix", ExitStatus.ATTENTION),
    ],
)
def test_the_last_line_and_the_exit_status_say_whether_something_is_to_be_done(
    run, capsys, findings, last, exit_status
):
    assert run(*findings) == exit_status
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == last
    assert len(lines) == len(findings) + 1


def test_each_verdict_has_its_word(run, capsys):
    run(ok("a"), fix("b"), not_tested("c"), busy("d"))
    assert capsys.readouterr().out.splitlines()[:-1] == ["ok   a", "fix: b", "not tested: c", "not tested: d"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("chmod o= " + "'/long name'" * 40, "chmod o= " + "'/long name'" * 40),
        ("[red]a[/] [/b]", "[red]a[/] [/b]"),
        ("a\x1b[2J\nb", r"a\x1b[2J\nb"),
    ],
)
def test_a_line_can_be_copied_and_is_no_markup_and_obeyed_by_no_terminal(run, capsys, monkeypatch, text, shown):
    monkeypatch.setenv("COLUMNS", "20")
    run(fix(text))
    assert capsys.readouterr().out.splitlines()[0] == f"fix: {shown}"


def test_each_finding_is_printed_before_the_next_check_is_made(monkeypatch, capsys):
    printed = []

    def findings(*_: object) -> Iterator[Finding]:
        yield ok("at once")
        printed.append(capsys.readouterr().out)
        yield ok("after a minute")

    monkeypatch.setattr(check, "check", findings)
    check.run("config.json", "ABCD", SERVER)
    assert printed == ["ok   at once\n"]


def test_what_is_checked_is_what_was_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(check, "check", lambda *given: asked.append(given) or iter(()))
    assert check.run("config.json", "PCGC", SERVER) == ExitStatus.OK
    assert asked == [("config.json", "PCGC", SERVER)]
