"""One pass, in the order configuration, lock, log, switch, work, and what is kept and told at its end.

A plain module: until there is work to do, nothing is imported that costs time. What the work needs (`sh`, `tenacity`,
`pydicom`) is imported in `_work`, what a terminal needs (`rich`) when there is one.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from scanner_mover import clock, config, signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.config import Settings
from scanner_mover.dicom import is_uid
from scanner_mover.display.output import printing, say
from scanner_mover.errors import ConfigurationError, Ended, ExitStatus, LockHeldError, UnusableError, UsageError, reason
from scanner_mover.scanner.progress import Watcher
from scanner_mover.site import state
from scanner_mover.site.disk import make_folder
from scanner_mover.site.folders import DataFolders, ServerFolders, find_server_dir, is_switched_on, staging_left
from scanner_mover.site.lock import Lock
from scanner_mover.site.log import Log
from scanner_mover.site.requests import Request, left_alone, scan
from scanner_mover.site.state import State
from scanner_mover.transfer.faults import Faults
from scanner_mover.transfer.report import PassReport, StudyReport


class OnePass:
    """One pass, from the configuration to the exit status; made anew for each."""

    def __init__(self, options: MoveOptions, program: str) -> None:
        for uid in options.studies:
            if not is_uid(uid):
                raise UsageError(f"--study: {uid!r} is not a UID")
        for name, seconds in (
            ("--settle", options.settle_seconds),
            ("--give-up-after", options.give_up_after_seconds),
            ("--every", options.every_seconds),
        ):
            if seconds is not None and not 0 <= seconds <= 1e9:  # neither is what is no number
                raise UsageError(f"{name} takes a number of seconds, 0 or more")
        self._options = options
        project = config.project_name(options.project)
        server_dir = find_server_dir(program, os.environ, options.server_dir)
        self._project = project
        self._server = ServerFolders(server_dir, project)
        self._faults = Faults()
        self._switched_off = False
        self._lock = Lock()
        self.log = Log(None)
        self._state = State()
        self._started = time.time()
        self._began = time.monotonic()

    def run(self) -> int:
        """Make the pass; gives its exit status.

        Raises LockHeldError when another pass holds the lock, Ended when a signal asks us to end.
        """
        settings = self._settings()
        try:
            may_write = self._take_lock(settings)
            self._state, problem = state.load(self._server.state)
            report = None
            exit_status = None
            try:
                if settings is not None and not self._faults.exit_status:
                    report = self._pass(settings, problem)
            except (ConfigurationError, UnusableError) as error:
                self._faults.add(str(error), error.exit_status)
            except Ended as ended:
                exit_status = ended.exit_status
                self.log(f"ended by signal {exit_status - 128}; the next pass goes on")
                raise
            except BaseException:
                exit_status = 1  # an error of ours: what the pass did not get to is not well again
                raise
            finally:
                with signals.deferred():
                    self._end(may_write, exit_status)
            self._show(report)
        finally:
            self.log.close()
            self._lock.release()
        return self._faults.exit_status

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
        except ConfigurationError as error:
            self._faults.add(str(error), error.exit_status)
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
            self._faults.unusable(str(error))
        return ours

    def _pass(self, settings: Settings, problem: str | None) -> PassReport:
        options = self._options
        folders = DataFolders(settings.data_dir)
        self.log = Log(None if options.dry_run else self._server.log)
        self.log.echo = self._echo()
        if problem is not None:
            self.log(problem)
        enabled = is_switched_on(folders)
        self.log("move enabled, start getScans" if enabled else "move disabled, start clearScans")
        studies: list[StudyReport] = []
        self._switched_off = not enabled and not options.studies
        if enabled or options.studies:
            if not options.dry_run:
                self._remove_left()
            requests = self._requests(folders)
            if requests or (not options.dry_run and staging_left(folders)):
                studies = self._work(settings, folders, requests, enabled)
            else:
                self._state.requests = {}
                self._state.scanner_down = False
        return PassReport(
            project=self._project,
            started=clock.iso(self._started),
            seconds=time.monotonic() - self._began,
            enabled=enabled,
            dry_run=options.dry_run,
            studies=tuple(studies),
        )

    def _requests(self, folders: DataFolders) -> list[Request]:
        found = scan(folders.active_scans)
        for folder in found.unreadable:
            self._faults.unusable(folder)
            self.log(folder)
        for line in left_alone(folders.active_scans, self._state.new_among("requests", found.not_uids)):
            self.log(line)
        wanted = self._options.studies
        if not wanted:
            return found.requests
        requested = [request for request in found.requests if request.study_instance_uid in wanted]
        named = {request.study_instance_uid for request in requested}
        return requested + [Request(uid) for uid in dict.fromkeys(wanted) if uid not in named]

    def _work(
        self, settings: Settings, folders: DataFolders, requests: Sequence[Request], enabled: bool
    ) -> list[StudyReport]:
        import shutil

        from scanner_mover.transfer.history import StudyKnowledge, from_json
        from scanner_mover.transfer.moving import move
        from scanner_mover.transfer.study import Work

        knowledge: dict[str, StudyKnowledge] = {}
        for uid, value in self._state.requests.items():
            known = from_json(value)
            if known is None:
                self.log(f"the state file {self._server.state} is broken for {uid}; going on without it")
            else:
                knowledge[uid] = known
        before = {
            (uid, series): one.received for uid, known in knowledge.items() for series, one in known.series.items()
        }
        work = None
        try:
            with signals.deferred():
                work = self._working_folder()
            with self._watcher() as watcher:
                reports, self._state.scanner_down = move(
                    Work(
                        settings=settings,
                        folders=folders,
                        work=work,
                        mpps_index=None if self._options.dry_run else self._server.mpps_index,
                        requests=requests,
                        closes=enabled,
                        dry_run=self._options.dry_run,
                        scanner_was_down=self._state.scanner_down,
                        knowledge=knowledge,
                        log=self.log,
                        new_among=self._state.new_among,
                        faults=self._faults,
                        watcher=watcher,
                    )
                )
        finally:
            with signals.deferred():
                if work is not None:
                    shutil.rmtree(work, ignore_errors=True)
                asked = {request.study_instance_uid for request in requests}
                kept = knowledge if self._options.studies else {uid: knowledge[uid] for uid in asked & set(knowledge)}
                self._state.requests = {uid: known.to_json() for uid, known in kept.items()}
        for report in reports:
            for series in report.series:
                earlier = before.get((report.study_instance_uid, series.series_instance_uid), 0)
                self._state.images_received += max(0, series.received - earlier)
                self._state.failed_pulls += series.pulled and series.error is not None
        self.log(self._summary(reports))
        return reports

    def _working_folder(self) -> str:
        import tempfile

        place = None if self._options.dry_run else self._server.pids
        try:
            return tempfile.mkdtemp(prefix=self._server.work_prefix, dir=place)
        except OSError as error:
            raise UnusableError(f"no working folder can be made in {place}: {reason(error)}") from error

    def _summary(self, reports: Sequence[StudyReport]) -> str:
        outcomes = [report.outcome for report in reports]
        counts = ", ".join(f"{outcomes.count(one)} {one}" for one in ("finished", "failed", "waiting", "error"))
        pulled = sum(series.pulled for report in reports for series in report.series)
        seconds = time.monotonic() - self._began
        requests = "1 request" if len(reports) == 1 else f"{len(reports)} requests"
        return f"pass over {requests}: {counts}; {pulled} series pulled ({seconds:.1f} s)"

    def _remove_left(self) -> None:
        """Remove the temporary files of a pass that was killed (R27)."""
        try:
            names = os.listdir(self._server.pids)
        except OSError as error:
            raise UnusableError(f"the folder {self._server.pids} cannot be read: {reason(error)}") from error
        for name in names:
            if name.startswith(self._server.work_prefix):
                import shutil

                path = os.path.join(self._server.pids, name)
                # A folder in which nothing can be removed is told of where something cannot be made in it.
                with contextlib.suppress(OSError):
                    if os.path.isdir(path) and not os.path.islink(path):
                        shutil.rmtree(path)
                    else:
                        os.unlink(path)

    def _end(self, may_write: bool, exit_status: int | None) -> None:
        """Tell of a fault that began, changed or ended, and keep what this pass knows.

        Standard error gets one line for a change, not one for each pass: cron mails whatever a job prints. On a
        terminal, and in a dry run, a fault is always told.
        """
        if self.log.failure is not None:
            self._faults.unusable(self.log.failure)
        old = self._state.fault
        if may_write:
            self._keep(old, exit_status)
        new = self._fault(old, exit_status)
        if new != old:
            self.log(f"well again, no longer: {old}" if new is None else new)
        if new is not None and (new != old or self._options.dry_run or sys.stderr.isatty()):
            say(new)
        elif new is None and old is not None and not self._options.dry_run:
            say(f"well again, no longer: {old}")

    def _fault(self, old: str | None, exit_status: int | None) -> str | None:
        """The fault that there is now; what a pass, cut short or switched off, did not test is not well."""
        if exit_status is not None or (self._state.scanner_fault and self._switched_off):
            return self._faults.line() or old
        return self._faults.line()

    def _keep(self, old: str | None, exit_status: int | None) -> None:
        """Write the state file; one that cannot be written is a fault itself."""
        kept = self._state
        kept.project = self._project
        kept.fault = self._fault(old, exit_status)
        kept.scanner_fault = kept.fault is not None and (
            self._faults.exit_status == ExitStatus.SCANNER or (kept.scanner_fault and kept.fault == old)
        )
        kept.started = clock.iso(self._started)
        kept.seconds = round(time.monotonic() - self._began, 3)
        kept.exit_status = self._faults.exit_status if exit_status is None else exit_status
        try:
            part = os.path.join(self._server.pids, self._server.work_prefix + os.urandom(8).hex())
            state.save(kept, self._server.state, part)
        except UnusableError as error:
            self._faults.unusable(str(error))

    def _echo(self) -> Callable[[str], None] | None:
        """What shows the messages of the log while they come, for those who asked for it."""
        if not (self._options.verbose or self._options.dry_run) or (self._options.json and not self._options.verbose):
            return None
        if self._options.json:
            return say
        from scanner_mover.display.tables import show_message

        return show_message

    @contextlib.contextmanager
    def _watcher(self) -> Iterator[Watcher]:
        """What shows the work while it goes on: a live table on a terminal."""
        options = self._options
        if options.json or options.verbose or options.dry_run or not sys.stdout.isatty():
            yield Watcher()
            return
        from scanner_mover.display.live_table import LiveTable

        with LiveTable() as table:
            yield table

    def _show(self, report: PassReport | None) -> None:
        if report is None:
            return
        with printing():
            if self._options.json:
                print(json.dumps(report.to_json()))
            elif sys.stdout.isatty() or self._options.verbose or self._options.dry_run:
                from scanner_mover.display.tables import show_summary

                show_summary(report)
