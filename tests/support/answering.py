"""What a scripted scanner answers to a C-FIND from the images that it has (PS3.4 C.4.1)."""

import fnmatch
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_file_meta_info

from tests.support.script import (
    IMAGES_IN_ACQUISITION,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    Answer,
    Script,
)

Studies = dict[str, dict[str, list[Path]]]

_UIDS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
# What matches in a way of its own, or is no key to match.
_NO_KEYS = {"QueryRetrieveLevel", "SpecificCharacterSet", "ModalitiesInStudy", *_UIDS.values()}

_V = TypeVar("_V")


class Headers:
    """The headers of files, each read once."""

    def __init__(self) -> None:
        self._read: dict[Path, Dataset] = {}
        self._metas: dict[Path, FileMetaDataset] = {}

    def meta(self, path: Path) -> FileMetaDataset:
        """Group 2 of the file, which is whole also where a test sends one whose data set is not."""
        if path not in self._metas:
            self._metas[path] = read_file_meta_info(path)
        return self._metas[path]

    def of(self, path: Path) -> Dataset:
        """The file without its pixel data."""
        if path not in self._read:
            self._read[path] = pydicom.dcmread(path, stop_before_pixels=True)
        return self._read[path]

    def sop_instance_uid(self, path: Path) -> str:
        """The file's own, for a data set may lack it."""
        return str(self.meta(path).MediaStorageSOPInstanceUID)

    def forget(self, path: Path) -> None:
        """The file is no more."""
        self._read.pop(path, None)
        self._metas.pop(path, None)


def matches(studies: Studies, headers: Headers, query: Dataset, script: Script) -> Iterator[Answer]:
    """The answers to a C-FIND; what of `script` is about single answers is in them."""
    level = str(query.get("QueryRetrieveLevel", ""))
    for study_instance_uid, series in wanted(studies, query, "StudyInstanceUID"):
        if level == "STUDY":
            paths = [path for images in series.values() for path in images]
            if paths:
                answer = _answer(level, query, headers.of(paths[0]))
                answer.StudyInstanceUID = study_instance_uid
                _count_study(script, answer, query, study_instance_uid, (len(series), len(paths)))
                yield from _repeated(script, level, query, answer, len(paths))
            continue
        for series_instance_uid, paths in wanted(series, query, "SeriesInstanceUID"):
            if level == "SERIES":
                answer = _answer(level, query, headers.of(paths[0]) if paths else Dataset())
                answer.StudyInstanceUID = study_instance_uid
                answer.SeriesInstanceUID = series_instance_uid
                _count_series(script, answer, query, series_instance_uid, len(paths))
                _set_modality(script, answer, series_instance_uid)
                yield from _repeated(script, level, query, answer, len(paths))
                continue
            images = {str(headers.of(path).SOPInstanceUID): path for path in list(paths)}
            for sop_instance_uid, path in wanted(images, query, "SOPInstanceUID"):
                for _ in range(2 if sop_instance_uid in script.lists_twice else 1):
                    yield script.pending_status, _answer(level, query, headers.of(path))


def without_end(level: str, first: Answer) -> Iterator[Answer]:
    """The answer again and again, each time with another UID of the level."""
    status, identifier = first
    number = 0
    while True:
        number += 1
        answer = deepcopy(identifier)
        if answer is not None:
            setattr(answer, _UIDS[level], f"{answer.StudyInstanceUID}.9.{number}")
        yield status, answer


def wanted(have: Mapping[str, _V], query: Dataset, keyword: str) -> Iterator[tuple[str, _V]]:
    """Those whose UID the query names, all when it names none (PS3.4 C.2.2.2.1 to C.2.2.2.3)."""
    uids = values(query, keyword)
    # A copy: the test may add studies while a query is answered.
    for uid, value in list(have.items()):
        if not uids or uid in uids:
            yield uid, value


def values(query: Dataset, keyword: str) -> list[str]:
    """The values of an attribute of a query."""
    value = query.get(keyword)
    if value is None or value == "":
        return []
    return [str(value)] if isinstance(value, str) else [str(one) for one in value]


def text(query: Dataset, keyword: str) -> str:
    """They as DICOM writes them."""
    return "\\".join(values(query, keyword))


def _repeated(script: Script, level: str, query: Dataset, answer: Dataset, images: int) -> Iterator[Answer]:
    """The answer, if it matches the query's other keys."""
    if script.ignores_keys or all(_matches(key, answer) for key in query):
        for _ in range(images if level in script.answers_for_each_image else 1):
            yield script.pending_status, deepcopy(answer)


def _matches(key: DataElement, answer: Dataset) -> bool:
    """Single value, wildcard and range matching (PS3.4 C.2.2.2) of one key that is no UID."""
    # A text is compared as it stands: one number or one name, whatever pydicom makes of it.
    asked = "" if key.value is None else str(key.value)
    if key.keyword in _NO_KEYS or key.tag not in answer or asked == "" or key.VR == "SQ":
        return True
    have = str(answer[key.tag].value or "")
    if key.VR in ("DA", "TM") and "-" in asked:
        first, _, last = asked.partition("-")
        return (not first or first <= have) and (not last or have <= last)
    if key.VR in ("IS", "US", "UL", "DS"):
        return True
    return fnmatch.fnmatchcase(have.casefold(), asked.casefold().replace("[", "[[]"))


def _answer(level: str, query: Dataset, header: Dataset) -> Dataset:
    """The keys of the query with what the image has for them, empty where it has nothing (PS3.4 C.2.2.1.3)."""
    answer = Dataset()
    for key in query:
        if key.tag in (IMAGES_IN_ACQUISITION, NUMBER_OF_SERIES_RELATED_INSTANCES):
            continue
        answer[key.tag] = header[key.tag] if key.tag in header else DataElement(key.tag, key.VR, None)
    answer.QueryRetrieveLevel = level
    return answer


def _count_series(script: Script, answer: Dataset, query: Dataset, series_instance_uid: str, images: int) -> None:
    tag = script.count_key
    if tag is None or tag not in query:
        return
    value = script.claims.get(series_instance_uid, images)
    # `already_converted`: a text that is no number is what a test may want.
    answer[tag] = DataElement(tag, "IS", "" if value is None else str(value), already_converted=True)


def _count_study(
    script: Script, answer: Dataset, query: Dataset, study_instance_uid: str, true: tuple[int, int]
) -> None:
    for number, keyword in enumerate(("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")):
        if keyword not in query:
            continue
        if script.study_counts is None:
            delattr(answer, keyword)
        else:
            setattr(answer, keyword, script.study_counts.get(study_instance_uid, true)[number])


def _set_modality(script: Script, answer: Dataset, series_instance_uid: str) -> None:
    if series_instance_uid not in script.modalities or "Modality" not in answer:
        return
    modality = script.modalities[series_instance_uid]
    if modality is None:
        del answer.Modality
    else:
        answer.Modality = modality
