"""Receiving during a pass: what is waited for at its end (R41), and what a killed pass left (R27)."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from scanner_mover import signals
from scanner_mover.errors import Ended, UnusableError
from scanner_mover.rules.records import Attempt, SeriesMemory, StudyMemory
from scanner_mover.rules.retrieving import PassLimits
from scanner_mover.site.filing import Filed, Kept, SetAside
from scanner_mover.site.verdict import Reason
from scanner_mover.transfer import receiving
from scanner_mover.transfer.attempts import Attempts
from scanner_mover.transfer.job import Findings
from tests.unit.transfer.made import NOW, SERIES, STUDY, have, make_job, uids

SENT = SeriesMemory(expected=3, received=1, attempt=Attempt(NOW, True, False, 0, "3:"))


class Receiver:
    """Says what it was asked to do."""

    def __init__(self) -> None:
        self.running = True
        self.did: list[str] = []
        self.until: Any = None
        self.error: UnusableError | None = None
        self.on_end: Callable[[], None] = lambda: None

    def listen_on(self, quiet: float, most: float, until: Any) -> Filed:
        self.did.append(f"listen on {quiet:.0f} {most:.0f}")
        self.until = until
        return Filed()

    def end(self) -> Filed:
        self.did.append("end")
        with signals.deferred():
            self.on_end()
        if self.error is not None:
            raise self.error
        return Filed(kept=(Kept("x", "it cannot be moved", STUDY, SERIES),))


@pytest.fixture
def left(monkeypatch) -> list[Filed]:
    filed: list[Filed] = [Filed()]
    monkeypatch.setattr(receiving, "file_left_over", lambda *about: filed[0])
    return filed


def attempts(root, memory: SeriesMemory | None = None, attempted: bool = True, **more: Any) -> Attempts:
    findings = Findings({STUDY: StudyMemory(series={SERIES: memory} if memory else {})})
    if attempted:
        findings.attempted.add((STUDY, SERIES))
    nobody: Any = None
    return Attempts(make_job(root, **more), findings, nobody, nobody, PassLimits(0))


def go(receiver: Receiver | None, made: Attempts) -> None:
    any_receiver, tools = receiver, None
    with receiving.receiving(any_receiver, made, tools):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize(
    ("memory", "attempted", "late"),
    [
        (SENT, True, True),
        (SENT, False, False),
        (SENT._replace(complete=True), True, False),
        (SeriesMemory(), True, False),
        (SENT._replace(attempt=Attempt(NOW, False, False, 0, "")), True, False),
    ],
)
def test_R41_only_for_a_C_MOVE_of_this_pass_that_said_success_is_it_listened_on(
    tmp_path, left, memory, attempted, late
):
    receiver = Receiver()
    go(receiver, attempts(tmp_path, memory, attempted, settle_seconds=2, retrieve_stall_seconds=300))
    assert receiver.did == (["listen on 5 300", "end"] if late else ["end"])


def test_R41_when_all_images_are_here_nothing_more_is_waited_for(tmp_path, left):
    receiver = Receiver()
    go(receiver, attempts(tmp_path, SENT, settle_seconds=9))
    assert receiver.did[0].startswith("listen on 9")
    assert not receiver.until()
    have(tmp_path, uids(2))
    assert not receiver.until()
    have(tmp_path, uids(3))
    assert receiver.until()


def test_a_receiver_that_does_not_run_hears_nothing(tmp_path, left):
    receiver = Receiver()
    receiver.running = False
    go(receiver, attempts(tmp_path, SENT))
    assert receiver.did == ["end"]


def test_whatever_happens_it_is_ended_and_what_cannot_be_filed_is_told(tmp_path, left):
    receiver, made = Receiver(), attempts(tmp_path)
    with suppress(KeyError), receiving.receiving(receiver, made, None):  # type: ignore[arg-type]
        raise KeyError
    assert receiver.did == ["end"]
    assert [fault.content for fault in made.findings.faults] == ["it cannot be moved"]
    receiver.error = UnusableError("no disk")
    go(receiver, made)
    assert made.findings.faults[-1].content == "no disk"


def test_R27_a_signal_loses_nothing_of_what_its_end_filed(tmp_path, left, sigterm):
    receiver, made = Receiver(), attempts(tmp_path)
    taken = []
    made.take = lambda *filed: taken.append(filed)  # type: ignore[method-assign]
    receiver.on_end = sigterm
    with pytest.raises(Ended):
        go(receiver, made)
    assert [kept.name for _, files in taken[1:] for kept in files] == ["x"]


def test_R27_what_a_kill_cut_short_is_no_fault(tmp_path, left):
    def aside(reason: Reason) -> SetAside:
        return SetAside("path", reason, "words", None, None, None)

    left[0] = Filed(set_aside=(aside(Reason.DAMAGED), aside(Reason.CUT_SHORT)))
    made = attempts(tmp_path)
    go(None, made)
    assert made.findings.faults == []


def test_a_dry_run_leaves_what_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(receiving, "file_left_over", None)
    go(None, attempts(tmp_path, dry_run=True))


def test_left_over_images_that_cannot_be_filed_are_told_and_the_pass_goes_on(tmp_path, monkeypatch):
    def fails(*about: object) -> Filed:
        raise UnusableError("no disk")

    monkeypatch.setattr(receiving, "file_left_over", fails)
    made = attempts(tmp_path)
    go(None, made)
    assert [fault.content for fault in made.findings.faults] == ["no disk"]
