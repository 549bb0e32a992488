"""The faults of a scanner and of the network to it, by name. Each is what a scanner once did, or could do.

Statuses are those of PS3.4 tables C.4-1 (C-FIND) and C.4-2 (C-MOVE) and of PS3.7 Annex C; reasons to reject an
association those of PS3.8 section 9.3.4.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.faults.laboratory import FailingStudy, Fault
from tests.support.objects import mr_series, uid
from tests.support.scripted import PENDING, Answer, Break

# What a hostile text may hold; "evil" so that the laboratory finds whatever is made of it anywhere.
HOSTILE = {
    "leads out": "../../../../evil",
    "leads out within": "1.2/../../../evil",
    "absolute": "/tmp/evil",
    "dots": "..",
    "spaces": "1.2 .3 evil",
    "quotes": "1.2'\"evil",
    "a command": "$(touch evil)",
    "backticks": "`touch evil`",
    "a semicolon": "1.2;touch evil;",
    "NUL": "1.2\0evil",
    "newline": "1.2\nevil",
    "carriage return": "1.2\r\x1b[2Jevil",
    "Unicode": "１.２.évil".encode().decode("latin-1"),
    "a wildcard": "1.2.*",
    "too long": "1." * 40 + "1",
    "10,000 characters": "1." * 5000 + "1",
    "an option": "-evil",
}


# Associations

# By source and reason.
_REJECTED = {
    (1, 1): "Service User Reason: No Reason",
    (1, 2): "Service User Reason: App Context Name Not Supported",
    (1, 3): "Service User Reason: Calling AE Title Not Recognized",
    (1, 7): "Service User Reason: Called AE Title Not Recognized",
    (2, 1): "Service Provider (ACSE Related) Reason: No Reason",
    (2, 2): "Service Provider (ACSE Related) Reason: Protocol Version Not Supported",
    (3, 1): "Service Provider (Presentation Related) Reason: Temporary Congestion",
    (3, 2): "Service Provider (Presentation Related) Reason: Local Limit Exceeded",
}


def _reject(failing: FailingStudy, result: int, source: int, reason: int) -> None:
    failing.scanner.script.reject = (result, source, reason)


REJECTIONS = [
    Fault(
        f"association rejected: {kind}, {words}",
        partial(_reject, result=result, source=source, reason=reason),
        "error",
        f"Result: Rejected {kind}, Source: {words}",
        alone=True,
    )
    for (source, reason), words in _REJECTED.items()
    for result, kind in ((1, "Permanent"), (2, "Transient"))
]


def _no_context(failing: FailingStudy) -> None:
    failing.scanner.script.syntaxes = ["1.2.840.10008.1.2.4.50"]


REJECTIONS.append(
    Fault("no presentation context accepted", _no_context, "error", "No Acceptable Presentation Contexts", alone=True)
)


def _break(failing: FailingStudy, moment: str, how: str, level: str = "SERIES") -> None:
    last = {"answer": len(failing.study.series), "image": failing.images, "inside image": failing.images - 1}.get(
        moment, 0
    )
    failing.script.breaks = Break(moment, failing.at(last), how, level)  # type: ignore[arg-type]


BREAKS_OF_FIND = [
    Fault(
        f"C-FIND {level}: {how} at the {moment}",
        partial(_break, moment=moment, how=how, level=level),
        "error",
        cause,
        silent=how == "silence",
        alone=True,
    )
    for level in ("SERIES", "IMAGE")
    for how, cause in (
        ("abort", "Find Failed Peer aborted Association"),
        ("close", "Find Failed Peer aborted Association"),
        ("silence", "Find Failed DIMSE No data available"),
    )
    for moment in ("find", "answer")
]


def _slow_answers(failing: FailingStudy) -> None:
    failing.script.seconds_between_answers = 0.3


def _slow_images(failing: FailingStudy) -> None:
    failing.script.seconds_between_images = 0.3


_MOVE_BROKEN = {
    "abort": "Move Request Failed: Peer aborted Association",
    "close": "Move Request Failed: Peer aborted Association",
    "silence": "ended: no progress for",
}

BREAKS_OF_MOVE = [
    Fault(
        f"C-MOVE: {how} at the {moment}",
        partial(_break, moment=moment, how=how),
        "error",
        cause,
        silent=how == "silence",
        alone=True,
    )
    for how, cause in _MOVE_BROKEN.items()
    for moment in ("move", "image")
]
BREAKS_INSIDE_AN_IMAGE = [
    Fault(
        f"C-MOVE: {how} inside an image",
        partial(_break, moment="inside image", how=how),
        "error",
        cause,
        silent=how == "silence",
        alone=True,
    )
    for how, cause in _MOVE_BROKEN.items()
]
SLOW = [
    Fault("C-FIND answered slowly", _slow_answers, "finished", "JOB "),
    Fault("images sent slowly", _slow_images, "finished", "JOB "),
]


# Statuses

_FIND_STATUSES = {
    0xA700: "Refused: OutOfResources",
    0xA701: "Unknown Status: 0xa701",
    0xA900: "Error: DataSetDoesNotMatchSOPClass",
    0xC000: "Failed: UnableToProcess",
    0xC001: "Failed: UnableToProcess",
    0xCFFF: "Failed: UnableToProcess",
    0xFE00: "Cancel: MatchingTerminatedDueToCancelRequest",
    0x0122: "Refused: SOPClassNotSupported",
    0x0110: "Unknown Status: 0x110",
    0x0124: "Unknown Status: 0x124",
    0x0211: "Unknown Status: 0x211",
    0xB000: "Unknown Status: 0xb000",
}


def _find_status(failing: FailingStudy, status: int) -> None:
    failing.script.find_status["SERIES"] = status


def _find_ends_with(failing: FailingStudy, status: int) -> None:
    failing.script.find_ends_with["SERIES"] = status


def _image_level(failing: FailingStudy, status: int) -> None:
    failing.script.find_status["IMAGE"] = status


def _no_optional_keys(failing: FailingStudy) -> None:
    failing.script.pending_status = 0xFF01


STATUSES_OF_FIND = [
    *(
        Fault(f"C-FIND {words} 0x{status:04X}", partial(begin, status=status), "error", said)
        for words, begin in (
            ("ends at once with", _find_status),
            ("ends after its answers with", _find_ends_with),
        )
        for status, said in _FIND_STATUSES.items()
    ),
    Fault("C-FIND IMAGE ends at once with 0xA700", partial(_image_level, status=0xA700), "error", "OutOfResources"),
    Fault("C-FIND IMAGE is not supported", partial(_image_level, status=0xA900), "finished", "relying on the count"),
    Fault("C-FIND answers with 0xFF01", _no_optional_keys, "finished", "JOB "),
]

_MOVE_STATUSES = {
    0xA700: "Unknown Status: 0xa700",
    0xA701: "Refused: OutOfResourcesNumberOfMatches",
    0xA702: "Refused: OutOfResourcesSubOperations",
    0xA801: "Refused: MoveDestinationUnknown",
    0xA900: "Error: DataSetDoesNotMatchSOPClass",
    0xB000: "Warning: SubOperationsCompleteOneOrMoreFailures",
    0xC000: "Failed: UnableToProcess",
    0xC001: "Failed: UnableToProcess",
    0xCFFF: "Failed: UnableToProcess",
    0xFE00: "Cancel: SubOperationsTerminatedDueToCancelIndication",
    0x0122: "Refused: SOPClassNotSupported",
    0x0110: "Unknown Status: 0x110",
    0x0124: "Unknown Status: 0x124",
    0x0211: "Unknown Status: 0x211",
}


def _move_status(failing: FailingStudy, status: int, images: int | None) -> None:
    failing.script.move_status = status
    for series_instance_uid in failing.study.series:
        failing.script.send_only[series_instance_uid] = failing.at(failing.images - 1) if images is None else images


STATUSES_OF_MOVE = [
    Fault(
        f"C-MOVE ends with 0x{status:04X}, {words}",
        partial(_move_status, status=status, images=images),
        "error",
        f"failed: {said}",
        alone=status == 0xA801,
        quick=images is None or status in (0xA701, 0xA801, 0xB000),
    )
    for words, images in (("nothing sent", 0), ("some sent", None))
    for status, said in _MOVE_STATUSES.items()
]


# Answers

_Change = Callable[[Dataset], object]


def _answers(failing: FailingStudy, change: _Change, level: str = "SERIES", *, more: bool = False) -> None:
    """One of the answers is changed or, with `more`, there is a changed one more."""

    def answers(query: Dataset) -> list[Answer]:
        true = [answer for _, answer in failing.scanner.matches(query) if answer is not None]
        number = failing.at(len(true) - (not more))
        if more:
            true.insert(number, deepcopy(true[0]))
        change(true[number])
        return [(PENDING, answer) for answer in true]

    failing.script.find_answers[level] = answers


def _set(data_set: Dataset, keyword: str, value: str) -> None:
    # As it is: pydicom would refuse some of these.
    data_set[keyword] = DataElement(keyword, dictionary_VR(keyword), value, already_converted=True)


def _unset(data_set: Dataset, keyword: str) -> None:
    del data_set[keyword]


def _hostile_answers(failing: FailingStudy, keyword: str, level: str) -> None:
    """The one answer comes once with each hostile text instead of its UID."""

    def answers(query: Dataset) -> list[Answer]:
        hostile = []
        for value in HOSTILE.values():
            answer = deepcopy(next(answer for _, answer in failing.scanner.matches(query) if answer is not None))
            _set(answer, keyword, value)
            hostile.append((PENDING, answer))
        return hostile

    failing.script.find_answers[level] = answers


def _other(answer: Dataset, keyword: str) -> None:
    setattr(answer, keyword, uid())


def _count(failing: FailingStudy, count: str | None) -> None:
    failing.script.claims[failing.series_instance_uid] = count


def _claim(failing: FailingStudy, more: int) -> None:
    failing.script.claims[failing.series_instance_uid] = max(1, failing.images + more)


def _changing_count(failing: FailingStudy) -> None:
    failing.script.claims[failing.series_instance_uid] = failing.images + 1 + failing.passes


_NO_SERIES_UID = "names a series without a valid SeriesInstanceUID"

ANSWERS = [
    *(
        Fault(
            f"SeriesInstanceUID in an answer: {words}",
            partial(_answers, change=partial(_set, keyword="SeriesInstanceUID", value=value), more=True),
            "error",
            _NO_SERIES_UID,
        )
        for words, value in HOSTILE.items()
    ),
    Fault(
        "StudyInstanceUIDs in the answers that are none",
        partial(_hostile_answers, keyword="StudyInstanceUID", level="SERIES"),
        "waiting",
        "the scanner has no series of",
    ),
    Fault(
        "SOPInstanceUIDs in the answers that are none",
        partial(_hostile_answers, keyword="SOPInstanceUID", level="IMAGE"),
        "waiting",
        f"{len(HOSTILE)} images that the scanner lists are not here",
    ),
    Fault(
        "answer without SeriesInstanceUID",
        partial(_answers, change=partial(_unset, keyword="SeriesInstanceUID"), more=True),
        "error",
        _NO_SERIES_UID,
    ),
    Fault(
        "answer with an empty SeriesInstanceUID",
        partial(_answers, change=partial(_set, keyword="SeriesInstanceUID", value=""), more=True),
        "error",
        _NO_SERIES_UID,
    ),
    Fault(
        "answer for a study that was not asked",
        partial(_answers, change=partial(_other, keyword="StudyInstanceUID")),
        # With a second series the number of series at STUDY level shows that one is lacking (R35).
        ("waiting", "error"),
        ("the scanner has no series of", "does not list all series"),
    ),
    *(
        Fault(f"count is {words}", partial(_count, count=value), "finished", "we do have {n} of {n}")
        for words, value in {
            "empty": "",
            "negative": "-3",
            "zero": "0",
            "a word": "many",
            "a fraction": "2.5",
            "too large for its VR": "99999999999999999999",
            "larger than 2^31": "4294967296",
            "hostile": "3; touch evil",
        }.items()
    ),
    Fault("count is huge", partial(_count, count="2147483647"), "waiting", "but like to see 2147483647"),
    Fault("claims one image more", partial(_claim, more=1), "waiting", "but like to see {more}"),
    Fault("claims one image less", partial(_claim, more=-1), "finished", "we do have {n} of {less}"),
    Fault("claims another count in each pass", _changing_count, "waiting", "but like to see"),
]


# Images

_Images = Callable[[FailingStudy, list[Path]], list[Path]]


def _sends(failing: FailingStudy, files: _Images) -> None:
    failing.script.sends = partial(files, failing)


def _changed(failing: FailingStudy, paths: list[Path], change: Callable[[FailingStudy, Path], Path]) -> list[Path]:
    """One of the images is changed."""
    number = failing.at(len(paths) - 1)
    return [change(failing, path) if n == number else path for n, path in enumerate(paths)]


def _with(failing: FailingStudy, path: Path, change: _Change) -> Path:
    return failing.copy(path, change)


def _cut(failing: FailingStudy, path: Path, keep: float) -> Path:
    """`keep` is how much of its pixel data is left."""
    whole = path.read_bytes()
    lost = round(len(pydicom.dcmread(path).PixelData) * (1 - keep))
    return failing.save(path, whole[: len(whole) - lost])


def _garbled(failing: FailingStudy, path: Path) -> Path:
    """An element's tag, VR and length are other bytes."""
    whole = bytearray(path.read_bytes())
    begin = whole.index(b"\x20\x00\x0d\x00UI")
    whole[begin : begin + 8] = failing.numbers.randbytes(8)
    return failing.save(path, bytes(whole))


