"""What a pass that was killed left: a storescp that goes on, and what it received (R27)."""

import os
from collections.abc import Callable, Collection

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.dcmtk import storescp
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.scanner.receiver import report
from scanner_mover.site.filing import Filed
from scanner_mover.site.folders import DataFolders, staging_left
from scanner_mover.site.lock import Lock
from scanner_mover.site.staging import Note, Sorter, files_in, hold, is_staging, leave_staging, read_note
from scanner_mover.site.verdict import Origin


def file_left_over(
    tools: Toolbox,
    settings: Settings,
    folders: DataFolders,
    requested: Collection[str],
    log: Callable[[str], None],
) -> Filed:
    """End what a pass that was killed left running, and file, or set aside, what it had received (R27).

    A staging folder that a running pass of another project uses is left alone; only the lock in that folder shows that
    it is in use. Raises UnusableError when some of it cannot be judged, after all the rest was.
    """
    lock = Lock()
    try:
        left = [staging for staging in staging_left(folders) if hold(staging, lock)]
        cut = storescp.end_left_over(left, _is_left_over(folders, left))
        return _file_all(Sorter(tools, settings, folders, requested), left, cut, log)
    finally:
        lock.release()


def _is_left_over(folders: DataFolders, left: Collection[str]) -> Callable[[str], bool]:
    """A function that says whether a path is one of the staging folders LEFT, or of one that is not there any more."""
    is_one, real = is_staging(folders), {os.path.realpath(staging) for staging in left}
    return lambda path: is_one(path) and (os.path.realpath(path) in real or not os.path.lexists(path))


def _file_all(sorter: Sorter, left: Collection[str], cut: Collection[str], log: Callable[[str], None]) -> Filed:
    """File, or set aside, what is in the staging folders LEFT; CUT was being written when storescp was ended."""
    problem = None
    filed = Filed()
    for staging in left:
        try:
            names = files_in(staging)
            if names:
                log(f"an earlier pass left images in {staging}")
            note = read_note(staging)
            new = sorter.sort(staging, names, _origin_of(note, {*cut, *names[-1:]}), requested=note.requested)
            report(new, log)
            filed += new
            leave_staging(staging, note.boot, note.requested, note.closed.__contains__)
        except UnusableError as error:
            problem = error
    if problem is not None:
        raise problem
    return filed


def _origin_of(note: Note, cut: Collection[str]) -> Callable[[str], Origin]:
    """How each file of a staging folder with this NOTE was written; CUT are those that were being written at the end.

    When storescp was killed with us, that may be any of them, but surely one that was written to last.
    """
    restarted = note.boot != clock.now().boot

    def origin(name: str) -> Origin:
        if restarted:
            return Origin.BEFORE_RESTART
        if name in note.closed:
            return Origin.CLOSED
        return Origin.OPEN if name in cut else Origin.INTERRUPTED

    return origin
