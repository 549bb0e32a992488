"""What a service of `Type=notify` reports to systemd: one datagram for each message (sd_notify(3))."""

import contextlib
import os
import signal
import socket
from types import FrameType


class Systemd:
    """Reports our state to systemd, if it asked for that."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _microseconds(os.environ.get("WATCHDOG_USEC", "")) / 1e6

    def ready(self) -> None:
        """We are up. From now on we also say that we are alive, if a watchdog waits for it.

        A timer's signal in the main thread does that: a thread that hangs in the kernel does not get it.
        """
        self._tell("READY=1")
        if self._address and self._watchdog_seconds:
            signal.signal(signal.SIGALRM, self._alive)
            signal.setitimer(signal.ITIMER_REAL, self._watchdog_seconds / 3, self._watchdog_seconds / 3)

    def pause(self) -> None:
        """Say once more that we are alive, then no more until `ready`: the timer would outlive an exec and kill us."""
        if self._address and self._watchdog_seconds:
            self._tell("WATCHDOG=1")
        signal.setitimer(signal.ITIMER_REAL, 0)

    def stopping(self) -> None:
        """We are about to end."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._tell("STOPPING=1")

    def _alive(self, number: int, frame: FrameType | None) -> None:
        self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # What is not reported to systemd, it finds out by itself.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(text.encode("ascii"), address)


def _microseconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
