"""Processes and sockets as the kernel shows them below /proc (proc(5)): members of a process group, the files that they
have open, who listens on a port, and the end of processes that are not our children."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

_STOP_SECONDS = 1.0
_END_SECONDS = 5.0
_PAUSE_SECONDS = 0.002
_STOPPED = "TtZX"
_DEAD = "ZX"
_LISTEN = "0A"


class Process(NamedTuple):
    """One process: its number, the letter of its state, and the number of its process group."""

    pid: int
    state: str
    group: int


def members(group: int) -> list[Process]:
    """The members of the process group GROUP, zombies too."""
    return [process for pid in _pids() if (process := _look(pid)) is not None and process.group == group]


def with_argument(program: str, is_wanted: Callable[[str], bool]) -> list[Process]:
    """Our own user's processes that run PROGRAM (a base name), or a wrapper of it, with an argument that IS_WANTED."""
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
                continue
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                arguments = os.fsdecode(file.read()).split("\0")
            if any(os.path.basename(argument) == program for argument in arguments) and any(map(is_wanted, arguments)):
                process = _look(pid)
                found += [process] if process is not None else []
    return found


def open_below(pids: Iterable[int], folder: str) -> frozenset[str]:
    """The names of the files directly in FOLDER that one of the processes PIDS has open."""
    top = os.path.realpath(folder) + os.sep
    return frozenset(target.removeprefix(top) for target in _open_files(pids) if target.startswith(top))


def listening_sockets(port: int) -> frozenset[int] | None:
    """The inodes of the sockets that listen for TCP on PORT; None where the kernel does not show them."""
    inodes = set()
    seen = False
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            next(file, None)
            seen = True
            for line in file:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(int(fields[9]))
    return frozenset(inodes) if seen else None


def hold_socket(pids: Iterable[int], inodes: Iterable[int]) -> bool:
    """Whether one of the processes PIDS has one of the sockets INODES."""
    sockets = {f"socket:[{inode}]" for inode in inodes}
    return any(target in sockets for target in _open_files(pids))


def end(find: Callable[[], list[Process]], folders: Iterable[str]) -> frozenset[str]:
    """End every process that FIND gives; gives the names of the files in FOLDERS that they had open at their end.

    They are stopped first, so that what is open then is what their end cuts short. A process that the kernel does not
    let go (a disk that does not answer) is waited for during some seconds, not for ever.
    """
    if not _living(find()):
        return frozenset()
    _signal_until(find, signal.SIGSTOP, _STOPPED, _STOP_SECONDS)
    found = find()
    pids = [one.pid for one in found]
    open_files = frozenset(name for folder in folders for name in open_below(pids, folder))
    _signal_until(find, signal.SIGKILL, _DEAD, _END_SECONDS)
    return open_files


def reap(processes: Iterable[Process]) -> None:
    """Take note of the end of those PROCESSES that became our children: where we are process 1, nobody else does."""
    for process in processes:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def _living(processes: Iterable[Process]) -> list[Process]:
    return [process for process in processes if process.state not in _DEAD]


def _signal_until(find: Callable[[], list[Process]], number: int, states: str, seconds: float) -> None:
    """Send the signal NUMBER to what FIND gives until all of that is in one of STATES, for at most SECONDS."""
    deadline = time.monotonic() + seconds
    while left := [process for process in find() if process.state not in states]:
        if time.monotonic() > deadline:
            return
        for process in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)
        time.sleep(_PAUSE_SECONDS)  # noqa: TID251 - a clean-up


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _look(pid: int) -> Process | None:
    """The process PID; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name of the program stands in parentheses and may hold anything.
            state, _, group = file.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):
        return None
    return Process(pid, state.decode("ascii"), int(group))


def _open_files(pids: Iterable[int]) -> list[str]:
    targets = []
    for pid in pids:
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    targets.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return targets
