"""The installed files of this program, which `pip install` replaces while a daemon runs (a daemon's concern only)."""

import importlib
import os
import pkgutil
import subprocess
import sys
from typing import NamedTuple

import scanner_mover
from scanner_mover.commands import child_program

_FOLDER = os.path.dirname(os.path.abspath(scanner_mover.__file__))
# What a pass may need at any time; `commands` beside these is one process for each call.
_PACKAGES = ("scanner_mover.dcmtk", "scanner_mover.site", "scanner_mover.scanner", "scanner_mover.transfer")
# What modules import where they need it, not at their beginning.
_LATE = ("ctypes", "difflib", "grp", "shutil", "subprocess", "tempfile", "traceback", "pydicom.charset")
_LATE_ON_A_TERMINAL = ("scanner_mover.display.live_table", "scanner_mover.display.tables")
_START_LIMIT_SECONDS = 120


class _File(NamedTuple):
    path: str
    inode: int
    size: int
    modified: int


Fingerprint = frozenset[_File]


def fingerprint() -> Fingerprint:
    """What is installed now: equal for two moments between which nothing was installed."""
    found = set()
    for folder, names, files in os.walk(_FOLDER):
        names[:] = [name for name in names if name != "__pycache__"]
        for name in files:
            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except OSError:
                continue
            found.add(_File(path, status.st_ino, status.st_size, status.st_mtime_ns))
    return frozenset(found)


def load_all(*, for_a_terminal: bool) -> None:
    """Import everything that a pass may need and read the templates: later there may be other files in their place."""
    for package in _PACKAGES:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    for name in (*_LATE, *(_LATE_ON_A_TERMINAL if for_a_terminal else ())):
        importlib.import_module(name)
    from scanner_mover.dcmtk.dump2dcm import template

    for name in os.listdir(os.path.join(_FOLDER, "templates")):
        if name.endswith(".dump"):
            template(name)


def starts() -> bool:
    """Whether what is installed now starts: `--version` as we were called, and all that a pass imports."""
    ours = len(sys.argv) - 1
    program = [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - ours]]
    imports = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import load_all; load_all(for_a_terminal=True)"
    return all(map(_succeeds, ([*program, "--version"], [sys.executable, "-P", "-c", imports])))


def execute_anew() -> None:
    """Put the installed program into the place of this one: same process id, same arguments.

    Raises OSError when that cannot be done; otherwise it does not return.
    """
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _succeeds(command: list[str]) -> bool:
    try:
        done = child_program.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_START_LIMIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
