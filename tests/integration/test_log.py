"""The log of a whole pass, and the moment at the beginning of a line while the clock stands still (R28)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.site import Site

STUDY = "1.2.826.0.1.3680043.10.1561.28"
WRITE_A_LINE = "import sys; from scanner_mover.site.log import Log; Log(sys.argv[1])('the message')"


def at(moment: str, zone: str, locale: str, *command: str) -> bytes:
    """The output of a command for which the clock stands still at `moment`."""
    return subprocess.run(
        ["faketime", "-f", moment, *command],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "TZ": zone, "LC_ALL": locale},
    ).stdout


@pytest.mark.parametrize("locale", ["C", "en_US.UTF-8"])
@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("UTC", "2026-01-03 04:05:06"),
        ("UTC", "2024-02-29 23:59:59"),
        ("Europe/Berlin", "2026-01-31 00:00:00"),
        ("Europe/Berlin", "2026-07-12 13:00:00"),
        ("America/Sao_Paulo", "2026-12-09 12:34:56"),
        ("Asia/Kathmandu", "2026-10-10 10:10:10"),
    ],
)
def test_R28_a_line_begins_with_what_date_prints_in_the_C_locale(tmp_path, zone, moment, locale):
    path = tmp_path / "logs" / "moveFromScanner.log"
    at(moment, zone, locale, sys.executable, "-c", WRITE_A_LINE, str(path))
    date = at(moment, zone, "C", "date").rstrip(b"\n")
    assert path.read_bytes() == date + b": the message\n"


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
    reported = [line for line in done.stderr.splitlines() if "the log" in line]
    assert reported == [f"scanner-mover: the log {log} cannot be written: No space left on device"]
    assert site.state()["requests"][STUDY]["outcome"] == "error", "the scanner, which is off, was asked"
