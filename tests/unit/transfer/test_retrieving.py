"""Which series are asked for, when and how, and what is remembered of it (R13, R15 to R18, R25, R29 to R31, R37)."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scanner_mover import clock
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind, Level, Service
from scanner_mover.moment import Moment
from scanner_mover.rules.outcomes import WaitsFor
from scanner_mover.rules.records import Attempt, ReportedSeries, SeriesMemory, Silence
from scanner_mover.rules.retrieving import PassLimits
from scanner_mover.scanner.inventory import ImageAnswer
from scanner_mover.scanner.retrieve import NothingRetrievableError, Sent
from scanner_mover.site.filing import Kept, SetAside
from scanner_mover.site.images import Images
from scanner_mover.site.verdict import DAMAGE, Reason
from scanner_mover.transfer.attempts import Attempts
from scanner_mover.transfer.job import Findings
from scanner_mover.transfer.retrieving import Retrieving, are_being_rewritten
from scanner_mover.transfer.study import Study
from tests.unit.transfer.made import NOW, SERIES, STUDY, ago, have, make_job, make_study, uids

REFUSED = Failure(Kind.REFUSED, "Failed: UnableToProcess").about(Service.MOVE, Level.SERIES)
DONE = Attempt(ago(60), True, False, 2, "6:")


@dataclass
class Console:
    """Sends what a test says; `queries` are the levels of the C-MOVEs and how many images each names."""

    root: Path
    sends: Iterable[str] = ()
    failure: Failure | None = None
    error: UnusableError | None = None
    sent_before_error: int = 0
    tries: int = 1
    lists: ImageAnswer = field(default_factory=lambda: ImageAnswer(frozenset(uids(6)), 6))
    set_aside: list[SetAside] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    queries: list[tuple[str, int]] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)
    listed: int = 0
    tried: list[str] = field(default_factory=list)

    def images(self, places: list[tuple[str, str]]) -> dict[tuple[str, str], ImageAnswer]:
        self.listed += 1
        return dict.fromkeys(places, self.lists)

    def attempt(
        self, study: str, series: str, queries: Callable[[], Any], retries: int, sent: Sent, reported: Any
    ) -> None:
        self.retries.append(retries)
        self.tried.append(series)
        for _ in range(self.tries):
            for query in queries():
                names = dict(query.values).get("sop_instance_uids", "")
                self.queries.append((query.level.value, len(names.split("\\")) if names else 0))
                sent.moves += self.error is None
            have(self.root, self.sends)
        sent.moves += self.sent_before_error
        if self.error is not None:
            raise self.error
        sent.failure, sent.set_aside, sent.kept = self.failure, self.set_aside, self.kept


class Pass:
    """One pass over the study, with what was remembered of its series."""

    def __init__(self, root: Path, memory: SeriesMemory | None = None, *reported: ReportedSeries, **more: Any) -> None:
        self.lines: list[str] = []
        self.console = Console(root)
        self.findings = Findings({})
        self.saves = 0
        self.study: Study = make_study(
            root, *(reported or [ReportedSeries(SERIES, 6)]), series={SERIES: memory} if memory else {}
        )
        self.job = make_job(root, self.lines, keep_state=self.save, **more)
        console: Any = self.console
        self.attempts = Attempts(self.job, self.findings, console, console, PassLimits(2))
        self.retrieving = Retrieving(self.job, self.findings, self.attempts)

    def save(self) -> None:
        self.saves += 1

    def run(self) -> SeriesMemory:
        self.retrieving.study(self.study)
        return self.study.series[SERIES].memory


@pytest.fixture(autouse=True)
def at(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def made(tmp_path) -> Callable[..., Pass]:
    return lambda *arguments, **more: Pass(tmp_path, *arguments, **more)


# How


def test_R15_the_first_time_the_whole_series_is_asked_for(made):
    one = made()
    one.console.sends = uids(6)
    memory = one.run()
    assert one.console.queries == [("SERIES", 0)] and one.console.listed == 0
    assert memory.retrieved and memory.fruitless == 0 and memory.largest == 6
    assert one.lines[-1] == f"{STUDY}/{SERIES}, we do have 6 of 6"
    assert one.findings.moves_sent == 1 and one.findings.attempted == {(STUDY, SERIES)}
    assert one.saves == 2, "that it is retrieved, and what came: a kill from here on does not make us ask again"
    kept = one.findings.memory[STUDY].series[SERIES].attempt
    assert kept is not None and kept.at == NOW


def test_R30_the_second_time_only_what_is_missing_is_asked_for(made, tmp_path):
    have(tmp_path, uids(4))
    one = made(SeriesMemory(attempt=DONE._replace(at=ago(3000)), received=4, largest=4))
    one.run()
    assert one.console.queries == [("IMAGE", 2)]
    assert f"{STUDY}/{SERIES}, asking for what is missing: 2 images" in one.lines


def test_R30_a_retry_asks_for_what_did_not_come_at_the_first_try(made):
    one = made()
    one.console.sends, one.console.tries = uids(3), 2
    one.run()
    assert one.console.queries == [("SERIES", 0), ("IMAGE", 3)]


@pytest.mark.parametrize("names", [uids(6), [*uids(4), "no uid", "SECRET^JOHN"]])
def test_R30_R31_when_nothing_can_be_asked_for_by_name_that_counts_as_an_attempt(made, tmp_path, names):
    """The scanner tells more images than it lists, or lists names that are no UIDs: both can last for ever."""
    have(tmp_path, uids(6) if "no uid" not in names else uids(4))
    known = SeriesMemory(attempt=DONE._replace(at=ago(3000), basis="8:"), received=6, largest=6)
    one = made(known, ReportedSeries(SERIES, 8))
    one.console.lists = ImageAnswer(frozenset(names), len(names))
    memory = one.run()
    assert one.console.queries == [] and memory.attempt is not None and memory.attempt.at == NOW
    assert any("nothing is asked for" in line for line in one.lines)
    again = made(memory._replace(fruitless=2), ReportedSeries(SERIES, 8))
    assert again.run().attempt == memory.attempt and again.console.listed == 0, "and waits as any other"


# When


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (SeriesMemory(attempt=DONE, received=2, largest=2), "asked for a moment ago"),
        (SeriesMemory(attempt=DONE, received=1, largest=2), "asked for a moment ago"),
        (SeriesMemory(attempt=DONE._replace(judged=True), received=2, largest=2, fruitless=4), "4 attempts brought"),
        (SeriesMemory(attempt=DONE._replace(before=2), received=2, largest=2, fruitless=3), "4 attempts brought"),
    ],
)
def test_R18_R29_it_waits_between_attempts(made, tmp_path, memory, words):
    have(tmp_path, uids(2))
    one = made(memory)
    one.run()
    assert one.console.queries == [] and words in one.lines[1]
    left = one.retrieving.seconds_left(one.study)
    assert left == (60 if memory.fruitless < 2 else 480 - 60)


def test_R29_by_hand_it_does_not_wait(made, tmp_path):
    have(tmp_path, uids(2))
    one = made(SeriesMemory(attempt=DONE._replace(judged=True), received=2, largest=2, fruitless=4), by_hand=True)
    one.run()
    assert one.console.queries == [("IMAGE", 4)]


def test_R29_a_scanner_that_sends_nothing_at_all_is_not_asked_for_a_series_that_was_asked_for(made):
    one = made(SeriesMemory(attempt=DONE._replace(at=ago(3000), before=0)))
    one.findings.silence = Silence(2, ago(10))
    one.run()
    assert one.console.queries == [] and one.lines[-1].endswith("the scanner sends nothing at all")
    assert one.retrieving.seconds_left(one.study) == 110
    new = made()
    new.findings.silence = Silence(2, ago(10))
    assert new.retrieving.seconds_left(new.study) == 0, "a study that was never asked for does not wait"
    new.run()
    assert new.console.queries == [("SERIES", 0)]


OLD = DONE._replace(at=ago(3000), before=0)
NEW_SERIES = f"{STUDY}.2"


def test_R29_a_new_series_of_a_study_of_which_all_that_was_asked_for_arrived_does_not_wait(made, tmp_path):
    """Other studies may be what the scanner cannot send."""
    have(tmp_path, uids(6))
    arrived = SeriesMemory(attempt=OLD, largest=6, received=6, complete=True)
    one = made(arrived, ReportedSeries(SERIES, 6), ReportedSeries(NEW_SERIES, 6))
    one.findings.silence = Silence(2, ago(10))
    assert one.retrieving.seconds_left(one.study) == 0
    one.run()
    assert one.console.queries == [("SERIES", 0)]


def test_R29_the_one_attempt_of_a_pause_goes_to_the_series_that_was_never_asked_for(made):
    one = made(SeriesMemory(attempt=OLD), ReportedSeries(SERIES, 6), ReportedSeries(NEW_SERIES, 6))
    one.findings.silence = Silence(2, ago(10))
    one.run()
    assert one.console.queries == [], "a study of which nothing arrived waits for the end of the pause"
    one.findings.silence = Silence(2, ago(3000))
    one.run()
    assert one.console.queries == [("SERIES", 0)]
    assert one.study.series[NEW_SERIES].memory.attempt.at == NOW
    assert one.study.series[SERIES].memory.attempt.at == OLD.at


def test_R29_a_series_that_cannot_even_be_asked_for_does_not_keep_its_turn(made):
    """Its folder cannot be made, say: the next one of the study has the attempt."""
    one = made(SeriesMemory(attempt=OLD), ReportedSeries(SERIES, 6), ReportedSeries(NEW_SERIES, 6))
    one.findings.silence = Silence(2, ago(3000))
    one.console.error = UnusableError("its folder cannot be made")
    one.run()
    assert one.study.series[NEW_SERIES].memory.attempt is None
    assert one.console.tried == [NEW_SERIES, SERIES]
    assert one.findings.missing


def test_R37_of_a_series_without_an_image_nothing_is_asked_for(made):
    one = made(None, ReportedSeries(SERIES))
    listed = one.attempts.list_images(one.study, one.study.series[SERIES])
    assert listed is not None
    one.console.lists = ImageAnswer()
    one.attempts.list_images(one.study, one.study.series[SERIES])
    one.run()
    assert one.console.queries == []


def test_R25_a_study_that_takes_long_lets_others_go_first(made, monkeypatch):
    one = made(None, ReportedSeries(SERIES, 6), ReportedSeries(f"{STUDY}.2", 6))
    one.job = one.attempts.job = replace(one.job, requests=[*one.job.requests, *one.job.requests])
    one.retrieving = Retrieving(one.job, one.findings, one.attempts)
    times = iter([0.0, 0.0, 700.0])
    fake = SimpleNamespace(monotonic=lambda: next(times), time=time.time)
    monkeypatch.setattr("scanner_mover.transfer.retrieving.time", fake)
    one.run()
    assert len(one.console.queries) == 1 and one.lines[-1].endswith("left to the next pass: other studies wait")


def test_a_dry_run_says_what_it_would_ask_for(made):
    one = made(dry_run=True)
    one.run()
    assert one.console.queries == []
    assert one.lines[-1] == f"would pull series {STUDY} {SERIES} from 127.0.0.1 : 104"


@pytest.mark.parametrize(
    ("expected", "empty", "waits"),
    [
        (6, {"a": 0.0}, False),
        (6, {"a": 990.0}, True),
        (7, {"a": 990.0}, False),
        (None, {"a": 990.0}, False),
        (6, {}, False),
    ],
)
def test_R13_only_files_of_0_bytes_that_are_fresh_may_be_written_by_another_program(tmp_path, expected, empty, waits):
    series = make_study(tmp_path, ReportedSeries(SERIES, 6)).series[SERIES]
    count = series.count._replace(expected=expected, received=5)
    series = replace(series, count=count, here=Images(frozenset(uids(5)), empty))
    assert are_being_rewritten(series, 60, 1000.0) is waits


# What came of it


def test_R17_a_C_MOVE_that_fails_is_a_fault_and_is_remembered(made):
    one = made()
    one.console.failure = REFUSED
    memory = one.run()
    assert memory.error == REFUSED.text and memory.attempt is not None and not memory.attempt.succeeded
    assert [fault.cause for fault in one.findings.faults] == [REFUSED]
    assert one.study.error == REFUSED.text and one.study.memory.failed_at is not None


def test_R30_what_is_refused_by_name_is_asked_for_as_a_series_next_time(made, tmp_path):
    have(tmp_path, uids(2))
    one = made(SeriesMemory(attempt=DONE._replace(at=ago(3000)), received=2, largest=2))
    one.console.failure = REFUSED
    assert one.run().names_refused
    assert "sends no single images" in "".join(one.lines)


def test_after_an_end_of_the_pass_nothing_else_is_asked_for(made):
    one = made(None, ReportedSeries(SERIES, 6), ReportedSeries(f"{STUDY}.2", 6))
    one.console.failure = Failure(Kind.UNKNOWN_DESTINATION, "Refused: MoveDestinationUnknown").about(Service.MOVE)
    one.run()
    assert len(one.console.queries) == 1
    assert one.study.series[f"{STUDY}.2"].memory.error == "Refused: MoveDestinationUnknown"


def test_while_it_is_retrieved_that_is_kept_for_status(made):
    one = made()
    one.console.sends = uids(6)
    one.run()
    memory = one.findings.memory[STUDY]
    assert (memory.waits_for, memory.waits_text, memory.next_try) == (WaitsFor.RETRIEVE, "retrieving", None)


def test_R29_an_attempt_of_which_nothing_was_sent_counts_nothing(made):
    one = made()
    one.console.error = NothingRetrievableError("no room")
    memory = one.run()
    assert memory.attempt is None and memory.error == "no room" and not memory.retrieved
    assert one.attempts.why_none(one.study) == "no room" and one.saves == 1
    assert [str(fault.cause) for fault in one.findings.faults] == ["no room"]


def test_R29_one_that_was_cut_short_by_a_full_disk_counts(made):
    one = made()
    one.console.error, one.console.sent_before_error = NothingRetrievableError("no room"), 1
    memory = one.run()
    assert memory.attempt is not None and (memory.attempt.succeeded, memory.attempt.error) == (False, "no room")
    assert one.findings.moves_sent == 1 and one.findings.attempted == {(STUDY, SERIES)}


def test_R29_a_state_that_cannot_be_written_keeps_us_from_asking(made):
    one = made(unusable="the state file cannot be written")
    assert one.run().error == "the state file cannot be written"
    assert one.console.queries == []


@pytest.mark.parametrize(
    ("reason", "sends", "words"),
    [
        (Reason.DAMAGED, (), "set aside"),
        (Reason.NOT_REQUESTED, (), "another StudyInstanceUID"),
        (Reason.NOT_REQUESTED, uids(2), None),
        (Reason.OTHER_SERIES, (), "another SeriesInstanceUID"),
        (Reason.OTHER_SERIES, uids(2), "another SeriesInstanceUID"),
    ],
)
def test_R29_what_was_set_aside_is_told_unless_strangers_sent_it(made, reason, sends, words):
    one = made()
    one.console.sends = sends
    one.console.set_aside = [SetAside("path", reason, "its words", None, None, None)]
    one.run()
    texts = [fault.cause.text for fault in one.findings.faults]
    assert [words in text for text in texts] == ([] if words is None else [True])


@pytest.mark.parametrize(
    ("study", "sends", "words"),
    [
        (STUDY, (), "are not whole"),
        (STUDY, uids(2), "are not whole"),
        (None, uids(2), "are not whole"),
        ("no uid", uids(2), "are not whole"),
        ("1.2.3", uids(2), None),
        ("1.2.3", (), "another StudyInstanceUID"),
    ],
)
@pytest.mark.parametrize("reason", sorted(DAMAGE, key=lambda one: one.name))
def test_R31_damaged_files_of_strangers_are_no_damage_of_what_was_asked_for(made, reason, study, sends, words):
    one = made()
    one.console.sends = sends
    one.console.set_aside = [SetAside("path", reason, "its words", study, None, None)]
    one.run()
    texts = [fault.cause.text for fault in one.findings.faults]
    assert [words in text for text in texts] == ([] if words is None else [True])


def test_images_that_cannot_be_moved_end_the_study(made):
    one = made(None, ReportedSeries(SERIES, 6), ReportedSeries(f"{STUDY}.2", 6))
    one.console.kept = [Kept("name", "it cannot be moved", STUDY, SERIES)]
    one.run()
    assert len(one.console.queries) == 1 and one.study.error == "it cannot be moved"


# R31


def test_R31_a_series_of_which_nothing_arrives_is_told_with_what_is_missing(made, tmp_path):
    have(tmp_path, uids(4))
    failed = DONE._replace(judged=True, before=4, succeeded=False, error="Warning: 0xB000", refused=("RawDataStorage",))
    one = made(SeriesMemory(attempt=failed, fruitless=3, largest=4, first_missing=tuple(uids(6)[4:])))
    one.run()
    (fault,) = one.findings.faults
    stuck = fault.cause
    assert (stuck.received, stuck.expected, stuck.error, stuck.refused) == (
        4,
        6,
        "Warning: 0xB000",
        ("RawDataStorage",),
    )
    assert stuck.first_missing == tuple(uids(6)[4:])


@pytest.mark.parametrize("change", [{"by_hand": False}, {"dry_run": True}])
def test_R31_before_the_third_time_and_in_a_dry_run_nothing_is_told(made, change):
    one = made(SeriesMemory(attempt=DONE._replace(judged=True), fruitless=3 if "dry_run" in change else 2), **change)
    one.run()
    assert one.findings.faults == []


def test_R31_by_hand_it_is_told_at_once(made):
    one = made(by_hand=True)
    one.run()
    assert [fault.group for fault in one.findings.faults] == [f"stuck {STUDY} {SERIES}"]


def test_moments_of_another_boot_wait_for_nothing(made):
    one = made(SeriesMemory(attempt=DONE._replace(at=Moment("earlier boot", 5.0)), fruitless=6))
    assert one.retrieving.seconds_left(one.study) == 0