def _twice(failing: FailingStudy, paths: list[Path]) -> list[Path]:
    number = failing.at(len(paths) - 1)
    return [*paths[:number], paths[number], *paths[number:]]


def _fewer(failing: FailingStudy, paths: list[Path]) -> list[Path]:
    number = failing.at(len(paths) - 1)
    return paths[:number] + paths[number + 1 :]


def _nothing(failing: FailingStudy, paths: list[Path]) -> list[Path]:
    return []


def _stranger(image: Dataset) -> None:
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(image, keyword, uid())
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID


def _with_a_stranger(failing: FailingStudy, paths: list[Path]) -> list[Path]:
    number = failing.at(len(paths))
    return [*paths[:number], failing.copy(paths[0], _stranger), *paths[number:]]


def _one_more(failing: FailingStudy, paths: list[Path]) -> list[Path]:
    def another(image: Dataset) -> None:
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"{failing.series_instance_uid}.99")

    return [*paths, failing.copy(paths[0], another)]


def _healthy_ones(failing: FailingStudy, paths: list[Path]) -> list[Path]:
    return failing.healthy.paths


def _hostile_images(failing: FailingStudy, paths: list[Path], keyword: str) -> list[Path]:
    """Each image has another hostile text instead of its UID."""
    values = list(HOSTILE.values())
    return [
        failing.copy(path, partial(_set, keyword=keyword, value=values[n % len(values)]))
        for n, path in enumerate(paths)
    ]


