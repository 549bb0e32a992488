"""logrotate.conf, by the real logrotate."""

import fnmatch
import grp
import os
import pwd
import re
import signal
import subprocess
from pathlib import Path

import pytest

from scanner_mover.config import DEFAULT_PROJECT
from scanner_mover.site.folders import ServerFolders
from tests.docker.files import DOCKER, SERVICES, unit
from tests.support.site import Site, fake_tool, wait_until

_TEXT = (DOCKER / "logrotate.conf").read_text()
_SYSTEMCTL = """\
import os, signal, sys
with open({calls!r}, "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if "reload" in sys.argv:
    os.kill({process}, signal.SIGHUP)
sys.exit({status})
"""


def _log_pattern() -> str:
    (pattern,) = re.findall(r"^(/\S+) \{$", _TEXT, flags=re.MULTILINE)
    return str(pattern)


def _configuration(site: Site) -> Path:
    """The file for SITE, whose log belongs to whoever runs this test."""
    user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    text = _TEXT.replace(str(Path(_log_pattern()).parent), str(site.server / "logs"))
    assert "su scanner-mover scanner-mover\n" in text
    path = site.root / "logrotate.conf"
    path.write_text(text.replace("su scanner-mover scanner-mover\n", f"su {user} {group}\n"))
    path.chmod(0o644)
    return path


def _logrotate(site: Site, *arguments: str, first: Path | None = None) -> "subprocess.CompletedProcess[str]":
    # It lies in /usr/sbin, which not every user has on the PATH.
    path = os.pathsep.join([*([str(first)] if first else []), os.environ["PATH"], "/usr/sbin"])
    return subprocess.run(
        ["logrotate", *arguments, "--state", str(site.root / "logrotate.state"), str(_configuration(site))],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("project", [DEFAULT_PROJECT, "PCGC"])
def test_it_is_about_the_log_that_the_services_write(service: str, project: str) -> None:
    server_dir = unit(service)["Environment"][0].removeprefix("SERVERDIR=")
    assert fnmatch.fnmatchcase(ServerFolders(server_dir, project).log, _log_pattern())
    assert re.findall(r"^ +su (\S+) ", _TEXT, flags=re.MULTILINE) == unit(service)["User"]


def test_logrotate_understands_every_line(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.move().returncode == 0
    done = _logrotate(site, "--debug")
    assert done.returncode == 0, done.stderr
    assert "error:" not in done.stderr
    assert f"considering log {site.server}/logs/moveFromScanner.log" in done.stderr


def test_a_pass_after_it_begins_a_new_log(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.move()
    before = site.log()
    log = site.server / "logs/moveFromScanner.log"
    log.chmod(0o640)
    done = _logrotate(site, "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert (log.read_text(), log.stat().st_mode & 0o777) == ("", 0o640)
    assert (site.server / "logs/moveFromScanner.log.1").read_text() == before
    site.move()
    assert site.messages() == ["move enabled, start getScans"]
    assert (site.server / "logs/moveFromScanner.log.1").read_text() == before


def test_a_mover_that_runs_on_is_told_and_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    calls = tmp_path / "calls"
    with site.moving("--every", "0.2") as process:
        wait_until(lambda: len(site.messages()) >= 2)
        fake_tool(tmp_path / "bin", "systemctl", _SYSTEMCTL.format(calls=str(calls), process=process.pid, status=0))
        done = _logrotate(site, "--force", first=tmp_path / "bin")
        assert (done.returncode, done.stderr) == (0, "")
        wait_until(lambda: len(site.messages()) >= 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(240) == 0
    unit_name = "scanner-mover.service"
    assert calls.read_text().splitlines() == [f"--quiet is-active {unit_name}", f"reload {unit_name}"]


def test_without_the_service_nobody_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.move()
    calls = tmp_path / "calls"
    fake_tool(tmp_path / "bin", "systemctl", _SYSTEMCTL.format(calls=str(calls), process=0, status=3))
    done = _logrotate(site, "--force", first=tmp_path / "bin")
    assert (done.returncode, done.stderr) == (0, "")
    assert calls.read_text().splitlines() == ["--quiet is-active scanner-mover.service"]
