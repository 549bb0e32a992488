"""What is remembered of a study goes into the state file and comes back, and nothing else does."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.moment import Moment
from scanner_mover.rules.outcomes import Outcome, WaitsFor
from scanner_mover.rules.records import Asked, Attempt, Listing, SeriesMemory, Silence, StudyMemory
from scanner_mover.transfer.history import (
    silence_from_json,
    studies_from_json,
    study_from_json,
    to_json,
)

texts = st.text(max_size=12)
counts = st.integers(0, 10_000)
seconds = st.floats(0, 1e9)
moments = st.builds(Moment, texts, seconds)
maybe = st.none() | counts
asked = st.builds(Asked, moments, texts, counts)
listings = st.builds(Listing, st.booleans(), st.booleans(), counts, counts, counts, counts, texts)
attempts = st.builds(
    Attempt,
    at=moments,
    succeeded=st.booleans(),
    by_name=st.booleans(),
    before=counts,
    basis=texts,
    judged=st.booleans(),
    error=st.none() | texts,
    refused=st.lists(texts, max_size=3).map(tuple),
)
series = st.builds(
    SeriesMemory,
    expected=maybe,
    received=counts,
    complete=st.booleans(),
    error=st.none() | texts,
    modality=st.none() | texts,
    attempt=st.none() | attempts,
    largest=counts,
    fruitless=counts,
    names_fruitless=counts,
    listing=st.none() | listings,
    list_asked=st.none() | asked,
    largest_reported=maybe,
    shrunk_since=st.none() | moments,
    empty_since=st.none() | moments,
    first_missing=st.lists(texts, max_size=4).map(tuple),
)
studies = st.builds(
    StudyMemory,
    error=st.none() | texts,
    fingerprint=st.none() | texts,
    unchanged_since=st.none() | moments,
    over_age_since=st.none() | moments,
    failed_at=st.none() | seconds,
    mpps_expected=st.booleans(),
    open_steps=st.lists(texts, max_size=2).map(tuple),
    steps_seen=counts,
    study_date=st.none() | texts,
    closing_asked=st.none() | asked,
    obstacle=texts,
    next_try=st.none() | seconds,
    series=st.dictionaries(texts, series, max_size=3),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def stored(value: Any) -> Any:
    """As it comes out of the file."""
    return json.loads(json.dumps(value))


@given(studies)
def test_what_is_remembered_comes_back(memory):
    assert study_from_json(stored(to_json(memory))) == memory


@given(moments, counts)
def test_what_is_known_of_the_scanner_comes_back(last, fruitless):
    silence = Silence(fruitless, last)
    assert silence_from_json(stored(to_json(silence))) == silence


@given(anything)
def test_anything_else_is_no_memory_or_one_of_the_right_types(value):
    for read in (study_from_json, silence_from_json):
        memory = read(value)
        if memory is not None:
            assert read(stored(to_json(memory))) == memory


@given(studies, st.sampled_from(StudyMemory._fields), anything)
def test_a_value_that_is_damaged_never_comes_back_as_something_of_another_type(memory, name, value):
    damaged = {**to_json(memory), name: value}
    known = study_from_json(damaged)
    assert known is None or study_from_json(stored(to_json(known))) == known


@pytest.mark.parametrize(
    "change",
    [
        {"mpps_expected": "yes"},
        {"mpps_expected": 1},
        {"next_try": math.inf},
        {"next_try": True},
        {"unchanged_since": ["boot"]},
        {"unchanged_since": ["boot", "12"]},
        {"unchanged_since": [7, 12]},
        {"outcome": "anything"},
        {"procedure": None},
        {"waits_for": []},
        {"series": []},
        {"series": {"1.2.3": None}},
        {"series": {"1.2.3": {"received": 2.5}}},
        {"series": {"1.2.3": {"received": 2**60}}},
        {"series": {"1.2.3": {"received": True}}},
        {"series": {"1.2.3": {"listing": {}}}},
        {"series": {"1.2.3": {"first_missing": "1.2"}}},
    ],
)
def test_damage_costs_the_memory_of_that_study_alone(change):
    good = to_json(StudyMemory(outcome=Outcome.ERROR, waits_for=WaitsFor.SCANNER))
    known, broken = studies_from_json({"1.2.3": good, "1.2.4": {**good, **change}, "1.2.5": "text"})
    assert known == {"1.2.3": StudyMemory(outcome=Outcome.ERROR, waits_for=WaitsFor.SCANNER)}
    assert broken == ["1.2.4", "1.2.5"]


def test_what_a_later_version_added_is_left_out_and_what_it_took_away_has_its_default():
    memory = to_json(StudyMemory(obstacle="x"))
    del memory["obstacle"]
    assert study_from_json({**memory, "added": 7}) == StudyMemory()
    assert study_from_json({}) == StudyMemory()
    assert silence_from_json({}) is None
