"""Where everything stands, from the folders and a state file that may be anything."""

import fcntl
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from scanner_mover import clock, config
from scanner_mover.display.html import page
from scanner_mover.display.plain import table
from scanner_mover.display.prometheus import metrics
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.rules.records import SeriesMemory, StudyMemory
from scanner_mover.site import ledger
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.ledger import Entry
from scanner_mover.site.state import VERSION, State
from scanner_mover.text import printable
from scanner_mover.transfer.history import to_json
from scanner_mover.transfer.overview import Overview, is_locked, look
from tests.support.site import Site, held_by_flock

STUDY = "1.2.826.0.1.3680043.10.1561.7"
NOTHING = {"started": None, "seconds": None, "exit_status": None}


@pytest.fixture
def site(tmp_path) -> Site:
    site = Site(tmp_path)
    site.state_file.parent.mkdir(parents=True)
    return site


def seen(site: Site) -> Overview:
    return look(config.load(str(site.config_file), "ABCD"), ServerFolders(str(site.server), "ABCD"))


def shown(overview: Overview) -> str:
    """What a person sees, in a pipe."""
    return "\n".join(table(overview)) + "\n"


def all_forms(site: Site) -> Overview:
    """Each form of output can be made of it."""
    overview = seen(site)
    json.dumps(overview.to_json(), allow_nan=False)
    list(text_string_to_metric_families(metrics(overview)))
    assert page(overview).endswith("</html>\n")
    assert "\x1b" not in shown(overview)
    return overview


def keep(site: Site, **state: Any) -> None:
    site.state_file.write_text(json.dumps({"version": VERSION, **state}), encoding="utf-8")


def a_state(**study: Any) -> dict[str, Any]:
    """A state as a pass writes it, with one study, and with these changes to what is kept of it."""
    state = State()
    state.started, state.seconds, state.exit_status = "2026-01-31T10:15:00+01:00", 1.5, 0
    known = StudyMemory(
        event="1 series retrieved, 3 images arrived",
        event_at="2026-01-31T10:15:00+01:00",
        series={"1.2.3": SeriesMemory(received=3, expected=5)},
    )
    value = state.to_json()
    value["requests"] = {STUDY: {**to_json(known), **study}}
    return value


def test_without_a_pass_everything_is_said_all_the_same(site):
    site.request(STUDY, age_seconds=100)
    site.state_file.parent.rmdir()
    overview = all_forms(site)
    value = overview.to_json()
    age = value["requests"][0].pop("age_seconds")
    assert 100 <= age < 400
    assert value == {
        "project": "ABCD",
        "enabled": True,
        "running": False,
        "last_pass": NOTHING,
        "requests": [
            {
                "study": STUDY,
                "outcome": "waiting",
                "series": [],
                "procedure": "unknown",
                "error": None,
                "waits_for": "nothing",
                "next_try": None,
                "stuck": [],
            }
        ],
        "failed_requests": [],
        "finished": 0,
        "failed": 0,
    }
    assert overview.problems == ()
    assert "there was no pass yet" in shown(overview)
    assert "not looked at yet" in shown(overview)


def test_what_the_last_pass_knew_is_shown(site):
    site.request(STUDY)
    site.state_file.write_text(json.dumps(a_state()))
    (request,) = all_forms(site).to_json()["requests"]
    assert request["series"] == [
        {"series": "1.2.3", "expected": 5, "received": 3, "complete": False, "pulled": False, "error": None}
    ]
    assert all_forms(site).to_json()["last_pass"] == {
        "started": "2026-01-31T10:15:00+01:00",
        "seconds": 1.5,
        "exit_status": 0,
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"version": 1',
        b'{"version": null}',
        b'{"version": "1"}',
        json.dumps({"version": VERSION + 1, "last_pass": {"started": "2026-01-31T10:15:00+01:00"}}).encode(),
        json.dumps({"version": VERSION - 1}).encode(),
        b"[" * 100_000,
        b"{}",
    ],
    ids=lambda content: repr(content[:30]),
)
def test_a_state_file_that_cannot_be_used_is_said_and_the_folders_still_speak(site, content):
    site.state_file.write_bytes(content)
    site.request(STUDY)
    overview = all_forms(site)
    assert len(overview.problems) == 1
    assert str(site.state_file) in overview.problems[0]
    value = overview.to_json()
    assert value["last_pass"] == NOTHING
    assert [request["study"] for request in value["requests"]] == [STUDY]


def test_a_state_file_that_is_a_folder_is_said(site):
    site.state_file.mkdir()
    assert "cannot be read" in all_forms(site).problems[0]


