"""Everything that a console may send arrives, whoever else sends at the same time."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import JPEGBaseline8Bit

from tests.integration import invariants
from tests.integration.invariants import Scanner
from tests.integration.scenario import Scenario, Study
from tests.support.classes import NUMBER, data_set_bytes, differences, every_class, private_object, store_any
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import by_study, compressed_series, mr_series, uid
from tests.support.orthanc import Orthanc
from tests.support.ports import LOOPBACK, is_listening
from tests.support.script import Break
from tests.support.scripted import ScriptedScanner
from tests.support.site import wait_until

every_scanner = pytest.mark.parametrize("scanner", [Dcmqrscp, Orthanc, ScriptedScanner], indirect=True)
orthanc = pytest.mark.parametrize("scanner", [Orthanc], indirect=True)
late_orthanc = pytest.mark.parametrize("scanner", ["late Orthanc"], indirect=True)


class LateOrthanc(Orthanc):
    """It answers Success to a C-MOVE at once and sends afterwards."""

    def _options(self) -> dict[str, object]:
        return super()._options() | {"SynchronousCMove": False}


@pytest.fixture
def scanner(request: pytest.FixtureRequest, tmp_path: Path, receive_port: int) -> Iterator[Scanner]:
    """The scanner that the test names, the scripted one where it names none."""
    kind = getattr(request, "param", ScriptedScanner)
    destinations = {"MOVER": receive_port}
    if kind is ScriptedScanner:
        running: Scanner = ScriptedScanner(None, destinations)
    else:
        running = (LateOrthanc if kind == "late Orthanc" else kind)(tmp_path / "scanner", destinations)
    with running:
        yield running


def held(scenario: Scenario, paths: list[Path]) -> Study:
    """These objects are at the scanner; their study is requested and has ended."""
    ((study_uid, series),) = by_study(paths).items()
    study = Study(study_uid, series)
    scanner = scenario.scanner
    if isinstance(scanner, ScriptedScanner):
        scanner.studies[study_uid] = series
    elif isinstance(scanner, Orthanc):
        store_any(paths, scanner.port, scanner.ae_title)
    else:
        scanner.store(paths)
    scenario.site.mpps(study_uid)
    scenario.request(study)
    return study


def in_staging(scenario: Scenario) -> list[Path]:
    return [path for folder in invariants.staging(scenario.site) for path in folder.iterdir() if path.name[0] != "."]


class TestClasses:
    @every_scanner
    def test_objects_of_every_class_arrive_bit_for_bit(self, scenario: Scenario, tmp_path: Path) -> None:
        paths = every_class(tmp_path / "classes", uid())
        assert len(paths) == NUMBER == 21
        study = held(scenario, paths)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        for path in paths:
            filed = scenario.filed(path)
            assert list(differences(path, filed)) == []
            if isinstance(scenario.scanner, ScriptedScanner):  # the others write the data set anew to send it
                assert data_set_bytes(filed) == data_set_bytes(path)

    @orthanc
    @pytest.mark.parametrize("place", [0, 2, 4])
    def test_a_private_object_in_a_series_costs_no_image(self, scenario: Scenario, tmp_path: Path, place: int) -> None:
        study, series = uid(), uid()
        images = mr_series(tmp_path / "images", study_instance_uid=study, series_instance_uid=series, images=4)
        private = private_object(tmp_path / "images", study, series, number=9)
        paths = [*images[:place], private, *images[place:]]
        requested = held(scenario, paths)
        scenario.a_pass()
        assert scenario.where(requested) == "finished-scans"
        assert len(scenario.site.images(study, series)) == 5

    def test_a_lossy_transfer_syntax_is_named_once_for_a_series(self, scenario: Scenario, tmp_path: Path) -> None:
        study = held(
            scenario,
            compressed_series(
                tmp_path / "lossy", kind="jpeg", study_instance_uid=uid(), series_instance_uid=uid(), images=3
            ),
        )
        scenario.a_pass()
        (series,) = study.series
        line = f"{study.uid}/{series}, 3 images arrived in a lossy transfer syntax: JPEG Baseline ({JPEGBaseline8Bit})"
        assert scenario.said("a lossy transfer syntax") == [line]


class TestLate:
    """Scanners that answer Success first and send afterwards (R41)."""

    @late_orthanc
    def test_R41_orthanc_that_answers_first(self, scenario: Scenario) -> None:
        study = scenario.acquire(3, 3)
        for _ in range(2):
            scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R41_a_scanner_that_sends_three_seconds_later(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(4)
        scanner.script.sends_after = 3
        scenario.a_pass()
        assert len(scenario.site.images(study.uid, next(iter(study.series)))) == 4
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scanner.moves) == 1


class TestOthers:
    """Others send, or do not, while we receive."""

    @staticmethod
    @contextlib.contextmanager
    def receiving(scenario: Scenario, scanner: ScriptedScanner, images: int = 6, *more: int) -> Iterator[Study]:
        """A pass that has received half of the images of a study, which has other series with MORE images.

        It goes on at the end of the block, and finishes the study.
        """
        study = scenario.acquire(images, *more)
        scanner.script.hold_after = images // 2
        with scenario.site.moving() as passing:
            wait_until(lambda: scanner.is_held)
            yield study
            scanner.go_on()
            assert passing.wait(120) == 0, scenario.site.log()
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_two_associations_at_once(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        with self.receiving(scenario, scanner, 6, 2) as study:
            _, other = study.series.values()
            store_any(other, scenario.site.receive_port, "MOVER")
        assert all(scenario.filed(path).is_file() for path in study.paths)

    def test_an_idle_stranger_holds_nobody_up(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        with socket.socket() as idle, self.receiving(scenario, scanner):
            idle.connect((LOOPBACK, scenario.site.receive_port))

    def test_a_strangers_images_are_set_aside(
        self, scenario: Scenario, scanner: ScriptedScanner, tmp_path: Path
    ) -> None:
        strange = mr_series(tmp_path / "strange", study_instance_uid=uid(), series_instance_uid=uid(), images=3)
        with self.receiving(scenario, scanner):
            store_any(strange, scenario.site.receive_port, "ANYBODY")
        assert not any(scenario.filed(path).exists() for path in strange)
        assert len(scenario.said("nobody asked for its study")) == 3

    def test_an_image_that_is_here_is_not_replaced(
        self, scenario: Scenario, scanner: ScriptedScanner, tmp_path: Path
    ) -> None:
        study = scenario.acquire(2)
        scenario.a_pass()
        here, missing = map(scenario.filed, study.paths)
        before = here.read_bytes()
        image = pydicom.dcmread(study.paths[0])
        image.PixelData = bytes(len(image.PixelData))
        image.save_as(tmp_path / "forged")
        missing.unlink()
        (scenario.site.data / "finished-scans" / study.uid).unlink()
        scenario.request(study)
        scanner.script.hold_after = 0
        with scenario.site.moving() as passing:
            wait_until(lambda: scanner.is_held)
            store_any([tmp_path / "forged"], scenario.site.receive_port, "MOVER")
            scanner.go_on()
            assert passing.wait(120) == 0
        assert here.read_bytes() == before and missing.is_file()
        assert scenario.said("another image with its UID is here already, and stays")

    def test_a_stranger_keeps_no_hanging_c_move_alive(
        self, scenario: Scenario, scanner: ScriptedScanner, tmp_path: Path
    ) -> None:
        scenario.site.config(retrieve_stall_seconds=5)
        scenario.acquire(2)
        scanner.script.move_silence = 600
        with scenario.site.moving() as passing, sending_without_end(scenario, tmp_path) as sent:
            assert passing.wait(120) == 5
        assert len(sent) > 5, "nothing was sent: the test tests nothing"
        assert scenario.said("failed: ended: no progress for 5 s")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
    def test_a_stranger_does_not_fill_the_disk(
        self, scenario: Scenario, scanner: ScriptedScanner, tmp_path: Path
    ) -> None:
        raw = scenario.site.data / "site"
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(raw)], check=False).returncode:
            pytest.skip("no mounts of our own")
        try:
            scenario.site.config(reserve_bytes=3 << 20, retrieve_stall_seconds=300)
            scenario.acquire(2)
            scanner.script.move_silence = 600
            with scenario.site.moving() as passing, sending_without_end(scenario, tmp_path) as sent:
                assert passing.wait(120) == 4
            assert len(sent) > 5
            disk = os.statvfs(raw)
            assert disk.f_bavail * disk.f_frsize > 2 << 20
            assert scenario.said("(reserve_bytes) are free")
        finally:
            subprocess.run(["umount", str(raw)], check=True)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
    def test_a_disk_that_is_full_is_said_at_once_and_not_blamed_on_the_scanner(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        """As with a quota: the reserve does not see it. storescp answers nothing then, and the C-MOVE would hang."""
        folder = scenario.site.data / "site"
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False).returncode:
            pytest.skip("no mounts of our own")
        try:
            scenario.site.config(reserve_bytes=0, retrieve_stall_seconds=300)
            study = scenario.acquire(3)
            fill = folder / "rejected" / "fill"
            fill.parent.mkdir()
            fill.write_bytes(bytes(1_000_000))
            began = len(scanner.moves)
            done = scenario.a_pass(exit_status=4)
            assert "images cannot be written into" in done.stderr and "No space left on device" in done.stderr
            assert "scanner" not in done.stderr.replace("scanner-mover", "").replace(str(folder), "")
            assert len(scanner.moves) == began, "the console was not bothered"
            fill.unlink()
            scenario.every_pause_is_over()
            scenario.a_pass()
            assert scenario.where(study) == "finished-scans"
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
    def test_what_a_stranger_sends_is_set_aside_from_another_disk_too(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        """`site/raw` is on a disk of its own, and `site/rejected` beside it is not."""
        raw = scenario.site.data / "site" / "raw"
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(raw)], check=False).returncode:
            pytest.skip("no mounts of our own")
        try:
            study, other = scenario.acquire(2), scenario.acquire(1, request=False, mpps=False)
            scanner.script.sends = lambda paths: [*paths, *other.paths]
            scenario.a_pass()
            assert scenario.where(study) == "finished-scans"
            (rejected,) = (scenario.site.data / "site" / "rejected").iterdir()
            assert rejected.name.endswith(other.paths[0].name)
        finally:
            subprocess.run(["umount", str(raw)], check=True)

    def test_200_connections(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        with contextlib.ExitStack() as stack, self.receiving(scenario, scanner):
            for _ in range(200):
                one = stack.enter_context(socket.socket())
                one.settimeout(30)
                one.connect((LOOPBACK, scenario.site.receive_port))
        invariants.check_nothing_runs(scenario.site)

    @pytest.mark.parametrize("how", ["abort", "close", "silence"])
    def test_a_sender_that_vanishes_inside_an_image(
        self, scenario: Scenario, scanner: ScriptedScanner, how: str
    ) -> None:
        scenario.site.config(retrieve_stall_seconds=3)
        study = scenario.acquire(4)
        scanner.script.breaks = Break("inside image", 2, how)  # type: ignore[arg-type]
        done = scenario.site.move()
        scenario.check(done, 5)
        assert len(scenario.site.images(study.uid, next(iter(study.series)))) == 2
        assert not (scenario.site.data / "site" / "rejected").exists()
        scanner.script.breaks = None
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"


class TestHere:
    """What can go wrong on this machine."""

    def test_the_staging_folder_is_removed(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(4, 2)
        scanner.script.hold_after = 2
        with scenario.site.moving() as passing:
            wait_until(lambda: scanner.is_held)
            for folder in invariants.staging(scenario.site):
                shutil.rmtree(folder)
            scanner.script.hold_after = None
            scanner.go_on()
            assert passing.wait(120) == 5
        # The series that came after it was received into a new one.
        assert len(scenario.site.images(study.uid, f"{study.uid}.2")) == 2
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_storescp_is_killed_and_started_anew(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(4, 2)
        scanner.script.hold_after = 2
        with scenario.site.moving() as passing:
            wait_until(lambda: scanner.is_held)
            for process in storescps(scenario):
                os.kill(process, signal.SIGKILL)
            scanner.script.hold_after = None
            scanner.go_on()
            assert passing.wait(120) == 5
        assert len(scenario.site.images(study.uid, f"{study.uid}.2")) == 2
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_the_port_is_taken(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((LOOPBACK, scenario.site.receive_port))
            taken.listen()
            done = scenario.site.move()
        assert done.returncode == 4
        assert f"port {scenario.site.receive_port} (DICOMPORT)" in done.stderr
        assert "another program, perhaps a storage SCP, has it: stop it or set receive to false" in done.stderr
        assert invariants.staging(scenario.site) == []
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_a_pass_that_retrieves_nothing_opens_no_port(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(1, ended=False)
        scenario.a_pass()
        scanner.script.find_silence = 3
        with scenario.site.moving() as passing:
            while passing.poll() is None:
                assert not is_listening(scenario.site.receive_port)
                time.sleep(0.05)
        assert scenario.where(study) == "active-scans"

    def test_R27_children_that_outlive_a_kill_9_are_ended_by_the_next_pass(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(6)
        scanner.script.hold_after, scanner.script.holds_on = 3, True
        with scenario.site.moving() as passing:
            wait_until(lambda: scanner.is_held and len(in_staging(scenario)) >= 3)
            number = len(storescps(scenario))
            passing.send_signal(signal.SIGKILL)
            passing.wait()
            # The kernel ends the one that listens with its parent, a moment later; what serves an association stays.
            wait_until(lambda: len(storescps(scenario)) < number)
        left = storescps(scenario)
        assert left, "nothing outlived it: the test tests nothing"
        scanner.script.hold_after = None
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert not set(left) & set(storescps(scenario))
        assert 6 - len(scanner.moves[-1][2]) >= 3
        scanner.go_on()


@contextlib.contextmanager
def sending_without_end(scenario: Scenario, folder: Path) -> Iterator[list[str]]:
    """A stranger sends image after image while the block runs and somebody takes them; gives what was sent."""
    sent: list[str] = []
    over = threading.Event()
    study, series = uid(), uid()

    def send() -> None:
        while not over.is_set():
            number = len(sent) + 1
            (path,) = mr_series(
                folder / "strange",
                study_instance_uid=study,
                series_instance_uid=series,
                images=1,
                first_instance_number=number,
            )
            try:
                store_any([path], scenario.site.receive_port, "ANYBODY")
                sent.append(path.name)
            except (RuntimeError, ValueError):  # nobody listens, or not any more
                time.sleep(0.05)

    stranger = threading.Thread(target=send)
    stranger.start()
    try:
        yield sent
    finally:
        over.set()
        stranger.join()


def storescps(scenario: Scenario) -> list[int]:
    """The storescp processes that receive for this site."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = process.joinpath("cmdline").read_bytes()
            if b"storescp\0" in words and os.fsencode(scenario.site.data) in words:
                found.append(int(process.name))
    return found
