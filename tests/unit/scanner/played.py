"""A receiver whose storescp, files and clock play what a test says."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scanner_mover import clock, signals
from scanner_mover.config import Settings
from scanner_mover.errors import UnusableError
from scanner_mover.moment import Moment
from scanner_mover.scanner import receiver as module
from scanner_mover.scanner.receiver import Receiver
from scanner_mover.site.filing import Filed, Kept
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.verdict import Origin

STUDY = "1.2.826.0.1.3680043.10.1561.78"
SERIES = f"{STUDY}.1"
PLACE = (STUDY, SERIES)


class Storescp:
    """Listens until it is ended or dies; `open` are the files that it writes."""

    def __init__(self, folder: str, on_denied: Callable[[str], None]) -> None:
        self.folder, self.on_denied = Path(folder), on_denied
        self.error: BaseException | None = None
        self.alive = self.ended = False
        self.open: set[str] = set()

    def start(self) -> None:
        if self.error is not None:
            (self.folder / "early").write_text("")
            raise self.error
        self.alive = True

    def is_alive(self) -> bool:
        return self.alive

    def why_it_died(self) -> str | None:
        return None if self.alive else "storescp was ended by signal 9"

    def refused(self) -> tuple[str, ...]:
        return ("MRImageStorage",)

    def open_files(self) -> frozenset[str]:
        return frozenset(self.open)

    def end(self) -> frozenset[str]:
        self.alive, self.ended = False, True
        return frozenset(self.open)


class Place:
    """A receiver, the storescps that it starts, and what becomes of the files: `stays` cannot be moved.

    `sorted` has each file that is judged, and how it was written, `looks` how often files were looked at. The clock
    moves while something sleeps.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.folders = DataFolders(str(root / "data"))
        settings = Settings("ABCD", "config.json", "data", "127.0.0.1", 104, "SCANNER", "MOVER", 4006, receive=True)
        self.storescps: list[Storescp] = []
        self.fails: BaseException | None = None
        self.stays: set[str] = set()
        self.error: UnusableError | None = None
        self.sorted: list[tuple[str, Origin]] = []
        self.reported: dict[str, frozenset[str]] = {}
        self.log: list[str] = []
        self.now = 1000.0
        self.events: list[Callable[[], object]] = []
        self.size = 0
        self.looks = 0
        self.tried: list[float] = []
        patch.setattr(module, "Listener", self._listener)
        patch.setattr(module, "Sorter", lambda *about: self)
        patch.setattr(module, "need_writable", lambda folder: self.tried.append(self.now))
        patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr(signals, "sleep", self._sleep)
        patch.setattr(clock, "now", lambda: Moment("boot", self.now))
        tools: Any = None
        self.receiver = Receiver(tools, settings._replace(reserve_bytes=0), self.folders, [STUDY], self.log.append)

    @property
    def storescp(self) -> Storescp:
        return self.storescps[-1]

    def arrives(self, *names: str) -> None:
        for name in names:
            (self.storescp.folder / name).write_text("image")
            os.utime(self.storescp.folder / name, (self.now, self.now))

    def sort(self, staging: str, names: list[str], origin: Callable[[str], Origin], *, reported: Any) -> Filed:
        self.looks += 1
        if self.error is not None:
            raise self.error
        self.sorted += [(name, origin(name)) for name in names]
        self.reported = dict(reported)
        filed = [name for name in names if name not in self.stays]
        for name in filed:
            os.unlink(os.path.join(staging, name))
        kept = tuple(Kept(name, "it cannot be moved", *PLACE) for name in names if name in self.stays)
        return Filed({PLACE: len(filed)} if filed else {}, kept=kept)

    def listen(self, quiet: float = 5.0, most: float = 300.0, until: Callable[[], bool] | None = None) -> Filed:
        """Listen on; with each look at the folder the next one of `events` happens."""
        growth = self.receiver.growth
        self.receiver.growth = lambda: (growth()[0], self.size)  # type: ignore[method-assign]
        return self.receiver.listen_on(quiet, most, until)

    def grows(self) -> None:
        self.size += 1

    def _listener(self, tools: Any, settings: Any, folder: str, on_denied: Callable[[str], None]) -> Storescp:
        self.storescps.append(Storescp(folder, on_denied))
        self.storescp.error = self.fails
        return self.storescp

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.events:
            self.events.pop(0)()
