"""`status`: what the person on call, a health check and monitoring get, whatever state a site is in."""

import datetime
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.objects import PATIENT_ID, PATIENT_NAME, by_study, mr_series, uid
from tests.support.ports import LOOPBACK, free_port
from tests.support.scripted import Script, ScriptedScanner
from tests.support.site import BIN, Site, held_by_flock, wait_until

FORMS = [[], ["--json"], ["--prometheus"], ["--html"]]
PASS_KEYS = {"started", "seconds", "exit_status"}
REQUEST_KEYS = {"study", "outcome", "series", "procedure", "error", "age_seconds", "waits_for", "next_try", "stuck"}
KEYS = {"project", "enabled", "running", "last_pass", "requests", "failed_requests", "finished", "failed"}
SERIES_KEYS = {"series", "expected", "received", "complete", "pulled", "error"}


def status(site: Site, *arguments: str, **more: Any) -> dict[str, Any]:
    done = site.mover("status", "--json", *arguments, **more)
    assert done.returncode == 0, done
    value = json.loads(done.stdout)
    assert set(value) == KEYS
    assert set(value["last_pass"]) == PASS_KEYS
    for request in value["requests"]:
        assert set(request) == REQUEST_KEYS
        for series in request["series"]:
            assert set(series) == SERIES_KEYS
    return value


def samples(site: Site) -> dict[tuple[str, str], float]:
    """{(name, state or ""): value} of the metrics."""
    done = site.mover("status", "--prometheus")
    assert done.returncode == 0, done
    found = {}
    for family in text_string_to_metric_families(done.stdout):
        for sample in family.samples:
            assert sample.name.startswith("scanner_mover_")
            assert sample.labels["project"] == (site.project or "ABCD")
            found[sample.name.removeprefix("scanner_mover_"), sample.labels.get("state", "")] = sample.value
    return found


