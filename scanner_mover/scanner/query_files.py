"""Query files: dump2dcm makes one for each shape of query, and all others of that shape are copies with other UIDs.

A UID is padded to an even length in the file (DICOM PS3.5 section 6.2), so two queries of one template whose UIDs have
the same padded lengths are the same file but for the bytes of those UIDs.
"""

import os
from typing import NamedTuple

from scanner_mover.dcmtk.dump2dcm import Query, make_query_file
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError, reason

# The UIDs that stand in a template: `7777…` for the first, `8888…` for the second.
_STANDING_IN = "789"


class _Template(NamedTuple):
    """A query file, and where in it each UID stands."""

    content: bytes
    places: tuple[int, ...]


class QueryFiles:
    """Makes the query files of one pass, in a private folder."""

    def __init__(self, tools: Toolbox, folder: str) -> None:
        self._tools = tools
        #: Where the files are made.
        self.folder = folder
        self._made = 0
        self._templates: dict[tuple[str, ...], _Template | None] = {}

    def file(self, query: Query) -> str:
        """A new file for QUERY.

        Raises UnusableError when it cannot be made, ValueError for a value that cannot stand in it.
        """
        query.text()
        lengths = _padded_lengths(query)
        if lengths is None:
            return self._make(query)
        shape = (query.template, *map(str, lengths))
        if shape not in self._templates:
            self._templates[shape] = self._template(query, lengths)
        template = self._templates[shape]
        return self._make(query) if template is None else self._stamp(template, query, lengths)

    def _make(self, query: Query) -> str:
        return make_query_file(self._tools, query, self._new_path())

    def _new_path(self) -> str:
        self._made += 1
        return os.path.join(self.folder, f"query{self._made}")

    def _template(self, query: Query, lengths: list[int]) -> _Template | None:
        """The template of QUERY's shape; None when it cannot be found where in it the UIDs stand."""
        standing_in = [digit * length for digit, length in zip(_STANDING_IN, lengths, strict=False)]
        names = [name for name, _ in query.values]
        path = self._make(Query(query.template, tuple(zip(names, standing_in, strict=True))))
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            raise UnusableError(f"{path} cannot be read: {reason(error)}") from error
        uids = [uid.encode("ascii") for uid in standing_in]
        if any(content.count(uid) != 1 for uid in uids):
            return None
        return _Template(content, tuple(content.index(uid) for uid in uids))

    def _stamp(self, template: _Template, query: Query, lengths: list[int]) -> str:
        content = bytearray(template.content)
        for place, length, (_, uid) in zip(template.places, lengths, query.values, strict=True):
            content[place : place + length] = uid.encode("ascii").ljust(length, b"\0")
        path = f"{self._new_path()}.dcm"
        try:
            with open(path, "xb") as file:
                file.write(content)
        except OSError as error:
            raise UnusableError(f"{path} cannot be written: {reason(error)}") from error
        return path


def _padded_lengths(query: Query) -> list[int] | None:
    """The lengths in the file of QUERY's values; None when one of them is no single UID."""
    if not all(name.endswith("_uid") and value for name, value in query.values):
        return None
    return [len(value) + len(value) % 2 for _, value in query.values]
