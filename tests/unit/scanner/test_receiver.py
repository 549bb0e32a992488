"""The receiver of one pass as far as it needs no storescp; `tests/integration/test_receiver.py` has the rest."""

import os
import shutil
from pathlib import Path

import pytest

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.errors import UnusableError
from scanner_mover.scanner.left_over import file_left_over
from scanner_mover.scanner.receiver import Receiver
from scanner_mover.site.filing import Filed
from scanner_mover.site.folders import DataFolders, staging_left
from scanner_mover.site.lock import Lock
from scanner_mover.site.staging import Note, make_staging, write_note
from scanner_mover.site.verdict import Reason
from tests.support.classes import private_object
from tests.support.objects import mr_series
from tests.support.ports import LOOPBACK
from tests.support.site import real_tools

STUDY = "1.2.826.0.1.3680043.10.1561.78"
SERIES = f"{STUDY}.1"
STRANGE = "1.2.826.0.1.3680043.10.1561.79"


class Place:
    """A receiver that is not started, and images that came to one before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folders = DataFolders(str(folder / "data"))
        self.raw = Path(self.folders.raw)
        settings = Settings("ABCD", "config.json", "data", LOOPBACK, 104, "SCANNER", "MOVER", 4006)
        self.settings = settings._replace(reserve_bytes=0, receive=True)
        self.log: list[str] = []
        self.tools = real_tools("storescp", "dcmdump")

    def another(self) -> Receiver:
        return Receiver(self.tools, self.settings, self.folders, [STUDY], self.log.append)

    def images(self, number: int, study: str = STUDY) -> list[Path]:
        return mr_series(
            self.folder / "images", study_instance_uid=study, series_instance_uid=f"{study}.1", images=number
        )

    def here(self) -> list[str]:
        return sorted(path.name for path in self.raw.glob("*/*/*"))

    def left_over(self) -> Filed:
        return file_left_over(self.tools, self.settings, self.folders, [], self.log.append)


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def test_before_the_first_start_there_is_nothing(place):
    receiver = place.another()
    assert not receiver.running
    assert receiver.growth() == (0, 0)
    assert receiver.file() == receiver.end() == Filed()
    assert not place.raw.exists() and staging_left(place.folders) == []


def test_free_space_is_looked_at(place):
    place.another().need_room()
    place.settings = place.settings._replace(reserve_bytes=1 << 60)
    with pytest.raises(UnusableError, match=r"reserve_bytes\) are free"):
        place.another().need_room()


class TestLeftOver:
    """What a pass that was killed left (R27)."""

    def leave(self, place, boot: str | None = None) -> Path:
        lock = Lock()
        staging = make_staging(place.folders, [STUDY], lock)
        lock.release()
        write_note(staging, Note(boot or clock.now().boot, frozenset([STUDY])))
        return Path(staging)

    def test_whole_images_of_what_was_requested_then_are_filed(self, place):
        staging = self.leave(place)
        for number, path in enumerate([*place.images(2), *place.images(1, study=STRANGE)]):
            shutil.copyfile(path, staging / f"MR.X.{number}")
        filed = place.left_over()
        assert filed.filed == {(STUDY, SERIES): 2}
        assert [one.reason for one in filed.set_aside] == [Reason.NOT_REQUESTED]
        assert staging_left(place.folders) == []
        assert f"an earlier pass left images in {staging}" in place.log

    def test_what_has_no_pixels_may_be_cut_and_is_set_aside(self, place):
        staging = self.leave(place)
        shutil.copyfile(private_object(staging.parent, STUDY, SERIES), staging / "UNKNOWN.X.1")
        assert [one.reason for one in place.left_over().set_aside] == [Reason.CUT_SHORT]

    def test_after_a_restart_all_is_set_aside(self, place):
        staging = self.leave(place, boot="another")
        shutil.copyfile(place.images(1)[0], staging / "MR.X.1")
        assert [one.reason for one in place.left_over().set_aside] == [Reason.RESTARTED]

    def test_after_a_restart_it_stays_so_for_what_cannot_be_set_aside_yet(self, place, tmp_path):
        staging = self.leave(place, boot="another")
        shutil.copyfile(place.images(1)[0], staging / "MR.X.1")
        Path(place.folders.rejected).symlink_to(tmp_path)
        for _ in range(2):
            filed = place.left_over()
            assert filed.filed == {} and len(filed.kept) == 1
        Path(place.folders.rejected).unlink()
        assert [one.reason for one in place.left_over().set_aside] == [Reason.RESTARTED]

    def test_one_folder_that_cannot_be_judged_does_not_hold_up_the_others(self, place, monkeypatch):
        one, other = sorted([self.leave(place), self.leave(place)])
        shutil.copyfile(place.images(1)[0], other / "MR.X.1")
        real = os.scandir

        def refuse(path):
            if path == str(one):
                raise PermissionError(13, "Permission denied")
            return real(path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(UnusableError, match="cannot be read: Permission denied"):
            place.left_over()
        assert len(place.here()) == 1
