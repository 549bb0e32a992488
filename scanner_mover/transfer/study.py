"""One study in a pass: what the scanner reports of it, what is here, and what is remembered, put together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from scanner_mover.config import Settings
from scanner_mover.dicom import is_uid, uid_order
from scanner_mover.moment import Moment
from scanner_mover.rules import asking, closing, retrieving
from scanner_mover.rules import series as series_rules
from scanner_mover.rules.modalities import is_wanted
from scanner_mover.rules.outcomes import Procedure
from scanner_mover.rules.records import ReportedSeries, SeriesMemory, StudyMemory
from scanner_mover.rules.series import Count
from scanner_mover.scanner.inventory import ImageAnswer, SeriesAnswer
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.images import Images, images_in
from scanner_mover.site.mpps import Step
from scanner_mover.site.requests import Request
from scanner_mover.transfer.report import SeriesReport


@dataclass(frozen=True)
class Series:
    """One series: what is REPORTED of it, what is HERE, what is remembered, and how it counts.

    `is_reported`: the scanner reports it now. `wanted`: its modality is one that the site keeps (R40).
    `sop_instance_uids`: its images by name, if they were asked for in this pass.
    """

    reported: ReportedSeries
    is_reported: bool
    wanted: bool
    here: Images
    memory: SeriesMemory
    count: Count
    sop_instance_uids: frozenset[str] | None = None

    @property
    def uid(self) -> str:
        """Its SeriesInstanceUID."""
        return self.reported.series_instance_uid

    @property
    def is_to_be_retrieved(self) -> bool:
        """Whether images of it are missing that the site wants and the scanner has, be it time to ask or not."""
        return self.wanted and not self.count.complete and not self.has_nothing_to_send

    @property
    def has_nothing_to_send(self) -> bool:
        """Whether asking for it brings nothing: the scanner no longer has it, all that it has is here (R36), or its
        list is empty (R37).
        """
        if not self.is_reported or series_rules.lists_nothing(self.reported, self.memory.listing):
            return True
        asked = self.memory.list_asked
        is_listed = asked is not None and asked.basis == self.basis
        is_known = is_listed or not series_rules.are_named_by_uid(self.here.names)
        return self.count.given_up_in is not None and is_known

    @property
    def basis(self) -> str:
        """What is reported and here, as a text: a change of it allows a question at once (R44)."""
        return f"{self.reported.number}:{len(self.here.names)}"


@dataclass
class Study:
    """One study in this pass; `asked_at` is when the scanner listed its series, `error` why something failed.

    `is_looked_at`: its `series` are put together; until then only what is remembered of them counts.
    """

    request: Request
    memory: StudyMemory
    answer: SeriesAnswer
    asked_at: Moment
    steps: tuple[Step, ...]
    series: dict[str, Series] = field(default_factory=dict)
    error: str | None = None
    is_looked_at: bool = False

    @property
    def uid(self) -> str:
        """Its StudyInstanceUID."""
        return self.request.study_instance_uid

    @property
    def name(self) -> str:
        """How the log names the request: by its file."""
        return self.request.files[0] if self.request.files else self.uid

    @property
    def answered(self) -> bool:
        """Whether the scanner listed its series."""
        return self.answer.failure is None

    @property
    def wanted(self) -> list[Series]:
        """The series that are retrieved and waited for."""
        return [one for one in self.series.values() if one.wanted]

    @property
    def open_steps(self) -> list[Step]:
        """The MPPS files whose procedure step has not ended (R21)."""
        return [one for one in self.steps if not _has_ended(one)]

    @property
    def open_step_names(self) -> list[str]:
        """How `status` names them: with a status only where that is not what one expects."""
        known = ((one.name, closing.shown_status(one.status)) for one in self.open_steps)
        here = [name if status == closing.IN_PROGRESS else f"{name} ({status})" for name, status in known]
        return here + [f"{name} (its file is gone)" for name in self.lost_steps]

    @property
    def lost_steps(self) -> list[str]:
        """The MPPS files of steps in progress that are gone; none where no MPPS file is expected.

        A file that cannot be read may be any of them, and one of a new name may have taken the place of another.
        """
        if not self.mpps_expected or len(self.steps) >= self.memory.steps_seen or not self.steps_are_readable:
            return []
        here = {one.name for one in self.steps}
        return [name for name in self.memory.open_steps if name not in here]

    @property
    def mpps_expected(self) -> bool:
        """Whether MPPS files of it will arrive, as far as its request and the state say (R32)."""
        return self.memory.mpps_expected and self.request.mpps_expected

    @property
    def steps_are_readable(self) -> bool:
        """Whether each of its MPPS files could be read."""
        return all(one.readable for one in self.steps)

    @property
    def procedure(self) -> Procedure:
        """The state of its procedure by its MPPS files; one of a step in progress that is gone ends nothing."""
        return closing.procedure([*(_has_ended(one) for one in self.steps), *(False for _ in self.lost_steps)])

    @property
    def fingerprint(self) -> str:
        """What must stay the same before it is closed (R22 a)."""
        reported = [one for one in self.wanted if one.is_reported]
        return closing.fingerprint((one.uid, one.count.expected, _deciding_digest(one)) for one in reported)

    def wait_after_loss(self) -> None:
        """Ask for no series at once, since nobody knows any more what was asked for a moment ago (R29)."""
        for uid, one in self.series.items():
            if one.memory.attempt is None and not one.count.complete:
                basis = retrieving.basis(one.reported.number, one.memory.listing)
                self.remember(uid, retrieving.after_loss(one.memory, len(one.here.names), basis, self.asked_at))

    def remember(self, uid: str, memory: SeriesMemory) -> None:
        """Replace what is remembered of one series."""
        self.series[uid] = replace(self.series[uid], memory=memory)


def _has_ended(step: Step) -> bool:
    return closing.step_has_ended(step.status, step.end_time, readable=step.readable)


def _deciding_digest(series: Series) -> str:
    listing = series.memory.listing
    decides = listing is not None and series_rules.list_decides(series.reported, listing)
    return listing.digest if decides and listing is not None else ""


def look(
    study: Study,
    images: Mapping[tuple[str, str], ImageAnswer],
    settings: Settings,
    folders: DataFolders,
    now: Moment,
    *,
    again: bool = False,
) -> None:
    """Put together every series of STUDY: those that it reports, and those that have vanished at the scanner (R36).

    IMAGES are the lists that were asked for, if any. AGAIN: the study was looked at in this pass, and what was done
    with its series since then still counts. Raises UnusableError when a folder cannot be read.
    """
    known = study.memory.series
    reported = {one.series_instance_uid: one for one in study.answer.series}
    found: dict[str, Series] = {}
    for uid, one in reported.items():
        memory = known.get(uid, SeriesMemory())
        memory = memory if again else memory._replace(retrieved=False, error=None)
        found[uid] = _series(study, one, memory, images.get((study.uid, uid)), settings, folders, now)
    for uid, memory in known.items() if study.answered else ():
        gone = uid not in reported and series_rules.is_missed(memory)
        if gone and is_wanted(memory.modality, settings.modalities):
            found[uid] = _vanished(study, uid, memory, folders, now)
    study.series, study.is_looked_at = found, True


def _series(
    study: Study,
    reported: ReportedSeries,
    memory: SeriesMemory,
    answer: ImageAnswer | None,
    settings: Settings,
    folders: DataFolders,
    now: Moment,
) -> Series:
    uid = reported.series_instance_uid
    here = images_in(folders.series(study.uid, uid))
    memory = memory._replace(modality=reported.modality)
    wanted = is_wanted(reported.modality, settings.modalities)
    series = Series(reported, True, wanted, here, memory, Count(None, len(here.names), False))
    return with_list(series, answer, study, settings, now)


def with_list(series: Series, answer: ImageAnswer | None, study: Study, settings: Settings, now: Moment) -> Series:
    """SERIES with the ANSWER to an IMAGE-level question, counted anew."""
    memory, uids = series.memory, series.sop_instance_uids
    if answer is not None:
        listing = series_rules.listing(
            answer.sop_instance_uids, answer.answers, answer.failure, series.here.names, memory.listing
        )
        if listing is not None:
            uids = answer.sop_instance_uids
            changed = memory.listing is None or memory.listing.digest != listing.digest
            asked = asking.after_asking(memory.list_asked, series.basis, now, changed=changed)
            memory = memory._replace(listing=listing, list_asked=asked)
            ended = study.procedure is Procedure.ENDED
            since = series_rules.empty_since(listing, series.reported, memory, now, ended=ended)
            memory = memory._replace(empty_since=since)
    return counted(replace(series, memory=memory, sop_instance_uids=uids), settings, now)


def recounted(series: Series, here: Images, settings: Settings, now: Moment) -> Series:
    """SERIES with what is HERE now."""
    return counted(replace(series, here=here), settings, now)


def counted(series: Series, settings: Settings, now: Moment) -> Series:
    """SERIES with its verdict by what is reported, listed, here and remembered."""
    memory, names = series.memory, series.here.names
    listing = memory.listing
    if listing is not None and series.sop_instance_uids is not None:
        missing = sorted(series_rules.missing_by_name(series.sop_instance_uids, names))
        listing = listing._replace(missing=len(missing))
        memory = memory._replace(first_missing=tuple(filter(is_uid, missing))[:4])
    elif listing is not None and memory.list_asked is not None:
        # What was missing then has arrived and is gone again, where more is missing now than was known last.
        has_gone = listing.listed - len(names) > listing.missing
        if has_gone or memory.list_asked.basis != series.basis:
            listing = series_rules.stale(listing, len(names))
    asked = memory.list_asked.at if memory.list_asked is not None else None
    empty = series_rules.is_empty(memory.empty_since, asked, settings.quiet_seconds)
    count = series_rules.count(series.reported, names, listing, empty=empty)
    solid = series_rules.solid_count(series.reported, listing)
    count, since = series_rules.with_vanished(count, solid, memory, now, reported=True)
    largest_reported = max(filter(None, (solid, memory.largest_reported)), default=None)
    memory = memory._replace(listing=listing, shrunk_since=since, largest_reported=largest_reported)
    return replace(series, memory=memory, count=count)


def _vanished(study: Study, uid: str, memory: SeriesMemory, folders: DataFolders, now: Moment) -> Series:
    here = images_in(folders.series(study.uid, uid))
    received = len(here.names)
    expected = memory.largest_reported or memory.expected
    count = Count(expected, received, complete=False)
    count, since = series_rules.with_vanished(count, None, memory, now, reported=False)
    memory = memory._replace(retrieved=False, error=None, shrunk_since=since)
    return Series(ReportedSeries(uid, modality=memory.modality), False, True, here, memory, count)


def remembered(study: Study) -> StudyMemory:
    """What is remembered of STUDY as it stands now."""
    known = {
        uid: one.memory._replace(
            expected=one.count.expected,
            received=one.count.received,
            complete=one.count.complete,
            largest=max(one.memory.largest, one.count.received),
        )
        for uid, one in study.series.items()
    }
    # What a scanner that is off does not report is not forgotten, nor what could not be looked at.
    is_all = study.answered and study.is_looked_at
    return study.memory._replace(series=known if is_all else {**study.memory.series, **known})


def series_reports(study: Study) -> tuple[SeriesReport, ...]:
    """The series of STUDY as a pass reports them, sorted by UID; those that are not kept are left out (R40)."""
    return tuple(
        SeriesReport(
            one.uid,
            one.count.expected,
            one.count.received,
            one.count.complete,
            one.memory.retrieved,
            one.memory.error,
        )
        for one in sorted(study.wanted, key=lambda series: uid_order(series.uid))
    )
