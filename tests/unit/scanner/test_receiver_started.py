"""The receiver of one pass from its start to its end, with a storescp that plays what a test says (R27, R41)."""

import os
from pathlib import Path

import pytest

from scanner_mover.errors import LockHeldError, UnusableError
from scanner_mover.scanner.receiver import report
from scanner_mover.site.filing import Filed, Kept, Lossy, SetAside
from scanner_mover.site.folders import staging_left
from scanner_mover.site.lock import Lock
from scanner_mover.site.staging import Note, read_note
from scanner_mover.site.verdict import Origin, Reason
from tests.unit.scanner.played import PLACE, SERIES, STUDY, Place


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    return Place(tmp_path, monkeypatch)


def is_held(staging: Path) -> bool:
    lock = Lock()
    try:
        lock.file(str(staging / ".asked.json"))
    except LockHeldError:
        return True
    lock.release()
    return False


# Start and end


def test_it_listens_from_the_first_start_to_the_end(place):
    receiver = place.receiver
    for _ in range(2):
        receiver.start()
    (storescp,) = place.storescps
    assert receiver.running and staging_left(place.folders) == [str(storescp.folder)] and is_held(storescp.folder)
    assert read_note(str(storescp.folder)) == Note("boot", frozenset([STUDY]))
    assert receiver.end() == receiver.end() == Filed()
    assert storescp.ended and not receiver.running and staging_left(place.folders) == []
    assert receiver.refused() == () and receiver.why_it_died() is None and receiver.growth() == (0, 0)


def test_what_is_asked_of_storescp_while_it_runs(place):
    place.receiver.start()
    place.arrives("a", "b")
    assert place.receiver.growth() == (0, 0), "nothing in them names a requested study"
    assert place.receiver.refused() == ("MRImageStorage",) and place.receiver.why_it_died() is None
    place.storescp.on_denied("denied connection from 10.0.0.1")
    rule = "a rule for storescp in /etc/hosts.allow or /etc/hosts.deny refuses it"
    assert place.log == [f"denied connection from 10.0.0.1: {rule}"]


def test_a_storescp_that_died_is_started_anew_and_what_came_is_judged(place):
    """Its end may have cut one short, and nobody knows which."""
    place.receiver.start()
    place.arrives("a")
    place.storescp.alive = False
    assert not place.receiver.running and place.receiver.why_it_died() == "storescp was ended by signal 9"
    place.receiver.start()
    assert len(place.storescps) == 2 and place.receiver.running
    assert place.sorted == [("a", Origin.INTERRUPTED)] and place.receiver.file() == Filed({PLACE: 1})
    assert staging_left(place.folders) == [str(place.storescp.folder)]


def test_a_storescp_whose_folder_was_removed_is_ended_and_another_started(place):
    place.receiver.start()
    (place.storescp.folder / ".asked.json").unlink()
    place.storescp.folder.rmdir()
    place.receiver.start()
    assert [one.ended for one in place.storescps] == [True, False] and place.storescp.folder.is_dir()


@pytest.mark.parametrize("error", [UnusableError("port 4006"), KeyboardInterrupt()])
def test_a_start_that_fails_leaves_nothing_behind(place, error):
    place.fails = error
    with pytest.raises(type(error)):
        place.receiver.start()
    assert place.storescp.ended and not place.receiver.running and staging_left(place.folders) == []
    assert place.receiver.end() == Filed({PLACE: 1}), "what arrived before is in the result"


@pytest.mark.parametrize("died", [False, True])
def test_R27_at_the_end_a_file_that_is_being_written_is_cut_short(place, died):
    place.receiver.start()
    place.arrives("a", "b")
    place.storescp.open, place.storescp.alive = {"b"}, not died
    place.receiver.end()
    assert place.sorted == [("a", Origin.INTERRUPTED if died else Origin.CLOSED), ("b", Origin.OPEN)]


@pytest.mark.parametrize(("died", "closed"), [(False, {"a"}), (True, set())])
def test_R27_what_cannot_be_moved_stays_for_the_next_pass_with_what_is_known_of_it(place, died, closed):
    place.receiver.start()
    place.arrives("a", "b", "c")
    place.stays, place.storescp.open, place.storescp.alive = {"a", "b"}, {"b"}, not died
    assert [one.name for one in place.receiver.end().kept] == ["a", "b"]
    (left,) = staging_left(place.folders)
    assert read_note(left) == Note("boot", frozenset([STUDY]), frozenset(closed))
    assert sorted(os.listdir(left)) == [".asked.json", "a", "b"] and not is_held(Path(left))


def test_R27_though_nothing_can_be_judged_storescp_is_ended_and_nothing_held(place):
    place.receiver.start()
    place.arrives("a")
    place.error = UnusableError("no dcmdump")
    with pytest.raises(UnusableError):
        place.receiver.end()
    (left,) = staging_left(place.folders)
    assert place.storescp.ended and not is_held(Path(left)) and not place.receiver.running


# What came


def test_what_nobody_writes_is_filed_and_the_rest_later(place):
    place.receiver.expect(STUDY, [SERIES])
    place.receiver.start()
    place.arrives("a", "b")
    place.storescp.open = {"b"}
    assert place.receiver.file() == Filed({PLACE: 1}) and place.sorted == [("a", Origin.CLOSED)]
    assert place.reported == {STUDY: frozenset([SERIES])}
    place.storescp.open = set()
    assert place.receiver.file() == Filed({PLACE: 1}) and place.receiver.file() == Filed()


def test_what_came_before_storescp_died_may_be_cut(place):
    place.receiver.start()
    place.arrives("a")
    place.storescp.alive = False
    place.receiver.file()
    assert place.sorted == [("a", Origin.INTERRUPTED)]


