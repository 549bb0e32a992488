"""Where everything lies below DATADIR and SERVERDIR (R5), and the switch (R6, R7).

A plain module: every pass needs it, also one with nothing to do.
"""

import contextlib
import os
from collections.abc import Collection, Mapping

from scanner_mover.config import DEFAULT_PROJECT
from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import absolute, open_regular

DEFAULT_SERVER_DIR = "/var/www/html/server"


def find_server_dir(program: str, environ: Mapping[str, str], given: str | None = None) -> str:
    """The reference's SERVERDIR, as an absolute path (R5).

    GIVEN on the command line counts, else `$SERVERDIR` in ENVIRON. Otherwise it is the parent of the folder in which
    PROGRAM lies, the path that we were called by. If that is a link, it is followed one link at a time, and the first
    parent that holds `logs/` or `.pids/` counts: a link in the script's old place finds the script's own folders.

    Raises UnusableError when it is relative and the working folder was removed.
    """
    given = given or environ.get("SERVERDIR")
    if given:
        return absolute(given)
    path = absolute(program)
    for _ in range(40):  # the kernel's own limit for links
        parent = os.path.dirname(os.path.realpath(os.path.dirname(path)))
        if any(os.path.isdir(os.path.join(parent, name)) for name in ("logs", ".pids")):
            return parent
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            break
    return DEFAULT_SERVER_DIR


class ServerFolders:
    """The log and the lock of one project, and the files beside the lock (R5)."""

    def __init__(self, server_dir: str, project: str) -> None:
        suffix = "" if project == DEFAULT_PROJECT else project
        self.pids = os.path.join(server_dir, ".pids")
        self.log = os.path.join(server_dir, "logs", f"moveFromScanner{suffix}.log")
        self.lock = os.path.join(self.pids, f"moveFromScanner{suffix}.lock")
        self.ledger = os.path.join(self.pids, f"moveFromScanner{suffix}.ledger.jsonl")
        self.state = os.path.join(self.pids, f"moveFromScanner{suffix}.state.json")
        self.work_prefix = f".moveFromScanner{suffix}.work."
        self.mpps_index = os.path.join(self.pids, f"moveFromScanner{suffix}.mpps.json")
        self.hanging = os.path.join(self.pids, f"moveFromScanner{suffix}.hanging")

    def new_part(self) -> str:
        """A path that nothing has, for a file that is renamed to one of these; the next pass removes what is left."""
        return os.path.join(self.pids, self.work_prefix + os.urandom(8).hex())


class DataFolders:
    """The folders below DATADIR, and the switch."""

    def __init__(self, data_dir: str) -> None:
        self.data_dir = data_dir
        self.active_scans = os.path.join(data_dir, "active-scans")
        self.finished_scans = os.path.join(data_dir, "finished-scans")
        self.failed_scans = os.path.join(data_dir, "failed-scans")
        self.scanner = os.path.join(data_dir, "scanner")
        self.enabled = os.path.join(data_dir, "config", "enabled")
        self.site = os.path.join(data_dir, "site")
        self.raw = os.path.join(self.site, "raw")
        self.rejected = os.path.join(self.site, "rejected")

    def all(self) -> tuple[str, ...]:
        """Each folder below DATADIR that a site may have on a disk of its own."""
        return self.site, self.raw, self.active_scans, self.finished_scans, self.failed_scans, self.scanner

    def series(self, study_instance_uid: str, series_instance_uid: str) -> str:
        """The folder with the images of one series."""
        return os.path.join(self.raw, study_instance_uid, series_instance_uid)


STAGING_PREFIX = ".moveFromScanner.staging."
# A folder of this name says that the one around it no longer has a disk of its own.
_HERE = ".here"


def staging_left(folders: DataFolders) -> list[str]:
    """The staging folders that a killed pass left behind in `site` or `site/raw`, sorted."""
    found = []
    for parent in (folders.site, folders.raw):
        with contextlib.suppress(OSError), os.scandir(parent) as entries:
            found += [
                entry.path
                for entry in entries
                if entry.name.startswith(STAGING_PREFIX) and entry.is_dir(follow_symlinks=False)
            ]
    return sorted(found)


def is_switched_on(folders: DataFolders) -> bool:
    """Whether the second byte of `config/enabled` is `1`; in a file of one byte that byte counts (R6).

    No file is off. Raises UnusableError when the file cannot be read, or when DATADIR is missing or empty: a disk that
    is not mounted must not look like a switch that is off.
    """
    try:
        with open_regular(folders.enabled) as file:
            return file.read(2)[-1:] == b"1"
    except (FileNotFoundError, NotADirectoryError):
        is_there = os.path.isdir(folders.data_dir)
        if is_there and not _is_empty(folders.data_dir):
            return False
        how = "empty" if is_there else "not there"
        raise UnusableError(f"the data folder {folders.data_dir} is {how}: is its disk mounted?") from None
    except OSError as error:
        raise UnusableError(f"the switch {folders.enabled} cannot be read: {reason(error)}") from error


def on_own_disks(folders: DataFolders, known: Collection[str]) -> list[str]:
    """See that each of FOLDERS that was on a disk of its own, by KNOWN, still is; gives which are so now.

    The folder that a disk is mounted on is there without the disk too, and empty, or it goes with the disk. Then no
    study would seem to be requested, images that are here would be retrieved once more, and what is retrieved would lie
    hidden below the disk.

    Other programs may write into it: only the folder `.here` in it says that it has no disk of its own any more.

    Raises UnusableError for a folder that is no longer on its disk.
    """
    now = []
    for folder in folders.all():
        try:
            others = {os.stat(outer).st_dev for outer in (os.sep, os.path.dirname(folder))}
            is_own = os.stat(folder).st_dev not in others
        except (FileNotFoundError, NotADirectoryError):  # one that never had a disk is made when it is needed
            is_own = False
        except OSError:  # whoever needs the folder says what is wrong with it
            is_own = folder in known
        if is_own:
            now.append(folder)
        elif folder in known and not os.path.isdir(os.path.join(folder, _HERE)):
            raise UnusableError(
                f"{folder} was on a disk of its own and is on none now: is that disk mounted? If there is none any "
                f"more: mkdir -p {os.path.join(folder, _HERE)}"
            )
    return now


def _is_empty(folder: str) -> bool:
    """Whether there is nothing in FOLDER; not so when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False
