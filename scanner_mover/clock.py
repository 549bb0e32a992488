"""The clock that nobody can set: the kernel's monotonic one, which all processes share until the next boot.

A plain module.
"""

import time

from scanner_mover.moment import Moment


def now() -> Moment:
    """The present moment; its boot is empty where the kernel does not say which one it is."""
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


def age(text: str, now_seconds: float) -> float | None:
    """Seconds from the time TEXT (ISO 8601 with offset) to NOW_SECONDS of the epoch, at least 0; None for no time."""
    import datetime

    try:
        return max(0.0, now_seconds - datetime.datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return None
