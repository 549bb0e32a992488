"""`scanner-mover`, nearly all without a scanner: exit statuses, what is printed where, JSON, dry runs."""

import contextlib
import datetime
import json
import os
import pty
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scanner_mover import __version__
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import dumped_series
from tests.support.ports import free_port
from tests.support.site import BIN, Site

STUDY = "1.2.826.0.1.3680043.10.1561.40"
OTHER = "1.2.826.0.1.3680043.10.1561.41"


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
def scanner(site, tmp_path):
    """A real one, with a series of two images and no destination."""
    with Dcmqrscp(tmp_path / "scanner") as scanner:
        images = tmp_path / "images"
        scanner.store(dumped_series(images, study_instance_uid=STUDY, series_instance_uid=STUDY + ".1", images=2))
        site.config(SCANNERPORT=scanner.port)
        yield scanner


def said(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


# 0


def test_nothing_to_do_is_0_and_silent(site):
    assert said(site.move()) == (0, "", "")
    assert site.messages() == ["move enabled, start getScans"]


def test_nothing_to_do_needs_no_DCMTK(site, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (str(tmp_path / "empty"), "", None):
        assert said(site.move(env={"PATH": path})) == (0, "", "")


def test_nothing_to_do_without_a_folder_of_requests(site):
    (site.data / "active-scans").rmdir()
    assert said(site.move()) == (0, "", "")


def test_switched_off_is_0_whatever_is_requested(site):
    site.request(STUDY)
    site.switch(b"00")
    assert said(site.move(env={"PATH": None})) == (0, "", "")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["move", "--help"]])
def test_help_is_0_on_standard_output(site, arguments):
    done = site.mover(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "move" in done.stdout


def test_the_version(site):
    assert said(site.mover("--version")) == (0, f"scanner-mover {__version__}\n", "")


def test_python_m_is_the_same_program(site):
    done = subprocess.run(
        [sys.executable, "-m", "scanner_mover", "--version"], check=False, capture_output=True, text=True
    )
    assert said(done) == (0, f"scanner-mover {__version__}\n", "")
    done = subprocess.run(
        [sys.executable, "-m", "scanner_mover", "move"],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=site.environment,
    )
    assert said(done) == (0, "", "")
    assert site.messages() == ["move enabled, start getScans"]


# 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["one", "two"],
        ["--settle", "x"],
        ["--settle", "-1"],
        ["--settle", "nan"],
        ["--settle", "inf"],
        ["--give-up-after", "-1"],
        ["--give-up-after", "nan"],
        ["--give-up-after"],
        ["--study"],
        ["--study", ""],
        ["--study", "x"],
        ["--study", "1..2"],
        ["--study", "1.2\n"],
        ["--study", "1" * 65],
        ["--study", STUDY, "--study", "$(touch pwned)"],
        ["../LAB"],
        [".."],
        ["a/b"],
        ["a\nb"],
    ],
    ids=repr,
)
def test_wrong_usage_is_2_and_changes_nothing(site, arguments):
    site.request(STUDY)
    before = site.tree()
    done = site.move(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr and "Traceback" not in done.stderr
    assert site.tree() == before
    assert not Path("pwned").exists()


def test_an_unknown_command_is_2(site):
    done = site.mover("nonsense")
    assert (done.returncode, done.stdout) == (2, "")


# 3


def broken(site: Site, how: str) -> str:
    """Break the configuration; gives the words that the line has to hold."""
    if how == "no file":
        site.config_file.unlink()
        return "is not there; scanner-mover init makes it"
    if how == "no JSON":
        site.config_file.write_text('{"DATADIR": }')
        return "line 1, column 13"
    if how == "missing key":
        site.config(SCANNERIP=None)
        return "SCANNERIP"
    if how == "unusable key":
        site.config(SCANNERPORT="x\ny")
        return "SCANNERPORT"
    if how == "unknown option":
        site.config(**{"settle\nsecond": 1})
        return "settle_seconds"
    site.config(**{how: 10**400})
    return how


@pytest.mark.parametrize(
    "how", ["no file", "no JSON", "missing key", "unusable key", "unknown option", "quiet_seconds", "retries"]
)
def test_R4_a_configuration_that_cannot_be_used_is_3_and_one_line(site, how):
    site.request(STUDY)
    words = broken(site, how)
    before = site.tree("data")
    done = site.move()
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"scanner-mover: {site.config_file}: ") and words in done.stderr
    assert site.tree("data") == before


