"""A wall clock that a test sets while the mover runs; the monotonic one stays as it is.

libfaketime cannot do it for a process that sleeps: it fakes `clock_nanosleep` by the wall clock, even with its
monotonic clock excluded, so that Python's time.sleep raises or does not end. So Python itself is told another time.
DCMTK's tools keep the true one.
"""

import time
from pathlib import Path

_SITECUSTOMIZE = """
import time
_time, _localtime, _strftime = time.time, time.localtime, time.strftime

def now():
    with open({file!r}, encoding="ascii") as file:
        began, speed, jump = map(float, file.read().split())
    return began + (_time() - began) * speed + jump

time.time = now
time.localtime = lambda seconds=None: _localtime(now() if seconds is None else seconds)
time.strftime = lambda form, when=None: _strftime(form, _localtime(now()) if when is None else when)
"""


class Clock:
    """The wall clock of each Python program that gets `environment`; it runs `speed` times as fast as the true one."""

    def __init__(self, folder: Path, speed: float = 1) -> None:
        folder.mkdir()
        self._began = time.time()
        self._speed = speed
        self._file = folder / "clock"
        self.environment = {"PYTHONPATH": str(folder)}
        (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(file=str(self._file)))
        self.jump(0)

    def now(self) -> float:
        """What it shows, but for a jump."""
        return self._began + (time.time() - self._began) * self._speed

    def jump(self, seconds: float) -> None:
        """From now on it goes wrong by this many seconds."""
        part = self._file.with_name("clock.part")
        part.write_text(f"{self._began} {self._speed} {seconds}", encoding="ascii")
        part.rename(self._file)