def _announces_hostile(failing: FailingStudy) -> None:
    values = list(HOSTILE.values())
    names = [path.name for path in failing.study.paths]
    failing.script.announces = lambda sop_instance_uid: values[names.index(sop_instance_uid) % len(values)]


def _announces_another(failing: FailingStudy) -> None:
    victim = failing.study.paths[failing.at(failing.images - 1)].name
    failing.script.announces = lambda sop_instance_uid: "1.2.3" if sop_instance_uid == victim else sop_instance_uid


# storescp takes what it can make a data set of.
_REFUSED_OR_SET_ASIDE = ("SubOperations", "set aside")


def _changed_image(
    name: str, change: Callable[[FailingStudy, Path], Path], cause: str | tuple[str, ...], *, quick: bool = True
) -> Fault:
    return Fault(name, partial(_sends, files=partial(_changed, change=change)), "error", cause, quick=quick)


_UIDS = {"StudyInstanceUID": "0020,000d", "SeriesInstanceUID": "0020,000e", "SOPInstanceUID": "0008,0018"}
COUNTS = [
    Fault("sends one image less", partial(_sends, files=_fewer), "waiting", "but like to see {n}"),
    Fault("sends nothing", partial(_sends, files=_nothing), "waiting", "we expect {n} images"),
    Fault("sends one image twice", partial(_sends, files=_twice), "finished", "JOB "),
    Fault("sends an image more", partial(_sends, files=_one_more), "finished", "we do have {more} of {n}"),
    Fault(
        "sends an image of a study that was not asked",
        partial(_sends, files=_with_a_stranger),
        "finished",
        "nobody asked for its study",
    ),
    Fault(
        "sends images of another requested study",
        partial(_sends, files=_healthy_ones),
        "waiting",
        "we expect {n} images",
    ),
]

