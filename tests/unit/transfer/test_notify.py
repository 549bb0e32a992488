"""Which events a site's programs hear of, and what becomes of those that were not heard."""

import json
import threading
import time
from pathlib import Path

import pytest

from scanner_mover.site import state
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.lock import Lock
from scanner_mover.site.state import State, load, save
from scanner_mover.transfer import notify
from scanner_mover.transfer.hooks import Event, EventKind, EventSeries, Undelivered
from scanner_mover.transfer.report import ClosedRequest, SeriesReport
from scanner_mover.transfer.reported import Change
from tests.unit.transfer.made import SETTINGS

STUDY, WHEN = "1.2.3", "2026-01-31T12:00:00+01:00"
SERIES = (SeriesReport("1.2.3.4", 6, 5, False, False, None),)
FINISHED = ClosedRequest(STUDY, True, None, SERIES, "raw/1.2.3")
INCOMPLETE = FINISHED._replace(reason="the scanner no longer has all")
FAILED = ClosedRequest("1.2.5", False, "5 of 6 images arrived", SERIES, "raw/1.2.5")
EVENT = Event(EventKind.FAULT, "ABCD", None, "the scanner is off", WHEN)


@pytest.fixture
def server(tmp_path) -> ServerFolders:
    (tmp_path / ".pids").mkdir()
    return ServerFolders(str(tmp_path), "ABCD")


def test_what_happened_in_a_pass():
    changes = [Change("it is off", ended=False), Change("recovered after 5 min: it is off", ended=True)]
    events = notify.events_of("ABCD", WHEN, [FINISHED, FAILED], changes)
    assert [(one.kind, one.study_instance_uid, one.text) for one in events] == [
        (EventKind.FINISHED, STUDY, "study 1.2.3 is finished"),
        (EventKind.FAILED, "1.2.5", "study 1.2.5 failed: 5 of 6 images arrived; its images are in raw/1.2.5"),
        (EventKind.FAULT, None, "it is off"),
        (EventKind.RECOVERED, None, "recovered after 5 min: it is off"),
    ]
    assert events[0].series == (EventSeries("1.2.3.4", 6, 5),)
    assert {(one.project, one.time) for one in events} == {("ABCD", WHEN)}


def test_R38_a_request_that_failed_says_where_its_images_are_if_there_are_any():
    failed = FINISHED._replace(finished=False, reason="no MPPS file", raw="/data/site/raw/1.2.3")
    beginning = "study 1.2.3 failed: no MPPS file; "
    assert notify.closed_text(failed) == f"{beginning}its images are in /data/site/raw/1.2.3"
    assert notify.closed_text(failed._replace(raw="")) == f"{beginning}no image of it is here"


def test_R36_a_request_that_is_closed_incomplete_says_so():
    assert notify.closed_text(INCOMPLETE) == "study 1.2.3 is incomplete: the scanner no longer has all"


@pytest.mark.parametrize(
    ("option", "kinds"),
    [
        ("on_finished", {EventKind.FINISHED}),
        ("on_failed", {EventKind.FAILED}),
        ("on_fault", {EventKind.FAULT, EventKind.RECOVERED}),
    ],
)
def test_only_events_that_a_program_is_there_for_are_wanted(option, kinds):
    events = [EVENT._replace(kind=kind) for kind in EventKind]
    settings = SETTINGS._replace(**{option: ("/bin/true",)})
    assert {one.kind for one in notify.wanted(settings, events)} == kinds
    assert notify.wanted(SETTINGS, events) == []


class Hooks:
    """The programs of the site; those events that are in `deaf` are not heard."""

    def __init__(self, monkeypatch) -> None:
        self.ran: list[Event] = []
        self.deaf: list[str] = []
        monkeypatch.setattr(notify, "run_hooks", self.run)

    def run(self, settings, events):
        self.ran += events
        return [Undelivered(one, f"not heard: {one.text}") for one in events if one.text in self.deaf]


@pytest.fixture
def hooks(monkeypatch) -> Hooks:
    return Hooks(monkeypatch)


def keep(server: ServerFolders, **values: object) -> None:
    state = State()
    vars(state).update(values)
    save(state, server.state, server.new_part())


def in_file(server: ServerFolders) -> State:
    state, problem = load(server.state)
    assert problem is None
    return state


def test_what_is_heard_is_forgotten(server, hooks):
    keep(server, events=[EVENT.to_json()], moves_sent=7)
    notify.deliver(SETTINGS, server, [EVENT], [], print)
    assert hooks.ran == [EVENT]
    assert (in_file(server).events, in_file(server).moves_sent) == ([], 7), "and all else stays"


def test_what_is_not_heard_is_tried_once_more_in_the_next_pass(server, hooks):
    lines: list[str] = []
    hooks.deaf = [EVENT.text]
    keep(server)
    notify.deliver(SETTINGS, server, [EVENT], [], lines.append)
    kept = in_file(server).events
    assert kept == [EVENT.to_json()] and lines == [f"not heard: {EVENT.text}"]
    notify.deliver(SETTINGS, server, [], json.loads(json.dumps(kept)), lines.append)
    assert [one.text for one in hooks.ran] == [EVENT.text] * 2
    assert in_file(server).events == [], "then it is lost"


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, {**EVENT.to_json(), "event": "unheard of"}])
def test_a_kept_event_that_is_broken_is_left_out(server, hooks, value):
    keep(server, events=[value])
    notify.deliver(SETTINGS, server, [], [value], print)
    assert hooks.ran == [] and in_file(server).events == []


def test_a_lock_that_is_held_for_a_moment_is_waited_for(server, hooks):
    keep(server, events=[EVENT.to_json()])
    lock = Lock()
    lock.file(server.lock)
    timer = threading.Timer(0.2, lock.release)
    timer.start()
    notify.deliver(SETTINGS, server, [EVENT], [], print)
    timer.join()
    assert in_file(server).events == []


def test_while_another_pass_is_at_work_the_state_is_its_own(server, hooks, monkeypatch):
    """What that pass has read is told twice; nothing is lost."""
    monkeypatch.setattr(state, "_LONGEST_WAIT_SECONDS", 0.1)
    keep(server, events=[EVENT.to_json()])
    lock = Lock()
    lock.file(server.lock)
    began = time.monotonic()
    notify.deliver(SETTINGS, server, [EVENT], [], print)
    assert time.monotonic() - began < 10
    lock.release()
    assert in_file(server).events == [EVENT.to_json()]


def test_a_state_that_is_broken_stays_as_it_is_for_the_next_pass_to_say(server, hooks):
    Path(server.state).write_text("broken")
    notify.deliver(SETTINGS, server, [EVENT], [], print)
    assert hooks.ran == [EVENT] and Path(server.state).read_text() == "broken"


def test_what_cannot_be_kept_is_logged(server, hooks):
    Path(server.pids).rmdir()
    lines: list[str] = []
    notify.deliver(SETTINGS, server, [EVENT], [], lines.append)
    assert hooks.ran == [EVENT] and len(lines) == 1 and "cannot be opened" in lines[0]
