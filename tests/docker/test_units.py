"""The units of systemd, by systemd's own tool; no systemd need run here."""

import datetime
import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scanner_mover.config import DEFAULT_PROJECT
from scanner_mover.site.folders import ServerFolders
from tests.docker.files import DOCKER, SERVICES, UNITS, VENV, unit

# What belongs to a service that says it is up, and what to one that ends with each pass.
_OF_ONE_SERVICE = {
    "Description", "Type", "ExecStart", "ExecReload", "WatchdogSec", "Restart", "RestartSec",
    "RestartPreventExitStatus", "SuccessExitStatus", "SyslogLevel", "LogLevelMax", "WantedBy", "OnFailure",
}  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a machine that has our units, Debian's, and the programs that ours start."""
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for name in UNITS:
        shutil.copy(DOCKER / name, units)
    for program in (f"{VENV}/bin/scanner-mover", "/bin/kill", "/bin/sh"):
        path = tmp_path / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return tmp_path


def _analyze(machine: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", f"--root={machine}", *arguments], check=False, capture_output=True, text=True
    )


def test_systemd_understands_every_line(machine: Path) -> None:
    done = _analyze(machine, "verify", *UNITS)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_line_that_it_does_not_understand_would_be_told(machine: Path) -> None:
    path = machine / "etc/systemd/system" / SERVICES[0]
    path.write_text(path.read_text().replace("WatchdogSec=", "WatchDogSec="))
    assert "WatchDogSec" in _analyze(machine, "verify", *UNITS).stderr


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_may_do_little(machine: Path, name: str) -> None:
    # Of 100, where 0 is a service that may do nothing; unhardened it is 96.
    done = _analyze(machine, "security", "--offline=true", "--threshold=20", name)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_the_service_tells_systemd_how_it_is() -> None:
    service = unit("scanner-mover.service")
    assert service["Type"] == ["notify"]
    assert service["WatchdogSec"] == ["2min"]
    assert service["Restart"] == ["always"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["ExecStart"] == [f"{VENV}/bin/scanner-mover move --every 15"]


def test_the_service_of_a_project_is_that_of_the_main_site_with_its_name() -> None:
    one, other = unit("scanner-mover.service"), unit("scanner-mover@.service")
    assert other["ExecStart"] == [f"{VENV}/bin/scanner-mover move %i --every 15"]
    assert {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)} == {"Description", "ExecStart"}


def test_somebody_hears_when_a_daemon_fails_and_not_of_each_pass() -> None:
    failing = {name: unit(name).get("OnFailure") for name in SERVICES}
    reported = ["scanner-mover-failed@%n.service"]
    assert failing == {
        "scanner-mover.service": reported, "scanner-mover@.service": reported, "scanner-mover-pass.service": None
    }  # fmt: skip


def test_the_pass_of_the_timer_ends() -> None:
    service = unit("scanner-mover-pass.service")
    assert service["Type"] == ["oneshot"]
    assert service["ExecStart"] == [f"{VENV}/bin/scanner-mover move"]
    # LOCK_HELD, SCANNER, REQUEST_FAILED: none is a fault of this machine.
    assert service["SuccessExitStatus"] == ["1 5 6"]
    assert "Restart" not in service and "WatchdogSec" not in service


def test_what_a_pass_says_is_not_hidden_with_systemds_own_messages() -> None:
    service = unit("scanner-mover-pass.service")
    assert service["SyslogLevel"] == service["LogLevelMax"] == ["notice"]


def test_the_timer_starts_a_pass_each_15_seconds() -> None:
    timer = unit("scanner-mover.timer")
    assert timer["Unit"] == ["scanner-mover-pass.service"]
    assert timer["AccuracySec"] == ["1s"]
    (calendar,) = timer["OnCalendar"]
    text = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=4", calendar],
        check=True,
        capture_output=True,
        text=True,
        env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin"},
    ).stdout
    times = [datetime.datetime.fromisoformat(time) for time in re.findall(r"[\d-]{10} [\d:]{8}(?= UTC)", text)]
    assert [(later - sooner).seconds for sooner, later in itertools.pairwise(times)] == [15, 15, 15]
    assert times[0].second % 15 == 0


def test_only_one_of_the_two_runs() -> None:
    assert unit("scanner-mover.timer")["Conflicts"] == ["scanner-mover.service"]


def test_all_services_are_the_same_but_for_how_they_end() -> None:
    one, *others = (
        {key: value for key, value in unit(name).items() if key not in _OF_ONE_SERVICE} for name in SERVICES
    )
    assert others == [one, one]
    assert one["UMask"] == ["0027"]
    assert one["User"] == ["scanner-mover"]
    assert one["CapabilityBoundingSet"] == [""]
    # DCMTK's tools get their SIGTERM from us, after what it is doing is known.
    assert one["KillMode"] == ["mixed"]


@pytest.mark.parametrize("name", SERVICES)
def test_it_may_write_where_it_writes(name: str) -> None:
    service = unit(name)
    server_dir = service["Environment"][0].removeprefix("SERVERDIR=")
    writable = [path.removeprefix("-") for path in service["ReadWritePaths"][0].split()]
    assert writable == ["/data", server_dir]
    assert ServerFolders(server_dir, DEFAULT_PROJECT).pids.startswith(f"{server_dir}/")


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_below_1024_stands_in_the_comments(name: str) -> None:
    text = (DOCKER / name).read_text()
    assert "#CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n#AmbientCapabilities=CAP_NET_BIND_SERVICE\n" in text
    assert "DISABLE_PORT_PERMISSION_CHECK" in text