@pytest.mark.parametrize("there", [False, True])
def test_R4_a_mistyped_site_is_3_and_leaves_nothing_behind(site, there):
    if there:
        assert site.move().returncode == 0
    before = site.tree()
    for _ in range(2):
        done = site.move("LAV")
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == (
            f"scanner-mover: {site.config_file}: SITES.LAV is missing; "
            "there are no projects in it: leave PROJECT out for the keys at its top\n"
        )
    assert site.mover("LAV", program="moveFromScanner.sh").returncode == 3
    assert site.tree() == before


def test_R4_a_mistyped_site_is_told_the_ones_that_there_are(site):
    site.config(SITES={"LAB": site.keys, "PCGC": site.keys})
    done = site.move("LAV")
    assert done.returncode == 3
    assert done.stderr.endswith("SITES.LAV is missing; did you mean LAB? the projects are: LAB, PCGC\n")


def test_R4_to_receive_without_a_port_is_3(site):
    site.config(DICOMPORT=None)
    done = site.move("--receive")
    assert (done.returncode, done.stderr) == (3, f"scanner-mover: {site.config_file}: DICOMPORT is missing\n")
    assert site.move().returncode == 0


def test_the_configuration_is_looked_for_in_the_order_of_the_contract(site, tmp_path):
    none = str(tmp_path / "none.json")
    assert site.move("--config", none).returncode == 3
    assert site.move("--config", str(site.config_file), env={"SCANNER_MOVER_CONFIG": none}).returncode == 0
    assert site.move(env={"SCANNER_MOVER_CONFIG": none}).returncode == 3


def test_the_command_line_wins_over_the_configuration(site):
    site.config(receive=True, DICOMPORT=None)
    assert site.move().returncode == 3
    assert site.move("--no-receive").returncode == 0


# 4


def test_without_DCMTK_and_with_a_request_it_is_4_and_says_what_to_install(site, tmp_path):
    site.request(STUDY)
    (tmp_path / "empty").mkdir()
    done = site.move(env={"PATH": str(tmp_path / "empty")})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert "findscu" in done.stderr and "apt-get install dcmtk" in done.stderr
    assert site.requests_in("active-scans") == [STUDY]


@pytest.mark.parametrize("missing", ["findscu", "movescu", "dump2dcm", "dcmdump"])
def test_each_of_the_four_tools_is_needed_and_named(site, tmp_path, missing):
    site.request(STUDY)
    for folder in map(Path, site.environment["PATH"].split(os.pathsep)):
        for tool in {"findscu", "movescu", "dump2dcm", "dcmdump"} - {missing}:
            link = tmp_path / "some" / tool
            if (folder / tool).is_file() and not link.exists():
                link.parent.mkdir(exist_ok=True)
                link.symlink_to(folder / tool)
    done = site.move(env={"PATH": str(tmp_path / "some")})
    assert done.returncode == 4
    assert done.stderr.startswith(f"scanner-mover: {missing} is not on the PATH: install DCMTK")


@pytest.mark.parametrize("name", ["logs", ".pids"])
def test_a_file_in_the_place_of_a_folder_of_ours_is_4(site, name):
    site.request(STUDY)
    site.server.mkdir()
    (site.server / name).touch()
    done = site.move()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert str(site.server / name) in done.stderr
    assert site.requests_in("active-scans") == [STUDY]


def test_a_file_in_the_place_of_the_requests_is_4(site):
    (site.data / "active-scans").rmdir()
    (site.data / "active-scans").touch()
    done = site.move()
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert str(site.data / "active-scans") in done.stderr


def test_the_order_is_configuration_lock_log_switch(site):
    (site.server / "logs" / "moveFromScanner.log").mkdir(parents=True)
    site.switch(b"0")
    assert site.move().returncode == 4, "the log comes before the switch"
    site.config(SCANNERPORT="x")
    assert site.move().returncode == 3, "and the configuration before both"