IMAGES = [
    *(
        _changed_image(f"image cut {words}", partial(_cut, keep=keep), cause)
        for words, keep, cause in (
            ("in its pixel data", 0.5, "set aside"),
            ("before its last byte", 0.9999, _REFUSED_OR_SET_ASIDE),
            ("before its first pixel", 0.0, "set aside"),
        )
    ),
    _changed_image("image garbled", _garbled, _REFUSED_OR_SET_ASIDE),
    *(
        Fault(
            f"images whose {keyword} is none",
            partial(_sends, files=partial(_hostile_images, keyword=keyword)),
            "error",
            f"its ({tag}) is no UID",
            images=len(HOSTILE),
        )
        for keyword, tag in _UIDS.items()
    ),
    *(
        _changed_image(
            f"image without {keyword}",
            partial(_with, change=partial(_unset, keyword=keyword)),
            cause,
            quick=keyword in ("SOPInstanceUID", "PixelData"),
        )
        for keyword, cause in [
            *((keyword, f"its ({tag}) is no UID") for keyword, tag in _UIDS.items()),
            ("PixelData", "it is an image without pixel data"),
        ]
    ),
    Fault(
        "announced SOPInstanceUIDs that are none",
        _announces_hostile,
        "error",
        "it was announced with",
        images=len(HOSTILE),
    ),
    Fault("announced SOPInstanceUID is another's", _announces_another, "error", "it was announced with"),
]

