"""What was received is judged when the C-MOVE had its final response, and filed with the rights that are set."""

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest
from pydicom.uid import ImplicitVRLittleEndian

import scanner_mover.site.staging
from scanner_mover.arguments import MoveOptions
from scanner_mover.commands.move import make_pass
from scanner_mover.config import Settings
from scanner_mover.site.filing import Filed
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.lock import Lock
from scanner_mover.site.staging import Sorter, files_in, make_staging
from scanner_mover.site.verdict import DAMAGE, Origin, Reason
from scanner_mover.transfer import closed
from tests.integration.invariants import staging
from tests.integration.scenario import Scenario
from tests.support.objects import compressed_series, dumped_series, mr_series
from tests.support.scripted import ScriptedScanner
from tests.support.site import real_tools, wait_until

FOR_EVER = 600
STUDY = "1.2.826.0.1.3680043.10.1561.77"


@pytest.fixture
def scanner(scripted: ScriptedScanner) -> ScriptedScanner:
    return scripted


def test_nothing_is_filed_before_the_final_response_and_all_that_is_whole_at_our_end(
    scenario: Scenario, scanner: ScriptedScanner
) -> None:
    study = scenario.acquire(45)
    scanner.script.move_silence, scanner.script.move_silence_after = FOR_EVER, 42
    with scenario.site.moving() as passing:
        wait_until(lambda: sum(len(list(folder.glob("MR.*"))) for folder in staging(scenario.site)) >= 42)
        assert scenario.site.images(study.uid, f"{study.uid}.1") == []
        os.kill(passing.pid, signal.SIGTERM)
        assert passing.wait(60) == 128 + signal.SIGTERM
    assert len(scenario.site.images(study.uid, f"{study.uid}.1")) in (41, 42)
    scanner.script.move_silence = 0
    scenario.a_pass()
    assert len(scanner.moves[1][2]) in (3, 4)  # the newest may have been cut short by our signal
    assert scenario.where(study) == "finished-scans"


def test_images_that_nobody_asked_for_are_set_aside(scenario: Scenario, scanner: ScriptedScanner) -> None:
    study = scenario.acquire(1)
    other = scenario.acquire(40, request=False, mpps=False)
    scanner.studies[study.uid][f"{study.uid}.1"] += other.paths
    scanner.script.claims[f"{study.uid}.1"] = 1
    scanner.script.study_counts = None
    scenario.a_pass()
    assert not (scenario.site.data / "site" / "raw" / other.uid).exists()
    assert len(list((scenario.site.data / "site" / "rejected").iterdir())) == 40
    assert len(scenario.said(f"nobody asked for its study {other.uid}")) == 40


def rights(scenario: Scenario, study_instance_uid: str) -> dict[str, set[tuple[int, int]]]:
    """The permissions and groups of the study's folders, and of its images."""
    found: dict[str, set[tuple[int, int]]] = {"folders": set(), "files": set()}
    top = scenario.site.data / "site" / "raw" / study_instance_uid
    for path in [top, *top.rglob("*")]:
        status = path.stat()
        found["folders" if path.is_dir() else "files"].add((status.st_mode & 0o7777, status.st_gid))
    return found


def test_what_is_filed_gets_the_rights_and_the_group_that_are_set(scenario: Scenario) -> None:
    # Somebody who is not root may give files to groups of his own only.
    group = 1 if os.geteuid() == 0 else os.getegid()
    scenario.site.config(file_mode="0640", directory_mode="2750", group=group)
    study = scenario.acquire(40)
    scenario.a_pass(umask=0o077)
    assert rights(scenario, study.uid) == {"folders": {(0o2750, group)}, "files": {(0o640, group)}}
    assert scenario.where(study) == "finished-scans"


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_without_them_the_umask_says(scenario: Scenario, umask: int) -> None:
    study = scenario.acquire(2)
    scenario.a_pass(umask=umask)
    own = os.getegid()
    assert rights(scenario, study.uid) == {"folders": {(0o777 & ~umask, own)}, "files": {(0o666 & ~umask, own)}}


def test_staging_is_private_whatever_the_umask_says(scenario: Scenario, scanner: ScriptedScanner) -> None:
    scenario.acquire(3)
    scanner.script.move_silence, scanner.script.move_silence_after = FOR_EVER, 2
    scenario.site.config(retrieve_stall_seconds=3)
    old = os.umask(0)
    try:
        with scenario.site.moving() as passing:
            wait_until(lambda: any(any(folder.glob("MR.*")) for folder in staging(scenario.site)))
            (folder,) = staging(scenario.site)
            assert folder.stat().st_mode & 0o777 == 0o700
            os.kill(passing.pid, signal.SIGTERM)
            passing.wait(240)
    finally:
        os.umask(old)


