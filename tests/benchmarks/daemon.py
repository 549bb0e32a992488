"""The CPU of `move --every 15` while nothing is requested."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.benchmarks.data import Lab
from tests.benchmarks.harness import Row, Sample, must
from tests.support.site import BIN, Site, wait_until

_EVERY_SECONDS = 15
_PASSES = 60


def rows(lab: Lab) -> list[Row]:
    """A real hour with `lab.hour`; without, as many passes a second apart, and what they took for each 15 s."""
    every, seconds = (_EVERY_SECONDS, 3600) if lab.hour else (1, _PASSES)
    site = Site(lab.folder("site"))
    process = subprocess.Popen(
        [str(BIN / "scanner-mover"), "move", "--every", str(every)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=site.environment,
        start_new_session=True,
    )
    try:
        wait_until(lambda: site.messages())
        time.sleep(0.5)
        before, passes = _cpu_seconds(process.pid), len(site.messages())
        time.sleep(seconds)
        used, passes = _cpu_seconds(process.pid) - before, len(site.messages()) - passes
        process.send_signal(signal.SIGTERM)
        must(process.wait(30) == 0, f"the daemon ended with {process.returncode}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    expected = seconds // every
    must(abs(passes - expected) <= 1, f"{passes} passes in {seconds} s, not {expected}")
    how = "a real hour" if lab.hour else f"{passes} passes 1 s apart, as if 15 s apart"
    share = Sample((100 * used / (passes * _EVERY_SECONDS),), "%")
    each = Sample((1000 * used / passes,), "ms")
    return [
        Row("daemon", f"CPU of the idle daemon, --every 15 ({how})", share, mark=0.1),
        Row("daemon", "CPU of an idle pass of the daemon", each),
    ]


def _cpu_seconds(process_id: int) -> float:
    """User and system time of a process and of its children that have ended, from /proc/PID/stat (10 ms exact)."""
    fields = Path("/proc", str(process_id), "stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
