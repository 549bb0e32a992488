"""One attempt to retrieve a series: what is looked at before, sent, filed and said, in which order (R16, R17, R30)."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scanner_mover.config import Settings
from scanner_mover.dcmtk.dump2dcm import Query, move_of_series, moves_of_images
from scanner_mover.dcmtk.movescu import MoveResult
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind, Level, Service
from scanner_mover.scanner import retrieve, retry
from scanner_mover.scanner.retrieve import NothingRetrievableError, Retriever, Sent
from scanner_mover.site.filing import Filed, Kept, SetAside
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.verdict import Reason

STUDY = "1.2.826.0.1.3680043.10.1561.7"
SERIES = f"{STUDY}.1"
WHOLE = move_of_series(STUDY, SERIES)
SOME = next(iter(moves_of_images(STUDY, SERIES, ["1.2.3"])))
REFUSED = Failure(Kind.REFUSED, "Failed: UnableToProcess").about(Service.MOVE)
BUSY = Failure(Kind.BUSY, "try later").about(Service.MOVE)
BROKEN = Failure(Kind.INTERRUPTED, "Peer aborted Association").about(Service.MOVE)
PULLED = f"pull series {STUDY} {SERIES} from 127.0.0.1 : 104"
SUCCEEDED = f"C-MOVE {STUDY} {SERIES}: Success (1.5 s)"
DONE = MoveResult(True, "Success", None, 1.5)


def failed(failure: Failure, *, sent: bool = True) -> MoveResult:
    return MoveResult(sent, failure.text, failure, 1.5)


class Attempt:
    """An attempt whose C-MOVEs end as `results` say, one after the other. `did` has all that is done, in that order;
    the clock moves only while something sleeps or takes time on purpose.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.folders = DataFolders(str(root / "data"))
        self.settings = Settings("ABCD", "config.json", "data", "127.0.0.1", 104, "CONSOLE", "MOVER", 4006)
        self.settings = self.settings._replace(reserve_bytes=0, settle_seconds=5.0)
        self.now = 1000.0
        self.did: list[str] = []
        self.results = [DONE]
        self.during: Callable[[dict[str, Any]], None] = lambda given: None
        self.receives = True
        self.errors: dict[str, UnusableError] = {}
        self.filed = Filed()
        self.filing_seconds = 0.0
        self.died: str | None = None
        self.refuses: tuple[str, ...] = ()
        self.sent = Sent()
        patch.setattr(retrieve, "time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr(retrieve, "signals", SimpleNamespace(sleep=self._sleep))
        patch.setattr(retry, "signals", SimpleNamespace(sleep=lambda seconds: self.did.append("again")))
        patch.setattr(retrieve.movescu, "move", self._move)

    def run(self, *queries: Query, asked: Callable[[], list[Query]] | None = None, retries: int = 0) -> Failure | None:
        shown: Any = self
        receiver = shown if self.receives else None
        files: Any = SimpleNamespace(file=lambda query: query.level.value)
        tools: Any = None
        retriever = Retriever(tools, self.settings, self.folders, files, receiver, self.did.append, shown)
        retriever.attempt(STUDY, SERIES, asked or (lambda: list(queries) or [WHOLE]), retries, self.sent, [SERIES])
        return self.sent.failure

    def _sleep(self, seconds: float) -> None:
        self.did.append(f"sleep {max(0.0, seconds):g}")
        self.now += max(0.0, seconds)

    def _move(self, tools: Any, settings: Settings, query: str, **given: Any) -> MoveResult:
        self.did.append(f"move {query}")
        self.during(given)
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]

    # As what shows the retrieving

    def retrieving(self, study: str, series: str) -> None:
        self.did.append(f"retrieving {series}")

    def image(self) -> None:
        self.did.append("image")

    # As a receiver

    def need_place(self, study: str, series: str) -> None:
        self._do(f"place for {series}")

    def expect(self, study: str, reported: Any) -> None:
        self._do(f"expect {' '.join(reported)}")

    def start(self) -> None:
        self._do("start")

    def need_room(self) -> None:
        self._do("room")

    def why_it_died(self) -> str | None:
        return self.died

    def refused(self) -> tuple[str, ...]:
        return self.refuses

    def file(self) -> Filed:
        self._do("file")
        self.now += self.filing_seconds
        return self.filed

    def growth(self) -> tuple[int, int]:
        return 3, 300

    def _do(self, what: str) -> None:
        self.did.append(what)
        if what in self.errors:
            raise self.errors[what]