def test_content_is_on_the_disk_before_its_name_and_names_before_the_request_moves(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut at any moment finds. The calls are watched, and made."""
    for name, value in scenario.site.environment.items():
        monkeypatch.setenv(name, value)
    done: list[str] = []

    def watch(module: ModuleType, name: str, word: Callable[..., str]) -> None:
        real = getattr(module, name)

        def watched(*arguments: str, **more: int) -> object:
            result = real(*arguments, **more)
            done.append(word(*arguments, **more))
            return result

        monkeypatch.setattr(module, name, watched)

    def target(source: str, target: str, *, dst_dir_fd: int | None = None, **more: object) -> str:
        folder = os.path.dirname(target) if dst_dir_fd is None else os.readlink(f"/proc/self/fd/{dst_dir_fd}")
        return next((one for one in ("raw", "finished-scans") if one in folder), "")

    for module in (scanner_mover.site.staging, closed):
        watch(module, "sync_file_system", lambda folder: "sync")
    for name in ("link", "rename"):
        watch(os, name, target)
    scenario.acquire(2, 1)
    assert make_pass(MoveOptions(receive=True), "scanner-mover") == 0
    assert [one for one in done if one] == ["sync", "raw", "raw", "sync", "raw", "sync", "finished-scans"]


def test_images_that_cannot_be_filed_are_not_sent_again_and_again(scenario: Scenario, scanner: ScriptedScanner) -> None:
    study, other = scenario.acquire(2), scenario.acquire(1)
    in_the_way = scenario.filed(study.paths[0], make=True)
    in_the_way.mkdir()
    for _ in range(3):
        done = scenario.site.move()
        assert done.returncode == 4
        assert len(staging(scenario.site)) == 1
    assert len(scanner.moves) == 2
    assert scenario.where(other) == "finished-scans"
    in_the_way.rmdir()
    scenario.a_pass()
    assert scenario.where(study) == "finished-scans"
    assert len(scanner.moves) == 2


class TestWholeOrNot:
    """Every cut of an image; `tests/unit/site/test_staging.py` has some of them."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        (tmp_path / "data" / "site" / "raw").mkdir(parents=True)
        return Settings("ABCD", "config.json", str(tmp_path / "data"), "scanner", 104, "SCANNER", "MOVER", 4006)

    def filed(self, settings: Settings, content: bytes, lengths: Iterable[int], origin: Origin) -> Filed:
        """What is filed of files that hold this many of the first bytes of CONTENT."""
        folders = DataFolders(settings.data_dir)
        folder = make_staging(folders, [STUDY], Lock())
        for length in lengths:
            Path(folder, f"MR.X.{length}").write_bytes(content[:length])
        sorter = Sorter(real_tools("dcmdump"), settings, folders, [STUDY])
        return sorter.sort(folder, files_in(folder), lambda name: origin)

    def test_an_image_that_is_cut_anywhere_is_never_filed(self, settings: Settings, tmp_path: Path) -> None:
        (path,) = dumped_series(
            tmp_path / "images", study_instance_uid=STUDY, series_instance_uid=f"{STUDY}.1", images=1
        )
        content = path.read_bytes()
        filed = self.filed(settings, content, range(len(content)), Origin.CLOSED)
        assert filed.filed == {} and len(filed.set_aside) == len(content)
        assert DAMAGE.issuperset(one.reason for one in filed.set_aside)
        assert {one.reason for one in filed.set_aside} >= {Reason.DAMAGED, Reason.NO_PIXELS, Reason.NO_UID}

    @pytest.mark.parametrize("origin", [Origin.OPEN, Origin.CLOSED])
    def test_neither_in_implicit_vr_which_needs_a_dictionary(
        self, settings: Settings, tmp_path: Path, origin: Origin
    ) -> None:
        (path,) = mr_series(
            tmp_path / "implicit",
            study_instance_uid=STUDY,
            series_instance_uid=f"{STUDY}.1",
            images=1,
            transfer_syntax=ImplicitVRLittleEndian,
        )
        content = path.read_bytes()
        lengths = [*range(0, len(content), 13), *range(len(content) - 20, len(content))]
        assert self.filed(settings, content, lengths, origin).filed == {}
        assert self.filed(settings, content, [len(content)], Origin.CLOSED).filed == {(STUDY, f"{STUDY}.1"): 1}

    @pytest.mark.parametrize("origin", [Origin.OPEN, Origin.CLOSED])
    @pytest.mark.parametrize("kind", ["jpeg", "jpeg2000", "rle"])
    def test_a_compressed_one_neither(self, settings: Settings, tmp_path: Path, kind: str, origin: Origin) -> None:
        (path,) = compressed_series(
            tmp_path / kind, kind=kind, study_instance_uid=STUDY, series_instance_uid=f"{STUDY}.1", images=1
        )
        content = path.read_bytes()
        lengths = [*range(0, len(content), 97), *range(len(content) - 40, len(content))]
        assert self.filed(settings, content, lengths, origin).filed == {}
