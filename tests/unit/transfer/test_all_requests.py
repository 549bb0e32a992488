"""The requests of one pass: in which order all is asked and done, and that none stops another (R25, R29, R44)."""

from pathlib import Path

import pytest

from scanner_mover.errors import Ended, UnusableError
from scanner_mover.failures import Failure, Kind, Service
from scanner_mover.rules.outcomes import Outcome, Procedure
from scanner_mover.rules.records import Attempt, ReportedSeries, SeriesMemory, StudyMemory
from scanner_mover.transfer import all_requests
from scanner_mover.transfer.job import Findings
from tests.support.site import shell_tool
from tests.unit.transfer.a_pass import ONE, THREE, TWO, APass
from tests.unit.transfer.made import RUNNING, ago, make_job

OFF = Failure(Kind.UNREACHABLE, "Connection refused").about(Service.FIND)
NO = Failure(Kind.REFUSED, "Failed: UnableToProcess").about(Service.FIND)
IN_VAIN = Attempt(ago(3000), True, False, 0, "2:", judged=True)
TOOLS = ("findscu", "movescu", "dump2dcm", "dcmdump")


def series(study: str, number: int | None = 2, modality: str | None = None, which: int = 1) -> ReportedSeries:
    return ReportedSeries(f"{study}.{which}", number, modality=modality)


def remembering(study: str, *known: SeriesMemory, **more: object) -> StudyMemory:
    """A study of which this is remembered, by series."""
    return StudyMemory(series={f"{study}.{number}": one for number, one in enumerate(known, 1)}, **more)  # type: ignore[arg-type]


@pytest.fixture
def one_pass(tmp_path, monkeypatch) -> APass:
    return APass(tmp_path, monkeypatch)


def breaks(one_pass: APass, study: str) -> str:
    """The folder of the study's series leads to itself, so that nobody can read it."""
    folder = Path(one_pass.folders.series(study, f"{study}.1"))
    folder.parent.mkdir(parents=True)
    folder.symlink_to(folder.name)
    return f"the folder {folder} cannot be read: Too many levels of symbolic links"


# Before a request is looked at