@pytest.fixture
def attempt(tmp_path, monkeypatch) -> Attempt:
    return Attempt(tmp_path, monkeypatch)


# One C-MOVE


def test_R16_before_a_C_MOVE_all_that_it_needs_is_seen_to_and_after_it_the_console_rests(attempt):
    assert attempt.run() is None
    assert attempt.did[:5] == [f"place for {SERIES}", f"expect {SERIES}", "room", "start", "room"]
    assert attempt.did[5:] == [PULLED, f"retrieving {SERIES}", "move SERIES", SUCCEEDED, "file", "sleep 5"]
    assert attempt.sent == Sent(moves=1)


def test_where_another_program_receives_only_the_room_is_seen_to(attempt):
    attempt.receives = False
    assert attempt.run() is None
    assert attempt.did == [PULLED, f"retrieving {SERIES}", "move SERIES", SUCCEEDED, "sleep 5"]


@pytest.mark.parametrize(("filing", "rest"), [(0.0, "5"), (2.0, "3"), (7.0, "0")])
def test_R16_what_is_filed_meanwhile_is_part_of_the_pause(attempt, filing, rest):
    attempt.filing_seconds = filing
    attempt.run()
    assert attempt.did[-1] == f"sleep {rest}"


def test_R16_after_a_C_MOVE_that_was_not_sent_there_is_no_pause(attempt):
    attempt.results = [failed(REFUSED, sent=False)]
    assert attempt.run() is not None
    assert attempt.did[-1] == "file" and attempt.sent.moves == 0


def test_what_came_and_was_not_filed_is_given_back_of_all_C_MOVEs(attempt):
    aside = SetAside("path", Reason.DAMAGED, "its words", None, None, None)
    kept = Kept("x", "it cannot be moved", STUDY, SERIES)
    attempt.filed = Filed(set_aside=(aside,), kept=(kept,))
    attempt.run(SOME, SOME)
    assert attempt.sent == Sent(2, [aside, aside], [kept, kept])


@pytest.mark.parametrize("receives", [True, False])
def test_the_images_that_arrive_are_the_progress_of_a_C_MOVE(attempt, receives):
    folder = Path(attempt.folders.series(STUDY, SERIES))
    seen: list[tuple[int, int]] = []

    def images_arrive(given: dict[str, Any]) -> None:
        seen.append(given["progress"]())
        folder.mkdir(parents=True)
        for name, content in (("1.2.3", "image"), ("1.2.4", "more")):
            (folder / name).write_text(content)
        seen.append(given["progress"]())
        given["on_response"]()

    attempt.receives, attempt.during = receives, images_arrive
    attempt.run()
    assert seen == ([(3, 300), (3, 300)] if receives else [(0, 0), (2, 9)])
    assert attempt.did[attempt.did.index("move SERIES") + 1] == "image"


def test_a_C_MOVE_that_goes_on_says_so_once_a_minute_and_looks_for_room(attempt):
    def goes_on(given: dict[str, Any]) -> None:
        for seconds in (0, 59, 1, 30, 29, 1):
            attempt.now += seconds
            given["while_running"]()

    attempt.during = goes_on
    attempt.run()
    begin = attempt.did.index("move SERIES") + 1
    said = [f"C-MOVE {STUDY} {SERIES} goes on ({seconds} s)" for seconds in (60, 120)]
    assert attempt.did[begin : begin + 8] == ["room", "room", "room", said[0], "room", "room", "room", said[1]]


# What fails


def test_R17_the_failure_is_given_back_with_its_level_and_nothing_else_is_sent(attempt):
    attempt.results = [DONE, failed(REFUSED)]
    failure = attempt.run(WHOLE, SOME, SOME)
    assert failure == REFUSED.about(level=Level.IMAGE) and attempt.sent.moves == 2
    assert f"C-MOVE {STUDY} {SERIES} failed: {REFUSED.text} (1.5 s)" in attempt.did


