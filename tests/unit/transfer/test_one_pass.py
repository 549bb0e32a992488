"""The frame of a pass: what is kept, told and released however its work ends (R7, R9, R27, R38)."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner_mover.arguments import MoveOptions
from scanner_mover.config import Settings
from scanner_mover.errors import (
    ConfigurationError,
    Ended,
    ExitStatus,
    LockHeldError,
    UnknownProjectError,
    UnusableError,
    UsageError,
)
from scanner_mover.failures import Failure, Kind
from scanner_mover.site.lock import Lock
from scanner_mover.site.state import State, load, save
from scanner_mover.transfer import notify, one_pass
from scanner_mover.transfer.faults import cut_short, fault
from scanner_mover.transfer.frame import Frame, View, place_of
from scanner_mover.transfer.one_pass import PassResult, run_pass
from scanner_mover.transfer.report import ClosedRequest, PassReport
from scanner_mover.transfer.reported import Change
from scanner_mover.transfer.work import Work
from tests.support.site import Site

STUDY = "1.2.3"
REPORT = PassReport("ABCD", "2026-01-31T12:00:00+01:00", 1.0, True, False, ())
DONE = Work(REPORT, requested=frozenset([STUDY]))
FINISHED = ClosedRequest(STUDY, True, None, (), "raw/1.2.3")
FAILED = ClosedRequest("1.2.4", False, "no images", (), "raw/1.2.4")
OFF = Failure(Kind.UNREACHABLE, "Connection refused")


class Passes:
    """Passes over a site whose work is what a test says."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self._patch = site, monkeypatch
        self.heard: list[str] = []
        monkeypatch.setattr(notify, "run_hooks", self._run_hooks)

    def _run_hooks(self, settings, events):
        self.heard += [one.text for one in events]
        return []

    def run(self, work: Callable[[Frame, Settings], Work] | None = None, **options) -> PassResult:
        if work is not None:
            self._patch.setattr(one_pass, "work", work)
        config, server = str(self.site.config_file), str(self.site.server)
        return run_pass(MoveOptions(config=config, server_dir=server, **options), "scanner-mover", View())

    def state(self) -> State:
        state, problem = load(str(self.site.state_file))
        assert problem is None
        return state


@pytest.fixture
def passes(tmp_path, monkeypatch) -> Passes:
    return Passes(Site(tmp_path), monkeypatch)


def is_free(site: Site) -> bool:
    lock = Lock()
    try:
        lock.file(str(site.lock_file))
    except LockHeldError:
        return False
    lock.release()
    return True


def raising(error: BaseException, *closed: ClosedRequest) -> Callable[[Frame, Settings], Work]:
    def work(frame: Frame, settings: Settings) -> Work:
        frame.open_log()
        frame.closed += closed
        raise error

    return work


def finding(*causes, closed=(), work: Work = DONE) -> Callable[[Frame, Settings], Work]:
    def done(frame: Frame, settings: Settings) -> Work:
        frame.open_log()
        frame.faults += map(fault, causes)
        frame.closed += closed
        return work

    return done


def test_a_pass_with_nothing_to_do(passes):
    result = passes.run()
    assert (result.exit_status, result.new, result.standing, result.raised) == (0, (), (), None)
    assert result.report is not None and result.report.enabled and result.report.studies == ()
    assert passes.site.messages() == ["move enabled, start getScans"]
    assert passes.state().exit_status == 0 and is_free(passes.site)


def test_R7_switched_off_it_says_so_and_does_nothing(passes):
    passes.site.switch(b"00")
    passes.site.request(STUDY)
    result = passes.run()
    assert result.exit_status == 0 and result.report is not None and not result.report.enabled
    assert passes.site.messages() == ["move disabled, start clearScans"]


def test_R9_while_another_pass_has_the_lock_nothing_is_done(passes):
    lock = Lock()
    passes.site.lock_file.parent.mkdir(parents=True)
    lock.file(str(passes.site.lock_file))
    with pytest.raises(LockHeldError):
        passes.run()
    lock.release()
    assert passes.site.log() == "" and not passes.site.state_file.exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"project": "OTHER"}, UnknownProjectError),
        ({"studies": ("no uid",)}, UsageError),
        ({"settle_seconds": -1}, UsageError),
        ({"give_up_after_seconds": float("nan")}, UsageError),
        ({"every_seconds": float("inf")}, UsageError),
    ],
)
def test_what_cannot_be_meant_leaves_nothing_behind(passes, options, error):
    with pytest.raises(error):
        passes.run(**options)
    assert not passes.site.server.exists()


