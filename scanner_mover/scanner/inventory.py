"""Asking the scanner: many C-FIND queries in few associations, and again those that a broken one left unanswered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scanner_mover.config import Settings
from scanner_mover.dcmtk.dump2dcm import Query, images_of_series, series_of_study
from scanner_mover.dcmtk.findscu import Found
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.dicom import (
    IMAGES_IN_ACQUISITION,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    is_uid,
)
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules import expected_images
from scanner_mover.scanner.ask import ask, ending
from scanner_mover.scanner.query_files import QueryFiles


@dataclass(frozen=True)
class FoundSeries:
    """One series as the scanner tells of it; counts are its text, None when it gives none."""

    series_instance_uid: str
    number_of_series_related_instances: str | None
    images_in_acquisition: str | None


@dataclass(frozen=True)
class StudyAnswer:
    """The series of one study, and why that answer cannot be relied on (None: it can)."""

    series: tuple[FoundSeries, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class SeriesAnswer:
    """The SOPInstanceUIDs of one series, and why that answer cannot be relied on (None: it can)."""

    sop_instance_uids: frozenset[str] = frozenset()
    failure: Failure | None = None


class Asker:
    """Asks one scanner during one pass; works in a folder of its own."""

    def __init__(
        self,
        tools: Toolbox,
        settings: Settings,
        work: str,
        retries: int,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._retries = retries
        self._log = log
        #: What makes the query files of this pass.
        self.files = QueryFiles(tools, work)
        #: The failure after which nothing else is worth asking in this pass.
        self.ended_by: Failure | None = None

    def series(self, study_instance_uids: Sequence[str]) -> dict[str, StudyAnswer]:
        """Ask at SERIES level for each of the studies (R11)."""
        tags = (
            STUDY_INSTANCE_UID,
            SERIES_INSTANCE_UID,
            NUMBER_OF_SERIES_RELATED_INSTANCES,
            IMAGES_IN_ACQUISITION,
        )
        found = self._ask([series_of_study(uid) for uid in study_instance_uids], tags)
        return {uid: _study_answer(uid, one) for uid, one in zip(study_instance_uids, found, strict=True)}

    def images(self, series: Sequence[tuple[str, str]]) -> dict[tuple[str, str], SeriesAnswer]:
        """Ask at IMAGE level for each series, given as StudyInstanceUID and SeriesInstanceUID (R13, R22)."""
        tags = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
        found = self._ask([images_of_series(*one) for one in series], tags)
        return {one: _series_answer(*one, answer) for one, answer in zip(series, found, strict=True)}

    def _ask(self, queries: Sequence[Query], tags: Sequence[str]) -> list[Found]:
        if self.ended_by is not None:
            return [Found([], self.ended_by)] * len(queries)
        found = ask(self._tools, self._settings, self.files, queries, tags, retries=self._retries, log=self._log)
        self.ended_by = ending(found)
        return found


def _told(series: FoundSeries) -> int:
    """How many images the scanner tells of, 0 when it gives no number."""
    number = expected_images(series.number_of_series_related_instances, series.images_in_acquisition, None)
    return number or 0


def _study_answer(study_instance_uid: str, found: Found) -> StudyAnswer:
    """What FOUND says of the series of one study; answers for another study are not about this one."""
    series: dict[str, FoundSeries] = {}
    failure = found.failure
    for answer in found.answers:
        if answer.error is not None or answer.one(STUDY_INSTANCE_UID) not in (study_instance_uid, None):
            continue
        uid = answer.one(SERIES_INSTANCE_UID)
        if uid is None or not is_uid(uid):
            failure = failure or Failure(Kind.REFUSED, "the scanner names a series without a valid SeriesInstanceUID")
            continue
        one = FoundSeries(uid, answer.one(NUMBER_OF_SERIES_RELATED_INSTANCES), answer.one(IMAGES_IN_ACQUISITION))
        # Of one that is told of twice the larger number counts.
        series[uid] = max(series.get(uid, one), one, key=_told)
    return StudyAnswer(tuple(series.values()), failure)


def _series_answer(study_instance_uid: str, series_instance_uid: str, found: Found) -> SeriesAnswer:
    """What FOUND says of the images of one series; answers for another series are not about this one."""
    uids = set()
    for answer in found.answers:
        about = (answer.one(STUDY_INSTANCE_UID), answer.one(SERIES_INSTANCE_UID))
        sop_instance_uid = answer.one(SOP_INSTANCE_UID)
        if about[0] in (study_instance_uid, None) and about[1] in (series_instance_uid, None) and sop_instance_uid:
            uids.add(sop_instance_uid)
    return SeriesAnswer(frozenset(uids), found.failure)