@pytest.mark.parametrize("missing", [*TOOLS, "storescp"])
def test_without_one_of_its_tools_nothing_is_done(tmp_path, monkeypatch, missing):
    """storescp is needed only where we receive."""
    for name in {*TOOLS, "storescp"} - {missing}:
        shell_tool(tmp_path / "bin", name, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for receive in (True, False):
        job = make_job(tmp_path, receive=receive)
        if missing == "storescp" and not receive:
            all_requests.handle(job, Findings({}))
        else:
            with pytest.raises(UnusableError, match=f"^{missing} is not on the PATH"):
                all_requests.handle(job, Findings({}))


@pytest.mark.parametrize(
    ("more", "made"),
    [({}, True), ({"dry_run": True}, False), ({"closes": False}, False)],
    ids=["a pass", "a dry run", "switched off"],
)
def test_R26_the_folders_that_requests_move_to_are_made_where_they_may_move(one_pass, tmp_path, more, made):
    wanted = [Path(one_pass.folders.finished_scans), Path(one_pass.folders.failed_scans)]
    job = make_job(tmp_path, **more)
    for path in wanted:
        path.rmdir()
    all_requests.handle(job, Findings({}))
    assert [path.is_dir() for path in wanted] == [made, made]


def test_a_folder_that_cannot_be_made_ends_the_pass_before_the_scanner_is_asked(one_pass, tmp_path):
    job = make_job(tmp_path)
    failed = Path(job.folders.failed_scans)
    failed.rmdir()
    failed.write_text("")
    with pytest.raises(UnusableError, match=f"the folder {failed} cannot be made"):
        all_requests.handle(job, Findings({}))
    assert one_pass.console.did == []


@pytest.mark.parametrize(("dry_run", "asked"), [(False, []), (True, None)])
def test_R27_what_a_killed_pass_left_is_filed_before_anything_is_asked(one_pass, dry_run, asked):
    one_pass.run(dry_run=dry_run)
    assert one_pass.before_what_was_left == asked


@pytest.mark.parametrize(("was_down", "retries"), [(False, 2), (True, 0)])
def test_R17_a_scanner_that_was_off_in_the_last_pass_is_asked_once(one_pass, was_down, retries):
    one_pass.request(ONE, series(ONE))
    one_pass.run(scanner_was_down=was_down)
    assert one_pass.retries_of_questions == [retries]
    assert one_pass.console.retries == [2], "when it answers it is on"


@pytest.mark.parametrize(
    ("kinds", "down"),
    [
        ([], False),
        ([Kind.UNREACHABLE], True),
        ([Kind.HUNG_UP], True),
        ([Kind.REFUSED, Kind.BUSY], False),
        ([Kind.REFUSED, Kind.UNREACHABLE], True),
    ],
)
def test_the_scanner_is_off_when_there_was_no_connection_to_it_now(one_pass, kinds, down):
    for study in (ONE, TWO):
        one_pass.request(study)
    one_pass.console.fails = {study: Failure(kind, "no") for study, kind in zip((ONE, TWO), kinds, strict=False)}
    assert one_pass.run(Findings({}, scanner_down=True)).scanner_down is down


# In which order


def test_the_MPPS_files_are_read_before_the_scanner_is_asked_for_all_studies_at_once(one_pass):
    one_pass.request(TWO, series(TWO))
    one_pass.request(ONE, series(ONE), age=60)
    one_pass.run()
    assert one_pass.console.did[:2] == ["mpps", f"series of {ONE} {TWO}"]


def test_R25_the_scanner_is_asked_last_for_a_study_that_failed_and_it_has_its_turn_last(one_pass):
    for age, study in enumerate((ONE, TWO, THREE)):
        one_pass.request(study, series(study), age=60.0 * (3 - age))
    one_pass.memory = {
        ONE: StudyMemory(error="no", failed_at=500.0),
        TWO: StudyMemory(failed_at=400.0),
        THREE: StudyMemory(),
    }
    found = one_pass.run()
    assert one_pass.console.did[1] == f"series of {TWO} {THREE} {ONE}"
    assert [one.study_instance_uid for one in found.reports] == [THREE, TWO, ONE]


def test_R29_while_the_scanner_sends_nothing_those_never_asked_for_are_first_then_the_one_asked_for_longest_ago(
    one_pass,
):
    """A series that is not kept is not asked for: the study has nothing new."""
    for age, study in enumerate((ONE, TWO, THREE, "1.2.4")):
        one_pass.request(study, series(study, modality="MR"), age=60.0 * (4 - age))
    one_pass.console.has[ONE].append(series(ONE, modality="OT", which=2))
    one_pass.memory = {
        ONE: remembering(ONE, SeriesMemory(attempt=IN_VAIN._replace(at=ago(1000)), fruitless=1)),
        TWO: remembering(TWO, SeriesMemory(attempt=IN_VAIN._replace(at=ago(2000)), fruitless=1)),
        THREE: remembering(THREE, SeriesMemory(attempt=IN_VAIN._replace(at=ago(1500)), fruitless=1)),
    }
    found = one_pass.run(modalities=("MR",))
    assert [one.study_instance_uid for one in found.reports] == ["1.2.4", TWO, THREE, ONE]


# One after the other


def test_R25_a_study_of_which_something_cannot_be_used_stops_no_other(one_pass):
    one_pass.request(ONE, series(ONE), age=60)
    one_pass.request(TWO, series(TWO))
    one_pass.console.sends[f"{TWO}.1"] = 2
    error = breaks(one_pass, ONE)
    found = one_pass.run()
    assert [(one.study_instance_uid, one.outcome, one.error) for one in found.reports] == [
        (ONE, Outcome.ERROR, error),
        (TWO, Outcome.FINISHED, None),
    ]
    assert [str(one.cause) for one in found.faults] == [error] and error in one_pass.lines
    kept = found.memory[ONE]
    assert (kept.outcome, kept.error, kept.event, kept.procedure) == (Outcome.ERROR, error, error, Procedure.ENDED)
    assert kept.event_at == kept.seen != ""


def test_R25_a_study_that_the_scanner_fails_at_stops_no_other_and_what_is_known_of_it_stays(one_pass):
    for study in (ONE, TWO):
        one_pass.request(study, series(study))
    one_pass.console.fails[ONE] = NO
    one_pass.console.has[ONE] = []
    one_pass.console.sends[f"{TWO}.1"] = 2
    known = SeriesMemory(attempt=IN_VAIN, largest=1, expected=2)
    one_pass.memory = {ONE: remembering(ONE, known)}
    found = one_pass.run()
    outcomes = {one.study_instance_uid: (one.outcome, one.error) for one in found.reports}
    assert outcomes == {ONE: (Outcome.ERROR, NO.text), TWO: (Outcome.FINISHED, None)}
    assert found.memory[ONE].series == {f"{ONE}.1": known}
    assert [one.cause for one in found.faults] == [NO] and found.missing
    line = f"the scanner could not be asked for {ONE}: {NO.text}"
    assert line in one_pass.lines and not any("has no series" in one for one in one_pass.lines)
    one_pass.lines.clear()
    assert [one.cause for one in one_pass.run().faults] == [NO], "it still holds"
    assert line not in one_pass.lines, "the log has it once"


def test_a_console_that_is_off_is_one_fault_for_each_study_and_no_line_of_the_log(one_pass):
    one_pass.request(ONE)
    one_pass.console.fails[ONE] = OFF
    found = one_pass.run()
    assert [one.cause for one in found.faults] == [OFF] and found.reports[0].outcome is Outcome.ERROR
    assert found.missing, "whatever it may have is not here"
    assert not any("could not be asked" in line for line in one_pass.lines)


@pytest.mark.parametrize("error", [Ended(15), KeyError("ours")])
def test_R27_R29_whatever_ends_the_pass_what_was_done_before_is_remembered(one_pass, error):
    one_pass.request(ONE, series(ONE), series(ONE, which=2))
    one_pass.console.sends = {f"{ONE}.1": 1, f"{ONE}.2": error}
    found = Findings({})
    with pytest.raises(type(error)):
        one_pass.run(found)
    known = found.memory[ONE].series
    assert known[f"{ONE}.1"].attempt is not None and known[f"{ONE}.1"].received == 1
    assert set(known) == {f"{ONE}.1", f"{ONE}.2"} and found.reports == []


def test_a_study_that_is_closed_is_forgotten_but_not_where_nothing_moves(one_pass):
    path = one_pass.request(ONE, series(ONE))
    one_pass.console.sends[f"{ONE}.1"] = 2
    found = one_pass.run(closes=False, by_hand=True)
    assert found.reports[0].outcome is Outcome.FINISHED and path.exists()
    assert found.memory[ONE].outcome is Outcome.FINISHED and found.closed == []
    found = one_pass.run()
    assert found.reports[0].outcome is Outcome.FINISHED and not path.exists()
    assert found.memory == {} and [one.study_instance_uid for one in found.closed] == [ONE]


def test_R40_one_that_failed_is_forgotten_too(one_pass):
    path = one_pass.request(ONE, series(ONE, modality="OT"))
    found = one_pass.run(modalities=("MR",))
    assert found.reports[0].outcome is Outcome.FAILED and not path.exists() and found.memory == {}


# The scanner as a whole


def test_R29_images_of_one_study_show_that_the_scanner_does_send(one_pass):
    """What was asked for before, in vain, is a matter of those series alone: the study that waited is asked for."""
    vain = [SeriesMemory(attempt=IN_VAIN._replace(at=ago(900 + one)), fruitless=1) for one in range(3)]
    one_pass.request(ONE, *(series(ONE, which=which) for which in (1, 2, 3)), age=60)
    one_pass.request(TWO, series(TWO))
    one_pass.memory = {ONE: remembering(ONE, *vain)}
    one_pass.console.sends[f"{TWO}.1"] = 2
    found = one_pass.run(repull_after_seconds=600.0)
    assert one_pass.console.moves == [f"{TWO}.1", f"{ONE}.3", f"{ONE}.2", f"{ONE}.1"]
    assert found.silence is None and all(one.alone for one in found.memory[ONE].series.values())
    assert not any(one.group == "sends nothing" for one in found.faults)


def test_R29_a_third_series_in_vain_is_told_and_the_state_kept(one_pass):
    vain = [SeriesMemory(attempt=IN_VAIN._replace(at=ago(3000 + one)), fruitless=1) for one in range(3)]
    one_pass.request(ONE, *(series(ONE, which=which) for which in (1, 2, 3)))
    one_pass.memory = {ONE: remembering(ONE, *vain)}
    found = one_pass.run()
    assert found.silence is not None and found.silence.fruitless == 3
    assert one_pass.console.moves == [f"{ONE}.3"], "one attempt for each pause"
    assert [one.group for one in found.faults] == ["sends nothing"]


def test_R29_that_the_scanner_sends_nothing_is_noted_while_the_pass_goes_on(one_pass):
    """Here its series grow, so that each is asked for before its time."""
    early = IN_VAIN._replace(at=ago(5), basis="1:", judged=False)
    one_pass.request(ONE, *(series(ONE, which=which) for which in (1, 2, 3)))
    one_pass.memory = {ONE: remembering(ONE, *(SeriesMemory(attempt=early) for _ in range(3)))}
    found = one_pass.run()
    assert found.moves_sent == 3 and [one.group for one in found.faults] == ["sends nothing"]


def test_R29_the_attempts_of_the_last_pass_are_judged_before_anything_is_asked_for(one_pass):
    late = IN_VAIN._replace(judged=False)
    one_pass.request(ONE, *(series(ONE, which=which) for which in (1, 2, 3)))
    one_pass.memory = {ONE: remembering(ONE, *(SeriesMemory(attempt=late) for _ in range(3)))}
    found = one_pass.run()
    assert found.fruitless_moves == 3 and found.moves_sent == 1


def test_what_waits_for_its_next_attempt_was_not_tested(one_pass):
    one_pass.request(ONE, series(ONE, modality="OT"))
    one_pass.steps[ONE] = (RUNNING,)
    one_pass.memory = {ONE: remembering(ONE, SeriesMemory(attempt=IN_VAIN._replace(at=ago(5))))}
    assert one_pass.run().untested == {"set aside"}
    assert one_pass.run(modalities=("MR",)).untested == set(), "a series that is not kept waits for nothing"


@pytest.mark.parametrize(("sends", "saves"), [(0, 3), (None, 0)])
def test_R29_after_a_study_for_which_something_was_sent_the_state_is_kept(one_pass, sends, saves):
    """Before its first C-MOVE, after it, and after the study."""
    one_pass.request(ONE, series(ONE))
    if sends is None:
        one_pass.memory = {ONE: remembering(ONE, SeriesMemory(attempt=IN_VAIN._replace(at=ago(5))))}
    one_pass.run()
    assert one_pass.saves == saves
