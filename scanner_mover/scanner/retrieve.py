"""Pulling one series: its C-MOVEs, what each leaves in staging, the pause after it, and the line in the log."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable

from scanner_mover.config import Settings
from scanner_mover.dcmtk import movescu
from scanner_mover.dcmtk.dump2dcm import Query
from scanner_mover.dcmtk.movescu import MoveResult
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind
from scanner_mover.scanner.progress import Watcher
from scanner_mover.scanner.query_files import QueryFiles
from scanner_mover.scanner.receiver import Receiver
from scanner_mover.scanner.retry import ends_the_pass, is_worth_another_try, with_retries
from scanner_mover.site.disk import free_bytes
from scanner_mover.site.filing import Filed
from scanner_mover.site.folders import DataFolders

# A scanner that stalls so often in a row is not asked for more in this pass.
_MOST_STALLS = 2


class Puller:
    """Pulls series during one pass."""

    def __init__(
        self,
        tools: Toolbox,
        settings: Settings,
        folders: DataFolders,
        files: QueryFiles,
        receiver: Receiver,
        log: Callable[[str], None],
        watcher: Watcher,
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._folders = folders
        self._files = files
        self._receiver = receiver
        self._log = log
        self._watcher = watcher
        self._retries = settings.retries
        self._stalls = 0
        #: Whether the error that was raised last would keep any other series from being pulled too.
        self.is_stuck = False
        #: The failure after which nothing else is worth pulling in this pass.
        self.ended_by: Failure | None = None
        # Studies of which an image cannot be filed, and why: more of the same would only fill the disk.
        self._kept: dict[str, str] = {}
        #: What became of what was received since this was emptied last.
        self.filed = Filed()

    def take(self, filed: Filed) -> None:
        """Take in what became of what was received."""
        self.filed += filed
        self._kept |= {one.study_instance_uid or "": one.text for one in filed.kept}

    def pull(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        queries: Callable[[], Iterable[Query]],
        *,
        try_again: bool,
    ) -> Failure | None:
        """Have one series, or some images of it, sent; gives the failure that is left, None for Success.

        QUERIES gives what is to be sent, and is called again for each of the retries that are worth it: what came
        meanwhile is not asked for twice. Raises UnusableError when there is no room, or something here cannot be used.
        """
        if self.ended_by is not None:
            return self.ended_by
        self.is_stuck = False
        if study_instance_uid in self._kept:
            raise UnusableError(self._kept[study_instance_uid])
        if self._settings.receive:
            self._receiver.need_place(study_instance_uid, series_instance_uid)
        self.is_stuck = True

        def attempt() -> Failure | None:
            for query in queries():
                moved = self._move(study_instance_uid, series_instance_uid, self._files.file(query))
                if moved.failure is not None:
                    return moved.failure
            return None

        failure = with_retries(attempt, lambda failure: failure, self._retries if try_again else 0)
        self.is_stuck = False
        if failure is None:
            self._stalls = 0
            return None
        if is_worth_another_try(failure):
            # Trying again did not help once: in this pass it is left at one try each.
            self._retries = 0
        self._stalls += failure.kind is Kind.STALLED
        if ends_the_pass(failure) or self._stalls == _MOST_STALLS:
            self.ended_by = failure
        return failure

    def _move(self, study_instance_uid: str, series_instance_uid: str, query: str) -> MoveResult:
        settings = self._settings
        self._need_room()
        self._log(f"pull series {study_instance_uid} {series_instance_uid} from {settings.host} : {settings.port}")
        if settings.receive:
            self._receiver.start()
        self._watcher.pulling(study_instance_uid, series_instance_uid)
        watched = self._folders.series(study_instance_uid, series_instance_uid)
        moved = movescu.move(
            self._tools,
            settings,
            query,
            progress=self._receiver.growth_of_requested if settings.receive else lambda: _size(watched),
            on_response=self._watcher.image,
            while_running=self._receiver.need_room if settings.receive else None,
        )
        ended = time.monotonic()
        self._log(
            f"C-MOVE {study_instance_uid} {series_instance_uid}"
            f"{'' if moved.failure is None else ' failed'}: {moved.status} ({moved.seconds:.1f} s)"
        )
        if settings.receive:
            self.take(self._receiver.file())
        if moved.sent:
            # What came was filed in the pause: the console rests all the same.
            time.sleep(max(0.0, ended + settings.settle_seconds - time.monotonic()))
        return moved

    def _need_room(self) -> None:
        """Raise UnusableError when there is less free space than the reserve."""
        if free_bytes(self._folders.raw) < self._settings.reserve_bytes:
            raise UnusableError(
                f"less than {self._settings.reserve_bytes} bytes (reserve_bytes) are free for {self._folders.raw}: "
                "nothing is pulled until there is room"
            )


def _size(folder: str) -> tuple[int, int]:
    """How many entries FOLDER has and how many bytes: what grows while images arrive."""
    count = size = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            count += 1
            with contextlib.suppress(OSError):
                size += entry.stat().st_size
    return count, size
