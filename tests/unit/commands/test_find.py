"""The options of `find`: what goes together, and what is asked for."""

import pytest

from scanner_mover.arguments_by_hand import FindOptions
from scanner_mover.arguments_by_hand import Level as Named
from scanner_mover.commands.find import _check, _not_matching, _wanted
from scanner_mover.errors import UsageError
from scanner_mover.failures import Level
from scanner_mover.scanner.search import Answer, Wanted


@pytest.mark.parametrize(
    "options",
    [
        FindOptions(),
        FindOptions(request=True, all=True),
        FindOptions(request=True, date="7d"),
        FindOptions(request=True, study="1.2.3"),
        FindOptions(request=True, date="7d", all=True),
        FindOptions(level=Named.SERIES, study="1.2.3", modality="MR"),
    ],
)
def test_what_goes_together(options):
    _check(options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (FindOptions(request=True), "--all"),
        (FindOptions(request=True, limit=5), "--all"),
        (FindOptions(all=True), "--all belongs to --request"),
        (FindOptions(level=Named.SERIES), "needs --study"),
        (FindOptions(level=Named.SERIES, study="1.2", request=True), "leave out --level series"),
        (FindOptions(level=Named.SERIES, study="1.2", patient_id="A"), "leave out --level series"),
        (FindOptions(study="x"), "'x' is not a UID"),
        (FindOptions(json=True, csv=True), "exclude each other"),
    ],
)
def test_what_does_not(options, said):
    with pytest.raises(UsageError, match=said):
        _check(options)


def test_what_is_asked_for():
    options = FindOptions(study="1.2.3", patient_id="A*", date="2026-01-31", description="knee")
    assert _wanted(options) == Wanted(Level.STUDY, "1.2.3", "A*", "", "20260131", "", "knee")
    with pytest.raises(UsageError, match="--date"):
        _wanted(FindOptions(date="soon"))


def test_what_does_not_match_is_said_with_the_option_as_it_was_given():
    answer = Answer([], False, None, 12, ("description", "study_date"))
    assert _not_matching(FindOptions(description="*knee*", date="7d"), answer) == (
        "the scanner also returned 12 studies that do not match --description *knee*, --date 7d: "
        "they are neither shown nor requested"
    )
    one = Answer([], False, None, 1, ("modality",))
    assert _not_matching(FindOptions(level=Named.SERIES, study="1.2", modality="MR"), one) == (
        "the scanner also returned 1 series that does not match --modality MR: it is neither shown nor requested"
    )
