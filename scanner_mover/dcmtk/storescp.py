"""storescp: receives images (C-STORE, DICOM PS3.4 annex B) on DICOMPORT and writes each into one folder.

`--fork` serves each association by a process of its own, so that an idle stranger holds nobody up; `-pm` and `+xa` take
every storage class and every transfer syntax that this version knows; `+B` writes what arrives bit for bit; `+uf` makes
the names of files, so that nothing of a peer's text gets into one. `-dhl`: no name server is asked. `-td` is not used:
it deletes the part that arrived and goes on waiting.

Who may send can be narrowed by rules for the daemon `storescp` in `/etc/hosts.allow` and `/etc/hosts.deny`
(hosts_access(5)): where there are any, it gets `+ac`.
"""

import collections
import contextlib
import errno
import os
import re
import socket
import time
from collections.abc import Callable, Collection

from scanner_mover import signals
from scanner_mover.config import Settings
from scanner_mover.dcmtk import failure, processes, tls
from scanner_mover.dcmtk.association import whole_seconds
from scanner_mover.dcmtk.child import Child
from scanner_mover.dcmtk.processes import Process
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError, reason

NAME = "storescp"
#: The files with rules about who may connect, and how a rule for a daemon is found in one.
RULES = ("/etc/hosts.allow", "/etc/hosts.deny")

# Seconds after which a connection that asks for no association is ended.
_ASSOCIATION_SECONDS = 30
_FIRST_FREE_PORT = 1024
_START_SECONDS = 30.0
_PORT_SECONDS = 1.0
_PAUSE_SECONDS = 0.01
_TLS_SECONDS = 0.5
_MOST_LINES = 200
_DENIED = re.compile(r"E: .*\bTCP wrapper: (denied connection from .*)")


def arguments(settings: Settings, folder: str) -> list[str]:
    """The arguments of a storescp that writes into FOLDER (storescp's man page)."""
    options = ["--fork", "+xa", "-pm", "+B", "+uf", "-dhl"]
    if has_rule_for(NAME):
        options.append("+ac")
    options += ["-ts", whole_seconds(settings.retrieve_stall_seconds), "-ta", str(_ASSOCIATION_SECONDS)]
    if settings.max_pdu is not None:
        options += ["-pdu", str(settings.max_pdu)]
    if settings.tls is not None:
        options += tls.options(settings.tls)
    return [*options, "-od", folder, str(settings.receive_port)]


def has_rule_for(daemon: str) -> bool:
    """Whether a rule for DAEMON stands in `/etc/hosts.allow` or `/etc/hosts.deny`."""
    rule = re.compile(rf"^[^#\n]*\b{re.escape(daemon)}\b", re.MULTILINE)
    for path in RULES:
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            if rule.search(file.read()):
                return True
    return False


def need_port(port: int) -> None:
    """Raise UnusableError when PORT cannot be opened: another program listens there, or only root may."""
    if port < _FIRST_FREE_PORT and os.geteuid() != 0:  # DCMTK's own rule, whatever the kernel allows
        why = f"DCMTK's tools open ports below {_FIRST_FREE_PORT} for root only: listen above and send the port on"
        raise _cannot_open(port, f"{why}, see the README")
    deadline = time.monotonic() + _PORT_SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
                return
            except OSError as error:
                failed = error
        if failed.errno != errno.EADDRINUSE:
            raise _cannot_open(port, reason(failed))
        if time.monotonic() > deadline:
            break
        signals.sleep(_PAUSE_SECONDS * 5)  # what a killed pass left has just been ended
    raise _cannot_open(port, "another program, perhaps a storage SCP, has it: stop it or set receive to false")


