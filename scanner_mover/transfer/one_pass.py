"""One pass, in the order configuration, lock, log, switch, work, and what is kept and reported at its end.

A plain module: until there is work to do, nothing is imported that costs time. What the work needs (`sh`, `tenacity`,
`pydicom`) is imported with `all_requests`.
"""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from scanner_mover import clock, config, signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.config import Settings
from scanner_mover.dicom import is_uid
from scanner_mover.errors import (
    ConfigurationError,
    Ended,
    ExitStatus,
    LockHeldError,
    ScannerMoverError,
    UnknownProjectError,
    UnusableError,
    UsageError,
    reason,
    worst,
)
from scanner_mover.scanner.progress import Progress
from scanner_mover.site import state
from scanner_mover.site.disk import make_folder
from scanner_mover.site.folders import DataFolders, ServerFolders, find_server_dir, is_switched_on, staging_left
from scanner_mover.site.lock import Lock
from scanner_mover.site.log import Log
from scanner_mover.site.requests import Request, left_alone, scan
from scanner_mover.site.state import State
from scanner_mover.transfer import faults as faults_
from scanner_mover.transfer import notify
from scanner_mover.transfer.faults import Change, Fault, fault, unusable
from scanner_mover.transfer.hooks import Event
from scanner_mover.transfer.report import ClosedRequest, PassReport, StudyReport


class View(NamedTuple):
    """What shows a pass while it goes on.

    `echo` gets each message of the log, `progress` makes what shows the retrieving, `log_opened` gets the log.
    """

    echo: Callable[[str], None] | None = None
    progress: Callable[[], AbstractContextManager[Progress]] = lambda: contextlib.nullcontext(Progress())
    log_opened: Callable[[Log], None] = lambda log: None


class PassResult(NamedTuple):
    """What came of a pass: its exit status, its report (None when it could not be made), and what is to be said.

    `new` are the lines for standard error, `standing` those of faults that were reported before; `closed` the requests
    that were moved. `raised` is the signal or the error of ours that ended it, for the caller to raise after that.
    """

    exit_status: int
    report: PassReport | None
    new: tuple[Change, ...]
    standing: tuple[str, ...]
    closed: tuple[ClosedRequest, ...]
    settings: Settings | None
    raised: BaseException | None


class Place(NamedTuple):
    """The project of a pass and its folders."""

    project: str
    server: ServerFolders


class _Work(NamedTuple):
    """What the work of a pass came to."""

    studies: tuple[StudyReport, ...] = ()
    faults: tuple[Fault, ...] = ()
    untested: frozenset[str] = frozenset()
    closed: tuple[ClosedRequest, ...] = ()
    requested: frozenset[str] = frozenset()


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


def run_pass(options: MoveOptions, program: str, view: View) -> PassResult:
    """Make one pass.

    Raises LockHeldError when another pass holds the lock, UsageError and UnknownProjectError before anything is made.
    """
    return _Pass(options, place_of(options, program), view).run()