@pytest.mark.parametrize(
    "last_pass",
    [
        None,
        [],
        "yesterday",
        {},
        {"started": 7},
        {"started": "not a time"},
        {"started": ""},
        {"started": "0001-01-01T00:00:00"},
        {"started": "0001-01-01T00:00:00+14:00"},
        {"started": "9999-12-31T23:59:59-14:00"},
        {"started": "2026-01-31T10:15:00"},
        {"started": "2026-01-31T10:15:00+01:00", "seconds": "long", "exit_status": "0"},
        {"started": "2026-01-31T10:15:00+01:00", "seconds": True, "exit_status": False},
        {"started": "2026-01-31T10:15:00+01:00", "seconds": 10**400},
        {"started": "2026-01-31T10:15:00+01:00", "exit_status": -9},
    ],
    ids=repr,
)
def test_a_last_pass_of_any_kind_breaks_nothing(site, last_pass):
    keep(site, last_pass=last_pass)
    all_forms(site)


def test_numbers_that_json_does_not_have_break_nothing(site):
    site.state_file.write_text('{"version": 1, "last_pass": {"started": "2026-01-31T10:15:00Z", "seconds": NaN}}')
    all_forms(site)
    site.state_file.write_text('{"version": 1, "last_pass": {"started": "2026-01-31T10:15:00Z", "seconds": 1e999}}')
    all_forms(site)


@pytest.mark.parametrize(
    "broken", [None, 7, -1.5, "text", [], {}, [[1, 2, 3]], {"1.2.3": None}, True, 10**30], ids=repr
)
def test_what_is_kept_of_a_study_may_be_anything(site, broken):
    state = a_state()
    (good,) = state["requests"].values()
    studies = {f"{STUDY}.{number}": {**good, field: broken} for number, field in enumerate(good, 1)}
    for uid in studies:
        site.request(uid)
    site.state_file.write_text(json.dumps({**state, "requests": studies}))
    assert len(all_forms(site).requests) == len(StudyMemory._fields)


@pytest.mark.parametrize(
    "text",
    [
        "[red]not a colour[/red]",
        "/data/[old]/site/raw cannot be written",
        "/data/[/x]/site/raw cannot be written",
        "a \x1b[2J\x1b]0;owned\x07 b",
        "two\nlines",
        "tab\tseparated",
    ],
    ids=repr,
)
@pytest.mark.parametrize("field", ["event", "error", "outcome", "procedure"])
def test_a_text_is_shown_as_it_is(site, field, text):
    """A path may hold brackets, and what a tool said may hold anything; no markup and no escape comes of it."""
    site.request(STUDY)
    site.state_file.write_text(json.dumps(a_state(**{field: text})))
    overview = all_forms(site)
    if field == "event" and text.isprintable():
        assert "".join(text.split()) in _column(shown(overview))


def test_only_words_of_the_contract_come_out_of_a_state_file(site):
    site.request(STUDY)
    site.state_file.write_text(json.dumps(a_state(outcome="anything", procedure="over", waits_for="godot")))
    (request,) = all_forms(site).to_json()["requests"]
    assert (request["outcome"], request["procedure"], request["waits_for"]) == ("waiting", "unknown", "nothing")


def _column(table: str) -> str:
    """The last column, unfolded: it begins where its heading stands."""
    lines = table.splitlines()
    (heading,) = (line for line in lines if line.endswith("last") or " last " in line)
    begin = heading.index("last")
    return "".join("".join(line[begin:].split()) for line in lines[lines.index(heading) + 1 :])


@pytest.mark.parametrize("text", ["[/x] fault", "[red]fault", "\x1b[2Jfault"], ids=repr)
def test_a_fault_is_shown_as_it_is(site, text):
    keep(site, faults=[{"text": text}])
    assert printable(text) in shown(all_forms(site))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_state_file_breaks_status(site, data):
    site.request(STUDY)
    state = a_state()
    holder = data.draw(
        st.sampled_from(
            [state, state["last_pass"], state["requests"][STUDY], state["requests"][STUDY]["series"]["1.2.3"]]
        )
    )
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(ANYTHING)
    site.state_file.write_text(json.dumps(state))
    seen(site).to_json()
    metrics(seen(site))
    shown(seen(site))


# The folders


def test_a_data_folder_that_is_not_there_is_said(site):
    site.data.rename(site.root / "unmounted")
    overview = all_forms(site)
    assert overview.enabled is None
    assert any(str(site.data) in problem for problem in overview.problems)
    assert (overview.finished.in_all, overview.failed.in_all) == (0, 0)


@pytest.mark.parametrize(("content", "on"), [(b"010\n", True), (b"000\n", False), (b"1", True), (b"", False)])
def test_the_switch(site, content, on):
    site.switch(content)
    assert all_forms(site).enabled is on


