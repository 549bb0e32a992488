"""dump2dcm: makes the query files that findscu and movescu send, from the text templates of this package.

Levels and keys: DICOM PS3.4 sections C.4.1.1, C.4.2.1 and C.6.2.1 (study root).
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError, reason
from scanner_mover.failures import Level
from scanner_mover.text import beginning

_STALL_SECONDS = 30.0
_LEVEL = re.compile(r"^\(0008,0052\) CS \[(\w+)\]$", re.MULTILINE)

# A list of UIDs is one value of a data element with a 16-bit length (DICOM PS3.5 section 7.1.2).
_MOST_UIDS = 1000
_MOST_BYTES = 65534
# dump2dcm itself takes 4,096 characters a line.
_LONGEST_LINE = "131072"


@dataclass(frozen=True)
class Query:
    """A template and the values that go into it.

    A value whose name ends in `_uid` is a UID or empty, in `_uids` a list of UIDs.
    """

    template: str
    values: tuple[tuple[str, str], ...]

    @property
    def level(self) -> Level:
        """The query/retrieve level that the template names."""
        found = _LEVEL.search(template(self.template).template)
        assert found is not None, f"{self.template} names no level"
        return Level(found[1])

    def text(self) -> str:
        """The text for dump2dcm.

        Raises ValueError for a value that cannot stand in it: no unchecked text gets into a file (R10).
        """
        for name, value in self.values:
            if name.endswith("_uid"):
                if value and not is_uid(value):
                    raise ValueError(f"not a UID: {value!r}")
            elif name.endswith("_uids"):
                # Never empty: a server takes that for the whole series.
                if not all(map(is_uid, value.split("\\"))):
                    raise ValueError(f"not a list of UIDs: {value!r}")
            elif not value.isprintable() or "\\" in value:
                raise ValueError(f"not a single printable value: {value!r}")
        return template(self.template).substitute(dict(self.values))


def series_of_study(study_instance_uid: str) -> Query:
    """C-FIND, level SERIES: which series there are, and how many images the scanner says they have (R11, R13)."""
    return Query("series_find.dump", (("study_instance_uid", study_instance_uid),))


def whole_study(study_instance_uid: str) -> Query:
    """C-FIND, level STUDY: how many series and images one study has in all, and its date (R32, R35)."""
    return Query("study_find.dump", (("study_instance_uid", study_instance_uid),))


def images_of_series(study_instance_uid: str, series_instance_uid: str) -> Query:
    """C-FIND, level IMAGE: every SOPInstanceUID of one series (R13, R22)."""
    return Query("image_find.dump", _series(study_instance_uid, series_instance_uid))


def move_of_series(study_instance_uid: str, series_instance_uid: str) -> Query:
    """C-MOVE, level SERIES: one series, with its study as the standard asks (R15)."""
    return Query("series_move.dump", _series(study_instance_uid, series_instance_uid))


def moves_of_images(
    study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Iterable[str]
) -> Iterator[Query]:
    """C-MOVE, level IMAGE: some images of one series, in as many queries as their list takes."""
    batch: list[str] = []
    size = 0
    for uid in sop_instance_uids:
        if batch and (len(batch) == _MOST_UIDS or size + 1 + len(uid) > _MOST_BYTES):
            yield _move_of_images(study_instance_uid, series_instance_uid, batch)
            batch, size = [], 0
        batch.append(uid)
        size += 1 + len(uid)
    if batch:
        yield _move_of_images(study_instance_uid, series_instance_uid, batch)


def _move_of_images(study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Iterable[str]) -> Query:
    series = _series(study_instance_uid, series_instance_uid)
    return Query("image_move.dump", (*series, ("sop_instance_uids", "\\".join(sop_instance_uids))))


def _series(study_instance_uid: str, series_instance_uid: str) -> tuple[tuple[str, str], ...]:
    return ("study_instance_uid", study_instance_uid), ("series_instance_uid", series_instance_uid)


@cache
def template(name: str) -> Template:
    """The template NAME of this package, read once. Raises UnusableError when it cannot be read."""
    try:
        return Template(files("scanner_mover").joinpath("templates", name).read_text("ascii"))
    except OSError as error:
        raise UnusableError(f"the template {name} of this program cannot be read: {reason(error)}") from error


def make_query_file(tools: Toolbox, query: Query, path: str) -> str:
    """Write QUERY as a DICOM file in explicit VR little endian; gives its path, which is the new PATH with an ending.

    Raises UnusableError when it cannot be written.
    """
    text, dicom = f"{path}.dump", f"{path}.dcm"
    try:
        with open(text, "x", encoding="utf-8") as file:
            file.write(query.text())
    except OSError as error:
        raise UnusableError(f"{text} cannot be written: {error.strerror}") from error
    run = tools.run(
        "dump2dcm",
        ["+te", "+l", _LONGEST_LINE, text, dicom],
        stall_seconds=_STALL_SECONDS,
        small_dictionary=True,
    )
    if run.exit_status or not os.path.isfile(dicom):
        why = (run.err or run.out or ["it said nothing"])[-1]
        raise UnusableError(f"dump2dcm made no query file in {os.path.dirname(path)}: {beginning(why)}")
    return dicom
