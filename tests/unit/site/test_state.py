"""The state file: written in one step, readable by all, and nothing that a pass depends on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.errors import UnusableError
from scanner_mover.moment import Moment
from scanner_mover.rules.outcomes import Outcome, Procedure
from scanner_mover.rules.records import Attempt, Listing, SeriesMemory, StudyMemory
from scanner_mover.site.state import State, load, note_failed_write, save
from scanner_mover.transfer.history import study_from_json, to_json
from tests.support.state_files import BROKEN

STUDY = "1.2.826.0.1.3680043.10.1561.30"
SERIES = STUDY + ".1"

SAVE_MUCH = """
import sys
from scanner_mover.errors import UnusableError
from scanner_mover.site.state import State, save
state = State()
state.project = "x" * 10000
try:
    save(state, sys.argv[1], sys.argv[2])
except UnusableError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "moveFromScanner.state.json"


def keep(state: State, path: Path) -> None:
    save(state, str(path), str(path.with_name(".part")))


def known() -> StudyMemory:
    moment = Moment("boot", 12.5)
    return StudyMemory(
        outcome=Outcome.WAITING,
        procedure=Procedure.ENDED,
        error="no answer",
        seen="2026-01-31T10:00:00+01:00",
        fingerprint="a fingerprint",
        unchanged_since=moment,
        over_age_since=moment,
        series={
            SERIES: SeriesMemory(
                expected=3,
                received=2,
                retrieved=True,
                error="broke off",
                attempt=Attempt(moment, False, True, 2, "3:", error="broke off"),
                listing=Listing(succeeded=True, listed=3, answers=3, missing=1, digest="a"),
                first_missing=("1.2.3",),
            )
        },
    )


# The file


def test_what_was_kept_is_what_is_loaded(path):
    state = State()
    state.faults, state.scanner_down = [{"text": "a fault \udcff"}], True
    state.exit_status, state.seconds = 5, 1.5
    state.started = "2026-01-31T10:00:00+01:00"
    assert state.not_yet_reported("requests", [str(path.parent)]) == [str(path.parent)]
    state.requests = {STUDY: to_json(known())}
    keep(state, path)
    loaded, problem = load(str(path))
    assert problem is None
    assert vars(loaded) == json.loads(json.dumps(vars(state)))
    assert study_from_json(loaded.requests[STUDY]) == known()


def test_it_is_replaced_in_one_step(path):
    keep(State(), path)
    with path.open() as reader:
        before = path.stat().st_ino
        state = State()
        state.faults = [{"text": "a fault"}]
        keep(state, path)
        assert path.stat().st_ino != before
        assert json.load(reader)["faults"] == [], "who reads the old one reads it to its end"
    assert load(str(path))[0].fault == "a fault"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_one_that_can_be_written_by_half_leaves_the_old_one_and_no_part(path):
    keep(State(), path)
    done = subprocess.run(
        ["prlimit", "--fsize=4096", sys.executable, "-c", SAVE_MUCH, str(path), str(path.with_name(".part"))],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"the state file {path} cannot be written: File too large\n", done
    assert load(str(path))[1] is None
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_in_its_place_is_named_and_no_part_is_left(path):
    path.mkdir()
    with pytest.raises(UnusableError, match=r"the state file .* cannot be written: Is a directory"):
        keep(State(), path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with pytest.raises(UnusableError, match=r"the state file .* cannot be written: No such file or directory"):
        save(State(), str(path.parent / "none" / "state"), str(path.parent / "none" / ".part"))


def test_no_file_is_a_first_pass(path):
    state, problem = load(str(path))
    assert (vars(state), problem) == (vars(State()), None)


def test_what_was_told_once_is_told_again_only_when_it_went_away_meanwhile(path, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.touch()
    two.touch()
    state = State()
    assert state.not_yet_reported("requests", [str(one)]) == [str(one)]
    assert state.not_yet_reported("requests", [str(one), str(two)]) == [str(two)]
    assert state.not_yet_reported("mpps", [str(one)]) == [str(one)], "of another kind"
    keep(state, path)
    loaded, _ = load(str(path))
    assert loaded.not_yet_reported("requests", [str(one), str(two)]) == []
    assert loaded.not_yet_reported("requests", [str(two), str(tmp_path / "gone")]) == []
    assert loaded.not_yet_reported("requests", [str(one), str(two)]) == [str(one)]


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: repr(content[:20]))
def test_a_broken_one_is_as_none_and_says_so(path, content):
    path.write_bytes(content)
    state, problem = load(str(path))
    assert vars(state) == vars(State())
    assert problem is not None and str(path) in problem and problem.endswith("; going on without it")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(name=st.sampled_from(sorted(State().to_json())), value=json_values)
def test_whatever_stands_in_it_it_can_be_loaded_and_kept_again(tmp_path_factory, name, value):
    path = tmp_path_factory.getbasetemp() / "any.state.json"
    path.write_text(json.dumps({**State().to_json(), name: value}))
    state, _ = load(str(path))
    state.not_yet_reported("requests", [str(path)])
    keep(state, path)
    loaded, problem = load(str(path))
    assert problem is None and loaded.not_yet_reported("requests", [str(path.parent)]) == [str(path.parent)]


names_of_study, names_of_series = sorted(StudyMemory._fields), sorted(SeriesMemory._fields)


@given(name=st.sampled_from(names_of_study), value=json_values)
def test_whatever_stands_in_the_memory_of_a_study_it_is_read_or_none(name, value):
    read = study_from_json({**to_json(known()), name: value})
    assert read is None or isinstance(read, StudyMemory)


@given(name=st.sampled_from(names_of_series), value=json_values)
def test_whatever_stands_in_the_memory_of_a_series_it_is_read_or_none(name, value):
    memory = to_json(known())
    memory["series"][SERIES][name] = value
    read = study_from_json(memory)
    assert read is None or isinstance(read, StudyMemory)


@pytest.mark.parametrize("moment", [["boot", 10**400], ["boot", "x"], ["boot"], [1, 2], "ab", {}, [], 5, True])
def test_a_moment_that_is_none_is_no_memory(moment):
    assert study_from_json({**to_json(known()), "over_age_since": moment}) is None


@pytest.mark.parametrize("memory", [None, [], "x", 5, {"series": []}, {"series": {STUDY: []}}])
def test_a_memory_of_a_wrong_form_is_none(memory):
    assert study_from_json(memory) is None


# A pass


def test_that_it_cannot_be_written_is_noted_once_an_hour_and_until_it_can(path):
    keep(State(), path)
    assert not note_failed_write(str(path), 1000.0)
    assert note_failed_write(str(path), 1015.0) and note_failed_write(str(path), 4599.0)
    assert not note_failed_write(str(path), 4600.0), "an hour later it is said again"
    assert note_failed_write(str(path), 4615.0)
    assert not note_failed_write(str(path), 10.0), "a clock that jumped back keeps nobody silent"
    assert load(str(path))[1] is None
    keep(State(), path)
    assert not note_failed_write(str(path), 4630.0), "that it was written ends the note"


def test_without_a_state_file_nothing_is_noted(path):
    assert not note_failed_write(str(path), 1000.0) and not note_failed_write(str(path), 1015.0)
    assert not os.path.lexists(path)