# 5


def test_a_scanner_that_is_off_is_5_and_the_request_is_still_there(site):
    site.request(STUDY)
    site.mpps(STUDY)
    done = site.move()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1)
    assert f"127.0.0.1:{site.scanner_port}" in done.stderr
    assert site.requests_in("active-scans") == [STUDY]


def test_R14_a_scanner_that_is_off_finishes_nothing_and_R24_fails_nothing(site):
    site.request(STUDY, age_seconds=1_000_000)
    site.mpps(STUDY)
    for _ in range(2):
        assert site.move("--give-up-after", "0").returncode == 5
    assert site.requests_in("active-scans") == [STUDY]
    assert site.requests_in("finished-scans") + site.requests_in("failed-scans") == []


def test_what_is_wrong_here_counts_before_what_is_wrong_there(site):
    site.request(STUDY)
    (site.data / "scanner").rmdir()
    (site.data / "scanner").touch()
    done = site.move()
    assert (done.returncode, done.stderr.count("\n")) == (4, 2), "a line for each of the two"


# The rule of cron's mail


def test_a_fault_is_told_when_it_begins_and_when_it_ends_and_not_each_pass(site):
    site.request(STUDY)
    assert site.move().stderr.count("\n") == 1
    for _ in range(3):
        assert said(site.move()) == (5, "", "")
    (site.data / "active-scans" / STUDY).unlink()
    done = site.move()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert "not tested any more, nothing is requested" in done.stderr
    assert said(site.move()) == (0, "", "")


def test_a_scanner_that_answers_again_is_told_with_how_long_it_was_off(site, scanner):
    site.request(STUDY)
    site.config(SCANNERPORT=free_port())
    assert site.move("--dry-run").returncode == 5
    assert site.move().stderr.count("\n") == 1
    site.config(SCANNERPORT=scanner.port)
    done = site.move()
    assert re.search(r"recovered after \d+ s: scanner .* cannot be reached", done.stderr), done.stderr


def test_a_scanner_that_is_off_is_not_well_again_because_the_switch_is(site):
    site.request(STUDY)
    assert site.move().stderr.count("\n") == 1
    site.switch(b"000")
    assert said(site.move()) == (0, "", "")
    site.switch(b"010")
    assert said(site.move()) == (5, "", "")


def test_a_fault_that_changes_is_told_again(site):
    site.request(STUDY)
    off = site.move()
    gone = site.move(env={"PATH": None})
    assert (off.returncode, gone.returncode) == (5, 4)
    assert gone.stderr.count("\n") == 1 and gone.stderr != off.stderr
    assert said(site.move(env={"PATH": None})) == (4, "", "")
    back = site.move()
    assert (back.returncode, back.stderr.count("\n")) == (5, 1)
    assert "recovered after" in back.stderr and "findscu" in back.stderr, "that the scanner is off was told already"


def test_a_second_request_is_no_other_fault(site):
    site.request(STUDY)
    assert site.move().stderr.count("\n") == 1
    site.request(OTHER)
    assert said(site.move()) == (5, "", "")


def test_a_configuration_that_stays_broken_is_told_once(site):
    site.config(SCANNERPORT="x")
    assert site.move().stderr.count("\n") == 1
    assert said(site.move()) == (3, "", "")
    site.config(SCANNERPORT=104)
    assert site.move().stderr.count("\n") == 1
    assert said(site.move()) == (0, "", "")


def test_each_project_has_faults_of_its_own(site):
    site.config(SITES={"LAB": {**site.keys, "SCANNERPORT": "x"}})
    assert site.move("LAB").stderr.count("\n") == 1
    assert said(site.move()) == (0, "", "")
    assert said(site.move("LAB")) == (3, "", "")


def test_a_standard_error_that_nobody_reads_ends_nothing(site):
    site.request(STUDY)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(BIN / "scanner-mover"), "move"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=full,
            env=site.environment,
        )
    assert done.returncode == 5
    assert site.state()["last_pass"]["exit_status"] == 5


# --json