def test_closed_requests_are_counted_and_nothing_else(site):
    for folder, number in (("finished-scans", 3), ("failed-scans", 2)):
        (site.data / folder).mkdir()
        for one in range(number):
            (site.data / folder / f"{STUDY}.{one}").touch()
        (site.data / folder / ".hidden").touch()
        (site.data / folder / "folder").mkdir()
    overview = all_forms(site)
    assert (overview.finished.in_all, overview.failed.in_all) == (3, 2)
    assert (overview.to_json()["finished"], overview.to_json()["failed"]) == (3, 2)


def closed(site: Site, study: str, folder: str = "failed-scans") -> None:
    (site.data / folder).mkdir(exist_ok=True)
    (site.data / folder / study).touch()


STARTED = time.time()


def at(days_ago: float) -> str:
    return clock.iso(STARTED - days_ago * 86400)


def test_R38_what_failed_in_the_last_7_days_is_listed_with_its_reason_the_last_one_first(site):
    path = str(site.state_file).replace(".state.json", ".ledger.jsonl")
    failed, finished = Outcome.FAILED, Outcome.FINISHED
    for number, (days_ago, outcome) in enumerate([(6.9, failed), (7.1, failed), (1, failed), (1, finished)]):
        ledger.append(path, Entry(f"{STUDY}.{number}", at(days_ago), outcome, f"reason {number}"))
        closed(site, f"{STUDY}.{number}", "failed-scans" if outcome is Outcome.FAILED else "finished-scans")
    # The script closed it, or a person: nobody knows why.
    closed(site, f"{STUDY}.9")
    # The line was written, the request did not move.
    ledger.append(path, Entry(f"{STUDY}.8", at(1), Outcome.FAILED, "not moved"))
    overview = all_forms(site)
    assert [(one.study_instance_uid, one.reason) for one in overview.failed_requests] == [
        (f"{STUDY}.9", None),
        (f"{STUDY}.2", "reason 2"),
        (f"{STUDY}.0", "reason 0"),
    ]
    (_, _, last) = overview.to_json()["failed_requests"]
    assert last == {"study": f"{STUDY}.0", "failed_at": at(6.9), "reason": "reason 0"}
    assert "reason 2" in shown(overview)


def test_a_ledger_that_cannot_be_read_is_said(site):
    path = site.state_file.with_name(site.state_file.name.replace(".state.json", ".ledger.jsonl"))
    path.mkdir()
    assert [problem for problem in all_forms(site).problems if str(path) in problem]


# The lock


def test_the_lock_is_seen_in_the_kernels_list(tmp_path):
    path = tmp_path / "lock"
    assert is_locked(str(path)) is False
    path.touch()
    assert is_locked(str(path)) is False
    with held_by_flock(path):
        assert is_locked(str(path)) is True
        other = tmp_path / "other"
        other.touch()
        assert is_locked(str(other)) is False
    assert is_locked(str(path)) is False


def test_looking_takes_no_lock(site, monkeypatch):
    def taken(*arguments: object) -> None:
        raise AssertionError("status takes a lock")

    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, taken)
    site.request(STUDY)
    site.lock_file.touch()
    all_forms(site)


def test_looking_makes_no_lock_file(tmp_path):
    is_locked(str(tmp_path / "lock"))
    assert list(tmp_path.iterdir()) == []


def test_a_waiting_process_is_no_holder(tmp_path):
    """Its line in the list names the same file; when the holder is gone the waiting one has it."""
    path = tmp_path / "lock"
    with held_by_flock(path):
        waiting = subprocess.Popen(["flock", str(path), "sleep", "600"], start_new_session=True)
        try:
            end = time.monotonic() + 240
            while f":{path.stat().st_ino} " not in _waiting():
                assert time.monotonic() < end
                time.sleep(0.01)
            assert is_locked(str(path)) is True
        finally:
            os.killpg(waiting.pid, 9)
            waiting.wait()


def _waiting() -> str:
    return "\n".join(line for line in Path("/proc/locks").read_text().splitlines() if "->" in line)


def test_R40_series_that_are_not_kept_are_not_counted(site):
    site.config(modalities=["MR"])
    site.request(STUDY)
    series = {"1.2.3": SeriesMemory(expected=5, modality="MR"), "1.2.4": SeriesMemory(expected=2, modality="SR")}
    keep(site, **{**State().to_json(), "requests": {STUDY: to_json(StudyMemory(series=series))}})
    (request,) = all_forms(site).to_json()["requests"]
    assert [one["series"] for one in request["series"]] == ["1.2.3"]
