"""One attempt to retrieve a series: its C-MOVEs with their retries, what each leaves, and the pause after it."""

import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from scanner_mover import signals
from scanner_mover.config import Settings
from scanner_mover.dcmtk import movescu
from scanner_mover.dcmtk.dump2dcm import Query
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind, Service
from scanner_mover.scanner.progress import Progress
from scanner_mover.scanner.query_files import QueryFiles
from scanner_mover.scanner.receiver import Receiver
from scanner_mover.scanner.retry import with_retries
from scanner_mover.site.disk import need_free
from scanner_mover.site.filing import Filed, Kept, SetAside
from scanner_mover.site.folders import DataFolders

# How often the log says that a C-MOVE goes on: a pass that logs nothing for long is taken to hang.
_SAY_SECONDS = 60.0


class NothingRetrievableError(UnusableError):
    """No series at all can be retrieved: there is no room, or nothing can be received."""


@dataclass
class Sent:
    """What one attempt came to so far: C-MOVEs that were sent, and the failure that is left.

    `set_aside` are files that were not filed, `kept` those that stay in staging because they could not be moved.
    """

    moves: int = 0
    set_aside: list[SetAside] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    failure: Failure | None = None


@dataclass(frozen=True)
class Retriever:
    """Has the scanner send images, during one pass; `receiver` is None where another program receives."""

    tools: Toolbox
    settings: Settings
    folders: DataFolders
    files: QueryFiles
    receiver: Receiver | None
    log: Callable[[str], None]
    progress: Progress

    def attempt(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        queries: Callable[[], Iterable[Query]],
        retries: int,
        sent: Sent,
        reported: Collection[str],
    ) -> None:
        """Have one series, or some images of it, sent; SENT gets what it comes to, also when this raises.

        REPORTED are all series of the study: images of others are not filed. QUERIES gives what is to be asked for, and
        is called again for each of at most RETRIES further tries. Raises UnusableError when images of this series
        cannot be filed, NothingRetrievableError when none at all can be.
        """
        if self.receiver is not None:
            self.receiver.need_place(study_instance_uid, series_instance_uid)
            self.receiver.expect(study_instance_uid, reported)

        def attempt() -> Failure | None:
            for query in queries():
                failure = self._move(study_instance_uid, series_instance_uid, query, sent)
                if failure is not None:
                    return failure
            return None

        sent.failure = with_retries(attempt, lambda failure: failure, retries, self.log)

    def _move(self, study_instance_uid: str, series_instance_uid: str, query: Query, sent: Sent) -> Failure | None:
        """Send one C-MOVE, file what it brought, and pause (R16); gives what failed."""
        settings, receiver = self.settings, self.receiver
        name = f"{study_instance_uid} {series_instance_uid}"
        self._need_room()
        if receiver is not None:
            self._start(receiver)
        self.log(f"pull series {name} from {settings.host} : {settings.port}")
        self.progress.retrieving(study_instance_uid, series_instance_uid)
        folder = self.folders.series(study_instance_uid, series_instance_uid)
        try:
            result = movescu.move(
                self.tools,
                settings,
                self.files.file(query),
                progress=receiver.growth if receiver is not None else lambda: _size(folder),
                on_response=self.progress.image,
                while_running=self._while_running(f"C-MOVE {name}"),
            )
        except NothingRetrievableError:  # the disk filled up while images arrived
            sent.moves += 1
            raise
        ended = time.monotonic()
        sent.moves += result.sent
        failed = "" if result.failure is None else " failed"
        self.log(f"C-MOVE {name}{failed}: {result.status} ({result.seconds:.1f} s)")
        refused: tuple[str, ...] = ()
        failure = result.failure
        if receiver is not None:
            if failure is not None and (died := receiver.why_it_died()) is not None:
                failure = Failure(Kind.KILLED, died).about(Service.MOVE)
            refused = receiver.refused()
            self._take(receiver.file(), sent)
        if result.sent:
            # What arrived is filed in the pause: the console rests all the same.
            signals.sleep(ended + settings.settle_seconds - time.monotonic())
        return None if failure is None else failure.about(level=query.level).refusing(refused)

    def _while_running(self, name: str) -> Callable[[], None]:
        """What is called now and then while a C-MOVE runs: it sees that there is room, and logs that all goes on."""
        began = last_line = time.monotonic()

        def goes_on() -> None:
            nonlocal last_line
            self._need_room()
            now = time.monotonic()
            if now - last_line >= _SAY_SECONDS:
                last_line = now
                self.log(f"{name} goes on ({now - began:.0f} s)")

        return goes_on

    def _take(self, filed: Filed, sent: Sent) -> None:
        sent.set_aside += filed.set_aside
        sent.kept += filed.kept

    def _start(self, receiver: Receiver) -> None:
        """Start RECEIVER before the first C-MOVE of the pass, and see that it can write.

        Raises NothingRetrievableError when it cannot.
        """
        try:
            receiver.start()
            receiver.need_room()
        except UnusableError as error:
            raise NothingRetrievableError(str(error)) from error

    def _need_room(self) -> None:
        """Raise NothingRetrievableError when there is less free space than the reserve, or no image can be written."""
        try:
            if self.receiver is None:
                need_free(self.folders.raw, self.settings.reserve_bytes)
            else:
                self.receiver.need_room()
        except UnusableError as error:
            raise NothingRetrievableError(str(error)) from error


def _size(folder: str) -> tuple[int, int]:
    """How many entries FOLDER has and how many bytes: what grows while another program files images."""
    count = size = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                count += 1
                size += entry.stat().st_size
    except OSError:  # not there yet, or changing: what was counted so far will do
        pass
    return count, size
