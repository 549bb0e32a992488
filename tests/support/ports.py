"""Ports for the servers of a test: find a free one, and wait until its owner listens on it.

A port that the kernel chooses is anybody's again as soon as it is closed: another worker of pytest-xdist is given it,
or an outgoing connection of any process gets it as its own, before the server of the test has bound it. So ports are
taken from below the range that the kernel chooses from, and each process has a block of them for itself: it holds an
abstract socket (unix(7)) with the number of the block as long as it lives. Such a name belongs to a network namespace,
as the ports do: it is seen where another temporary folder is used too, in a chroot or a container.
"""

import contextlib
import errno
import itertools
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"

_TCP_LISTEN = "0A"
_SECONDS_BETWEEN_LOOKS = 0.005
_CHARACTERS_OF_OUTPUT = 4000

_FIRST_PORT = 10_000
_LAST_PORT = 32_767
_PORTS_OF_A_BLOCK = 250
_FEWEST_BLOCKS = 8
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")

# {process: its ports}: after a fork the child takes a block for itself.
_ours: dict[int, Iterator[int]] = {}


def free_port() -> int:
    """A TCP port on which nobody listens, and which no other process of these tests is given while we live.

    In one process a port comes again only after all others of its block. Raises RuntimeError when all blocks are
    taken.
    """
    ports = _ours.get(os.getpid())
    if ports is None:
        ports = _ours[os.getpid()] = itertools.cycle(_take_block())
    for port in itertools.islice(ports, _PORTS_OF_A_BLOCK):
        if _can_be_bound(port):
            return port
    raise RuntimeError("somebody else listens on every port that is ours")


def _take_block() -> range:
    """The ports of the first block that no living process has; it is ours until we end."""
    first, blocks = _blocks()
    for number in range(blocks):
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            holder.bind(f"\0scanner-mover-tests.ports.{number}")
        except OSError as error:
            holder.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        holder.detach()  # never closed: the name is free again when the process has ended
        return range(first + number * _PORTS_OF_A_BLOCK, first + (number + 1) * _PORTS_OF_A_BLOCK)
    raise RuntimeError(f"{blocks} processes of these tests run already, and there are no ports for more")


def _blocks() -> tuple[int, int]:
    """The first port of the first block, and how many blocks lie below the range that the kernel chooses from."""
    lowest = int(_EPHEMERAL.read_text(encoding="ascii").split()[0]) if _EPHEMERAL.exists() else _LAST_PORT + 1
    blocks = (min(lowest, _LAST_PORT + 1) - _FIRST_PORT) // _PORTS_OF_A_BLOCK
    # A machine whose kernel chooses from nearly all ports leaves no room: then they are shared with it.
    return _FIRST_PORT, blocks if blocks >= _FEWEST_BLOCKS else (_LAST_PORT + 1 - _FIRST_PORT) // _PORTS_OF_A_BLOCK


def _can_be_bound(port: int) -> bool:
    """Whether nobody has the port, on any address (what DCMTK's tools listen on)."""
    with socket.socket() as probe:
        # As the servers do: connections that were closed a moment ago keep nobody from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen()
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Whether any process of this machine listens on `port`.

    Read from the kernel's table. A connection would tell as much, but it is an association to whoever listens:
    `movescu +P` takes one at a time, and a scripted scanner counts them.
    """
    return bool(_listening_sockets(port))


def wait_until_listening(
    port: int, process: subprocess.Popen[bytes], seconds: float = 60, log: Path | None = None
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
