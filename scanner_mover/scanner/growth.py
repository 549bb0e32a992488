"""What grows in a staging folder while images arrive: the progress of a retrieve."""

import contextlib
import os
from collections.abc import Collection

from scanner_mover.site import header

# In most headers the study's UID stands within this many bytes.
_HEADER_BYTES = 64 << 10


class Growth:
    """The files in one staging folder, and which of them have a requested study in their header."""

    def __init__(self, staging: str, requested: Collection[str]) -> None:
        self._staging = staging
        self._requested = frozenset(requested)
        self._known: set[str] = set()
        self._looked_at: dict[str, int] = {}

    def of_requested(self) -> tuple[int, int]:
        """How many files there are of requested studies, and how many bytes these have."""
        wanted = [size for name, size in self._sizes().items() if self._is_requested(name, size)]
        return len(wanted), sum(wanted)

    def _sizes(self) -> dict[str, int]:
        sizes = {}
        with contextlib.suppress(OSError), os.scandir(self._staging) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    with contextlib.suppress(OSError):
                        sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
        return sizes

    def _is_requested(self, name: str, size: int) -> bool:
        """Whether the header of the file NAME, as far as it is here, names a requested study; read until it does."""
        if name in self._known:
            return True
        looked_at = self._looked_at.get(name)
        # One that grows is looked at again when it has twice as much to show.
        if looked_at is not None and (size < 2 * looked_at or looked_at >= header.MOST_BYTES):
            return False
        most = _HEADER_BYTES if looked_at is None else header.MOST_BYTES
        self._looked_at[name] = max(1, size)
        try:
            with open(os.path.join(self._staging, name), "rb") as file:
                found = header.search(file.read(most))
        except OSError:
            return False
        if not self._requested.isdisjoint(found.study_instance_uids):
            self._known.add(name)
            return True
        return False
