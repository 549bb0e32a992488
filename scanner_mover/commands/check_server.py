"""`status --check`: this server: its switch, folders, owners, disk and clock, and whether passes are made."""

import os
import pwd
import shlex
import sys
import tempfile
import time

from scanner_mover.commands.check_line import Finding, Findings, fix, ok
from scanner_mover.config import Settings
from scanner_mover.files import open_regular
from scanner_mover.site import state
from scanner_mover.site.disk import free_bytes
from scanner_mover.site.folders import DataFolders, ServerFolders, is_switched_on
from scanner_mover.text import in_seconds
from scanner_mover.transfer.faults import SCANNER
from scanner_mover.transfer.overview import is_locked, look
from scanner_mover.transfer.reported import from_json

#: How a line begins that only repeats what the last pass reported.
REPORTED = "the last pass reported: "

_MOST_SECONDS_BETWEEN_PASSES = 120.0
_MOST_SECONDS_BETWEEN_CLOCKS = 5.0
_MOST_BYTES = 65536
_SCRIPT = "moveFromScanner.sh"


def switch(settings: Settings, folders: DataFolders) -> Findings:
    """The switch, where it lies and what its two bytes say (R6). Raises UnusableError when it cannot be read."""
    on = is_switched_on(folders)
    old = os.path.join(folders.data_dir, "enabled")
    if not os.path.lexists(folders.enabled) and os.path.lexists(old):
        yield fix(
            f"the switch is {folders.enabled}, and only the old one is there: "
            f"mv {shlex.quote(old)} {shlex.quote(folders.enabled)}"
        )
        return
    yield ok(f"the switch {folders.enabled} is {'on' if on else 'off: nothing is retrieved'}")
    if settings.receive or not os.path.exists(folders.enabled):
        return
    with open_regular(folders.enabled) as file:
        first = file.read(2)
    if len(first) == 2 and first[:1] == b"0":
        yield fix(
            f"the first byte of {folders.enabled} is 0, which switches off the site's program that receives: write a 1"
        )


def script(server_dir: str) -> Findings:
    """What lies in the old place of the reference's script: an update may have put the script back (R42)."""
    path = os.path.join(server_dir, "bin", _SCRIPT)
    if not os.path.lexists(path):
        return
    if _is_ours(path):
        yield ok(f"{path} is this program")
        return
    ours = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), _SCRIPT)
    yield fix(
        f"{path} is not a link to this program, so that cron may run the old script: "
        f"ln -sf {shlex.quote(ours)} {shlex.quote(path)}"
    )


def _is_ours(path: str) -> bool:
    """Whether PATH leads to a program that names us, as the console script of each installation does."""
    try:
        with open_regular(path) as file:
            text = file.read(_MOST_BYTES)
    except OSError:
        return False
    return b"scanner_mover" in text or b"scanner-mover" in text


def folders(settings: Settings, folders: DataFolders, server: ServerFolders) -> Findings:
    """The folders that we write, and those that other programs write and we read."""
    written = [folders.active_scans, folders.finished_scans, folders.failed_scans, server.pids]
    written.append(os.path.dirname(server.log))
    if settings.receive:
        written.append(folders.raw)
    for path in written:
        yield _written(path)
    for path in (folders.scanner, *(() if settings.receive else (folders.raw,))):
        yield _read(path)


def _written(path: str) -> Finding:
    """Whether we can put files into the folder PATH, or make it."""
    user = _user(os.geteuid())
    if os.path.isdir(path):
        if os.access(path, os.W_OK | os.X_OK):
            return ok(f"{path} can be written")
        return fix(f"{path} cannot be written by {user}: chown or chmod it")
    if os.path.lexists(path):
        return fix(f"{path} is not a folder: move it out of the way")
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    if os.access(parent, os.W_OK | os.X_OK):
        return ok(f"{path} is not there yet and will be made")
    return fix(f"{path} is not there and cannot be made: make it for {user}")


def _read(path: str) -> Finding:
    """Whether we can read the folder PATH, which another program writes."""
    if not os.path.isdir(path):
        return fix(f"{path} is not there: make it for the program that writes into it")
    if os.access(path, os.R_OK | os.X_OK):
        return ok(f"{path} can be read")
    return fix(f"{path} cannot be read by {_user(os.geteuid())}: chmod it")


def owners(settings: Settings, folders: DataFolders, server: ServerFolders) -> Findings:
    """Files that belong to another user than the one that makes the passes.

    For root that is the owner of the folder of requests: cron may run us as another user.
    """
    user = os.geteuid()
    if user == 0 and os.path.isdir(folders.active_scans):
        user = os.stat(folders.active_scans).st_uid
    paths = [server.pids, server.lock, server.state, os.path.dirname(server.log), server.log]
    paths += [folders.active_scans, folders.finished_scans, folders.failed_scans]
    if settings.receive:
        paths.append(folders.raw)
    others = [path for path in paths if os.path.exists(path) and os.stat(path).st_uid != user]
    for path in others:
        yield fix(f"{path} belongs to {_user(os.stat(path).st_uid)}: chown {_user(user)} {shlex.quote(path)}")
    if not others:
        yield ok(f"log, lock, state and requests belong to {_user(user)}")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def disk(settings: Settings, folders: DataFolders) -> Findings:
    """The free space for images. Raises UnusableError when it cannot be measured."""
    free = free_bytes(folders.raw)
    if free < settings.reserve_bytes:
        yield fix(f"{free} bytes are free for {folders.raw}, below reserve_bytes: make room, or nothing is retrieved")
    else:
        yield ok(f"{free >> 20} MiB are free for {folders.raw}, {settings.reserve_bytes >> 20} are kept in reserve")


def clock(server: ServerFolders) -> Findings:
    """A file server with another time than ours makes requests look older or newer than they are (R24)."""
    folder = os.path.dirname(server.log)
    if not os.access(folder, os.W_OK):
        return
    with tempfile.NamedTemporaryFile(prefix=".scanner-mover.", dir=folder) as file:
        ahead = os.fstat(file.fileno()).st_mtime - time.time()
    if abs(ahead) > _MOST_SECONDS_BETWEEN_CLOCKS:
        yield fix(f"the clock of {folder} differs from this machine's by {ahead:.0f} seconds: run NTP on both")
    else:
        yield ok(f"the clock of {folder} is this machine's")


def passes(settings: Settings, server: ServerFolders) -> Findings:
    """Whether a pass runs now or ran lately."""
    running = is_locked(server.lock)
    holders = {True: "a pass holds it now", False: "free", None: "who holds it cannot be seen here"}
    overview = look(settings, server)
    yield fix(overview.hangs) if overview.hangs else ok(f"the lock {server.lock}: {holders[running]}")
    yield from map(fix, overview.left_alone)
    age = overview.last_pass_age_seconds
    if (age is not None and age <= _MOST_SECONDS_BETWEEN_PASSES) or running:
        yield ok(f"the last pass began {in_seconds(age or 0)} ago")
        return
    when = "there was no pass yet" if age is None else f"the last pass began {in_seconds(age)} ago"
    yield fix(f"{when}: call moveFromScanner.sh from cron every 15 seconds, or switch on the timer")


def faults(server: ServerFolders) -> Findings:
    """What the last pass found wrong, which may be more than is tested here; whether the scanner answers is."""
    known, _ = state.load(server.state)
    yield from (fix(f"{REPORTED}{one.text}") for one in from_json(known.faults) if one.group != SCANNER)