def test_a_configuration_that_cannot_be_used_is_told_once(passes):
    passes.site.config(SCANNERPORT="x")
    result = passes.run()
    assert result.exit_status == ExitStatus.CONFIGURATION and result.report is None
    assert len(result.new) == 1 and "SCANNERPORT" in result.new[0].text
    again = passes.run()
    assert (again.new, again.standing) == ((), (result.new[0].text,))
    passes.site.config(SCANNERPORT=104)
    (line,) = passes.run().new
    assert line.ended and line.text.startswith("recovered after ")


@pytest.mark.parametrize("error", [UnusableError("no tools"), ConfigurationError("no key")])
def test_work_that_cannot_be_done_is_told_once(passes, error):
    for expected in ([Change(str(error), ended=False)], []):
        result = passes.run(raising(error))
        assert (result.exit_status, list(result.new), result.raised) == (error.exit_status, expected, None)
    assert passes.state().exit_status == error.exit_status and is_free(passes.site)


def test_R27_a_pass_that_is_ended_on_purpose_has_not_failed_and_ends_no_fault(passes):
    passes.run(finding(OFF))
    ended = Ended(signal.SIGTERM)
    result = passes.run(raising(ended))
    assert result.raised is ended and result.new == () and result.report is None
    state = passes.state()
    assert state.exit_status == 0 and state.running_since is None and len(state.faults) == 1
    assert "ended by signal 15; the next pass goes on" in passes.site.messages()
    assert is_free(passes.site)


def test_an_error_of_ours_is_given_back_and_counts_as_one(passes):
    error = KeyError("ours")
    result = passes.run(raising(error))
    assert result.raised is error and passes.state().exit_status == ExitStatus.INTERNAL
    assert is_free(passes.site)


@pytest.mark.parametrize("error", [Ended(signal.SIGTERM), KeyError("ours"), UnusableError("no tools")])
def test_R38_what_was_closed_before_the_end_is_told_whatever_ended_the_pass(passes, error):
    passes.site.config(on_finished=["/bin/true"], on_failed=["/bin/true"])
    result = passes.run(raising(error, FINISHED, FAILED))
    assert "study 1.2.4 failed: no images; its images are in raw/1.2.4" in [one.text for one in result.new]
    assert {one.study_instance_uid for one in result.closed} == {"1.2.3", "1.2.4"}
    if result.raised is None:
        assert [text for text in passes.heard if "study" in text]
    else:
        assert passes.heard == [] and len(passes.state().events) == 2, "the next pass runs the programs"
        passes.run(finding())
        assert len(passes.heard) == 2 and passes.state().events == []


def test_R38_a_request_that_failed_makes_the_exit_status(passes):
    result = passes.run(finding(OFF, closed=[FAILED]))
    assert result.exit_status == ExitStatus.REQUEST_FAILED
    assert passes.run(finding(OFF)).exit_status == ExitStatus.SCANNER


def test_of_many_faults_standard_error_gets_some_and_the_log_all(passes):
    causes = [cut_short(f"1.2.{number}", f"study 1.2.{number} is cut short") for number in range(9)]
    work = DONE._replace(requested=frozenset(f"1.2.{number}" for number in range(9)))
    result = passes.run(finding(*causes, work=work))
    assert len(result.new) == 6 and result.new[-1].text.startswith("and 4 more")
    assert len([line for line in passes.site.messages() if "is cut short" in line]) == 9
    assert passes.run(finding(*causes, work=work)).new == ()


def test_what_this_pass_met_again_is_told_apart_from_what_only_still_holds(passes):
    passes.run(finding(OFF, cut_short(STUDY, "cut")))
    result = passes.run(finding(cut_short(STUDY, "cut")), studies=(STUDY,))
    assert (result.new, len(result.standing), result.again) == ((), 2, ("cut",))


