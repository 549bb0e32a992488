"""The work of a pass: which requests there are, whether anything is to be done, and what is kept of what was found.

A plain module: until there is work to do, nothing is imported that costs time. What the work needs (`sh`, `tenacity`,
`pydicom`) is imported with `all_requests`.
"""

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.errors import ConfigurationError, UnusableError, reason
from scanner_mover.record import TYPE_CHECKING, Record
from scanner_mover.site.folders import DataFolders, ServerFolders, is_switched_on, on_own_disks, staging_left
from scanner_mover.site.requests import ActiveScans, Request, left_alone, scan
from scanner_mover.text import counted
from scanner_mover.transfer.frame import Frame
from scanner_mover.transfer.report import PassReport, StudyReport

if TYPE_CHECKING:
    from scanner_mover.transfer.job import Findings


class Work(Record):
    """What the work of a pass came to; `report` is None when it was cut short.

    `untested` are the groups of faults that it could not test, `dropped` those that end without having recovered,
    `requested` the studies that were asked for. `sent`: it sent a C-MOVE; `missing`: something is not here.
    """

    report: PassReport | None = None
    untested: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    requested: frozenset[str] = frozenset()
    sent: bool = False
    missing: bool = False


def work(frame: Frame, settings: Settings) -> Work:
    """Open the log, look at the switch, and do what is requested.

    Raises UnusableError and ConfigurationError when nothing can be done at all, Ended when a signal asks us to end.
    """
    options, folders = frame.options, DataFolders(settings.data_dir)
    frame.open_log()
    if frame.state_problem is not None:
        frame.log(frame.state_problem)
    enabled = is_switched_on(folders)
    frame.log("move enabled, start getScans" if enabled else "move disabled, start clearScans")
    if not enabled and not options.studies:
        return Work(_report(frame, enabled))
    frame.state.own_disks = on_own_disks(folders, frame.state.own_disks)
    if not options.dry_run:
        _remove_left(frame.server)
    found = _requests(frame, folders)
    if not found.requests and found.unreadable:
        return Work()
    if found.requests or (not options.dry_run and staging_left(folders)):
        return _requested(frame, settings, folders, found, enabled)
    if os.path.isdir(folders.active_scans):
        frame.state.requests, frame.state.scanner_down, frame.state.silence = {}, False, None
    return Work(_report(frame, enabled))


def _requested(frame: Frame, settings: Settings, folders: DataFolders, found: ActiveScans, enabled: bool) -> Work:
    """Do what is requested, as far as it was FOUND."""
    # What is known of a study is kept while nobody can see whether it is requested.
    unseen = frozenset(frame.state.requests if found.unreadable else ())
    findings = _handle(frame, settings, folders, found, unseen, enabled)
    if findings is None:
        return Work()
    return Work(
        report=_report(frame, enabled, findings.reports),
        untested=frozenset(findings.untested),
        dropped=frozenset(findings.dropped),
        requested=unseen.union(request.study_instance_uid for request in found.requests if request.files),
        sent=findings.moves_sent > 0,
        missing=findings.missing or bool(unseen),
    )


def _report(frame: Frame, enabled: bool, studies: Sequence[StudyReport] = ()) -> PassReport:
    return PassReport(
        project=frame.project,
        started=clock.iso(frame.started),
        seconds=frame.seconds,
        enabled=enabled,
        dry_run=frame.options.dry_run,
        studies=tuple(studies),
    )


def _requests(frame: Frame, folders: DataFolders) -> ActiveScans:
    """The requests of this pass, oldest first, or the studies that were named on the command line."""
    found = scan(folders.active_scans)
    for line in found.unreadable:
        frame.blame(UnusableError(line))
        frame.log(line)
    for line in left_alone(folders.active_scans, frame.state.not_yet_reported("requests", found.not_uids)):
        frame.log(line)
    wanted = frame.options.studies
    if not wanted:
        return found
    requested = [request for request in found.requests if request.study_instance_uid in wanted]
    named = {request.study_instance_uid for request in requested}
    return found._replace(requests=requested + [Request(uid) for uid in dict.fromkeys(wanted) if uid not in named])


def _handle(
    frame: Frame, settings: Settings, folders: DataFolders, found: ActiveScans, unseen: Collection[str], enabled: bool
) -> "Findings | None":
    """Handle the requests that were FOUND. What comes of it, and what is known of the UNSEEN studies, is kept in the
    state, also when it ends early. None: nothing could be done.
    """
    from scanner_mover.transfer import all_requests
    from scanner_mover.transfer.faults import fault
    from scanner_mover.transfer.job import Job
    from scanner_mover.transfer.keeping import Keeper

    keeper = Keeper(frame, {*unseen, *(request.study_instance_uid for request in found.requests)})
    problem = keeper.begin()
    try:
        with _scratch_folder(frame) as scratch, frame.view.progress() as progress:
            job = Job(
                settings=settings,
                folders=folders,
                server=frame.server,
                requests=found.requests,
                scratch_folder=scratch,
                closes=enabled,
                by_hand=frame.options.is_by_hand,
                dry_run=frame.options.dry_run,
                scanner_was_down=frame.state.scanner_down,
                log=frame.log,
                not_yet_reported=frame.state.not_yet_reported,
                progress=progress,
                keep_state=keeper.now_and_then,
                forgotten=keeper.forgotten,
                unusable=None if problem is None else str(problem),
            )
            all_requests.handle(job, keeper.findings)
    except (ConfigurationError, UnusableError) as error:
        keeper.findings.faults.append(fault(error))
        return None
    finally:
        keeper.end()
    frame.log(_summary(keeper.findings.reports, frame.seconds))
    return keeper.findings


@contextlib.contextmanager
def _scratch_folder(frame: Frame) -> Iterator[str]:
    """A folder of this pass alone, removed at its end. Raises UnusableError."""
    import tempfile

    place = None if frame.options.dry_run else frame.server.pids
    try:
        path = tempfile.mkdtemp(prefix=frame.server.work_prefix, dir=place)
    except OSError as error:
        where = place or "the system's temporary folder"
        raise UnusableError(f"no working folder can be made in {where}: {reason(error)}") from error
    try:
        yield path
    finally:
        _remove(path)


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


def _remove(path: str) -> None:
    """Remove PATH, a file or a folder with all that is in it, as far as that is possible.

    Where nothing can be removed nothing can be made either, and that is reported.
    """
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil

            shutil.rmtree(path)
        else:
            os.unlink(path)


def _summary(reports: Sequence[StudyReport], seconds: float) -> str:
    """The log's last line about a pass."""
    from scanner_mover.rules.outcomes import Outcome  # a pass with nothing to do needs none

    outcomes = [report.outcome for report in reports]
    counts = ", ".join(f"{outcomes.count(one)} {one.value}" for one in Outcome)
    retrieved = sum(series.pulled for report in reports for series in report.series)
    requests = counted(len(reports), "request", "requests")
    return f"pass over {requests}: {counts}; {retrieved} series retrieved ({seconds:.1f} s)"
