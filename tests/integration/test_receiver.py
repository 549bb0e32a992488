"""The receiver of one pass, with storescp: what grows, how long it listens on, and that nothing of it is left."""

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from scanner_mover import signals
from scanner_mover.config import Settings
from scanner_mover.dcmtk import processes
from scanner_mover.errors import Ended, UnusableError
from scanner_mover.scanner.left_over import file_left_over
from scanner_mover.scanner.receiver import Receiver
from scanner_mover.site.filing import Filed
from scanner_mover.site.folders import DataFolders, staging_left
from scanner_mover.site.staging import files_in, read_note
from scanner_mover.site.verdict import Reason
from tests.support.classes import store_any
from tests.support.objects import mr_series
from tests.support.ports import LOOPBACK, free_port, is_listening
from tests.support.site import real_tools, wait_until

STUDY = "1.2.826.0.1.3680043.10.1561.78"
SERIES = f"{STUDY}.1"
STRANGE = "1.2.826.0.1.3680043.10.1561.79"


class Place:
    """A receiver, and images to send to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folders = DataFolders(str(folder / "data"))
        self.raw = Path(self.folders.raw)
        self.port = free_port()
        settings = Settings("ABCD", "config.json", "data", LOOPBACK, 104, "SCANNER", "MOVER", self.port)
        self.settings = settings._replace(reserve_bytes=0, receive=True)
        self.log: list[str] = []
        self.tools = real_tools("storescp", "dcmdump")
        self.receiver = self.another()

    def another(self) -> Receiver:
        return Receiver(self.tools, self.settings, self.folders, [STUDY], self.log.append)

    def images(self, number: int, study: str = STUDY, first: int = 1, syntax: str | None = None) -> list[Path]:
        return mr_series(
            self.folder / "images",
            study_instance_uid=study,
            series_instance_uid=f"{study}.1",
            images=number,
            first_instance_number=first,
            transfer_syntax=syntax,
        )

    def send(self, paths: list[Path]) -> None:
        store_any(paths, self.port, "MOVER")

    def here(self) -> list[str]:
        return sorted(path.name for path in self.raw.glob("*/*/*"))

    def left_over(self) -> Filed:
        return file_left_over(self.tools, self.settings, self.folders, [], self.log.append)


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.receiver.end()


class TestLife:
    def test_it_listens_from_the_first_start_to_the_end(self, place):
        receiver = place.receiver
        assert not receiver.running and receiver.growth() == (0, 0)
        assert receiver.file() == receiver.end() == Filed()
        assert not place.raw.exists()
        for _ in range(2):
            receiver.start()
        assert receiver.running and is_listening(place.port)
        assert len(staging_left(place.folders)) == 1
        assert receiver.end() == receiver.end() == Filed()
        assert not receiver.running and not is_listening(place.port)
        assert staging_left(place.folders) == []

    def test_what_came_is_filed_and_what_came_after_is_filed_at_the_end(self, place):
        place.receiver.start()
        place.send(place.images(3))
        assert place.receiver.growth()[0] == 3
        assert place.receiver.file() == Filed({(STUDY, SERIES): 3})
        assert place.receiver.growth() == (0, 0)
        place.send(place.images(2, first=4))
        assert place.receiver.end() == Filed({(STUDY, SERIES): 2})
        assert len(place.here()) == 5

    def test_when_storescp_dies_it_is_started_anew_and_nothing_that_came_is_lost(self, place):
        place.receiver.start()
        place.send(place.images(2))
        os.killpg(place.receiver._listener._child.group, signal.SIGKILL)
        wait_until(lambda: not place.receiver.running)
        place.receiver.start()
        place.send(place.images(1, first=3))
        assert place.receiver.file() == Filed({(STUDY, SERIES): 3})

    def test_when_the_staging_folder_is_removed_it_is_made_anew(self, place):
        place.receiver.start()
        (staging,) = staging_left(place.folders)
        shutil.rmtree(staging)
        assert place.receiver.growth() == (0, 0) and place.receiver.file() == Filed()
        place.receiver.start()
        place.send(place.images(1))
        assert place.receiver.file() == Filed({(STUDY, SERIES): 1})

    def test_a_start_that_fails_leaves_nothing(self, place):
        place.receiver.start()
        other = place.another()
        with pytest.raises(UnusableError, match="another program, perhaps a storage SCP"):
            other.start()
        assert not other.running and len(staging_left(place.folders)) == 1
        other.end()

    def test_R27_a_signal_while_it_starts_leaves_nothing(self, place, monkeypatch):
        for name, value in {"_asked": 0, "_raised": False, "_over": False}.items():
            monkeypatch.setattr(signals, name, value)
        old = signal.signal(signal.SIGTERM, signals._note)
        try:
            timer = threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGTERM))
            with pytest.raises(Ended):
                timer.start()
                while True:
                    place.receiver.start()
                    place.receiver.end()
            timer.join()
        finally:
            signal.signal(signal.SIGTERM, old)
            monkeypatch.undo()
        assert not is_listening(place.port) and staging_left(place.folders) == []


class TestGrowth:
    def test_only_files_of_requested_studies_are_progress(self, place):
        place.receiver.start()
        paths = place.images(2)
        place.send([*paths, *place.images(3, study=STRANGE)])
        (staging,) = staging_left(place.folders)
        files, size = place.receiver.growth()
        assert (files, len(list(Path(staging).glob("[!.]*")))) == (2, 5)
        assert (
            sum(path.stat().st_size for path in paths)
            <= size
            < sum(path.stat().st_size for path in Path(staging).glob("[!.]*"))
        )

    def test_a_file_counts_as_soon_as_its_header_came_and_then_each_byte(self, place):
        place.receiver.start()
        (staging,) = staging_left(place.folders)
        content = place.images(1)[0].read_bytes()
        for length, expected in ((0, (0, 0)), (300, (0, 0)), (5000, (1, 5000)), (6000, (1, 6000))):
            (Path(staging) / "MR.X.1").write_bytes(content[:length])
            assert place.receiver.growth() == expected

    def test_also_one_that_is_deflated(self, place):
        place.receiver.start()
        place.send(place.images(1, syntax=DeflatedExplicitVRLittleEndian))
        assert place.receiver.growth()[0] == 1


class TestListeningOn:
    def test_R41_it_ends_when_nothing_has_grown_for_so_long(self, place):
        place.receiver.start()
        began = time.monotonic()
        assert place.receiver.listen_on(0.5, 60) == Filed()
        assert 0.5 <= time.monotonic() - began < 30

    def test_R41_what_comes_meanwhile_is_filed_and_waited_for(self, place):
        place.receiver.start()
        late = place.images(3)
        senders = [
            threading.Timer(seconds, place.send, [[path]]) for path, seconds in zip(late, (1, 2, 3), strict=True)
        ]
        for sender in senders:
            sender.start()
        assert place.receiver.listen_on(20, 60, lambda: len(place.here()) == 3) == Filed({(STUDY, SERIES): 3})
        assert len(place.here()) == 3

    def test_R41_a_stranger_does_not_keep_it(self, place):
        place.receiver.start()
        over = threading.Event()

        def send() -> None:
            number = 0
            while not over.is_set():
                number += 1
                place.send(place.images(1, study=STRANGE, first=number))

        sender = threading.Thread(target=send)
        sender.start()
        filed = place.receiver.listen_on(2, 3600)
        over.set()
        sender.join()
        assert filed.filed == {} and {one.reason for one in filed.set_aside} == {Reason.NOT_REQUESTED}

    def test_R41_it_ends_at_the_limit_though_something_grows(self, place, monkeypatch):
        place.receiver.start()
        grown = iter(range(10_000))
        monkeypatch.setattr(place.receiver, "growth", lambda: (next(grown), 0))
        began = time.monotonic()
        place.receiver.listen_on(60, 1)
        assert time.monotonic() - began < 30

    def test_a_disk_that_fills_up_ends_it_and_what_came_is_told_at_the_end(self, place):
        place.receiver.start()
        place.send(place.images(1))
        place.receiver._settings = place.settings._replace(reserve_bytes=1 << 60)
        with pytest.raises(UnusableError, match="reserve_bytes"):
            place.receiver.listen_on(5, 5)
        assert place.receiver.end() == Filed({(STUDY, SERIES): 1})


class TestKept:
    def test_what_cannot_be_filed_stays_and_is_judged_once(self, place):
        (path,) = place.images(1)
        in_the_way = place.raw / STUDY / SERIES / path.name
        in_the_way.mkdir(parents=True)
        place.receiver.start()
        place.send([path])
        (kept,) = place.receiver.file().kept
        assert "cannot be written" in kept.text
        assert place.receiver.file() == Filed()
        place.receiver.end()
        (staging,) = staging_left(place.folders)
        assert read_note(staging).closed == {kept.name}
        in_the_way.rmdir()
        assert place.left_over() == Filed({(STUDY, SERIES): 1})
        assert staging_left(place.folders) == []


class TestLeftOver:
    """What a pass that was killed left (R27)."""

    def test_a_storescp_whose_staging_folder_is_gone_is_ended(self, place):
        place.receiver.start()
        group = place.receiver._listener._child.group
        (staging,) = staging_left(place.folders)
        shutil.rmtree(staging)
        place.left_over()
        wait_until(lambda: not place.receiver.running)
        assert subprocess.run(["pgrep", "-g", str(group), "-r", "RSD"], check=False, capture_output=True).stdout == b""
        assert not is_listening(place.port)

    def test_a_pass_that_lives_keeps_its_storescp_and_what_it_receives(self, place):
        """Another project shares `site`, and nothing else keeps the two apart."""
        place.receiver.start()
        (staging,) = staging_left(place.folders)
        place.send(place.images(2))
        group = processes.members(place.receiver._listener._child.group)
        assert group and ".asked.json" not in processes.open_below([one.pid for one in group], staging)
        assert place.left_over() == Filed()
        assert place.receiver.running and is_listening(place.port) and place.here() == []
        assert len(files_in(staging)) == 2 and read_note(staging).requested == {STUDY} and place.log == []
        place.send(place.images(1, first=3))
        assert place.receiver.end() == Filed({(STUDY, SERIES): 3})
        assert staging_left(place.folders) == []

    def test_beside_a_pass_that_lives_what_a_killed_one_left_is_ended_and_filed(self, place):
        port, place.port = place.port, free_port()
        place.settings = place.settings._replace(receive_port=place.port)
        killed = place.another()
        killed.start()
        (left,) = staging_left(place.folders)
        place.send(place.images(1))
        killed._lock.release()  # as the kernel does after a kill -9: storescp has not inherited it
        place.receiver.start()
        assert place.left_over() == Filed({(STUDY, SERIES): 1})
        assert not is_listening(place.port) and is_listening(port) and place.receiver.running
        assert left not in staging_left(place.folders) and len(staging_left(place.folders)) == 1
        killed.end()
