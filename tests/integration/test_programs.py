"""The programs as people and cron call them: projects, one study, dry run, JSON, the demo."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.integration import invariants
from tests.integration.invariants import assert_study_is_here
from tests.integration.scenario import Scenario
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.orthanc import Orthanc
from tests.support.ports import free_port
from tests.support.site import Site


@pytest.fixture
def scanner(tmp_path: Path, receive_port: int) -> Iterator[Dcmqrscp]:
    """One is enough here: which scanner it is makes no difference to the command line."""
    with Dcmqrscp(tmp_path / "scanner", {"MOVER": receive_port}) as running:
        yield running


def test_r2_r3_two_projects_with_a_scanner_each(tmp_path: Path) -> None:
    projects = {}
    sites = {}
    for project, kind in {"ALPHA": Dcmqrscp, "BETA": Orthanc}.items():
        port = free_port()
        scanner = kind(tmp_path / project / "scanner", {"MOVER": port})
        scanner.start()
        site = Site(
            tmp_path / project / "site", project=project, scanner_port=scanner.port, receive_port=port, receive=True
        )
        projects[project] = Scenario(tmp_path / project, site, scanner)
        sites |= json.loads(site.config_file.read_text())["SITES"]
    try:
        server = tmp_path / "server"
        file = tmp_path / "config.json"
        # The script took every project's scanner from here; nobody listens there.
        sites["PCGC"] = {**sites["ALPHA"], "DATADIR": str(tmp_path / "pcgc"), "SCANNERPORT": free_port()}
        file.write_text(json.dumps({"SITES": sites, "SCANNER_MOVER": {"receive": True}}))
        studies = {}
        for project, scenario in projects.items():
            scenario.site.server = server
            scenario.site.environment |= {"SERVERDIR": str(server), "SCANNER_MOVER_CONFIG": str(file)}
            studies[project] = scenario.acquire(2)
        for project, scenario in projects.items():
            done = scenario.site.mover(project, program="moveFromScanner.sh")
            scenario.check(done, 0)
            assert (done.stdout, done.stderr) == ("", "")
            assert scenario.where(studies[project]) == "finished-scans"
            if project == "ALPHA":
                assert projects["BETA"].where(studies["BETA"]) == "active-scans"
        assert sorted(path.name for path in (server / "logs").iterdir()) == [
            "moveFromScannerALPHA.log",
            "moveFromScannerBETA.log",
        ]
        assert {"moveFromScannerALPHA.lock", "moveFromScannerBETA.lock"} <= {
            path.name for path in (server / ".pids").iterdir()
        }
    finally:
        for scenario in projects.values():
            scenario.scanner.stop()


def test_a_project_of_another_project_is_not_used_r4(scenario: Scenario) -> None:
    study = scenario.acquire(1)
    done = scenario.site.mover("NOBODY", program="moveFromScanner.sh")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "SITES.NOBODY" in done.stderr
    assert scenario.where(study) == "active-scans"


class TestOneStudy:
    @pytest.mark.parametrize("switch", [b"010\n", b"000\n", None])
    def test_one_that_is_not_requested_is_pulled_and_nothing_is_moved(
        self, scenario: Scenario, switch: bytes | None
    ) -> None:
        site = scenario.site
        study = scenario.acquire(2, request=False)
        other = scenario.acquire(1)
        site.switch(switch)
        done = scenario.a_pass("--study", study.uid)
        assert (done.stdout, done.stderr) == ("", "")
        assert_study_is_here(site, scenario.scanner, study.uid)
        assert [site.requests_in(name) for name in invariants.FOLDERS] == [[other.uid], [], []]
        assert not site.series(other.uid, "").exists()

    def test_one_that_is_requested_is_finished_and_no_other(self, scenario: Scenario) -> None:
        study, other = scenario.acquire(1), scenario.acquire(1)
        scenario.a_pass("--study", study.uid)
        assert scenario.where(study) == "finished-scans"
        assert scenario.where(other) == "active-scans"
        scenario.a_pass()
        assert scenario.where(other) == "finished-scans"

    def test_one_that_is_requested_stays_while_switched_off_r7(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        (scenario.site.data / "finished-scans").mkdir()  # by an earlier pass
        scenario.site.switch(b"000\n")
        scenario.a_pass("--study", study.uid)
        assert scenario.where(study) == "active-scans"
        assert_study_is_here(scenario.site, scenario.scanner, study.uid)


class TestDryRun:
    def test_says_what_it_would_do_and_changes_nothing(self, scenario: Scenario) -> None:
        site = scenario.site
        study, complete = scenario.acquire(2, 1), scenario.acquire(1)
        scenario.have(complete.paths)
        before = site.tree()
        done = site.move("--dry-run")
        assert (done.returncode, done.stderr) == (0, "")
        for series in study.series:
            assert f"would pull series {study.uid} {series} from 127.0.0.1 : {site.scanner_port}\n" in done.stdout
        assert f"would move {site.data / 'active-scans' / complete.uid} to {site.data / 'finished-scans'}\n" in (
            done.stdout
        )
        assert site.tree() == before
        invariants.check_nothing_left(site)

    def test_between_two_passes(self, scenario: Scenario, receive_port: int) -> None:
        site = scenario.site
        study = scenario.acquire(2, ended=False)
        site.config(DICOMAETITLE="NOBODY")
        scenario.a_pass(exit_status=5)
        site.config(DICOMAETITLE="MOVER")
        before = site.tree()
        done = site.move("--dry-run", "--json")
        assert done.returncode == 5, "what the last pass met has not recovered by a dry run"
        report = json.loads(done.stdout)
        assert (report["dry_run"], report["studies"][0]["series"][0]["pulled"]) == (True, False)
        assert site.tree() == before
        site.mpps(study.uid, ended=True)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"


def test_json_of_a_pass(scenario: Scenario) -> None:
    finished, waiting = scenario.acquire(2), scenario.acquire(1, ended=False)
    scenario.request(finished, age_seconds=20)
    began = datetime.now().astimezone().replace(microsecond=0)
    report = scenario.report()
    assert began <= datetime.fromisoformat(report.pop("started")) <= datetime.now().astimezone()
    assert 0 < report.pop("seconds") < 60

    def series(study_instance_uid: str, images: int) -> list[dict[str, object]]:
        return [
            {
                "series": f"{study_instance_uid}.1",
                "expected": images,
                "received": images,
                "complete": True,
                "pulled": True,
                "error": None,
            }
        ]

    assert report == {
        "project": "ABCD",
        "enabled": True,
        "dry_run": False,
        "studies": [
            {
                "study": finished.uid,
                "outcome": "finished",
                "series": series(finished.uid, 2),
                "procedure": "ended",
                "error": None,
            },
            {
                "study": waiting.uid,
                "outcome": "waiting",
                "series": series(waiting.uid, 1),
                "procedure": "in progress",
                "error": None,
            },
        ],
    }


def test_json_of_a_pass_without_a_scanner(scenario: Scenario) -> None:
    study = scenario.acquire(1)
    scenario.scanner.stop()
    report = scenario.report(exit_status=5)
    reported = report["studies"][0]
    assert (reported["study"], reported["outcome"], reported["series"]) == (study.uid, "error", [])
    assert reported["error"]


def test_r7_switched_off_nothing_is_done(scenario: Scenario) -> None:
    study = scenario.acquire(1)
    scenario.site.switch(b"000\n")
    done = scenario.a_pass()
    assert (done.stdout, done.stderr) == ("", "")
    assert scenario.site.messages() == ["move disabled, start clearScans"]
    assert scenario.where(study) == "active-scans"
    assert list((scenario.site.data / "site" / "raw").iterdir()) == []


class TestDemo:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        """Only for its environment: the demo brings everything itself."""
        site = Site(tmp_path / "site")
        site.environment["TMPDIR"] = str(tmp_path)
        return site

    def test_keeps_what_came_out(self, tmp_path: Path, site: Site) -> None:
        kept = tmp_path / "kept"
        done = site.mover("demo", "--keep", str(kept))
        assert done.returncode == 0, done
        assert done.stderr == ""
        data = kept / "data"
        folders = {name: [path.name for path in (data / name).iterdir()] for name in invariants.FOLDERS}
        (finished,), (active,) = folders["finished-scans"], folders["active-scans"]
        assert folders["failed-scans"] == []
        site.data = data
        invariants.check_images(site, None)
        counts = {
            study: sum(path.is_file() for path in (data / "site" / "raw" / study).rglob("*"))
            for study in (finished, active)
        }
        assert counts == {finished: 16, active: 4}
        assert invariants.has_ended(site, finished)
        assert not invariants.has_ended(site, active)
        assert finished in done.stdout
        assert invariants.processes_of(site) == []

    def test_leaves_nothing_behind(self, tmp_path: Path, site: Site) -> None:
        before = {path.name for path in tmp_path.iterdir()}
        done = site.mover("demo")
        assert done.returncode == 0, done
        assert {path.name for path in tmp_path.iterdir()} == before
        assert invariants.processes_of(site) == []
