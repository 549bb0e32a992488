"""What a whole pass does with what lies in `active-scans` (R10, R26)."""

from pathlib import Path

import pytest

from tests.support.names import NO_UIDS
from tests.support.site import Site

STUDY = "1.2.826.0.1.3680043.10.1561.10"
LEFT_ALONE = ("its name is no StudyInstanceUID", "their names are no StudyInstanceUIDs")


def left_alone(site: Site) -> list[str]:
    return [line for line in site.messages() if line.endswith(LEFT_ALONE)]


def test_R10_names_that_are_no_uids_are_logged_once_without_a_name_that_may_be_a_patients(tmp_path):
    site = Site(tmp_path)
    for name in [*NO_UIDS, "SECRET^JOHN", "1.2.3.txt", "SECRET^JOHN's/notes"]:
        site.request(name, content=b"kept")
    before = site.tree("data")
    first, second = site.move(), site.move()
    assert [(done.returncode, done.stdout, done.stderr) for done in (first, second)] == [(0, "", "")] * 2
    lines = site.messages()
    assert lines[0] == lines[-1] == "move enabled, start getScans"
    active, its, their = site.data / "active-scans", *LEFT_ALONE
    shown = [f"{active}/1.2.3.swp is left alone: {its}", f"{active}/1.2.3.txt is left alone: {its}"]
    counted = [
        f"{len(NO_UIDS)} files in {active} are left alone: {their}",
        f"1 file in a folder below {active} is left alone: {its}",
    ]
    assert sorted(lines[1:-1]) == sorted(shown + counted)
    assert "SECRET" not in site.log() + site.state_file.read_text()
    assert site.tree("data") == before
    assert not list(tmp_path.rglob("pwned")) and not Path("pwned").exists()


def test_R10_a_new_one_is_logged_among_a_thousand_old_ones_alone(tmp_path):
    site = Site(tmp_path)
    for number in range(1200):
        site.request(f"stray{number}")
    assert site.move().returncode == 0
    site.request("new")
    assert site.move().returncode == 0
    assert [line.split(" in ")[0] for line in left_alone(site)] == ["1200 files", "1 file"]


def test_R10_one_that_got_another_wrong_name_is_logged_too(tmp_path):
    """Its inode is the same, as a new file's may be that of one that was removed."""
    site = Site(tmp_path)
    stray = site.request(f"{STUDY}.txt")
    assert site.move().returncode == 0
    stray.rename(stray.with_name(f"{STUDY}.doc"))
    assert site.move().returncode == 0
    reported = [line.split(" is left alone")[0].rpartition("/")[2] for line in left_alone(site)]
    assert reported == [f"{STUDY}.txt", f"{STUDY}.doc"]


def test_R10_no_name_reaches_a_shell_or_the_scanner(tmp_path):
    """With a request beside them, so that tools are started."""
    site = Site(tmp_path)
    site.request(STUDY)
    for name in NO_UIDS:
        site.request(name)
    assert site.move().returncode == 5
    assert [study["study"] for study in site.report()["studies"]] == [STUDY]
    assert not list(tmp_path.rglob("pwned")) and not Path("pwned").exists()


def test_R10_a_request_that_waits_keeps_its_content_and_its_time(tmp_path):
    site = Site(tmp_path)
    file = site.request(f"a/{STUDY}", age_seconds=1000, content=b"who asked\n")
    before = file.stat().st_mtime_ns
    assert site.move().returncode == 5
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (b"who asked\n", before)


def test_R26_a_pass_makes_the_folders_before_anything_can_be_lost(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY)
    assert site.move().returncode == 5
    assert (site.data / "finished-scans").is_dir() and (site.data / "failed-scans").is_dir()
    assert site.requests_in("active-scans") == [STUDY]


@pytest.mark.parametrize("name", ["finished-scans", "failed-scans"])
def test_R26_a_file_in_the_place_of_a_folder_costs_no_request(tmp_path, name):
    site = Site(tmp_path)
    site.request(STUDY, content=b"kept")
    (site.data / name).write_bytes(b"a request that the script renamed to this")
    done = site.move()
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1 and str(site.data / name) in done.stderr
    assert (site.data / "active-scans" / STUDY).read_bytes() == b"kept"
    assert (site.data / name).read_bytes() == b"a request that the script renamed to this"
