"""Programs of a site that misbehave: they hang, they print without end, and a signal comes meanwhile."""

import signal
import subprocess
import sys
import time

import pytest

from scanner_mover.transfer import hooks
from scanner_mover.transfer.hooks import run_hooks
from tests.support.hooks import FAILED, FAULT, file, program, settings
from tests.support.site import is_running, wait_until

__all__ = ["file"]


def test_a_program_that_hangs_is_ended_with_all_that_it_started(file, tmp_path, monkeypatch):
    monkeypatch.setattr(hooks, "MOST_SECONDS", 1.0)
    children = tmp_path / "children"
    hook = program(
        tmp_path,
        "import signal, subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "other = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(children)!r}, 'w').write(f'{{os.getpid()}} {{other.pid}}')\n"
        "time.sleep(600)",
    )
    other = program(tmp_path, f"open({str(tmp_path / 'got')!r}, 'a').write('x')", "other")
    began = time.monotonic()
    reported = run_hooks(settings(file, on_failed=(hook,), on_fault=(other,)), [FAILED, FAILED, FAULT, FAILED])
    assert time.monotonic() - began < 40, "it was waited for once, not for each event"
    assert [one.event for one in reported] == [FAILED, FAILED, FAILED]
    assert "for 1 s" in reported[0].text and "not run" in reported[1].text and "not run" in reported[2].text
    assert (tmp_path / "got").read_text() == "x", "another program does not suffer from it"
    for process_id in children.read_text().split():
        wait_until(lambda process_id=process_id: not is_running(int(process_id)))


@pytest.mark.parametrize("line", [True, False])
def test_a_program_that_floods_its_output_costs_no_memory_and_no_disk(file, tmp_path, line):
    end = "b'\\\\n'" if line else "b''"
    hook = program(
        tmp_path, f"data = b'x' * 65536 + {end}\nfor _ in range(800): os.write(1, data)\nos.write(2, data)\nsys.exit(1)"
    )
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from scanner_mover.transfer.hooks import run_hooks\n"
        "from tests.support.hooks import FAILED, settings\n"
        f"[told] = run_hooks(settings(Path({str(file)!r}), on_failed=({hook!r},)), [FAILED])\n"
        "assert 'exit status 1: xxx' in told.text and len(told.text) < 400 + len(sys.argv[1]), told.text[:500]\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, hook], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 200_000, "kilobytes; it printed 50 MB"


def test_a_signal_ends_the_program_and_us(file, tmp_path):
    started = tmp_path / "started"
    hook = program(tmp_path, f"open({str(started)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    code = (
        "from scanner_mover import signals\n"
        "from scanner_mover.errors import Ended\n"
        "from pathlib import Path\n"
        "from scanner_mover.transfer.hooks import run_hooks\n"
        "from tests.support.hooks import FAILED, settings\n"
        "signals.install()\n"
        "try:\n"
        f"    run_hooks(settings(Path({str(file)!r}), on_failed=({hook!r},)), [FAILED])\n"
        "except Ended as ended:\n"
        "    print(ended.exit_status)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: started.exists() and started.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=240)[0] == "143\n"
    wait_until(lambda: not is_running(int(started.read_text())))