_SYNTAXES = {
    "implicit VR": ImplicitVRLittleEndian,
    "explicit VR big endian": ExplicitVRBigEndian,
    "explicit VR little endian": ExplicitVRLittleEndian,
}


def _nothing_else(failing: FailingStudy) -> None:
    pass


def _query_syntax(failing: FailingStudy, syntax: str) -> None:
    failing.scanner.script.syntaxes = [syntax]


SYNTAXES = [
    *(
        Fault(
            f"images in {words}",
            _nothing_else,
            "finished",
            "JOB ",
            make=partial(mr_series, transfer_syntax=syntax),
        )
        for words, syntax in _SYNTAXES.items()
    ),
    *(
        Fault(f"queries in {words} only", partial(_query_syntax, syntax=syntax), "finished", "JOB ", alone=True)
        for words, syntax in _SYNTAXES.items()
    ),
]


# Size


def _many_series(failing: FailingStudy, series: int) -> None:
    """So many more series, none of which it sends."""

    def answers(query: Dataset) -> Iterator[Answer]:
        yield from failing.scanner.matches(query)
        for number in range(series):
            answer = Dataset()
            answer.StudyInstanceUID = failing.study.uid
            answer.SeriesInstanceUID = f"{failing.study.uid}.9.{number}"
            answer.NumberOfSeriesRelatedInstances = 1
            yield PENDING, answer

    failing.script.find_answers["SERIES"] = answers
    # Ends the pass's pulls; a settle time for each of 10,000 would take half a day.
    failing.script.move_status = 0xA801
    failing.script.send_only = dict.fromkeys(failing.study.series, failing.images)


MANY_SERIES = [
    Fault(
        f"{series:,} series",
        partial(_many_series, series=series),
        "error",
        "Refused: MoveDestinationUnknown",
        alone=True,
        quick=series == 1000,
    )
    for series in (1000, 10_000)
]
