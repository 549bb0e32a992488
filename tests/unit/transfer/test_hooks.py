"""The programs of a site that hear of what happened: which, as what JSON, and what those that misbehave cost."""

import json
import os
import subprocess
import sys

import pytest

from scanner_mover.transfer import hooks
from scanner_mover.transfer.hooks import Event, EventKind, EventSeries, distrust, run_hooks, second_try, to_keep
from tests.support.hooks import FAILED, FAULT, STUDY, TIME, file, program, settings

__all__ = ["file"]

FINISHED = Event(
    *(EventKind.FINISHED, "ABCD", STUDY, "all 6 images are here", TIME),
    series=(EventSeries(STUDY + ".1", 6, 6), EventSeries(STUDY + ".2", None, 0)),
)
RECOVERED = FAULT._replace(kind=EventKind.RECOVERED, text="the scanner answers again")


# The pure part


def test_the_json_has_the_keys_of_the_contract_and_no_more():
    assert FINISHED.to_json() == {
        "event": "finished",
        "project": "ABCD",
        "study": STUDY,
        "text": "all 6 images are here",
        "series": [
            {"series": STUDY + ".1", "expected": 6, "received": 6},
            {"series": STUDY + ".2", "expected": None, "received": 0},
        ],
        "time": TIME,
    }
    assert RECOVERED.to_json()["event"] == "recovered" and RECOVERED.to_json()["study"] is None


@pytest.mark.parametrize(
    ("event", "option"),
    [(FINISHED, "on_finished"), (FAILED, "on_failed"), (FAULT, "on_fault"), (RECOVERED, "on_fault")],
)
def test_which_program_hears_of_which_event(event, option):
    assert event.option == option


@pytest.mark.parametrize("event", [FINISHED, FAILED, FAULT, RECOVERED])
def test_an_event_is_tried_twice_and_then_lost(event):
    [kept] = to_keep([hooks.Undelivered(event, "why")])
    again = second_try(json.loads(json.dumps(kept)))
    assert again == event._replace(is_second_try=True)
    assert to_keep([hooks.Undelivered(again, "why")]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"event": "no such"},
        {"event": None},
        {"series": None},
        {"series": [1]},
        {"series": [{}]},
        {"text": 1},
        {"study": 1},
        {"time": None},
        {"project": []},
    ],
)
def test_a_broken_event_in_the_state_is_dropped(change):
    assert second_try({**FINISHED.to_json(), **change}) is None
    assert second_try(change) is None
    assert second_try(list(change)) is None


@pytest.mark.parametrize(
    ("mode", "trusted"), [(0o600, True), (0o640, True), (0o664, True), (0o644, True), (0o666, False), (0o602, False)]
)
def test_who_may_write_the_configuration(file, mode, trusted):
    file.chmod(mode)
    assert (distrust(str(file)) is None) is trusted
    if not trusted:
        assert "chmod o-w it" in str(distrust(str(file)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_configuration_of_another_user_is_not_trusted(file):
    os.chown(file, 12345, 12345)
    assert f"{file} belongs to another user: chown it to root" in str(distrust(str(file)))


# The running part, with real programs


def test_without_a_hook_nothing_runs_and_nothing_is_imported(file):
    assert run_hooks(settings(file), [FINISHED, FAULT]) == []
    code = "import sys; from scanner_mover.transfer import hooks; print(sorted({'sh', 'logging'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_each_program_gets_its_events_on_standard_input(file, tmp_path):
    hook = program(tmp_path, f"open({str(tmp_path / 'got')!r}, 'a').write(sys.argv[1] + ' ' + sys.stdin.read())")
    all_hooks = {name: (hook, name) for name in ("on_finished", "on_failed", "on_fault")}
    events = [FINISHED, FAILED, FAULT, RECOVERED]
    assert run_hooks(settings(file, **all_hooks), events) == []
    got = [line.split(" ", 1) for line in (tmp_path / "got").read_text().splitlines()]
    assert [(option, json.loads(text)) for option, text in got] == [(one.option, one.to_json()) for one in events]


def test_only_what_is_set_runs(file, tmp_path):
    hook = program(tmp_path, f"open({str(tmp_path / 'got')!r}, 'a').write('x')")
    assert run_hooks(settings(file, on_failed=(hook,)), [FINISHED, FAILED, FAULT]) == []
    assert (tmp_path / "got").read_text() == "x"


def test_no_shell_reads_the_arguments(file, tmp_path):
    hook = program(tmp_path, f"open({str(tmp_path / 'got')!r}, 'w').write(repr(sys.argv[1:]))")
    words = ("$(touch pwned)", "a b", "*", "; true", "")
    assert run_hooks(settings(file, on_failed=(hook, *words)), [FAILED]) == []
    assert (tmp_path / "got").read_text() == repr(list(words))


def test_a_program_on_the_path_is_found(file, tmp_path, monkeypatch):
    program(tmp_path, f"open({str(tmp_path / 'got')!r}, 'a').write('x')", "site-hook")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run_hooks(settings(file, on_failed=("site-hook",)), [FAILED]) == []
    assert (tmp_path / "got").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sys.exit(3)", "exit status 3"),
        (
            "print('one'); sys.stdout.flush(); print('no network', file=sys.stderr); sys.exit(1)",
            "exit status 1: no",
        ),
        ("os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("os.close(0); os.close(1); os.close(2); os._exit(7)", "exit status 7"),
    ],
)
def test_a_program_that_fails_is_told(file, tmp_path, text, why):
    hook = program(tmp_path, text)
    [undelivered] = run_hooks(settings(file, on_failed=(hook,)), [FAILED])
    assert undelivered.event == FAILED
    assert undelivered.text.startswith(f"on_failed: {hook}: {why}") and undelivered.text.isprintable()


@pytest.mark.parametrize(("what", "why"), [("missing", "there is no such program"), ("no program", "it cannot be")])
def test_a_program_that_is_none_is_told(file, tmp_path, what, why):
    path = tmp_path / "hook"
    if what == "no program":
        path.write_bytes(b"\x7fELF nonsense")
        path.chmod(0o755)
    [undelivered] = run_hooks(settings(file, on_fault=(str(path),)), [FAULT])
    assert why in undelivered.text or "exit status" in undelivered.text


def test_a_program_that_disappears_between_two_events_is_told_once_for_each(file, tmp_path):
    hook = program(tmp_path, "os.unlink(sys.argv[0])")
    reported = run_hooks(settings(file, on_failed=(hook,)), [FAILED, FAILED, FAILED])
    assert [one.event for one in reported] == [FAILED, FAILED]


def test_a_program_that_does_not_read_its_input_delivers(file, tmp_path):
    big = FAILED._replace(text="x" * 1_000_000)
    assert run_hooks(settings(file, on_failed=(program(tmp_path, "pass"),)), [big]) == []


def test_nothing_runs_from_a_configuration_that_others_can_write(file, tmp_path):
    hook = program(tmp_path, f"open({str(tmp_path / 'got')!r}, 'a').write('x')")
    file.chmod(0o666)
    [undelivered] = run_hooks(settings(file, on_failed=(hook,)), [FINISHED, FAILED])
    assert undelivered.event == FAILED and "chmod o-w it" in undelivered.text
    assert not (tmp_path / "got").exists()