def test_what_cannot_be_moved_is_told_once_and_tried_by_the_next_pass(place):
    place.receiver.start()
    place.arrives("a")
    place.stays = {"a"}
    assert [len(place.receiver.file().kept) for _ in range(2)] == [1, 0]
    assert place.log == ["it cannot be moved"] and len(place.sorted) == 1


def test_what_stays_in_one_staging_folder_says_nothing_of_the_next_one(place):
    place.receiver.start()
    place.arrives("a")
    place.stays = {"a"}
    place.receiver.file()
    place.stays, place.storescp.alive = set(), False
    place.receiver.start()
    place.arrives("a")
    assert place.receiver.file().filed == {PLACE: 1}


def test_an_error_in_between_loses_nothing_of_what_was_filed_before(place):
    place.receiver.start()
    place.arrives("a")
    place.events = [lambda: None, lambda: setattr(place, "error", UnusableError("no disk"))]
    with pytest.raises(UnusableError, match="no disk"):
        place.listen()
    place.error = None
    assert place.receiver.end() == Filed({PLACE: 1})


# While it listens on


@pytest.mark.parametrize(("quiet", "most", "seconds"), [(5.0, 300.0, 5.0), (5.0, 3.0, 3.0), (0.0, 300.0, 0.0)])
def test_R41_it_ends_when_nothing_has_grown_for_so_long(place, quiet, most, seconds):
    place.receiver.start()
    began = place.now
    assert place.listen(quiet, most) == Filed()
    assert seconds <= place.now - began < seconds + 0.3


def test_R41_what_grows_is_waited_for_and_filed_when_it_rests(place):
    """It grows for a second, rests, and grows once more just before the end."""
    place.receiver.start()
    began = place.now
    growing = [lambda: (place.grows(), place.arrives(f"{len(place.sorted)}.{place.now}"))] * 5
    place.events = [*growing, *[lambda: None] * 20, *growing[:1]]
    assert place.listen() == Filed({PLACE: 6})
    assert place.now - began == pytest.approx(26 * 0.2 + 5, abs=0.3)
    assert len(place.sorted) == 6 and place.looks == 4, "at first, twice when it rests, and at the end"


def test_R41_what_is_here_already_is_filed_before_anything_is_waited_for(place):
    place.receiver.start()
    place.arrives("a")
    place.events = [lambda: place.log.append(str(len(place.sorted)))]
    assert place.listen() == Filed({PLACE: 1}) and place.log == ["1"]


def test_R41_it_ends_at_the_limit_though_something_grows(place):
    place.receiver.start()
    began, place.events = place.now, [place.grows] * 1000
    place.listen(5.0, 30.0)
    assert place.now - began == pytest.approx(30, abs=0.3)


@pytest.mark.parametrize(("until", "asked", "seconds"), [(True, 1, 0.4), (False, 1, 5.2), (None, 0, 5.2)])
def test_R41_whenever_something_was_filed_it_is_asked_whether_all_is_here(place, until, asked, seconds):
    times: list[float] = []

    def all_is_here() -> bool:
        times.append(place.now)
        return bool(until)

    place.receiver.start()
    began = place.now
    place.events = [lambda: (place.grows(), place.arrives("a"))]
    assert place.listen(until=None if until is None else all_is_here) == Filed({PLACE: 1})
    assert len(times) == asked and place.now - began == pytest.approx(seconds, abs=0.3)


def test_R41_when_nothing_could_be_filed_nobody_is_asked(place):
    place.receiver.start()
    place.stays, place.events = {"a"}, [lambda: (place.grows(), place.arrives("a"))]
    assert len(place.listen(until=lambda: pytest.fail("it was asked")).kept) == 1


def test_R41_when_storescp_dies_nothing_more_is_waited_for_and_what_came_is_filed(place):
    place.receiver.start()
    began = place.now
    place.events = [lambda: (place.grows(), place.arrives("a"), setattr(place.storescp, "alive", False))]
    assert place.listen() == Filed({PLACE: 1})
    assert place.now - began < 1 and place.sorted == [("a", Origin.INTERRUPTED)]


def test_while_images_arrive_it_is_tried_every_two_seconds_whether_one_can_be_written(place):
    place.receiver.need_room()
    assert place.tried == [], "nothing is received yet"
    place.receiver.start()
    began, place.events = place.now, [place.grows] * 20
    place.listen(5.0, 3.5)
    assert [round(at - began, 1) for at in place.tried] == [0.2, 2.2]


# What the log says


def test_the_log_says_what_became_of_files():
    def aside(number: int) -> SetAside:
        return SetAside(f"site/rejected/{number}", Reason.DAMAGED, "its words", *PLACE, None)

    def lossy(images: int) -> Lossy:
        return Lossy(*PLACE, "1.2.840.10008.1.2.4.50", "JPEG Baseline", images)

    kept = [Kept(name, text, *PLACE) for name, text in (("a", "no room"), ("b", "no room"), ("c", "a link"))]
    lines: list[str] = []
    report(Filed({PLACE: 9}, (aside(1), aside(2)), (lossy(1), lossy(2)), tuple(kept), ("d",)), lines.append)
    arrived = "arrived in a lossy transfer syntax: JPEG Baseline (1.2.840.10008.1.2.4.50)"
    assert lines == [
        "set aside site/rejected/1: its words",
        "set aside site/rejected/2: its words",
        f"{STUDY}/{SERIES}, 1 image {arrived}",
        f"{STUDY}/{SERIES}, 2 images {arrived}",
        "no room",
        "a link",
        "removed the image d that was cut short",
    ]