def test_the_exit_status_tells_each_pass_what_waits_for_its_next_try(passes):
    no_room = UnusableError("no room")
    assert passes.run(finding(no_room)).exit_status == ExitStatus.UNUSABLE
    waits = DONE._replace(untested=frozenset([fault(no_room).group]))
    result = passes.run(finding(work=waits))
    assert (result.exit_status, result.new) == (ExitStatus.UNUSABLE, ())
    assert passes.state().exit_status == ExitStatus.UNUSABLE
    assert passes.run(finding(work=waits), studies=(STUDY,)).exit_status == 0, "by hand it is about this study"
    assert passes.run(finding()).exit_status == 0


def test_what_is_met_by_hand_with_a_study_that_nobody_requests_is_not_kept(passes):
    for requested in ((), (STUDY,)):
        work = DONE._replace(requested=frozenset(requested))
        result = passes.run(finding(UnusableError("no room"), work=work), studies=(STUDY,))
        assert [one.text for one in result.new] == ["no room"]
        assert len(passes.state().faults) == len(requested)


def test_by_hand_all_is_said_though_the_state_cannot_be_written(passes):
    passes.site.state_file.mkdir(parents=True)
    for _ in range(2):
        assert len(passes.run(finding(OFF), studies=(STUDY,)).new) == 2


def test_what_was_not_said_is_said_by_the_next_pass_once(passes):
    passes.run()
    state = passes.state()
    state.unsaid = ["recovered after 5 s: no room"]
    save(state, str(passes.site.state_file), str(passes.site.state_file.with_name(".part")))
    assert [one.text for one in passes.run(finding()).new] == state.unsaid
    assert passes.run(finding()).new == ()


def test_a_state_that_cannot_be_written_is_said_once_an_hour_with_all_that_is_not_remembered(passes):
    passes.site.state_file.mkdir(parents=True)
    first, second = passes.run(finding(OFF)), passes.run(finding(OFF))
    assert len(first.new) == 2 and "cannot be written" in first.new[-1].text
    assert second.new == second.events == ()
    assert first.exit_status == second.exit_status == ExitStatus.UNUSABLE


def test_a_dry_run_keeps_nothing_and_says_what_holds(passes):
    passes.run(finding(OFF))
    before = passes.site.tree()
    result = passes.run(finding(OFF), dry_run=True)
    assert result.new == () and len(result.standing) == 1
    assert passes.run(finding(), dry_run=True).new == (), "an end is for the next real pass to tell"
    assert {path for path, *_ in passes.site.tree().items()} == set(before)


def test_a_signal_while_a_program_of_the_site_runs_ends_the_pass_with_what_it_told(passes, monkeypatch):
    def deliver(*about):
        raise Ended(signal.SIGINT)

    monkeypatch.setattr(notify, "deliver", deliver)
    passes.site.config(on_fault=["/bin/true"])
    result = passes.run(finding(OFF))
    assert isinstance(result.raised, Ended) and len(result.new) == 1 and is_free(passes.site)


@pytest.mark.parametrize("moment", ["in the work", "at the end"])
def test_R27_a_signal_that_nothing_waits_for_loses_no_event(passes, monkeypatch, sigterm, moment):
    """It is noted in the last steps of a pass. What an earlier one could not deliver is tried again by the next one."""
    passes.site.config(on_failed=["/bin/true"])
    passes.run(raising(Ended(signal.SIGTERM), FAILED))
    assert len(passes.state().events) == 1

    real = one_pass.end

    def work(frame: Frame, settings: Settings) -> Work:
        sigterm()
        return DONE

    def end(*about: object) -> PassResult:
        sigterm()
        return real(*about)

    if moment == "in the work":
        result = passes.run(work)
    else:
        monkeypatch.setattr(one_pass, "end", end)
        result = passes.run(finding())
    assert isinstance(result.raised, Ended) and passes.heard == []
    assert len(passes.state().events) == 1


def test_the_place_of_a_project(tmp_path):
    place = place_of(MoveOptions(project="LAB", server_dir=str(tmp_path)), "scanner-mover")
    assert place.project == "LAB" and Path(place.server.log) == tmp_path / "logs" / "moveFromScannerLAB.log"
