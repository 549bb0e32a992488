"""Ports for the servers of a test: find a free one, and wait until its owner listens on it."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"

_TCP_LISTEN = "0A"
_SECONDS_BETWEEN_LOOKS = 0.005
_CHARACTERS_OF_OUTPUT = 4000

_handed_out: set[int] = set()


def free_port() -> int:
    """A TCP port of the loopback address on which nobody listens; never the same one twice in a process."""
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        # The kernel may give a port again as soon as the probe is closed, before its first owner listens.
        if port not in _handed_out:
            _handed_out.add(port)
            return port


def is_listening(port: int) -> bool:
    """Whether any process of this machine listens on `port`.

    Read from the kernel's table. A connection would tell as much, but it is an association to whoever listens:
    `movescu +P` takes one at a time, and a scripted scanner counts them.
    """
    return bool(_listening_sockets(port))


def wait_until_listening(
    port: int, process: subprocess.Popen[bytes], seconds: float = 10, log: Path | None = None
) -> None:
    """Return as soon as `process`, or a child of it, listens on `port`; whoever else does so does not count.

    `log` is the file that the process writes its output to; without one its output is read from its pipe.

    Raises RuntimeError with the output of the process when it ends first, TimeoutError when `seconds` run out (the
    process is then killed: nobody will ask it anything).
    """
    end = time.monotonic() + seconds
    while True:
        if process.poll() is not None:
            raise RuntimeError(
                f"{process.args!r} ended with {process.returncode} before it listened on {port}:\n"
                + _output(process, log)
            )
        if _listening_sockets(port) & _sockets(process.pid):
            return
        if time.monotonic() > end:
            process.kill()
            process.wait()
            raise TimeoutError(
                f"{process.args!r} does not listen on {port} after {seconds} s:\n" + _output(process, log)
            )
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _listening_sockets(port: int) -> set[str]:
    """What /proc/PID/fd calls the sockets that listen on `port`."""
    wanted = f":{port:04X}"
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _TCP_LISTEN and fields[1].endswith(wanted):
                found.add(f"socket:[{fields[9]}]")
    return found


def _sockets(process_id: int) -> set[str]:
    """Whatever the process and its descendants have open."""
    found = set()
    process = Path("/proc", str(process_id))
    # Any of it may be gone between two looks.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in process.joinpath("fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.add(str(descriptor.readlink()))
        for task in process.joinpath("task").iterdir():
            for child in task.joinpath("children").read_text(encoding="ascii").split():
                found |= _sockets(int(child))
    return found


def _output(process: subprocess.Popen[bytes], log: Path | None) -> str:
    if log is not None:
        raw = log.read_bytes() if log.exists() else b""
    else:
        raw = b"".join(part for part in process.communicate() if part)
    return raw.decode(errors="backslashreplace")[-_CHARACTERS_OF_OUTPUT:]