def test_the_JSON_of_a_pass_with_nothing_to_do(site):
    done = site.move("--json")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    report = json.loads(done.stdout)
    assert list(report) == ["project", "started", "seconds", "enabled", "dry_run", "studies"]
    started = datetime.datetime.fromisoformat(report.pop("started"))
    assert started.tzinfo is not None
    assert abs(datetime.datetime.now(tz=datetime.UTC) - started) < datetime.timedelta(minutes=5)
    seconds = report.pop("seconds")
    assert isinstance(seconds, float) and 0 <= seconds < 60
    assert report == {"project": "ABCD", "enabled": True, "dry_run": False, "studies": []}


def test_the_JSON_of_a_pass_that_is_switched_off(site):
    site.request(STUDY)
    site.switch(None)
    report = site.report()
    assert (report["enabled"], report["studies"]) == (False, [])


def test_the_JSON_of_a_pass_without_a_scanner(tmp_path):
    site = Site(tmp_path, project="LAB")
    site.request(STUDY)
    site.request(OTHER, age_seconds=100)
    site.mpps(STUDY)
    done = site.move("--json")
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    report = json.loads(done.stdout)
    assert report["project"] == "LAB"
    oldest, newest = report["studies"]
    assert list(newest) == ["study", "outcome", "series", "procedure", "error"]
    assert newest.pop("error") and oldest.pop("error")
    assert newest == {"study": STUDY, "outcome": "error", "series": [], "procedure": "ended"}
    assert oldest == {"study": OTHER, "outcome": "error", "series": [], "procedure": "unknown"}


def test_the_JSON_of_a_series(site, scanner):
    """This scanner gives no counts and does not know us as a destination."""
    site.request(STUDY)
    done = site.move("--json")
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    [study] = json.loads(done.stdout)["studies"]
    [series] = study["series"]
    assert list(series) == ["series", "expected", "received", "complete", "pulled", "error"]
    error = series.pop("error")
    assert "MoveDestinationUnknown" in error and study["error"] == error
    assert series == {"series": STUDY + ".1", "expected": 2, "received": 0, "complete": False, "pulled": True}
    assert (study["outcome"], study["procedure"]) == ("error", "unknown")


def test_without_json_and_terminal_nothing_goes_to_standard_output(site):
    site.request(STUDY)
    assert site.move().stdout == ""
    assert site.move("--study", OTHER).stdout == ""


# --study


def test_study_looks_at_this_one_only(site):
    site.request(STUDY)
    site.request(OTHER)
    assert [study["study"] for study in site.report("--study", OTHER)["studies"]] == [OTHER]


def test_study_may_be_repeated_and_need_not_be_requested(site):
    site.request(OTHER)
    studies = site.report("--study", STUDY, "--study", OTHER, "--study", STUDY)["studies"]
    assert sorted(study["study"] for study in studies) == [STUDY, OTHER]


def test_study_works_while_switched_off(site):
    site.switch(b"0")
    site.request(OTHER)
    report = site.report("--study", STUDY)
    assert (report["enabled"], [study["study"] for study in report["studies"]]) == (False, [STUDY])
    assert site.requests_in("active-scans") == [OTHER]


# --dry-run


@pytest.mark.parametrize("before", ["nothing", "a pass"])
def test_a_dry_run_changes_nothing(site, before):
    if before == "a pass":
        site.request(OTHER)
        assert site.move().returncode == 5
        (site.data / "active-scans" / OTHER).unlink()
    site.request(STUDY, age_seconds=1_000_000)
    site.request("no uid")
    site.mpps(STUDY)
    (site.data / "scanner" / "bad").write_bytes(b"no DICOM")
    tree = site.tree()
    done = site.move("--dry-run", "--give-up-after", "0", "--receive")
    assert done.returncode == 5
    assert site.tree() == tree


def test_a_dry_run_says_what_a_pass_would_pull_and_pulls_nothing(site, scanner):
    site.request(STUDY)
    before = site.tree()
    done = site.move("--dry-run", "--receive")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"would pull series {STUDY} {STUDY}.1 from 127.0.0.1 : {scanner.port}" in done.stdout.splitlines()
    assert site.tree() == before
    assert site.report("--dry-run")["studies"][0]["outcome"] == "waiting"


