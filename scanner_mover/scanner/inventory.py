"""What the scanner has (C-FIND): the series of studies, the images of series, the numbers of a study as a whole."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from scanner_mover.config import Settings
from scanner_mover.dcmtk.dump2dcm import Query, images_of_series, series_of_study, whole_study
from scanner_mover.dcmtk.findscu import Found
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.dicom import (
    IMAGES_IN_ACQUISITION,
    MODALITY,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_SERIES,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_DATE,
    STUDY_INSTANCE_UID,
    is_uid,
)
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules.records import ReportedSeries
from scanner_mover.rules.retrieving import MOST_STALLS, STALLS
from scanner_mover.rules.series import number_of_images
from scanner_mover.scanner.ask import ask, ending
from scanner_mover.scanner.query_files import QueryFiles

SERIES_TAGS = (
    STUDY_INSTANCE_UID,
    SERIES_INSTANCE_UID,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    IMAGES_IN_ACQUISITION,
    MODALITY,
)
IMAGE_TAGS = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
STUDY_TAGS = (STUDY_INSTANCE_UID, NUMBER_OF_STUDY_RELATED_SERIES, NUMBER_OF_STUDY_RELATED_INSTANCES, STUDY_DATE)

#: A series, by its StudyInstanceUID and its SeriesInstanceUID.
Place = tuple[str, str]


@dataclass(frozen=True)
class SeriesAnswer:
    """The series of one study, and why that answer cannot be relied on (None: it can)."""

    series: tuple[ReportedSeries, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class ImageAnswer:
    """The SOPInstanceUIDs of one series, how many answers arrived (repeated ones too), and what is wrong with them."""

    sop_instance_uids: frozenset[str] = frozenset()
    answers: int = 0
    failure: Failure | None = None


@dataclass(frozen=True)
class StudyAnswer:
    """What the STUDY level reports of one study: (0020,1206), (0020,1208) and its date; None where there is nothing."""

    series: int | None = None
    images: int | None = None
    study_date: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Everything:
    """All that is asked of one study before it is closed, in one association."""

    series: SeriesAnswer
    images: dict[str, ImageAnswer] = field(default_factory=dict)
    study: StudyAnswer = StudyAnswer()


class Inventory:
    """Asks one scanner during one pass. After a failure that ends the pass nothing is sent any more, nor after
    `MOST_STALLS` questions in a row on which the scanner fell silent, or whose answers did not end.
    """

    def __init__(
        self, tools: Toolbox, settings: Settings, files: QueryFiles, retries: int, log: Callable[[str], None]
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._files = files
        self._retries = retries
        self._log = log
        self._silent = self._endless = 0
        self._ended_by: Failure | None = None

    def series(self, study_instance_uids: Sequence[str]) -> dict[str, SeriesAnswer]:
        """Ask at SERIES level for each of the studies (R11)."""
        found = self._ask([series_of_study(uid) for uid in study_instance_uids], SERIES_TAGS)
        return {uid: series_answer(uid, one) for uid, one in zip(study_instance_uids, found, strict=True)}

    def images(self, places: Sequence[Place]) -> dict[Place, ImageAnswer]:
        """Ask at IMAGE level for each series (R13, R22)."""
        found = self._ask([images_of_series(*one) for one in places], IMAGE_TAGS)
        return {one: image_answer(*one, answer) for one, answer in zip(places, found, strict=True)}

    def everything(self, study_instance_uid: str, series_instance_uids: Sequence[str]) -> Everything:
        """Ask what closes a request: the series, the study as a whole, the images of the series named (R22, R35)."""
        uid = study_instance_uid
        images_of = (images_of_series(uid, one) for one in series_instance_uids)
        queries = [series_of_study(uid), whole_study(uid), *images_of]
        series, study, *images = self._ask(queries, tuple(dict.fromkeys((*SERIES_TAGS, *STUDY_TAGS, *IMAGE_TAGS))))
        lists = zip(series_instance_uids, images, strict=True)
        return Everything(
            series_answer(uid, series),
            {one: image_answer(uid, one, found) for one, found in lists},
            study_answer(uid, study),
        )

    def _ask(self, queries: Sequence[Query], tags: Sequence[str]) -> list[Found]:
        if self._ended_by is not None:
            return [Found([], self._ended_by)] * len(queries)
        found = ask(self._tools, self._settings, self._files, queries, tags, retries=self._retries, log=self._log)
        failures = [one.failure for one in found if one.failure is not None]
        stalled = next((one for one in failures if one.kind in STALLS), None)
        if stalled is not None and stalled.kind is Kind.ENDLESS:
            self._endless += 1
        else:  # silence that another answer ended is over
            self._silent = 0 if stalled is None else self._silent + 1
        self._ended_by = ending(found) or (stalled if self._silent + self._endless >= MOST_STALLS else None)
        return found


def series_answer(study_instance_uid: str, found: Found) -> SeriesAnswer:
    """What FOUND says of the series of one study; answers for another study are not about this one."""
    series: dict[str, ReportedSeries] = {}
    failure = found.failure
    for answer in found.answers:
        if answer.error is not None or answer.one(STUDY_INSTANCE_UID) not in (study_instance_uid, None):
            continue
        uid = answer.one(SERIES_INSTANCE_UID)
        if uid is None or not is_uid(uid):
            failure = failure or Failure(Kind.REFUSED, "the scanner names a series without a valid SeriesInstanceUID")
            continue
        one = ReportedSeries(
            uid,
            number_of_images(answer.one(NUMBER_OF_SERIES_RELATED_INSTANCES)),
            number_of_images(answer.one(IMAGES_IN_ACQUISITION)),
            answer.one(MODALITY),
        )
        # Of a series that is listed twice the larger number counts.
        series[uid] = max(series.get(uid, one), one, key=lambda reported: reported.number or 0)
    return SeriesAnswer(tuple(series.values()), failure)


def image_answer(study_instance_uid: str, series_instance_uid: str, found: Found) -> ImageAnswer:
    """What FOUND says of the images of one series; answers for another series are not about this one."""
    uids = []
    for answer in found.answers:
        about = answer.one(STUDY_INSTANCE_UID), answer.one(SERIES_INSTANCE_UID)
        sop_instance_uid = answer.one(SOP_INSTANCE_UID)
        if about[0] in (study_instance_uid, None) and about[1] in (series_instance_uid, None) and sop_instance_uid:
            uids.append(sop_instance_uid)
    return ImageAnswer(frozenset(uids), len(uids), found.failure)


def study_answer(study_instance_uid: str, found: Found) -> StudyAnswer:
    """What FOUND says of one study; of several answers the larger numbers count."""
    about = [one for one in found.answers if one.error is None and one.one(STUDY_INSTANCE_UID) == study_instance_uid]
    return StudyAnswer(
        _largest(one.one(NUMBER_OF_STUDY_RELATED_SERIES) for one in about),
        _largest(one.one(NUMBER_OF_STUDY_RELATED_INSTANCES) for one in about),
        next((date for one in about if (date := one.one(STUDY_DATE))), None),
        found.failure,
    )


def _largest(texts: Iterable[str | None]) -> int | None:
    numbers = [number for text in texts if (number := number_of_images(text)) is not None]
    return max(numbers, default=None)