@pytest.mark.parametrize(
    ("results", "retries", "left", "moves"),
    [
        ([failed(BUSY, sent=False), DONE], 2, None, 1),
        ([failed(BUSY)], 2, BUSY, 3),
        ([failed(BUSY)], 0, BUSY, 1),
        ([failed(BUSY), failed(REFUSED)], 2, REFUSED, 2),
        ([failed(REFUSED), DONE], 2, REFUSED, 1),
    ],
)
def test_R17_only_what_may_be_gone_in_a_moment_is_tried_again(attempt, results, retries, left, moves):
    attempt.results = results
    failure = attempt.run(retries=retries)
    assert failure == (None if left is None else left.about(level=Level.SERIES)) and attempt.sent.moves == moves


def test_R30_each_try_asks_anew_for_what_is_to_be_sent(attempt):
    """What arrived at the first one is not asked for twice."""
    attempt.results = [failed(BROKEN), DONE]
    tries = iter([[WHOLE], [SOME]])
    assert attempt.run(asked=lambda: next(tries), retries=1) is None
    assert [line for line in attempt.did if line.startswith(("move", "again"))] == [
        "move SERIES",
        "again",
        "move IMAGE",
    ]
    assert any(line.startswith(f"C-MOVE failed: {BROKEN.text}; next try in ") for line in attempt.did)


def test_a_receiver_that_died_is_why_a_C_MOVE_failed_but_not_one_that_went_well(attempt):
    attempt.died = "storescp was ended by signal 9"
    assert attempt.run() is None
    attempt.results = [failed(BROKEN)]
    assert attempt.run() == Failure(Kind.KILLED, attempt.died).about(Service.MOVE, Level.SERIES)


def test_what_the_receiver_refused_is_part_of_the_failure(attempt):
    attempt.results, attempt.refuses = [failed(REFUSED.refusing(["RTPlanStorage"]))], ("MRImageStorage",)
    failure = attempt.run()
    assert failure is not None and failure.detail.refused == ("RTPlanStorage", "MRImageStorage")


# What cannot be used


@pytest.mark.parametrize("where", [f"place for {SERIES}", "start", "room"])
def test_what_cannot_be_received_is_not_asked_for(attempt, where):
    """A folder that cannot be made concerns one series; a port or a disk concerns them all."""
    attempt.errors[where] = UnusableError("no")
    with pytest.raises(UnusableError, match="no") as raised:
        attempt.run()
    assert isinstance(raised.value, NothingRetrievableError) is not where.startswith("place")
    assert attempt.sent == Sent() and not any("pull" in line or "move" in line for line in attempt.did)


def test_where_another_program_receives_too_little_room_ends_it_too(attempt):
    attempt.receives = False
    attempt.settings = attempt.settings._replace(reserve_bytes=1 << 60)
    with pytest.raises(NothingRetrievableError, match=r"reserve_bytes\) are free"):
        attempt.run()
    assert attempt.did == [] and attempt.sent == Sent()


def test_R29_a_disk_that_fills_up_while_images_arrive_ends_the_C_MOVE_which_counts(attempt):
    def fill(given: dict[str, Any]) -> None:
        attempt.errors["room"] = UnusableError("full")
        given["while_running"]()

    attempt.during = fill
    with pytest.raises(NothingRetrievableError, match="full"):
        attempt.run()
    assert attempt.sent == Sent(moves=1)


def test_images_that_cannot_be_filed_end_the_attempt_which_counts(attempt):
    attempt.errors["file"] = UnusableError("no disk")
    with pytest.raises(UnusableError, match="no disk"):
        attempt.run()
    assert attempt.sent.moves == 1


def test_a_folder_that_cannot_be_read_shows_no_progress(attempt):
    folder = Path(attempt.folders.series(STUDY, SERIES))
    os.makedirs(folder.parent)
    folder.symlink_to(folder.name)
    seen: list[Any] = []
    attempt.receives, attempt.during = False, lambda given: seen.append(given["progress"]())
    attempt.run()
    assert seen == [(0, 0)]
