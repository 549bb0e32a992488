"""Where it was measured: the machine, and the versions of everything that takes part."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def facts() -> dict[str, str]:
    """What stands above the table."""
    return {
        "scanner-mover": f"{version('scanner-mover')}, commit {_commit()}",
        "machine": f"{len(os.sched_getaffinity(0))} cores, {_cpu_model()}, {_memory()}, Linux {platform.release()}",
        "load before": load(),
        "DCMTK": _first_line("findscu", "--version").strip("$ ").removeprefix("dcmtk: findscu "),
        "Orthanc": _first_line("Orthanc", "--version").removeprefix("Orthanc "),
        "Python": platform.python_version(),
        "pynetdicom": version("pynetdicom"),
    }


def load() -> str:
    """How many processes wanted to run in the last 1, 5 and 15 minutes."""
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


def _commit() -> str:
    commit = _first_line("git", "-C", str(_ROOT), "rev-parse", "--short=12", "HEAD")
    return commit + (" with changes" if _first_line("git", "-C", str(_ROOT), "status", "--porcelain") else "")


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> str:
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    return f"{int(total.split()[1]) / 2**20:.0f} GiB"


def _first_line(*arguments: str) -> str:
    try:
        done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return "none"
    return (done.stdout.splitlines() or [""])[0]
