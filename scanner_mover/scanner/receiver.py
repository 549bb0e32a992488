"""Receives what the scanner sends during one pass: storescp into a staging folder, and from there to `site/raw`.

It is started when the first series is asked for, and ended with the pass; a pass that retrieves nothing opens no port.
"""

import os
import time
from collections.abc import Callable, Collection

from scanner_mover import clock, signals
from scanner_mover.config import Settings
from scanner_mover.dcmtk.storescp import Listener
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.scanner.growth import Growth
from scanner_mover.site.disk import need_free, need_writable
from scanner_mover.site.filing import Filed, need_place
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.lock import Lock
from scanner_mover.site.staging import Sorter, files_in, leave_staging, make_staging
from scanner_mover.site.verdict import Origin
from scanner_mover.text import images_of

_LOOK_SECONDS = 0.2
# How often, while images arrive, it is tried whether one can still be written.
_TRY_SECONDS = 2.0


class Receiver:
    """What is received during one pass. `end` must be called on any way out of it."""

    def __init__(
        self,
        tools: Toolbox,
        settings: Settings,
        folders: DataFolders,
        requested: Collection[str],
        log: Callable[[str], None],
    ) -> None:
        """REQUESTED are the StudyInstanceUIDs that this pass asks for; images of others are set aside."""
        self._tools = tools
        self._settings = settings
        self._folders = folders
        self._requested = frozenset(requested)
        self._log = log
        self._sorter = Sorter(tools, settings, folders, requested)
        self._listener: Listener | None = None
        self._staging: str | None = None
        self._lock = Lock()
        self._kept: set[str] = set()
        self._pending = Filed()
        self._next_try = 0.0
        self._growth: Growth | None = None
        self._reported: dict[str, frozenset[str]] = {}

    @property
    def running(self) -> bool:
        """Whether storescp listens for us."""
        return self._listener is not None and self._listener.is_alive()

    def start(self) -> None:
        """Listen on DICOMPORT from here on, if that is not so yet; a storescp that died meanwhile is started anew.

        Raises UnusableError when the port is taken or no staging folder can be made, ConfigurationError when `tls`
        cannot be used by storescp.
        """
        if self.running and self._staging is not None and os.path.isdir(self._staging):
            return
        with signals.deferred():
            self._end()
        try:
            self._staging = make_staging(self._folders, self._requested, self._lock)
            self._growth = Growth(self._staging, self._requested)
            self._listener = Listener(self._tools, self._settings, self._staging, self._on_denied)
            self._listener.start()
        except BaseException:
            with signals.deferred():
                self._end()
            raise

    def need_place(self, study_instance_uid: str, series_instance_uid: str) -> None:
        """See, before a series is asked for, that it can be filed.

        Raises UnusableError when it cannot.
        """
        need_place(self._settings, self._folders, study_instance_uid, series_instance_uid)

    def expect(self, study_instance_uid: str, series_instance_uids: Collection[str]) -> None:
        """Of this study, file images of SERIES_INSTANCE_UIDS only from here on: the scanner lists no others."""
        self._reported[study_instance_uid] = frozenset(series_instance_uids)

    def need_room(self) -> None:
        """Raise UnusableError when less space is free than the reserve, or when no image can be written.

        To be called before a C-MOVE, and while images arrive.
        """
        need_free(self._folders.raw, self._settings.reserve_bytes)
        if self._staging is not None and time.monotonic() >= self._next_try:
            need_writable(self._staging)
            self._next_try = time.monotonic() + _TRY_SECONDS

    def growth(self) -> tuple[int, int]:
        """How many files of requested studies lie in staging, and how many bytes they have: what grows while images
        arrive. A stranger's images are no progress.

        May be called from another thread.
        """
        return (0, 0) if self._growth is None else self._growth.of_requested()

    def why_it_died(self) -> str | None:
        """How storescp ended, if it did so without us."""
        return None if self._listener is None else self._listener.why_it_died()

    def refused(self) -> tuple[str, ...]:
        """The SOP classes and transfer syntaxes that storescp did not take since this was asked last, if it says so."""
        return () if self._listener is None else self._listener.refused()

    def file(self) -> Filed:
        """File, or set aside, what nobody writes any more. To be called when a C-MOVE had its final response.

        Raises UnusableError when nothing can be judged or brought to the disk.
        """
        self._file()
        return self._take()

    def listen_on(self, quiet_seconds: float, at_most_seconds: float, until: Callable[[], bool] | None = None) -> Filed:
        """Go on receiving until nothing has grown for QUIET_SECONDS, at most AT_MOST_SECONDS (R41); then file.

        Some scanners answer Success first and send afterwards. Whenever something was filed meanwhile, UNTIL is called:
        when it says true, nothing more is waited for.

        Raises UnusableError as `file` does, and when the reserve of free space is used up.
        """
        began = since = filed_at = time.monotonic()
        self._file()
        seen = self.growth()
        while self.running and time.monotonic() < min(since + quiet_seconds, began + at_most_seconds):
            signals.sleep(_LOOK_SECONDS)
            self.need_room()
            now = self.growth()
            if now != seen:
                seen, since = now, time.monotonic()
            elif filed_at < since:
                filed_at = time.monotonic()
                new = self._file()
                seen = self.growth()
                if new and until is not None and until():
                    break
        self._file()
        return self._take()

    def end(self) -> Filed:
        """End storescp and all that serves its associations, judge what is left, and remove the staging folder.

        May be called again. An image that our end cut short is removed (R27). A file that cannot be moved stays in the
        staging folder for the next pass.

        Raises UnusableError as `file` does; storescp has been ended then, too.
        """
        with signals.deferred():
            self._end()
        return self._take()

    def _end(self) -> None:
        staging, listener = self._staging, self._listener
        self._staging = self._listener = self._growth = None
        if staging is None:
            return
        died = listener is not None and not listener.is_alive()
        cut = frozenset() if listener is None else listener.end()
        try:
            self._sort(
                staging,
                self._names(staging),
                lambda name: Origin.OPEN if name in cut else Origin.INTERRUPTED if died else Origin.CLOSED,
            )
        finally:
            self._kept.clear()
            leave_staging(staging, clock.now().boot, self._requested, lambda name: not died and name not in cut)
            self._lock.release()

    def _file(self) -> bool:
        """File what nobody writes; gives whether something was filed. What became of it is in `_pending`."""
        staging, listener = self._staging, self._listener
        if staging is None or listener is None:
            return False
        names = self._names(staging)  # first: what is in this list and not open is closed
        open_files = listener.open_files()
        # When storescp died by itself, a file that nobody has open may be one that its end cut short.
        origin = Origin.CLOSED if listener.is_alive() else Origin.INTERRUPTED
        return self._sort(staging, [name for name in names if name not in open_files], lambda name: origin)

    def _names(self, staging: str) -> list[str]:
        return [name for name in files_in(staging) if name not in self._kept]

    def _sort(self, staging: str, names: list[str], origin: Callable[[str], Origin]) -> bool:
        filed = self._sorter.sort(staging, names, origin, reported=self._reported)
        self._kept |= {one.name for one in filed.kept}
        self._pending += filed
        report(filed, self._log)
        return bool(filed.filed)

    def _take(self) -> Filed:
        """What became of files since this was asked last; an error in between loses none of it."""
        pending, self._pending = self._pending, Filed()
        return pending

    def _on_denied(self, text: str) -> None:
        self._log(f"{text}: a rule for storescp in /etc/hosts.allow or /etc/hosts.deny refuses it")


def report(filed: Filed, log: Callable[[str], None]) -> None:
    """Say in the log what became of files."""
    for aside in filed.set_aside:
        log(f"set aside {aside.path}: {aside.text}")
    for lossy in filed.lossy:
        images = images_of(lossy.images)
        log(
            f"{lossy.study_instance_uid}/{lossy.series_instance_uid}, {images} arrived in a lossy transfer syntax: "
            f"{lossy.name} ({lossy.transfer_syntax_uid})"
        )
    for text in dict.fromkeys(one.text for one in filed.kept):
        log(text)
    for name in filed.removed:
        log(f"removed the image {name} that was cut short")
