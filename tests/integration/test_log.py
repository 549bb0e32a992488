"""The log of a whole pass (R28)."""

import subprocess
import sys
from pathlib import Path

from tests.support.site import Site

STUDY = "1.2.826.0.1.3680043.10.1561.28"


def test_R28_so_do_the_lines_of_a_pass(tmp_path):
    site = Site(tmp_path)
    site.switch(None)
    program = Path(sys.executable).parent / "moveFromScanner.sh"
    subprocess.run(
        ["faketime", "-f", "2026-03-01 08:00:00", str(program)], check=True, env={**site.environment, "TZ": "EST5EDT"}
    )
    assert site.log() == "Sun Mar  1 08:00:00 EST 2026: move disabled, start clearScans\n"


def test_a_pass_without_a_log_is_none_and_exits_4(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY)
    log = site.server / "logs" / "moveFromScanner.log"
    log.mkdir(parents=True)
    done = site.move()
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == f"scanner-mover: the log {log} cannot be written: Is a directory\n"
    assert site.requests_in("active-scans") == [STUDY]
    assert site.state()["requests"] == {}, "nothing was done"


def test_a_pass_whose_log_is_full_is_made_to_its_end_and_exits_4(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY)
    log = site.server / "logs" / "moveFromScanner.log"
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    done = site.move()
    assert done.returncode == 4
    told = [line for line in done.stderr.splitlines() if "the log" in line]
    assert told == [f"scanner-mover: the log {log} cannot be written: No space left on device"]
    assert site.state()["requests"][STUDY]["outcome"] == "error", "the scanner, which is off, was asked"
