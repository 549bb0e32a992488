"""`move --every SECONDS`: one pass after the other until SIGTERM or SIGINT."""

import contextlib
import os
import signal
import socket
import time
from types import FrameType

from scanner_mover import signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.errors import Ended, ExitStatus, LockHeldError, UsageError
from scanner_mover.transfer.one_pass import OnePass


def keep_running(options: MoveOptions, program: str, every_seconds: float) -> int:
    """Make passes at fixed times, EVERY_SECONDS apart, until a signal ends it; gives exit status 0.

    A pass that takes longer makes the next one start at once; what was missed is not caught up. Each pass reads the
    configuration anew and takes the lock as cron's would, so both may be on. SIGHUP reopens the log.

    Raises UsageError.
    """
    if every_seconds <= 0:
        raise UsageError("--every takes seconds above 0")
    current = OnePass(options, program)
    systemd = _Systemd()
    try:
        signals.install(on_hangup=lambda: current.log.reopen())
        systemd.ready()
        due = time.monotonic()
        while True:
            current = OnePass(options, program)
            with contextlib.suppress(LockHeldError):  # cron's pass is at it
                current.run()
            now = time.monotonic()
            # The next of the fixed times; one that went by during the pass is made up for by one pass at once.
            missed = (now - due) // every_seconds
            due += every_seconds * max(1.0, missed)
            time.sleep(max(0.0, due - now))
    except Ended:
        return ExitStatus.OK
    finally:
        systemd.stopping()


class _Systemd:
    """Tells systemd how we are, if it asked to be told: one datagram each (sd_notify(3))."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _microseconds(os.environ.get("WATCHDOG_USEC", "")) / 1e6

    def ready(self) -> None:
        """We are up; from now on we also say that we are alive, if a watchdog waits for that.

        That is said from a timer's signal in the main thread, which does not get it while it hangs in the kernel.
        """
        self._tell("READY=1")
        if self._address and self._watchdog_seconds:
            signal.signal(signal.SIGALRM, self._alive)
            signal.setitimer(signal.ITIMER_REAL, self._watchdog_seconds / 3, self._watchdog_seconds / 3)

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
        # What it is not told systemd finds out by itself.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(text.encode("ascii"), address)


def _microseconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
