"""Runs a program to its end, or until a signal asks us to end. (DCMTK's tools: `dcmtk.tool`.)"""

import subprocess
import time
from collections.abc import Sequence
from typing import Any

from scanner_mover import signals

_LOOK_SECONDS = 0.1


def run(command: Sequence[str], *, timeout: float, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """As `subprocess.run`, with the OPTIONS of `subprocess.Popen`; it is killed after TIMEOUT seconds, or by a signal.

    Raises OSError when it cannot be started, subprocess.TimeoutExpired, Ended.
    """
    end = time.monotonic() + timeout
    with subprocess.Popen(command, **options) as process:
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=_LOOK_SECONDS)
                    return subprocess.CompletedProcess(command, process.returncode, out, err)
                except subprocess.TimeoutExpired:
                    signals.check()
                    if time.monotonic() > end:
                        raise subprocess.TimeoutExpired(command, timeout) from None
        except BaseException:
            process.kill()
            raise
