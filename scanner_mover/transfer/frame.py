"""What a pass holds from its beginning to its end: its folders, lock, log and state, and the faults so far.

A plain module.
"""

import contextlib
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from scanner_mover import config
from scanner_mover.arguments import MoveOptions
from scanner_mover.config import Settings
from scanner_mover.dicom import is_uid
from scanner_mover.errors import LockHeldError, ScannerMoverError, UnusableError, UsageError
from scanner_mover.record import TYPE_CHECKING, Record
from scanner_mover.scanner.progress import Progress
from scanner_mover.site import state
from scanner_mover.site.disk import make_folder
from scanner_mover.site.folders import DataFolders, ServerFolders, find_server_dir
from scanner_mover.site.lock import Lock
from scanner_mover.site.log import Log
from scanner_mover.site.state import State
from scanner_mover.transfer.report import ClosedRequest

if TYPE_CHECKING:
    from scanner_mover.transfer.faults import Fault


class View(Record):
    """What shows a pass while it goes on.

    `echo` gets each message of the log, `progress` makes what shows the retrieving, `log_opened` gets the log.
    """

    echo: Callable[[str], object] | None = None
    progress: Callable[[], AbstractContextManager[Progress]] = lambda: contextlib.nullcontext(Progress())
    log_opened: Callable[[Log], None] = lambda log: None


class Place(Record):
    """The project of a pass and its folders."""

    project: str
    server: ServerFolders


def place_of(options: MoveOptions, program: str) -> Place:
    """The project and the folders that OPTIONS mean for PROGRAM, the path that we were called by.

    Raises UsageError for options that cannot be.
    """
    for uid in options.studies:
        if not is_uid(uid):
            raise UsageError(f"--study: {uid!r} is not a UID")
    for name, seconds in (
        ("--settle", options.settle_seconds),
        ("--give-up-after", options.give_up_after_seconds),
        ("--every", options.every_seconds),
    ):
        if seconds is not None and not 0 <= seconds <= 1e9:  # NaN fails this test too
            raise UsageError(f"{name} takes a number of seconds, 0 or more")
    project = config.project_name(options.project)
    server_dir = find_server_dir(program, os.environ, options.server_dir)
    return Place(project, ServerFolders(server_dir, project))


class Frame:
    """One pass, made with OPTIONS at PLACE and shown by VIEW; `faults`, and `closed`, the requests that were moved, are
    filled while it goes on.

    `may_write` says whether the state file is ours to write, `state_problem` why what it held could not be used.
    """

    def __init__(self, options: MoveOptions, place: Place, view: View) -> None:
        self.options = options
        self.project, self.server = place
        self.view = view
        self.lock = Lock()
        self.log = Log(None)
        self.state = State()
        self.state_problem: str | None = None
        self.may_write = False
        self.faults: list[Fault] = []
        self.closed: list[ClosedRequest] = []
        self.started = time.time()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the pass has been going on."""
        return time.monotonic() - self._began

    def take_lock(self, settings: Settings | None) -> None:
        """Lock the lock file, and the folder of requests for two projects that share it (R9); then read the state.

        Raises LockHeldError when another pass has a lock.
        """
        try:
            if not self.options.dry_run and not os.path.isdir(self.server.pids):
                make_folder(self.server.pids)
            if os.path.isdir(self.server.pids):
                self.lock.file(self.server.lock)
                self._beat()
                self.may_write = not self.options.dry_run
            if settings is not None:
                self.lock.folder(DataFolders(settings.data_dir).active_scans)
        except LockHeldError:
            if settings is not None:
                raise
            self.may_write = False
        except UnusableError as error:
            self.blame(error)
        self.state, self.state_problem = state.load(self.server.state)

    def _beat(self) -> None:
        if not self.options.dry_run:  # which changes nothing
            self.lock.beat()

    def blame(self, error: ScannerMoverError) -> None:
        """Note ERROR as a fault of this pass."""
        from scanner_mover.transfer.faults import fault  # most passes have none

        self.faults.append(fault(error))

    def open_log(self) -> None:
        """Open the log; a dry run has none, only its echo. Raises UnusableError."""
        self.log = Log(None if self.options.dry_run else self.server.log)
        self.log.echo = self.view.echo
        self.log.beat = self._beat
        self.view.log_opened(self.log)

    def save_state(self) -> UnusableError | None:
        """Write the state file; gives what is wrong with it."""
        try:
            state.save(self.state, self.server.state, self.server.new_part())
        except UnusableError as error:
            return error
        return None

    def close(self) -> None:
        """Close the log and release the locks."""
        self.log.close()
        self.lock.release()
