"""Starts a tool with sh: in a process group of its own that dies with us, its output on two pipes that we read."""

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Callable, Sequence
from typing import Any

import sh

from scanner_mover.dcmtk.child import Child, Limits
from scanner_mover.errors import UnusableError, reason
from scanner_mover.text import printable

#: What a person does about a tool that is not there.
INSTALL = "install DCMTK (Debian, Ubuntu: apt-get install dcmtk)"

# In the background (we wait in `Child.wait`, which a signal can end), in a process group of its own, and without sh's
# own keeping of output. No exit status is an error.
_SH_OPTIONS: dict[str, Any] = {
    "_bg": True,
    "_bg_exc": False,
    "_new_group": True,
    "_no_pipe": True,
    "_return_cmd": True,
    "_ok_code": tuple(range(-64, 256)),
    "_encoding": "utf-8",
}
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def start(
    path: str,
    arguments: Sequence[str],
    folder: str | None,
    environment: dict[str, str],
    on_output: Callable[[str, bool], None],
    limits: Limits,
) -> Child:
    """Start the program PATH with ARGUMENTS and ENVIRONMENT in FOLDER (None: ours).

    Whatever fails on the way is closed and ended again. `on_output` and LIMITS are those of `Child`. Raises
    UnusableError when it cannot be started.
    """
    with contextlib.ExitStack() as undo, contextlib.ExitStack() as childs_ends:
        try:
            nothing = childs_ends.enter_context(open(os.devnull, "rb"))
            out, out_child = pipe(undo, childs_ends)
            err, err_child = pipe(undo, childs_ends)
            process = sh.Command(path)(
                *arguments,
                _in=nothing,
                _out=out_child,
                _err=err_child,
                _cwd=folder,
                _env=environment,
                _preexec_fn=_die_with_parent(os.getpid()),
                **_SH_OPTIONS,
            )
            undo.callback(_kill_group, process.pgid)
            if limits.most_memory_bytes is not None:
                _limit_memory(process.pid, limits.most_memory_bytes)
            child = Child(process, out, err, on_output, limits)
        except (sh.CommandNotFound, sh.ForkException, UnicodeError) as error:
            raise UnusableError(f"{path} cannot be started: {_last_line(error)}; {INSTALL}") from error
        # No more descriptors or threads.
        except (OSError, RuntimeError) as error:
            why = reason(error) if isinstance(error, OSError) else _last_line(error)
            raise UnusableError(f"{path} cannot be started: {why}") from error
        undo.pop_all()
        return child


def pipe(ours: contextlib.ExitStack, childs: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe: our end, closed with OURS, and the end of a child, closed with CHILDS."""
    read, write = os.pipe()
    ours.callback(os.close, read)
    childs.callback(os.close, write)
    return read, write


def _limit_memory(pid: int, most_bytes: int) -> None:
    # Not between fork and exec: there it would be a limit of Python, which may have more already.
    with contextlib.suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_AS, (most_bytes, most_bytes))


def _kill_group(group: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)


def _die_with_parent(parent: int) -> Callable[[], None]:
    """For the child, between fork and exec: the kernel kills it when we die, also by `kill -9`."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return printable(lines[-1].strip()) if lines else type(error).__name__
