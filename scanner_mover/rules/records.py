"""One series and one study at each stage: reported by the scanner, remembered between passes.

A plain module: `status` reads what a pass remembers.
"""

from collections.abc import Mapping
from types import MappingProxyType

from scanner_mover.moment import Moment
from scanner_mover.record import Record
from scanner_mover.rules.outcomes import Outcome, Procedure, WaitsFor

# R31: after this many attempts in a row that brought nothing, it is reported.
STUCK_ATTEMPTS = 3


class ReportedSeries(Record):
    """One series as the scanner reports it at SERIES level; a count is None when there is none (R13)."""

    series_instance_uid: str
    number_of_series_related_instances: int | None = None
    images_in_acquisition: int | None = None
    modality: str | None = None

    @property
    def number(self) -> int | None:
        """How many images it has: by (0020,1209), else by (0020,1002)."""
        if self.number_of_series_related_instances is not None:
            return self.number_of_series_related_instances
        return self.images_in_acquisition


class Listing(Record):
    """What an IMAGE-level C-FIND said of a series, compared with what was here at that moment.

    `listed` counts different SOPInstanceUIDs, `answers` all of them, repeated ones too; `missing` counts those of
    which no file here has the name. `succeeded`: it ended with status Success. `refused`: the scanner does not list
    images at all. Neither: the list was cut short, `cut_in_a_row` times so far (R34). `digest` stands for the UIDs.
    """

    succeeded: bool
    refused: bool = False
    listed: int = 0
    answers: int = 0
    missing: int = 0
    cut_in_a_row: int = 0
    digest: str = ""


class Asked(Record):
    """When something was last asked, and how often in a row it changed nothing.

    `basis` is what was reported and here at that moment: a change of it allows the question at once (R44).
    """

    at: Moment
    basis: str
    repeats: int = 0


class Attempt(Record):
    """The last attempt to retrieve a series: all query files and retries in one pass (R29).

    `before` is the largest number of images ever seen here before it, `basis` what the scanner reported then. `judged`:
    whether it is already counted as fruitless or not. `early`: the scanner reported something else, and it was made
    before it was due, after one that brought nothing. `error` is what it failed with, or why what arrived was set
    aside; `refused` names the SOP classes or transfer syntaxes that the receiver did not take, where a tool named them.
    """

    at: Moment
    succeeded: bool
    by_name: bool
    before: int
    basis: str
    judged: bool = False
    early: bool = False
    error: str | None = None
    refused: tuple[str, ...] = ()


class SeriesMemory(Record):
    """What is remembered of one series between passes.

    `expected`, `received` and `complete` are as the last pass reported them; `retrieved` and `error` are its attempt's.
    `largest` is the largest number of images ever seen here. `fruitless` counts attempts in a row that brought nothing.
    `names_fruitless` counts attempts by name in a row that brought nothing, `names_helped` says whether one ever did,
    `names_refused` whether the scanner refused one. `largest_reported` is the largest number of images that the scanner
    reported, `shrunk_since` since when it reports fewer, or no such series (R36). `empty_since`: since when
    its list is empty after the end of the procedure (R37). `alone`: none of it arrived while the scanner sent others.
    """

    expected: int | None = None
    received: int = 0
    complete: bool = False
    retrieved: bool = False
    error: str | None = None
    modality: str | None = None
    largest: int = 0
    attempt: Attempt | None = None
    fruitless: int = 0
    names_fruitless: int = 0
    names_helped: bool = False
    names_refused: bool = False
    listing: Listing | None = None
    list_asked: Asked | None = None
    largest_reported: int | None = None
    shrunk_since: Moment | None = None
    empty_since: Moment | None = None
    first_missing: tuple[str, ...] = ()
    alone: bool = False

    @property
    def listing_missing(self) -> int:
        """How many images of its list are not here by name; 0 without a list."""
        return self.listing.missing if self.listing is not None else 0

    @property
    def stuck(self) -> bool:
        """Whether enough attempts were fruitless for it to be reported (R31)."""
        return not self.complete and self.fruitless >= STUCK_ATTEMPTS


class StudyMemory(Record):
    """What is remembered of one study between passes.

    `seen` is when the last pass looked at it, `event` what happened last and `event_at` when, all ISO 8601.
    `fingerprint` stands for the scanner's series, counts and deciding lists, the same since `unchanged_since` (R22 a).
    `over_age_since` is when a pass first saw the request over age; `failed_at` is when an attempt of it last failed, in
    seconds of the epoch. `closing_asked`: the last questions before closing that changed nothing (R44);
    `closing_unanswered`: they were not all answered. `open_steps` are the MPPS files whose steps were in progress when
    they were read last, `steps_seen` is how many MPPS files there were at most; `step_lost`: the last pass missed one.
    `obstacle` says why the last of them did not close it, empty if nothing stood in the way.
    `study_date` is what the STUDY level reports, empty if it reports none, None while it was not asked (R32).
    `waits_for`, `waits_text` and `next_try` (seconds of the epoch) are what `status` shows.
    """

    outcome: Outcome = Outcome.WAITING
    procedure: Procedure = Procedure.UNKNOWN
    error: str | None = None
    seen: str = ""
    event: str = ""
    event_at: str = ""
    fingerprint: str | None = None
    unchanged_since: Moment | None = None
    over_age_since: Moment | None = None
    failed_at: float | None = None
    mpps_expected: bool = True
    study_date: str | None = None
    closing_asked: Asked | None = None
    closing_unanswered: bool = False
    open_steps: tuple[str, ...] = ()
    steps_seen: int = 0
    step_lost: bool = False
    obstacle: str = ""
    waits_for: WaitsFor = WaitsFor.NOTHING
    waits_text: str = ""
    next_try: float | None = None
    series: Mapping[str, SeriesMemory] = MappingProxyType({})


class Silence(Record):
    """The scanner sends nothing at all: after how many attempts in a row, and when the last one ended (R29)."""

    fruitless: int
    last: Moment