class Listener:
    """A storescp that listens: `start` it, and `end` it on any way out."""

    def __init__(
        self, tools: Toolbox, settings: Settings, folder: str, on_denied: Callable[[str], None] = lambda text: None
    ) -> None:
        """It will write into FOLDER, which is there. ON_DENIED gets storescp's words, in another thread, for
        connections that a rule of this machine refused; the same words once."""
        self._tools = tools
        self._settings = settings
        self._folder = folder
        self._on_denied = on_denied
        self._lines: collections.deque[str] = collections.deque(maxlen=_MOST_LINES)
        self._new: collections.deque[str] = collections.deque(maxlen=_MOST_LINES)
        self._denied: set[str] = set()
        self._stack = contextlib.ExitStack()
        self._child: Child | None = None

    def start(self) -> None:
        """Start storescp and return when it listens.

        Raises UnusableError when the port is taken or storescp does not come up, ConfigurationError when it cannot use
        `tls`. `end` must be called then, too.
        """
        port = self._settings.receive_port
        assert port is not None
        need_port(port)
        started = self._tools.started(NAME, arguments(self._settings, self._folder), None, self._take)
        self._child = self._stack.enter_context(started)
        deadline = time.monotonic() + _START_SECONDS
        while not self._listens(port):
            if not self.is_alive() or time.monotonic() > deadline:
                raise self._why_not(port)
            signals.sleep(_PAUSE_SECONDS)
        # From 3.6.9 on it listens before it looks at keys and certificates, and ends if it cannot use them.
        if self._settings.tls is not None and self._child.falls_silent(_TLS_SECONDS):
            raise self._why_not(port)

    def _why_not(self, port: int) -> UnusableError:
        """Why it does not listen. Raises ConfigurationError when that is because of `tls`."""
        if self._child is not None:
            self._child.falls_silent(_PORT_SECONDS)
        lines = list(self._lines)
        tls.check_output(self._settings, lines)
        return _cannot_open(port, f"storescp does not listen: {failure.of_lines(lines).text}")

    def is_alive(self) -> bool:
        """Whether storescp, the process that takes new connections, lives."""
        return self._child is not None and self._child.is_alive()

    def why_it_died(self) -> str | None:
        """How storescp ended, if it did so without us; None while it lives."""
        if self._child is None or self._child.is_alive():
            return None
        status = self._child.exit_status
        return f"storescp was ended by signal {-status}" if status < 0 else f"storescp ended with exit status {status}"

    def open_files(self) -> frozenset[str]:
        """The names of the files in the folder that are being written now."""
        return processes.open_below([one.pid for one in self._members()], self._folder)

    def refused(self) -> tuple[str, ...]:
        """The SOP classes and transfer syntaxes that it did not take since this was asked last, if it names them."""
        lines = [self._new.popleft() for _ in range(len(self._new))]
        return failure.refused(lines)

    def end(self) -> frozenset[str]:
        """End storescp and all that serve its associations, and wait for their end; may be called again.

        Gives the names of the files that were being written.
        """
        with signals.deferred():
            cut = processes.end(self._members, [self._folder])
            leader = self._child.group if self._child is not None else 0
            processes.reap(one for one in self._members() if one.pid != leader)
            self._stack.close()
            self._child = None
        return cut

    def _members(self) -> list[Process]:
        return [] if self._child is None else processes.members(self._child.group)

    def _listens(self, port: int) -> bool:
        sockets = processes.listening_sockets(port)
        if sockets is not None:
            return bool(sockets) and processes.hold_socket([one.pid for one in self._members()], sockets)
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0 and self.is_alive()

    def _take(self, line: str, is_error: bool) -> None:
        self._lines.append(line)
        self._new.append(line)
        found = _DENIED.fullmatch(line)
        if found is not None and found[1] not in self._denied and len(self._denied) < _MOST_LINES:
            self._denied.add(found[1])
            self._on_denied(found[1])


def is_receiving(is_wanted: Callable[[str], bool]) -> bool:
    """Whether a storescp of our user has an argument that IS_WANTED."""
    return bool(processes.with_argument(NAME, is_wanted))


def end_left_over(folders: Collection[str], is_wanted: Callable[[str], bool]) -> frozenset[str]:
    """End each storescp of our user that has an argument that IS_WANTED: a kill -9 of ours left it.

    Gives the names of the files in FOLDERS that were being written. storescp makes no name twice.
    """
    return processes.end(lambda: processes.with_argument(NAME, is_wanted), folders)


def _cannot_open(port: int, why: str) -> UnusableError:
    return UnusableError(f"port {port} (DICOMPORT) cannot be opened to receive images: {why}")
