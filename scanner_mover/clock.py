"""Time that no one can set: the kernel's monotonic clock, comparable between processes until the next boot."""

import time
from typing import NamedTuple


class Moment(NamedTuple):
    """A reading of the monotonic clock: which boot it counts from, and the seconds since."""

    boot: str
    seconds: float

    def since(self, earlier: "Moment | None") -> float | None:
        """Seconds from EARLIER to this moment; None when they cannot be compared (no reading, another boot)."""
        if earlier is None or earlier.boot != self.boot or earlier.seconds > self.seconds:
            return None
        return self.seconds - earlier.seconds


def now() -> Moment:
    """The present moment."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except (OSError, ValueError):
        boot = ""
    return Moment(boot, time.monotonic())


def iso(seconds: float) -> str:
    """The time SECONDS of the epoch as ISO 8601 with the local offset."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))
    return f"{text[:-2]}:{text[-2:]}"
