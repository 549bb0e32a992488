"""Query files as dump2dcm makes them, kept from pass to pass: a pass over requests that are known makes none anew."""

import binascii
import contextlib
import hashlib
import os

from scanner_mover.dcmtk.dump2dcm import Query, make_query_file
from scanner_mover.dcmtk.tool import Toolbox


class QueryFiles:
    """The query files of one pass.

    A kept file's name is made of a digest of the query's text and a checksum of the file: what a power cut or anybody
    else made of it is never sent. Where nothing can be kept everything works all the same, only slower.
    """

    def __init__(self, tools: Toolbox, work: str, kept: str | None = None) -> None:
        """WORK is a private, empty folder; KEPT the folder of the files that outlive this pass, None for none."""
        self._tools = tools
        self._work = work
        self._kept = kept
        self._made = 0
        self._used: set[str] = set()
        self._names = _names(kept) if kept is not None else {}

    def once(self, query: Query) -> str:
        """A file for QUERY that is gone after the pass.

        Raises UnusableError when dump2dcm cannot make it.
        """
        self._made += 1
        return make_query_file(self._tools, query, os.path.join(self._work, f"query{self._made}"))

    def lasting(self, query: Query) -> str:
        """A file for QUERY that was made by an earlier pass, or is there for the next ones.

        Raises UnusableError when dump2dcm cannot make it.
        """
        key = hashlib.sha256(query.text().encode()).hexdigest()[:32]
        self._used.add(key)
        name = self._names.get(key)
        if name is not None and self._kept is not None:
            path = os.path.join(self._kept, name)
            if _checksum(path) == name.rpartition(".")[2]:
                return path
            self._forget(key)
        return self._keep(key, self.once(query))

    def _keep(self, key: str, path: str) -> str:
        if self._kept is not None:
            name = f"{key}.{_checksum(path)}"
            with contextlib.suppress(OSError):
                target = os.path.join(self._kept, name)
                os.rename(path, target)
                self._names[key] = name
                return target
        return path

    def forget_others(self) -> None:
        """Remove what is kept and was not used by this pass: its study is no longer asked for."""
        for key in self._names.keys() - self._used:
            self._forget(key)

    def _forget(self, key: str) -> None:
        name = self._names.pop(key)
        if self._kept is not None:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._kept, name))


def _names(folder: str) -> dict[str, str]:
    """The files kept in FOLDER, which is made, by their keys."""
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return {name.partition(".")[0]: name for name in os.listdir(folder)}
    return {}


def _checksum(path: str) -> str:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return f"{binascii.crc32(file.read()):08x}"
    return ""
