"""The state file of a whole pass: nothing that it depends on."""

import json
import stat
from typing import Any

import pytest

from scanner_mover.site.state import VERSION, State
from scanner_mover.transfer.history import study_from_json
from tests.support import objects
from tests.support.site import Site
from tests.support.state_files import BROKEN

STUDY = "1.2.826.0.1.3680043.10.1561.30"

WRONG: list[dict[str, Any]] = [
    {"last_pass": 5, "faults": {}, "reported": [], "requests": [], "events": 5},
    {
        "last_pass": {"started": 5, "seconds": "x", "exit_status": []},
        "reported": {"mpps": [1, None]},
        "faults": [5, {"text": 5}],
        "scanner_down": "yes",
    },
    {"failed_pulls": "many", "images_received": [], "moves_sent": 1e300, "project": 5, "silence": [], "events": [5]},
]


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
def test_all_may_read_it_whatever_the_umask(tmp_path, umask):
    site = Site(tmp_path)
    for _ in range(2):
        assert site.move(umask=umask).returncode == 0
        assert stat.S_IMODE(site.state_file.stat().st_mode) == 0o644


def test_it_says_what_the_last_pass_was(tmp_path):
    site = Site(tmp_path, project="LAB")
    site.request(STUDY)
    assert site.move().returncode == 5
    state = site.state()
    assert (state["project"], state["last_pass"]["exit_status"], state["scanner_down"]) == ("LAB", 5, True)
    assert [str(site.scanner_port) in fault["text"] for fault in state["faults"]] == [True]
    (site.data / "active-scans" / STUDY).unlink()
    assert site.move().returncode == 0
    state = site.state()
    assert (state["last_pass"]["exit_status"], state["scanner_down"], state["faults"]) == (0, False, [])
    assert state["requests"] == {}


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: repr(content[:20]))
def test_with_a_broken_one_the_pass_goes_on_and_says_so(tmp_path, content):
    site = Site(tmp_path)
    site.state_file.parent.mkdir(parents=True)
    site.state_file.write_bytes(content)
    done = site.move()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    said, switch = site.messages()
    assert str(site.state_file) in said and said.endswith("; going on without it")
    assert switch == "move enabled, start getScans"
    assert site.state()["version"] == VERSION


@pytest.mark.parametrize("content", WRONG, ids=["wrong kinds", "wrong kinds within", "wrong counts"])
def test_with_values_of_a_wrong_kind_the_pass_goes_on(tmp_path, content):
    site = Site(tmp_path)
    site.state_file.parent.mkdir(parents=True)
    site.state_file.write_text(json.dumps({**State().to_json(), **content}))
    site.request(STUDY)
    done = site.move()
    assert done.returncode == 5 and done.stderr.count("\n") == 1
    assert site.state()["requests"][STUDY]["outcome"] == "error"


def test_with_a_broken_memory_of_a_study_the_pass_goes_on_and_says_so(tmp_path):
    site = Site(tmp_path)
    site.state_file.parent.mkdir(parents=True)
    site.state_file.write_text(json.dumps({**State().to_json(), "requests": {STUDY: {"series": 5}}}))
    site.request(STUDY)
    assert site.move().returncode == 5
    assert any(str(site.state_file) in message and STUDY in message for message in site.messages())
    assert study_from_json(site.state()["requests"][STUDY]) is not None


def test_a_lost_one_is_no_fault(tmp_path):
    site = Site(tmp_path)
    assert site.move().returncode == 0
    site.state_file.unlink()
    done = site.move()
    assert (done.returncode, done.stderr) == (0, "")
    assert site.messages() == ["move enabled, start getScans"] * 2


def test_with_a_folder_in_its_place_the_pass_goes_on_and_exits_4(tmp_path):
    site = Site(tmp_path)
    site.state_file.mkdir(parents=True)
    site.request(STUDY)
    done = site.move()
    assert done.returncode == 4
    assert str(site.state_file) in done.stderr
    assert f"PROCESS: {site.data / 'active-scans' / STUDY}" in site.messages()


def test_a_part_that_a_killed_pass_left_is_removed(tmp_path):
    site = Site(tmp_path)
    assert site.move().returncode == 0
    left = site.state_file.with_name(".moveFromScanner.work.0123456789abcdef")
    left.write_text("{")
    other = site.state_file.with_name(".moveFromScannerLAB.work.0123456789abcdef")
    other.write_text("{")
    assert site.move().returncode == 0
    assert (left.exists(), other.exists()) == (False, True)


def test_it_holds_no_patient(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY, content=b"Doe^Jane")
    site.mpps(STUDY)
    site.mpps(STUDY, name="second", ended=False)
    (site.data / "scanner" / "unreadable").write_bytes(b"Doe^Jane")
    assert site.move().returncode == 5
    text = site.state_file.read_text()
    assert STUDY in text
    for patient in (objects.PATIENT_NAME, objects.PATIENT_ID, "Doe"):
        assert patient not in text


def test_it_holds_no_patient_whom_somebody_named_a_file_after(tmp_path):
    site = Site(tmp_path)
    site.request("Doe^Jane.txt")
    site.request(STUDY)
    (site.data / "scanner" / "Roe^Richard.mpps").write_bytes(b"unreadable")
    assert site.move().returncode == 5
    assert site.move().returncode == 5
    assert len([message for message in site.messages() if message.startswith("1 file in ")]) == 2, "each is told once"
    text = site.state_file.read_text() + site.log()
    assert "Doe" not in text and "Roe" not in text
