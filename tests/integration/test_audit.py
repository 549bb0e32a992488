"""`status --audit`: a site full of studies that the script closed without images is found, put back and mended."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scanner_mover.rules.outcomes import Outcome
from scanner_mover.site import ledger
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.ledger import Entry, SeriesCounts
from tests.integration.invariants import assert_study_is_here
from tests.integration.test_terminal import Terminal
from tests.support.objects import by_study, ct_series, mr_series, uid
from tests.support.scripted import ScriptedScanner
from tests.support.site import BIN, Site, held_by_flock

COLUMNS = ["study", "series", "expected", "received", "missing"]


class Legacy(NamedTuple):
    """A site as the script left it, and its scanner; the StudyInstanceUIDs by what is the matter with them."""

    site: Site
    scanner: Any
    uids: dict[str, str]

    def lost(self) -> list[str]:
        return [self.uids[name] for name in ("empty", "half", "one series", "failed", "open again")]


@pytest.fixture
def legacy(scanner, receive_port, tmp_path) -> Legacy:
    site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=receive_port, receive=True)
    names = ("complete", "empty", "half", "one series", "failed", "open again", "gone")
    uids = {name: uid() for name in names}
    paths: list[Path] = []
    for name, study in uids.items():
        for number in (1, 2):
            images = (mr_series if number == 1 else ct_series)(
                tmp_path / "acquired" / f"{study}.{number}",
                study_instance_uid=study,
                series_instance_uid=f"{study}.{number}",
                images=3,
            )
            here = {"complete": 3, "half": 3 if number == 1 else 1, "one series": 3 if number == 1 else 0}
            folder = site.series(study, f"{study}.{number}")
            for path in images[: here.get(name, 0)]:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / path.name)
            if name != "gone":
                paths += images
        folder_name = "failed-scans" if name == "failed" else "finished-scans"
        (site.data / folder_name).mkdir(exist_ok=True)
        # The script closed them after their day, by a rename.
        request = site.request(study, age_seconds=200_000, content=b"kept\n")
        request.rename(site.data / folder_name / study)
        site.mpps(study)
    (site.data / "finished-scans" / "notes.txt").write_text("not a request")
    site.request(uids["open again"], age_seconds=10, content=b"new\n")
    scanner.store(paths)
    return Legacy(site, scanner, uids)


def audit(site: Site, *arguments: str, exit_status: int = 0) -> dict[str, dict[str, Any]]:
    """The objects of `status --audit --json` by their study."""
    done = site.mover("status", "--audit", "--json", *arguments)
    assert done.returncode == exit_status, done
    return {one["study"]: one for one in json.loads(done.stdout)}


def test_what_the_script_lost_is_listed_put_back_and_mended(legacy):
    site, uids = legacy.site, legacy.uids

    # Listed.
    before = site.tree()
    found = audit(site)
    assert site.tree() == before
    assert sorted(found) == sorted(uids.values())
    missing = {name: found[study]["missing"] for name, study in uids.items()}
    expected = {"complete": 0, "empty": 6, "half": 2, "one series": 3, "failed": 6, "open again": 6, "gone": 0}
    assert missing == expected
    assert {name for name, study in uids.items() if not found[study]["on_scanner"]} == {"gone"}
    assert {name for name, study in uids.items() if found[study]["lost"]} == {"gone"}
    half = {one["series"]: one for one in found[uids["half"]]["series"]}
    series = f"{uids['half']}.2"
    assert half[series] == {"series": series, "expected": 3, "received": 1, "missing": 2}
    assert all(one["error"] is None for one in found.values())

    # In a pipe: a line for each series of which images are missing.
    done = site.mover("status", "--audit")
    assert done.returncode == 0
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0] == COLUMNS
    assert [uids["gone"], "", "", "0", ""] in lines
    lines.remove([uids["gone"], "", "", "0", ""])
    assert sorted(lines[1:]) == sorted(
        [study, one["series"], *map(str, (one["expected"], one["received"], one["missing"]))]
        for study in legacy.lost()
        for one in found[study]["series"]
        if one["missing"]
    )
    assert "7 closed studies" in done.stderr
    assert "5 lack images (23 in all)" in done.stderr
    assert "0 are no longer on the scanner" in done.stderr
    assert "1 is lost: neither the scanner nor site/raw has any image" in done.stderr

    # Put back, with a fresh time, never over a request that is there.
    asked_at = time.time()
    there = site.data / "active-scans" / uids["open again"]
    time_there = there.stat().st_mtime_ns
    done = site.mover("status", "--audit", "--request")
    assert done.returncode == 0
    assert "requested 4 studies again; 1 was requested already" in done.stderr
    active = site.data / "active-scans"
    assert site.requests_in("active-scans") == sorted(legacy.lost())
    for study in legacy.lost():
        if study != uids["open again"]:
            assert (active / study).read_bytes() == b"kept\n"
            # Two seconds: a file system may keep whole ones only.
            assert (active / study).stat().st_mtime >= asked_at - 2
    assert (there.read_bytes(), there.stat().st_mtime_ns) == (b"new\n", time_there)
    closed = site.requests_in("finished-scans")
    assert closed == sorted([uids["complete"], uids["gone"], uids["open again"], "notes.txt"])

    # Mended: the requests are not failed for their age.
    (site.data / "finished-scans" / uids["open again"]).unlink()
    for _ in range(2):
        assert site.move().returncode == 0, site.log()
    assert site.requests_in("active-scans") == []
    assert site.requests_in("failed-scans") == []
    assert set(legacy.lost()) <= set(site.requests_in("finished-scans"))
    for study in legacy.lost():
        assert_study_is_here(site, legacy.scanner, study)
    assert {one["missing"] for one in audit(site).values()} == {0}


def test_only_what_was_closed_since_is_asked_for(tmp_path):
    study = uid()
    paths = mr_series(tmp_path / "i", study_instance_uid=study, series_instance_uid=f"{study}.1", images=2)
    with ScriptedScanner({study: {f"{study}.1": paths}}) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        (site.data / "finished-scans").mkdir()
        # Requested long ago, closed just now: when it was closed is what counts.
        site.request(study, age_seconds=5_000_000).rename(site.data / "finished-scans" / study)

        def closed(clock: str, *since: str) -> list[str]:
            faketime = shutil.which("faketime")
            assert faketime, "faketime is not installed"
            arguments = [str(BIN / "scanner-mover"), "status", "--audit", "--json", *since]
            done = site.mover(
                "--exclude-monotonic", "-f", clock, *arguments, program=faketime, env={"NO_FAKE_STAT": "1"}
            )
            assert done.returncode == 0, done
            return [one["study"] for one in json.loads(done.stdout)]

        assert closed("+0") == [study]
        assert closed("+0", "--since", "1d") == [study]
        assert closed("+40d", "--since", "30d") == []
        assert closed("+40d", "--since", "41d") == [study]
        assert closed("+40d", "--since", "30") == []
        assert closed("+40d", "--since", "41") == [study]
        assert closed("+0", "--since", "2020-01-01") == [study]
        tomorrow = time.strftime("%Y-%m-%d", time.localtime(time.time() + 2 * 86400))
        assert closed("+0", "--since", tomorrow) == []
        assert closed("+0", "--since", tomorrow.replace("-", "")) == []


def test_a_scanner_that_is_off_puts_nothing_back(tmp_path):
    site = Site(tmp_path)
    study = uid()
    (site.data / "finished-scans").mkdir()
    site.request(study).rename(site.data / "finished-scans" / study)
    done = site.mover("status", "--audit", "--request")
    assert done.returncode == 5
    assert "cannot be reached" in done.stderr
    assert site.requests_in("finished-scans") == [study]
    assert site.requests_in("active-scans") == []
    assert audit(site, exit_status=5)[study]["error"]


def test_one_study_that_cannot_be_asked_for_does_not_hide_the_others(tmp_path):
    good, bad = sorted([uid(), uid()])
    paths = mr_series(tmp_path / "i", study_instance_uid=good, series_instance_uid=f"{good}.1", images=2)

    class HalfBroken(ScriptedScanner):
        def _find(self, event):
            if event.identifier.get("StudyInstanceUID") == bad:
                yield 0xC000, None
            else:
                yield from super()._find(event)

    with HalfBroken({good: {f"{good}.1": paths}}) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        (site.data / "finished-scans").mkdir()
        for study in (good, bad):
            site.request(study).rename(site.data / "finished-scans" / study)
        found = audit(site, "--request", exit_status=5)
        assert found[good]["missing"] == 2
        assert found[good]["error"] is None
        assert found[bad]["error"]
        assert site.requests_in("active-scans") == [good]
        assert site.requests_in("finished-scans") == [bad]


def test_a_site_without_closed_studies_asks_nothing_and_is_well(tmp_path):
    with ScriptedScanner() as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        assert audit(site) == {}
        assert scanner.asked == []
    assert site.mover("status", "--audit", "--request").returncode == 0


def test_images_under_other_names_are_believed_by_their_number(tmp_path):
    """A daemon that numbers its files: three of three are not missing."""
    study = uid()
    paths = mr_series(tmp_path / "i", study_instance_uid=study, series_instance_uid=f"{study}.1", images=3)
    with ScriptedScanner({study: {f"{study}.1": paths}}) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        (site.data / "finished-scans").mkdir()
        site.request(study).rename(site.data / "finished-scans" / study)
        folder = site.series(study, f"{study}.1")
        folder.mkdir(parents=True)
        for number in range(3):
            os.symlink(paths[number], folder / f"image{number}.dcm")
            assert audit(site)[study]["missing"] == 2 - number


def test_as_many_files_of_which_one_is_another_image_lack_one(tmp_path):
    study = uid()
    paths = mr_series(tmp_path / "i", study_instance_uid=study, series_instance_uid=f"{study}.1", images=3)
    with ScriptedScanner({study: {f"{study}.1": paths}}) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        (site.data / "finished-scans").mkdir()
        site.request(study).rename(site.data / "finished-scans" / study)
        folder = site.series(study, f"{study}.1")
        folder.mkdir(parents=True)
        for name in (paths[0].name, paths[1].name, f"{study}.99"):
            shutil.copyfile(paths[0], folder / name)
        assert audit(site)[study]["missing"] == 1


def test_a_folder_that_cannot_be_written_is_4_and_loses_no_request(tmp_path):
    study = uid()
    paths = mr_series(tmp_path / "i", study_instance_uid=study, series_instance_uid=f"{study}.1", images=1)
    with ScriptedScanner({study: {f"{study}.1": paths}}) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        (site.data / "finished-scans").mkdir()
        site.request(study).rename(site.data / "finished-scans" / study)
        (site.data / "active-scans").rmdir()
        (site.data / "active-scans").write_text("a file where the folder should be")
        done: subprocess.CompletedProcess[str] = site.mover("status", "--audit", "--request")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert site.requests_in("finished-scans") == [study]


# The ledger


class Finished(NamedTuple):
    """A study of two series of 3 images that this program finished, on a scanner that may change.

    `paths` are 5 images of the first series, 3 of the second and 3 of a third one.
    """

    site: Site
    scanner: ScriptedScanner
    study: str
    paths: list[Path]

    def series(self, number: int) -> str:
        return f"{self.study}.{number}"


@pytest.fixture
def finished(tmp_path) -> Iterator[Finished]:
    study = uid()
    paths = [
        path
        for number, images in ((1, 5), (2, 3), (3, 3))
        for path in mr_series(
            tmp_path / f"{number}", study_instance_uid=study, series_instance_uid=f"{study}.{number}", images=images
        )
    ]
    with ScriptedScanner(by_study([*paths[:3], *paths[5:8]])) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        series = tuple(SeriesCounts(f"{study}.{number}", 3, 3) for number in (1, 2))
        site.server.joinpath(".pids").mkdir(parents=True)
        write_ledger(site, Entry(study, "2026-01-31T10:15:00+01:00", Outcome.FINISHED, None, series))
        (site.data / "finished-scans").mkdir()
        site.request(study).rename(site.data / "finished-scans" / study)
        yield Finished(site, scanner, study, paths)


def write_ledger(site: Site, entry: Entry) -> None:
    ledger.append(ServerFolders(str(site.server), "ABCD").ledger, entry)


def test_R39_what_the_site_cleaned_up_is_neither_missing_nor_lost_nor_requested(finished):
    found = audit(finished.site, "--request")[finished.study]
    assert (found["missing"], found["lost"], found["on_scanner"]) == (0, False, True)
    assert [one["received"] for one in found["series"]] == [3, 3]
    assert finished.site.requests_in("active-scans") == []
    # Nothing was asked about single images either.
    assert {level for level, _, _ in finished.scanner.asked} == {"SERIES"}
    finished.scanner.studies.clear()
    found = audit(finished.site)[finished.study]
    assert (found["missing"], found["lost"], found["on_scanner"]) == (0, False, False)


def test_R39_a_series_that_came_late_is_found_and_requested(finished):
    late = finished.series(3)
    finished.scanner.studies[finished.study][late] = finished.paths[8:]
    found = audit(finished.site, "--request")[finished.study]
    assert found["missing"] == 3
    assert {one["series"]: one["missing"] for one in found["series"]}[late] == 3
    assert finished.site.requests_in("active-scans") == [finished.study]


@pytest.mark.parametrize("here", ["all", "cleaned up"])
def test_R39_images_that_came_late_are_found_whether_the_others_are_here_or_not(finished, here):
    finished.scanner.studies[finished.study][finished.series(1)] += finished.paths[3:5]
    if here == "all":
        for path in (*finished.paths[:3], *finished.paths[5:8]):
            folder = finished.site.series(finished.study, finished.series(1 if path in finished.paths[:3] else 2))
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path.name)
    assert audit(finished.site)[finished.study]["missing"] == 2


def test_R39_a_study_that_failed_is_compared_with_what_is_here(finished):
    series = (SeriesCounts(finished.series(1), 3, 3),)
    write_ledger(finished.site, Entry(finished.study, "2026-01-31T11:15:00+01:00", Outcome.FAILED, "too old", series))
    (finished.site.data / "failed-scans").mkdir()
    (finished.site.data / "finished-scans" / finished.study).rename(
        finished.site.data / "failed-scans" / finished.study
    )
    assert audit(finished.site)[finished.study]["missing"] == 6


def test_R39_a_line_counts_only_with_the_request_in_its_folder(finished):
    (finished.site.data / "failed-scans").mkdir()
    (finished.site.data / "finished-scans" / finished.study).rename(
        finished.site.data / "failed-scans" / finished.study
    )
    assert audit(finished.site)[finished.study]["missing"] == 6


def test_R39_a_study_that_neither_the_scanner_nor_this_server_has_is_named(tmp_path):
    study, partly = uid(), uid()
    with ScriptedScanner() as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        (site.data / "finished-scans").mkdir()
        for one in (study, partly):
            site.request(one).rename(site.data / "finished-scans" / one)
        folder = site.series(partly, f"{partly}.1")
        folder.mkdir(parents=True)
        (folder / f"{partly}.1.1").write_bytes(b"an image")
        found = audit(site)
        assert {one: found[one]["lost"] for one in (study, partly)} == {study: True, partly: False}
        with Terminal(site, "status", "--audit", columns=120) as terminal:
            assert terminal.wait() == 0
        assert study in terminal.screen
        assert "neither on the scanner nor here" in terminal.screen
        # There is nothing to ask for.
        site.mover("status", "--audit", "--request")
        assert site.requests_in("active-scans") == []


def test_R40_what_the_site_does_not_keep_is_neither_missing_nor_lost(finished):
    finished.site.config(modalities=["CT"])
    finished.scanner.studies[finished.study][finished.series(3)] = finished.paths[8:]
    (finished.site.data / "failed-scans").mkdir()
    (finished.site.data / "finished-scans" / finished.study).rename(
        finished.site.data / "failed-scans" / finished.study
    )
    found = audit(finished.site)[finished.study]
    assert (found["missing"], found["lost"], found["on_scanner"], found["series"]) == (0, False, True, [])


# Beside a pass


def test_it_waits_for_a_pass_before_it_requests_and_says_so_if_that_is_long(finished):
    finished.scanner.studies[finished.study][finished.series(3)] = finished.paths[8:]
    with held_by_flock(finished.site.lock_file) as holder:
        process = subprocess.Popen(
            [str(BIN / "scanner-mover"), "status", "--audit", "--request"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=finished.site.environment,
        )
        with process:
            assert process.stderr is not None
            assert "1 lacks images" in process.stderr.readline()
            assert finished.site.requests_in("active-scans") == []
            os.killpg(holder.pid, 9)
            assert "requested 1 study again" in process.stderr.readline()
    assert process.returncode == 0
    assert finished.site.requests_in("active-scans") == [finished.study]


def test_a_bar_goes_on_while_studies_are_asked_for(finished):
    for number in range(120):
        study = f"{finished.study}.{number}"
        finished.site.request(study).rename(finished.site.data / "finished-scans" / study)
    finished.scanner.script.find_silence = 0.02
    with Terminal(finished.site, "status", "--audit", columns=100, lines=300) as terminal:
        terminal.until(lambda screen: bool(re.search(r"closed studies .* (50|100)$", screen)))
        assert terminal.wait() == 0
    assert "closed studies ━" not in terminal.screen
    assert "121 closed studies, 121 compared" in terminal.screen


def test_ctrl_c_ends_it_in_order_and_requests_nothing(finished):
    finished.scanner.studies[finished.study][finished.series(3)] = finished.paths[8:]
    finished.scanner.script.find_silence = 5
    with Terminal(finished.site, "status", "--audit", "--request") as terminal:
        terminal.until(lambda screen: "closed studies" in screen)
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.wait(240) == 128 + signal.SIGINT
    assert "Traceback" not in terminal.text
    assert finished.site.requests_in("active-scans") == []
    assert terminal.text.rfind("\x1b[?25h") > terminal.text.rfind("\x1b[?25l") >= 0
