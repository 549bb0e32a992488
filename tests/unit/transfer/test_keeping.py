"""What a pass finds goes into the state, also while the pass goes on (R29)."""

import json
from pathlib import Path

import pytest

from scanner_mover import signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.errors import Ended
from scanner_mover.moment import Moment
from scanner_mover.rules.outcomes import Outcome, Procedure
from scanner_mover.rules.records import Silence, StudyMemory
from scanner_mover.site import disk
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.state import State, load
from scanner_mover.transfer.frame import Frame, Place, View
from scanner_mover.transfer.history import study_from_json, to_json
from scanner_mover.transfer.keeping import Keeper
from scanner_mover.transfer.report import ClosedRequest, SeriesReport, StudyReport

STUDY, OTHER = "1.2.3", "1.2.4"


@pytest.fixture
def frame(tmp_path) -> Frame:
    return made(tmp_path)


def made(root: Path, *studies: str, dry_run: bool = False) -> Frame:
    Path(root, ".pids").mkdir(exist_ok=True)
    options = MoveOptions(studies=studies, dry_run=dry_run)
    frame = Frame(options, Place("ABCD", ServerFolders(str(root), "ABCD")), View())
    frame.may_write = not dry_run
    return frame


def in_file(frame: Frame) -> State:
    state, problem = load(frame.server.state)
    assert problem is None
    return state


def test_a_pass_with_work_to_do_says_that_it_runs(frame):
    keeper = Keeper(frame, {STUDY})
    assert keeper.begin() is None
    assert in_file(frame).running_since is not None


def test_a_state_that_cannot_be_written_is_said_before_anything_is_asked_for(frame):
    Path(frame.server.state).mkdir()
    problem = Keeper(frame, {STUDY}).begin()
    assert problem is not None and "cannot be written" in str(problem)


def test_R27_a_signal_while_the_state_is_written_leaves_nothing_behind(frame, monkeypatch, sigterm):
    """It comes while half of the file is written, and ends the pass later."""
    dump = disk.json.dump

    def dump_while_a_signal_comes(value, file):
        file.write(" ")
        sigterm()
        dump(value, file)

    monkeypatch.setattr(disk.json, "dump", dump_while_a_signal_comes)
    assert Keeper(frame, {STUDY}).begin() is None
    with pytest.raises(Ended):
        signals.check()
    assert in_file(frame).running_since is not None
    assert [path.name for path in Path(frame.server.pids).iterdir()] == [Path(frame.server.state).name]


def test_a_dry_run_writes_nothing(tmp_path):
    frame = made(tmp_path, dry_run=True)
    keeper = Keeper(frame, {STUDY})
    assert keeper.begin() is None
    keeper.now_and_then()
    assert not Path(frame.server.state).exists()


def test_R29_what_was_asked_for_is_in_the_file_while_the_pass_goes_on(frame):
    keeper = Keeper(frame, {STUDY})
    keeper.begin()
    keeper.findings.memory[STUDY] = StudyMemory(error="no")
    keeper.findings.moves_sent = 3
    keeper._next_save = 0.0
    keeper.now_and_then()
    kept = in_file(frame)
    assert study_from_json(kept.requests[STUDY]) == StudyMemory(error="no")
    assert kept.moves_sent == 3 and kept.running_since is not None


def test_it_is_not_written_so_often_that_a_pass_takes_longer(frame, monkeypatch):
    keeper = Keeper(frame, {STUDY})
    now = [100.0]
    saves = []

    def save():
        saves.append(now[0])
        now[0] += 2  # a slow disk

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(frame, "save_state", save)
    keeper.begin()
    for _ in range(100):
        now[0] += 1
        keeper.now_and_then()
    assert len(saves) == 3, "2 seconds of 40"


def test_what_is_counted_is_counted_once_however_often_it_is_taken(frame):
    frame.state.moves_sent, frame.state.failed_pulls = 10, 1
    keeper = Keeper(frame, {STUDY})
    findings = keeper.findings
    findings.moves_sent, findings.images_received, findings.fruitless_moves = 2, 7, 1
    series = (SeriesReport("1", 2, 1, False, True, "no"), SeriesReport("2", 2, 1, False, False, "no"))
    findings.reports.append(StudyReport(STUDY, Outcome.WAITING, series, Procedure.ENDED, None))
    findings.closed.append(ClosedRequest(STUDY, False, "late", (), "raw"))
    findings.closed.append(ClosedRequest(OTHER, True, None, (), "raw"))
    for _ in range(3):
        keeper.take()
    kept = frame.state
    assert (kept.moves_sent, kept.images_received, kept.fruitless_moves) == (12, 7, 1)
    assert (kept.failed_pulls, kept.failed_requests) == (2, 1)


@pytest.mark.parametrize(("by_hand", "kept"), [((), [STUDY]), ((STUDY,), [STUDY, OTHER])])
def test_studies_that_are_not_requested_any_more_are_forgotten_but_not_by_a_pass_over_one(tmp_path, by_hand, kept):
    frame = made(tmp_path, *by_hand)
    frame.state.requests = {uid: to_json(StudyMemory()) for uid in (STUDY, OTHER)}
    keeper = Keeper(frame, {STUDY})
    keeper.take()
    assert sorted(frame.state.requests) == kept


def test_what_is_known_of_the_scanner_is_kept(frame):
    silence = Silence(3, Moment("boot", 5.0))
    frame.state.silence = json.loads(json.dumps(to_json(silence)))
    keeper = Keeper(frame, {STUDY})
    assert keeper.findings.silence == silence
    keeper.findings.silence, keeper.findings.scanner_down = None, True
    keeper.take()
    assert frame.state.silence is None and frame.state.scanner_down


# R29: what was lost


def test_R29_a_state_that_is_broken_for_a_study_is_said_and_that_study_is_not_asked_for_at_once(frame):
    frame.state.requests = {STUDY: "text", OTHER: to_json(StudyMemory())}
    lines: list[str] = []
    frame.log.echo = lines.append
    keeper = Keeper(frame, {STUDY, OTHER})
    keeper.begin()
    assert lines == [f"the state file {frame.server.state} is broken for {STUDY}; going on without it"]
    assert keeper.forgotten == {STUDY} and set(keeper.findings.memory) == {OTHER}


def test_R29_of_a_state_that_is_broken_as_a_whole_every_study_is_forgotten(frame):
    frame.state_problem = "it is broken"
    assert Keeper(frame, {STUDY, OTHER}).forgotten == {STUDY, OTHER}


def test_a_first_pass_has_forgotten_nothing(frame):
    assert Keeper(frame, {STUDY, OTHER}).forgotten == frozenset()