def at(site: Site, clock: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`scanner-mover ARGUMENTS` at another time, while files keep the times that they have."""
    faketime = shutil.which("faketime")
    assert faketime, "faketime is not installed"
    program = str(BIN / "scanner-mover")
    return site.mover(
        "--exclude-monotonic", "-f", clock, program, *arguments, program=faketime, env={"NO_FAKE_STAT": "1"}
    )


@pytest.fixture
def worked(tmp_path) -> Iterator[tuple[Site, str, str]]:
    """A site after a pass: a study of 3 images that is waiting for its procedure, one that is finished."""
    port = free_port()
    waiting, finished = uid(), uid()
    paths = [
        path
        for study, images in ((waiting, 3), (finished, 2))
        for path in mr_series(
            tmp_path / study, study_instance_uid=study, series_instance_uid=f"{study}.1", images=images
        )
    ]
    with ScriptedScanner(by_study(paths), {"MOVER": port}) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=port, receive=True)
        site.request(waiting, age_seconds=100)
        site.request(finished)
        site.mpps(waiting, ended=False)
        site.mpps(finished)
        done = site.move()
        assert done.returncode == 0, (done, site.log())
        yield site, waiting, finished


# What it says


def test_before_any_pass_all_forms_work_and_make_nothing(tmp_path):
    site = Site(tmp_path)
    site.request(uid(), age_seconds=50)
    before = site.tree()
    for form in FORMS:
        done = site.mover("status", *form)
        assert (done.returncode, done.stderr) == (0, ""), form
        assert done.stdout
    value = status(site)
    assert value["last_pass"] == {"started": None, "seconds": None, "exit_status": None}
    assert (value["project"], value["enabled"], value["running"]) == ("ABCD", True, False)
    assert value["requests"][0]["outcome"] == "waiting"
    assert site.tree() == before


def test_after_a_pass_it_says_what_the_pass_said(worked):
    site, waiting, _ = worked
    value = status(site)
    (request,) = value["requests"]
    assert request.pop("age_seconds") >= 100
    waits_for = {name: request.pop(name) for name in ("waits_for", "next_try", "stuck")}
    assert waits_for == {"waits_for": "procedure", "next_try": None, "stuck": []}
    assert request == {
        "study": waiting,
        "outcome": "waiting",
        "procedure": "in progress",
        "error": None,
        "series": [
            {
                "series": f"{waiting}.1",
                "expected": 3,
                "received": 3,
                "complete": True,
                "pulled": True,
                "error": None,
            }
        ],
    }
    assert (value["finished"], value["failed"]) == (1, 0)
    last = value["last_pass"]
    assert last["exit_status"] == 0
    assert last["seconds"] > 0
    started = datetime.datetime.fromisoformat(last["started"])
    assert started.tzinfo is not None
    assert 0 <= (datetime.datetime.now(datetime.UTC) - started).total_seconds() < 300
    table = site.mover("status", env={"COLUMNS": "200"}).stdout
    assert "3 of 3" in table
    assert "1 series retrieved, 3 images arrived" in table
    assert re.search(rf"step {re.escape(waiting)}\S* still in progress", table)


def test_metrics_after_a_pass(worked):
    site, _, _ = worked
    found = samples(site)
    assert found["enabled", ""] == 1
    assert found["running", ""] == 0
    assert 0 <= time.time() - found["last_pass_timestamp_seconds", ""] < 300
    assert found["last_pass_exit_status", ""] == 0
    assert found["requests", "waiting"] == 1
    assert found["requests", "error"] == 0
    assert 100 <= time.time() - found["oldest_request_timestamp_seconds", ""] < 400
    assert found["finished_scans", ""] == 1
    assert found["images_received_total", ""] == 5
    assert found["failed_pulls_total", ""] == 0


def test_failed_pulls_are_counted_and_the_error_is_shown(tmp_path):
    port = free_port()
    study = uid()
    paths = mr_series(tmp_path / "i", study_instance_uid=study, series_instance_uid=f"{study}.1", images=2)
    with ScriptedScanner(by_study(paths), {"MOVER": port}, script=Script(move_status=0xC000)) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=port, receive=True)
        site.request(study)
        assert site.move().returncode == 5
        assert site.move().returncode == 5
        found = samples(site)
        assert found["failed_pulls_total", ""] == 2
        assert found["images_received_total", ""] == 0
        assert found["last_pass_exit_status", ""] == 5
        value = status(site)
        (request,) = value["requests"]
        assert request["error"]
        assert request["series"][0]["error"]
        assert (found["moves_sent_total", ""], found["stuck_series", ""]) == (2, 0)
        scanner.script.move_status = None
        # A person does not wait for the pause (R29).
        site.move("--study", study)
        assert site.move().returncode == 0
        found = samples(site)
        assert (found["failed_pulls_total", ""], found["images_received_total", ""]) == (2, 2)
        assert found["moves_sent_total", ""] == 3


def test_R31_a_series_that_is_stuck_comes_first_with_the_time_of_the_next_try(tmp_path):
    port = free_port()
    study, other = sorted([uid(), uid()], reverse=True)
    paths = [
        path
        for one in (study, other)
        for path in mr_series(tmp_path / one, study_instance_uid=one, series_instance_uid=f"{one}.1", images=3)
    ]
    first = [path.name for path in paths if study in path.name][:1]
    script = Script(send_only={f"{study}.1": first})
    with ScriptedScanner(by_study(paths), {"MOVER": port}, script=script) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=port, receive=True)
        site.request(other, age_seconds=500)
        site.request(study)
        site.move()
        # As after a third attempt that brought nothing: the next one is due later (R29).
        state = site.state()
        state["requests"][study]["series"][f"{study}.1"]["fruitless"] = 3
        site.state_file.write_text(json.dumps(state))
        assert site.move().returncode == 5
        value = status(site)
        stuck, waiting = value["requests"]
        assert (stuck["study"], stuck["stuck"], stuck["waits_for"]) == (study, [f"{study}.1"], "images")
        assert datetime.datetime.fromisoformat(stuck["next_try"]) > datetime.datetime.now(datetime.UTC)
        assert (waiting["study"], waiting["stuck"], waiting["waits_for"]) == (other, [], "mpps")
        found = samples(site)
        assert found["stuck_series", ""] == 1
        assert found["moves_sent_total", ""] == len(scanner.moves)
        lines = site.mover("status").stdout.splitlines()
        (line,) = (line for line in lines if line.startswith(study))
        assert re.search(r"2 of 3 images missing, next try \d\d:\d\d, C-MOVE says Success but nothing arrives", line)
        assert lines.index(line) == lines.index(next(one for one in lines if one.startswith(other))) - 1


def test_R38_a_request_that_failed_is_listed_with_its_reason(tmp_path):
    with ScriptedScanner() as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        study = uid()
        site.request(study, age_seconds=200_000)
        assert site.move().returncode in (0, 5)
        # Twice over age, a minute apart on the monotonic clock (R24).
        state = site.state()
        boot, seconds = state["requests"][study]["over_age_since"]
        state["requests"][study]["over_age_since"] = [boot, seconds - 61]
        site.state_file.write_text(json.dumps(state))
        assert site.move().returncode == 6
        (failed,) = status(site)["failed_requests"]
        assert failed["study"] == study
        assert failed["reason"]
        assert datetime.datetime.fromisoformat(failed["failed_at"]).tzinfo is not None
        shown = site.mover("status").stdout
        assert failed["reason"] in shown
        assert samples(site)["failed_requests_total", ""] == 1


def test_today_and_in_all(worked):
    site, waiting, _ = worked
    (site.data / "active-scans" / waiting).rename(site.data / "failed-scans" / waiting)
    assert "failed: 1 today, 1 in all" in at(site, "+0", "status").stdout
    assert "finished: 1 today, 1 in all" in at(site, "+0", "status").stdout
    done = at(site, "+2d", "status")
    assert "finished: 0 today, 1 in all" in done.stdout
    assert "failed: 0 today, 1 in all" in done.stdout


@pytest.mark.parametrize(("content", "on"), [(b"000\n", False), (None, False), (b"010\n", True)])
def test_switched_off_is_said(tmp_path, content, on):
    site = Site(tmp_path)
    site.switch(content)
    assert status(site)["enabled"] is on
    assert samples(site)["enabled", ""] == on
    assert f"switched {'on' if on else 'off'}" in site.mover("status").stdout


def test_there_is_no_patient_anywhere(worked):
    site, _, _ = worked
    reported = site.state_file.read_text() + site.log()
    for form in FORMS:
        done = site.mover("status", *form)
        assert done.returncode == 0
        reported += done.stdout + done.stderr
    reported = reported.lower()
    assert PATIENT_NAME == "Test^Phantom"
    for part in (PATIENT_ID, "phantom"):
        assert part.lower() not in reported


def test_a_site_of_its_own_has_a_status_of_its_own(tmp_path):
    site = Site(tmp_path, project="PCGC")
    assert site.move().returncode == 0
    value = status(site, "PCGC")
    assert value["project"] == "PCGC"
    assert value["last_pass"]["exit_status"] == 0
    done = site.mover("status", "PCGC", "--prometheus")
    assert 'project="PCGC"' in done.stdout
    assert site.mover("status", "NOSUCH").returncode == 3


# Broken, old, new


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{ not json", "is broken"),
        (b'{"version": 99, "last_pass": {"started": "2026-01-01T00:00:00+00:00"}}', "version"),
    ],
)
@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_a_state_file_that_cannot_be_used_is_said_and_the_rest_still_works(worked, content, said, form):
    site, _, _ = worked
    site.state_file.write_bytes(content)
    done = site.mover("status", *form)
    assert done.returncode == 0
    assert said in done.stderr
    assert str(site.state_file) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout
    assert site.state_file.read_bytes() == content


def test_a_state_file_of_long_ago_tells_its_age(worked):
    site, _, _ = worked
    done = at(site, "+40d", "status")
    assert done.returncode == 0
    assert "last pass 40 d" in done.stdout
    assert "40 d" in done.stdout


def test_it_works_while_the_data_folder_is_missing(worked):
    site, _, _ = worked
    site.data.rename(site.root / "unmounted")
    for form in FORMS:
        done = site.mover("status", *form)
        assert done.returncode == 0, form
        assert str(site.data) in done.stderr
        assert "Traceback" not in done.stderr
    value = status(site)
    assert value["enabled"] is None
    assert value["last_pass"]["exit_status"] == 0
    assert value["requests"] == []
    assert site.mover("status", "--max-age", "3600").returncode == 0
    assert not site.data.exists()


def test_a_configuration_that_cannot_be_used_is_3(tmp_path):
    site = Site(tmp_path)
    site.config_file.write_text("{")
    for form in [*FORMS, ["--max-age", "60"], ["--audit"]]:
        done = site.mover("status", *form)
        assert done.returncode == 3
        assert str(site.config_file) in done.stderr
        assert len(done.stderr.splitlines()) == 1


# Into a file


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_any_form_goes_into_a_file_whole(worked, form):
    site, _, _ = worked
    printed = site.mover("status", *form)
    file = site.root / "web" / "status.file"
    file.parent.mkdir()
    file.write_text("old\n")
    done = site.mover("status", *form, "--output", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(file.parent.iterdir()) == [file]
    # Times go on between the two.
    assert [line.split(" ")[0] for line in file.read_text().splitlines()][:3] == [
        line.split(" ")[0] for line in printed.stdout.splitlines()
    ][:3]
    done = site.mover("status", *form, "--output", str(site.root / "none" / "file"))
    assert done.returncode == 4
    assert str(site.root / "none" / "file") in done.stderr


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_standard_output_on_a_full_disk_is_4_and_one_line(worked, form):
    site, _, _ = worked
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [str(BIN / "scanner-mover"), "status", *form],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=site.environment,
        )
    assert done.returncode == 4
    assert done.stderr == "scanner-mover: standard output cannot be written: No space left on device\n"


# For health checks


def test_max_age(worked):
    site, _, _ = worked
    done = site.mover("status", "--max-age", "3600")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = site.mover("status", "--max-age", "0")
    assert done.returncode == 1
    assert "seconds old" in done.stderr
    assert at(site, "+7100s", "status", "--max-age", "7200").returncode == 0
    done = at(site, "+7300s", "status", "--max-age", "7200")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_max_age_with_another_form_prints_that_form_too(worked):
    site, _, _ = worked
    done = site.mover("status", "--json", "--max-age", "0")
    assert done.returncode == 1
    assert json.loads(done.stdout)["last_pass"]["exit_status"] == 0


def test_max_age_without_a_pass_is_1(tmp_path):
    done = Site(tmp_path).mover("status", "--max-age", "1000000000")
    assert done.returncode == 1
    assert "there never was a pass" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-age", "-1"],
        ["--max-age", "soon"],
        ["--request"],
        ["--since", "30d"],
        ["--audit", "--since", "soon"],
        ["--html", "--json"],
        ["--check", "--output", "file"],
        ["--output", ""],
        ["--audit", "--since", "2026-02-30"],
        ["../x"],
    ],
    ids=repr,
)
def test_wrong_usage_is_2(tmp_path, arguments):
    done = Site(tmp_path).mover("status", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


# A pass that runs


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_a_lock_that_flock_holds_is_seen_and_left_alone(worked, form):
    site, _, _ = worked
    with held_by_flock(site.lock_file) as holder:
        done = site.mover("status", *form)
        assert done.returncode == 0
        assert status(site)["running"] is True
        assert holder.poll() is None
        assert site.move().returncode == 1
    assert status(site)["running"] is False


def test_a_slow_pass_is_seen_and_not_disturbed(tmp_path):
    port = free_port()
    study = uid()
    paths = mr_series(tmp_path / "i", study_instance_uid=study, series_instance_uid=f"{study}.1", images=2)
    slow = Script(find_silence=4)
    with ScriptedScanner(by_study(paths), {"MOVER": port}, script=slow) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=port, receive=True)
        site.request(study)
        site.mpps(study)
        with site.moving() as process:
            wait_until(lambda: scanner.asked)
            value = status(site)
            seen = samples(site)
            shown = site.mover("status").stdout
            assert process.poll() is None, "the pass was over: this proved nothing"
            scanner.script.find_silence = 0
            assert process.wait(60) == 0
        assert value["running"] is True
        assert seen["running", ""] == 1
        assert "a pass is running now" in shown
        assert site.requests_in("finished-scans") == [study]
        assert status(site)["running"] is False


NO_LOCKS = """
import fcntl, sys
def taken(*arguments):
    raise AssertionError("a lock was taken")
fcntl.flock = fcntl.lockf = fcntl.fcntl = taken
sys.argv = ["scanner-mover", *sys.argv[1:]]
from scanner_mover.__main__ import main
sys.exit(main())
"""


def test_it_takes_no_lock_in_the_middle_of_its_work(worked):
    site, waiting, _ = worked
    done = subprocess.run(
        [sys.executable, "-c", NO_LOCKS, "status", "--json"],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=site.environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [request["study"] for request in json.loads(done.stdout)["requests"]] == [waiting]


@pytest.mark.parametrize("form", [*FORMS, ["--max-age", "60"]], ids=repr)
def test_it_asks_no_scanner(tmp_path, form):
    with socket.create_server((LOOPBACK, 0)) as scanner:
        scanner.setblocking(False)
        site = Site(tmp_path, scanner_port=scanner.getsockname()[1])
        site.request(uid())
        site.mover("status", *form)
        with pytest.raises(BlockingIOError):
            scanner.accept()


def test_it_needs_no_dcmtk(tmp_path):
    site = Site(tmp_path)
    for form in FORMS:
        done = site.mover("status", *form, env={"PATH": str(tmp_path)})
        assert (done.returncode, done.stderr) == (0, "")