class _Pass:
    """The frame of one pass: made anew for each, and run once."""

    def __init__(self, options: MoveOptions, place: Place, view: View) -> None:
        self._options = options
        self._project, self._server = place
        self._view = view
        self._lock = Lock()
        self._log = Log(None)
        self._state = State()
        self._faults: list[Fault] = []
        self._events: list[Event] = []
        self._started = time.time()
        self._began = time.monotonic()

    def run(self) -> PassResult:
        settings = self._settings()
        result: PassResult | None = None
        try:
            may_write = self._take_lock(settings)
            self._state, problem = state.load(self._server.state)
            report, work = None, _Work()
            raised: BaseException | None = None
            try:
                if settings is not None and not self._faults:
                    report, work = self._pass(settings, problem)
            except (ConfigurationError, UnusableError) as error:
                self._faults.append(fault(error))
            except Ended as ended:
                self._log(f"ended by signal {ended.signal_number}; the next pass goes on")
                raised = ended
            except BaseException as error:  # an error of ours: the caller logs it
                raised = error
            kept = self._state.events
            with signals.deferred():
                result = self._end(settings, may_write, report, work, raised)
            self._lock.release()
            if settings is not None and may_write and raised is None and (kept or self._events):
                notify.deliver(settings, self._server, self._events, kept, self._log)
            return result
        except Ended as ended:  # while a program of the site was running
            if result is None:
                raise
            return result._replace(raised=ended)
        finally:
            self._log.close()
            self._lock.release()

    def _settings(self) -> Settings | None:
        options = self._options
        try:
            return config.load(
                config.file_to_use(options.config),
                self._project,
                receive=options.receive,
                settle_seconds=options.settle_seconds,
                give_up_after_seconds=options.give_up_after_seconds,
            )
        except UnknownProjectError:
            raise
        except ConfigurationError as error:
            self._faults.append(fault(error))
            return None

    def _take_lock(self, settings: Settings | None) -> bool:
        """Lock the lock file, and the folder of requests for two projects that share it (R9).

        Gives whether the state file is ours to write. Raises LockHeldError when another pass has a lock.
        """
        ours = False
        try:
            if not self._options.dry_run and not os.path.isdir(self._server.pids):
                make_folder(self._server.pids)
            if os.path.isdir(self._server.pids):
                self._lock.file(self._server.lock)
                ours = not self._options.dry_run
            if settings is not None:
                self._lock.folder(DataFolders(settings.data_dir).active_scans)
        except LockHeldError:
            if settings is not None:
                raise
            return False
        except UnusableError as error:
            self._faults.append(fault(error))
        return ours

    def _pass(self, settings: Settings, problem: str | None) -> tuple[PassReport, _Work]:
        options = self._options
        folders = DataFolders(settings.data_dir)
        self._log = Log(None if options.dry_run else self._server.log)
        self._log.echo = self._view.echo
        self._view.log_opened(self._log)
        if problem is not None:
            self._log(problem)
        enabled = is_switched_on(folders)
        self._log("move enabled, start getScans" if enabled else "move disabled, start clearScans")
        work = _Work()
        if enabled or options.studies:
            if not options.dry_run:
                _remove_left(self._server)
            requests = self._requests(folders)
            if requests or (not options.dry_run and staging_left(folders)):
                work = self._work(settings, folders, requests, enabled)
            else:
                self._state.requests, self._state.scanner_down, self._state.sick = {}, False, None
        report = PassReport(
            project=self._project,
            started=clock.iso(self._started),
            seconds=time.monotonic() - self._began,
            enabled=enabled,
            dry_run=options.dry_run,
            studies=work.studies,
        )
        return report, work

    def _requests(self, folders: DataFolders) -> list[Request]:
        found = scan(folders.active_scans)
        for line in found.unreadable:
            self._faults.append(unusable(line))
            self._log(line)
        for line in left_alone(folders.active_scans, self._state.not_yet_reported("requests", found.not_uids)):
            self._log(line)
        wanted = self._options.studies
        if not wanted:
            return found.requests
        requested = [request for request in found.requests if request.study_instance_uid in wanted]
        named = {request.study_instance_uid for request in requested}
        return requested + [Request(uid) for uid in dict.fromkeys(wanted) if uid not in named]

    def _work(self, settings: Settings, folders: DataFolders, requests: Sequence[Request], enabled: bool) -> _Work:
        from scanner_mover.transfer import all_requests, history
        from scanner_mover.transfer.job import Findings, Job

        memory, broken = history.studies_from_json(self._state.requests)
        for uid in broken:
            self._log(f"the state file {self._server.state} is broken for {uid}; going on without it")
        findings = Findings(memory, sick=history.sickness_from_json(self._state.sick))
        requested = {request.study_instance_uid for request in requests}
        scratch: str | None = None
        if not self._options.dry_run:
            self._state.running_since = clock.iso(self._started)
            self._save()
        try:
            with signals.deferred():
                scratch = self._scratch_folder()
            with self._view.progress() as progress:
                all_requests.handle(
                    Job(
                        settings=settings,
                        folders=folders,
                        server=self._server,
                        requests=requests,
                        scratch_folder=scratch,
                        closes=enabled,
                        by_hand=bool(self._options.studies),
                        dry_run=self._options.dry_run,
                        scanner_was_down=self._state.scanner_down,
                        log=self._log,
                        not_yet_reported=self._state.not_yet_reported,
                        progress=progress,
                    ),
                    findings,
                )
        finally:
            with signals.deferred():
                _remove(scratch)
                self._faults += findings.faults
                self._keep(findings, requested)
        self._log(self._summary(findings.reports))
        return _Work(
            tuple(findings.reports),
            untested=frozenset(findings.untested),
            closed=tuple(findings.closed),
            requested=frozenset(requested),
        )

    def _scratch_folder(self) -> str:
        import tempfile

        place = None if self._options.dry_run else self._server.pids
        try:
            return tempfile.mkdtemp(prefix=self._server.work_prefix, dir=place)
        except OSError as error:
            raise UnusableError(f"no working folder can be made in {place}: {reason(error)}") from error

    def _keep(self, findings: Any, requested: set[str]) -> None:
        """Take what the work found into the state."""
        from scanner_mover.transfer import history

        kept = self._state
        memory = findings.memory
        wanted = memory if self._options.studies else requested & set(memory)
        kept.requests = {uid: history.to_json(memory[uid]) for uid in wanted}
        kept.scanner_down = findings.scanner_down
        kept.sick = None if findings.sick is None else history.to_json(findings.sick)
        kept.images_received += findings.images_received
        kept.moves_sent += findings.moves_sent
        kept.fruitless_moves += findings.fruitless_moves
        kept.failed_requests += sum(not one.finished for one in findings.closed)
        kept.failed_pulls += sum(
            series.pulled and series.error is not None for report in findings.reports for series in report.series
        )

    def _summary(self, reports: Sequence[StudyReport]) -> str:
        outcomes = [report.outcome for report in reports]
        counts = ", ".join(f"{outcomes.count(one)} {one}" for one in ("finished", "failed", "waiting", "error"))
        pulled = sum(series.pulled for report in reports for series in report.series)
        seconds = time.monotonic() - self._began
        requests = "1 request" if len(reports) == 1 else f"{len(reports)} requests"
        return f"pass over {requests}: {counts}; {pulled} series pulled ({seconds:.1f} s)"

    def _end(
        self,
        settings: Settings | None,
        may_write: bool,
        report: PassReport | None,
        work: _Work,
        raised: BaseException | None,
    ) -> PassResult:
        """Compare the faults with those that were reported, write the state, and say what is new.

        Standard error gets one line when a fault begins, changes or ends, not one for each pass: cron mails whatever a
        job prints.
        """
        if self._log.failure is not None:
            self._faults.append(unusable(self._log.failure))
        changes = self._changes(settings, report, work, raised)
        events = notify.events_of(self._project, clock.iso(self._started), work.closed, changes)
        self._events = notify.wanted(settings, events) if settings is not None else []
        changes += [
            Change(notify.closed_text(one), ended=False)
            for one in work.closed
            if not one.finished or one.reason is not None
        ]
        for change in changes:
            self._log(change.text)
        exit_status = self._exit_status(work)
        if may_write:
            kept = self._state
            kept.project, kept.started = self._project, clock.iso(self._started)
            kept.seconds, kept.running_since = round(time.monotonic() - self._began, 3), None
            kept.events = [*(kept.events if raised is not None else ()), *(one.to_json() for one in self._events)]
            # A pass that was ended on purpose has not failed.
            kept.exit_status = exit_status if raised is None or isinstance(raised, Ended) else ExitStatus.INTERNAL
            problem = self._save()
            if problem is not None:
                changes.append(Change(str(problem), ended=False))
                exit_status = worst((exit_status, problem.exit_status))
        new = {change.text for change in changes}
        standing = tuple(text for one in self._state.faults if (text := one["text"]) not in new)
        if self._options.dry_run:
            changes = [one for one in changes if not one.ended]
        return PassResult(exit_status, report, tuple(changes), standing, work.closed, settings, raised)

    def _changes(
        self, settings: Settings | None, report: PassReport | None, work: _Work, raised: BaseException | None
    ) -> list[Change]:
        """What is new among the faults; the state gets those that hold from now on."""
        off = report is not None and not report.enabled and not self._options.studies
        reported, changes = faults_.compare(
            self._faults,
            faults_.from_json(self._state.faults),
            settings=settings,
            now=self._started,
            untested=work.untested,
            all_untested=raised is not None or settings is None or bool(self._options.studies),
            scanner_untested=off or report is None,
            requested=None if off or report is None else work.requested,
            failed={one.study_instance_uid for one in work.closed if not one.finished},
        )
        self._state.faults = faults_.to_json(reported)
        return changes

    def _exit_status(self, work: _Work) -> int:
        statuses: list[int] = [one.exit_status for one in self._faults]
        statuses += [ExitStatus.REQUEST_FAILED for one in work.closed if not one.finished]
        return worst(statuses)

    def _save(self) -> ScannerMoverError | None:
        """Write the state file; gives what is wrong with it."""
        part = os.path.join(self._server.pids, self._server.work_prefix + os.urandom(8).hex())
        try:
            state.save(self._state, self._server.state, part)
        except UnusableError as error:
            return error
        return None


def _remove_left(server: ServerFolders) -> None:
    """Remove the temporary files of a pass that was killed (R27).

    Raises UnusableError when the folder of the lock cannot be read.
    """
    try:
        names = os.listdir(server.pids)
    except OSError as error:
        raise UnusableError(f"the folder {server.pids} cannot be read: {reason(error)}") from error
    for name in names:
        if name.startswith(server.work_prefix):
            _remove(os.path.join(server.pids, name))


def _remove(path: str | None) -> None:
    """Remove PATH, a file or a folder with all that is in it, as far as that is possible.

    Where nothing can be removed nothing can be made either, and that is reported.
    """
    if path is None:
        return
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil

            shutil.rmtree(path)
        else:
            os.unlink(path)