def test_a_dry_run_says_what_a_pass_would_close_and_closes_nothing(site, scanner):
    request = site.request(STUDY)
    site.mpps(STUDY)
    for name in ("1", "2"):
        image = site.series(STUDY, STUDY + ".1") / f"{STUDY}.1.{name}"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(b"x")
    before = site.tree()
    done = site.move("--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"would move {request} to {site.data / 'finished-scans'}" in done.stdout.splitlines()
    assert site.tree() == before


def test_a_dry_run_that_finds_folders_but_no_lock_makes_no_more_than_that(site):
    (site.server / ".pids").mkdir(parents=True)
    (site.server / "logs").mkdir()
    site.request(STUDY)
    tree = site.tree("data")
    assert site.move("--dry-run").returncode == 5
    assert [path for path in site.server.rglob("*") if path.is_file() and path != site.lock_file] == []
    assert site.tree("data") == tree


def test_a_dry_run_leaves_nothing_in_the_folder_of_temporary_files(site, tmp_path):
    (tmp_path / "tmp").mkdir()
    site.request(STUDY)
    assert site.move("--dry-run", env={"TMPDIR": str(tmp_path / "tmp")}).returncode == 5
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_dry_run_says_what_it_sees_each_time(site):
    site.request(STUDY)
    first, second = site.move("--dry-run"), site.move("--dry-run")
    assert STUDY in first.stdout
    assert first.stderr == second.stderr != ""
    without_times = [re.sub(r"\([0-9.]+ s\)", "", done.stdout) for done in (first, second)]
    assert without_times[0] == without_times[1]


def test_the_JSON_of_a_dry_run_says_so(site):
    site.request(STUDY)
    report = site.report("--dry-run")
    assert (report["dry_run"], [study["study"] for study in report["studies"]]) == (True, [STUDY])


# Never a traceback


def test_a_data_folder_whose_name_cannot_be_one_is_no_traceback(site):
    site.config(DATADIR="/\ud800")
    done = site.move()
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)


@pytest.mark.parametrize("project", ["\udcff", "x" * 300, "a b", "$(touch pwned)"], ids=ascii)
def test_a_project_of_any_name_is_no_traceback(site, project):
    done = site.move(project)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "SITES." in done.stderr
    assert not Path("pwned").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("of", ["log", "requests", "root"])
def test_root_on_a_terminal_is_warned_before_files_of_the_wrong_owner_are_made(site, of):
    nobody = pwd.getpwnam("nobody")
    path = site.server / "logs" / "moveFromScanner.log" if of == "log" else site.data / "active-scans"
    if of == "log":
        path.parent.mkdir(parents=True)
        path.touch()
    if of != "root":
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    master, slave = pty.openpty()
    command = [str(BIN / "scanner-mover"), "move"]
    done = subprocess.run(command, check=False, stdin=slave, stdout=slave, stderr=slave, env=site.environment)
    os.close(slave)
    text = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(master, 4096):
            text += chunk
    os.close(master)
    assert done.returncode == 0
    assert (f"you are root, but {path} belongs to nobody" in text.decode()) is (of != "root")
    assert "you are root" not in site.move().stderr, "cron has no terminal"


# 70


def test_an_error_of_ours_in_a_pass_is_never_1(tmp_path):
    """1 would mean that another pass holds the lock."""
    site = Site(tmp_path)
    assert site.move().returncode == 0
    code = (
        "from scanner_mover.site import requests\n"
        "import scanner_mover.transfer.work as work\n"
        "import sys\n"
        "def scan(*args, **kwargs): raise KeyError('ours')\n"
        "requests.scan = work.scan = scan\n"
        "sys.argv = ['scanner-mover', 'move']\n"
        "from scanner_mover.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=site.environment
    )
    assert done.returncode == 70
    assert "Traceback" not in done.stderr and str(site.server / "logs" / "moveFromScanner.log") in done.stderr
    assert "KeyError: 'ours'" in site.log()
    assert site.move().returncode == 0, "the lock is free again"
