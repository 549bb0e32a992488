"""Closed studies, requested again: what `status --audit --request` does between two passes."""

from collections.abc import Iterable, Sequence

from scanner_mover.errors import LockHeldError, UnusableError
from scanner_mover.rules.records import StudyMemory
from scanner_mover.site import state
from scanner_mover.site.disk import make_folder
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.site.lock import Lock
from scanner_mover.site.requests import put_back
from scanner_mover.site.state import State
from scanner_mover.transfer.audit import ClosedStudy
from scanner_mover.transfer.history import study_from_json, to_json

_LONGEST_WAIT_SECONDS = 30.0


def request_again(folders: DataFolders, server: ServerFolders, closed: Iterable[ClosedStudy]) -> tuple[int, int]:
    """Put requests back into `active-scans` with their content and a fresh time, never over one that is there.

    It is done between two passes, with their lock. The state file gets a note that their MPPS files may be gone (R32).
    Gives how many were put back, and how many were requested already. Raises UnusableError when a pass holds the lock
    for long, or when a request cannot be moved, after all others were.
    """
    back: list[str] = []
    there = 0
    problem: UnusableError | None = None
    lock = _locked(server)
    try:
        for one in closed:
            try:
                if put_back(one.path, folders.active_scans):
                    back.append(one.study_instance_uid)
                else:
                    there += 1
            except UnusableError as error:
                problem = problem or error
        if back:
            _note(server, back)
    finally:
        lock.release()
    if problem is not None:
        raise problem
    return len(back), there


def _note(server: ServerFolders, study_instance_uids: Sequence[str]) -> None:
    """Note in the state file that no MPPS file of these studies is expected (R32). Raises UnusableError."""

    def note(known: State) -> None:
        for uid in study_instance_uids:
            memory = study_from_json(known.requests.get(uid)) or StudyMemory()
            known.requests[uid] = to_json(memory._replace(mpps_expected=False))

    state.change(server, note, also_broken=True)


def _locked(server: ServerFolders) -> Lock:
    """The lock of the passes, waited for. Raises UnusableError when one runs for too long."""
    make_folder(server.pids)
    lock = Lock()
    try:
        lock.wait_for_file(server.lock, _LONGEST_WAIT_SECONDS)
    except LockHeldError:
        raise UnusableError(
            f"nothing was requested: a pass is running and holds the lock {server.lock}; try again when it has ended"
        ) from None
    return lock
