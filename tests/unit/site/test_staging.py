"""What becomes of files that storescp wrote: filed, set aside, removed, or left where they are."""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

import scanner_mover.site.staging
from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.errors import UnusableError
from scanner_mover.site import header
from scanner_mover.site.filing import Filed, Kept, need_place
from scanner_mover.site.folders import DataFolders, staging_left
from scanner_mover.site.lock import Lock
from scanner_mover.site.staging import (
    Note,
    Sorter,
    files_in,
    hold,
    is_staging,
    make_staging,
    read_note,
    remove_staging,
    write_note,
)
from scanner_mover.site.verdict import DAMAGE, Origin, Reason
from tests.support.classes import every_class, private_object
from tests.support.objects import compressed_series, ct_series, dumped_series, mr_series
from tests.support.site import real_tools

STUDY = "1.2.826.0.1.3680043.10.1561.77"
SERIES = f"{STUDY}.1"
NAME = "MR.X.1.2.3"


class Place:
    """A site's data folder, a staging folder, and what is sorted out of it."""

    def __init__(self, folder: Path, stock: Path) -> None:
        self.data = folder / "data"
        self.folders = DataFolders(str(self.data))
        self.raw, self.rejected = self.data / "site" / "raw", self.data / "site" / "rejected"
        self.raw.mkdir(parents=True)
        self.settings = Settings("ABCD", "config.json", str(self.data), "scanner", 104, "SCANNER", "MOVER", 4006)
        self.staging = Path(make_staging(self.folders, [STUDY], Lock()))
        self._images = folder / "images"
        self._stock = stock

    def images(self, number: int, *, study: str = STUDY, series: str = SERIES) -> list[Path]:
        """Images that are this test's own; all tests have the same."""
        stock = self._stock / f"{study} {series} {number}"
        if not stock.exists():
            dumped_series(stock, study_instance_uid=study, series_instance_uid=series, images=number)
        (self._images / series).mkdir(parents=True, exist_ok=True)
        return [
            Path(shutil.copyfile(path, self._images / series / path.name))
            for path in (stock / f"{series}.{one}" for one in range(1, number + 1))
        ]

    def receive(self, path: Path, name: str = NAME) -> Path:
        return Path(shutil.copyfile(path, self.staging / name))

    def sort(self, origin: Origin = Origin.CLOSED, **more: Any) -> Filed:
        sorter = Sorter(real_tools("dcmdump"), self.settings, self.folders, [STUDY])
        return sorter.sort(str(self.staging), files_in(str(self.staging)), lambda name: origin, **more)

    def filed(self, path: Path) -> Path:
        image = pydicom.dcmread(path, stop_before_pixels=True)
        return self.raw / image.StudyInstanceUID / image.SeriesInstanceUID / image.SOPInstanceUID

    def reasons(self, origin: Origin = Origin.CLOSED) -> list[Reason]:
        return [one.reason for one in self.sort(origin).set_aside]

    def left(self) -> list[str]:
        return files_in(str(self.staging))


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where images are made that a test copies."""
    return tmp_path_factory.mktemp("stock")


@pytest.fixture
def place(tmp_path: Path, stock: Path) -> Place:
    return Place(tmp_path, stock)


class TestFolder:
    def test_it_is_fresh_private_and_says_what_a_later_pass_must_know(self, place):
        assert stat.S_IMODE(place.staging.stat().st_mode) == 0o700
        assert place.staging.parent == place.data / "site"
        assert read_note(str(place.staging)) == Note(clock.now().boot, frozenset([STUDY]))
        assert staging_left(place.folders) == [str(place.staging)]
        assert make_staging(place.folders, [], Lock()) != str(place.staging)
        assert place.left() == []

    def test_it_is_on_the_file_system_of_raw(self, place, monkeypatch):
        real = os.stat

        def other_disk(path, **more):
            status = real(path, **more)
            if path != place.folders.site:
                return status
            return os.stat_result((*status[:2], status.st_dev + 1, *status[3:]))

        monkeypatch.setattr(os, "stat", other_disk)
        assert Path(make_staging(place.folders, [], Lock())).parent == place.raw

    def test_it_is_held_until_the_lock_is_released_and_by_one_only(self, place):
        ours, theirs = Lock(), Lock()
        staging = make_staging(place.folders, [STUDY], ours)
        assert not hold(staging, theirs)
        write_note(staging, Note("boot", frozenset([STUDY])))
        assert not hold(staging, theirs)
        ours.release()
        assert hold(staging, theirs) and not hold(staging, ours)

    def test_where_nothing_can_be_locked_it_is_made_all_the_same(self, place, monkeypatch):
        def refuse(descriptor, operation):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        staging = make_staging(place.folders, [STUDY], Lock())
        assert hold(staging, Lock()) and read_note(staging).requested == {STUDY}

    @pytest.mark.parametrize("when", ["it is judged", "it was removed"])
    def test_one_that_another_pass_took_for_left_over_is_made_anew(self, place, monkeypatch, when):
        real, made, other = tempfile.mkdtemp, [], Lock()

        def make(**more):
            made.append(real(**more))
            if len(made) == 1:
                assert hold(made[0], other)
                if when == "it was removed":
                    remove_staging(made[0])
            return made[-1]

        monkeypatch.setattr(tempfile, "mkdtemp", make)
        assert [make_staging(place.folders, [STUDY], Lock())] == made[1:]

    def test_one_that_cannot_be_made(self, tmp_path):
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "site").touch()
        with pytest.raises(UnusableError, match="no folder to receive into can be made"):
            make_staging(DataFolders(str(tmp_path / "data")), [], Lock())

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"boot": 1}', b"\xff", b"[" * 100_000, None])
    def test_a_note_that_cannot_be_read_says_nothing(self, place, content):
        note = place.staging / ".asked.json"
        note.unlink()
        note.write_bytes(content) if content is not None else os.mkfifo(note)
        assert read_note(str(place.staging)) == Note()

    def test_it_is_removed_when_nothing_is_left_in_it(self, place):
        place.receive(place.images(1)[0])
        remove_staging(str(place.staging))
        assert place.staging.is_dir() and read_note(str(place.staging)).requested
        place.sort()
        remove_staging(str(place.staging))
        assert not place.staging.exists()
        remove_staging(str(place.staging))
        assert files_in(str(place.staging)) == []

    def test_a_path_of_one_is_known_also_when_it_is_gone(self, place, tmp_path):
        is_ours = is_staging(place.folders)
        assert is_ours(str(place.staging))
        remove_staging(str(place.staging))
        assert is_ours(str(place.staging)) and is_ours(str(place.raw / place.staging.name))
        assert not is_ours(str(tmp_path / place.staging.name)) and not is_ours("4006")
        (tmp_path / "link").symlink_to(place.data)
        assert is_ours(str(tmp_path / "link" / "site" / place.staging.name))


class TestFiled:
    def test_whole_images_get_their_place_and_are_counted(self, place):
        paths = [*place.images(3), *place.images(2, series=f"{STUDY}.2")]
        for number, path in enumerate(paths):
            place.receive(path, f"MR.X.{number}")
        filed = place.sort()
        assert filed == Filed({(STUDY, SERIES): 3, (STUDY, f"{STUDY}.2"): 2})
        assert [place.filed(path).read_bytes() for path in paths] == [path.read_bytes() for path in paths]
        assert place.left() == []

    def test_an_object_of_any_class_and_any_syntax(self, place, tmp_path):
        paths = every_class(tmp_path / "classes", STUDY)
        for number, syntax in enumerate((ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)):
            series = f"{STUDY}.9{number}"
            paths += mr_series(
                tmp_path / series,
                study_instance_uid=STUDY,
                series_instance_uid=series,
                images=1,
                transfer_syntax=syntax,
            )
        for number, path in enumerate(paths):
            place.receive(path, f"UNKNOWN.X.{number}")
        filed = place.sort()
        assert sum(filed.filed.values()) == len(paths) == 24
        assert filed.set_aside == filed.kept == ()
        assert [(one.name, one.images) for one in filed.lossy] == [("JPEG Baseline", 1)]

    def test_content_is_on_the_disk_before_any_name(self, place, monkeypatch):
        seen: list[list[str]] = []
        monkeypatch.setattr(
            scanner_mover.site.staging, "sync_file_system", lambda folder: seen.append(os.listdir(place.raw))
        )
        for number, path in enumerate(place.images(2)):
            place.receive(path, f"MR.X.{number}")
        place.sort()
        assert seen == [[]]

    def test_a_disk_that_fails_leaves_all_where_it_is(self, place, monkeypatch):
        def fail(folder):
            raise UnusableError("the content cannot be brought to the disk")

        monkeypatch.setattr(scanner_mover.site.staging, "sync_file_system", fail)
        place.receive(place.images(1)[0])
        with pytest.raises(UnusableError):
            place.sort()
        assert place.left() == [NAME] and os.listdir(place.raw) == []

    @pytest.mark.parametrize("umask", [0o022, 0o077])
    def test_rights_that_are_set(self, place, umask):
        place.settings = place.settings._replace(file_mode=0o640, directory_mode=0o2750)
        path = place.images(1)[0]
        old = os.umask(umask)
        try:
            place.receive(path)
            place.sort()
        finally:
            os.umask(old)
        image = place.filed(path)
        modes = [stat.S_IMODE(one.stat().st_mode) for one in (image, image.parent, image.parent.parent)]
        assert modes == [0o640, 0o2750, 0o2750]

    def test_a_part_that_storescp_removes_meanwhile_is_nothing(self, place, monkeypatch):
        (path,) = place.images(1)
        received = place.receive(path)
        monkeypatch.setattr(scanner_mover.site.staging, "sync_file_system", lambda folder: received.unlink())
        assert place.sort() == Filed()

    def test_both_together(self):
        one = Filed({("1", "2"): 3}, kept=(Kept("a", "why", None, None),))
        two = Filed({("1", "2"): 1, ("1", "3"): 1}, kept=(Kept("a", "why now", None, None),), removed=("b",))
        assert one + two == Filed(
            {("1", "2"): 4, ("1", "3"): 1}, kept=(Kept("a", "why now", None, None),), removed=("b",)
        )


class TestSameImage:
    def changed(self, path: Path, to: Path) -> Path:
        image = pydicom.dcmread(path)
        image.PixelData = bytes(len(image.PixelData))
        image.save_as(to)
        return to

    def test_identical_files_are_one(self, place):
        (path,) = place.images(1)
        for number in range(3):
            place.receive(path, f"MR.X.{number}")
        assert place.sort() == Filed({(STUDY, SERIES): 1})
        place.receive(path)
        assert place.sort() == Filed()
        assert place.left() == [] and not place.rejected.exists()

    def test_of_different_ones_the_first_stays(self, place, tmp_path):
        (path,) = place.images(1)
        os.utime(place.receive(path, "MR.X.2"), (1, 1))
        os.utime(place.receive(self.changed(path, tmp_path / "changed"), "MR.X.1"), (2, 2))
        filed = place.sort()
        assert filed.filed == {(STUDY, SERIES): 1}
        assert [one.reason for one in filed.set_aside] == [Reason.DIFFERS]
        assert place.filed(path).read_bytes() == path.read_bytes()
        assert DAMAGE.isdisjoint(one.reason for one in filed.set_aside)

    @pytest.mark.parametrize("kind", ["file", "link"])
    def test_what_is_in_raw_is_never_replaced(self, place, tmp_path, kind):
        (path,) = place.images(1)
        here = place.filed(path)
        here.parent.mkdir(parents=True)
        if kind == "file":
            here.write_bytes(b"anonymized")
        else:
            (tmp_path / "archive").write_bytes(b"anonymized")
            here.symlink_to(tmp_path / "archive")
        place.receive(path)
        (aside,) = place.sort().set_aside
        assert (aside.reason, Path(aside.path)) == (Reason.DIFFERS, place.rejected / f"MR.{path.name}")
        assert (aside.study_instance_uid, aside.sop_instance_uid) == (STUDY, path.name)
        assert here.read_bytes() == b"anonymized"
        assert Path(aside.path).read_bytes() == path.read_bytes()

    def test_R13_a_file_of_0_bytes_is_no_image(self, place):
        (path,) = place.images(1)
        here = place.filed(path)
        here.parent.mkdir(parents=True)
        here.touch()
        place.receive(path)
        assert place.sort().filed == {(STUDY, SERIES): 1}
        assert here.read_bytes() == path.read_bytes()

    def test_R13_a_link_that_leads_nowhere_is_no_image(self, place, tmp_path):
        (path,) = place.images(1)
        here = place.filed(path)
        here.parent.mkdir(parents=True)
        here.symlink_to(tmp_path / "nowhere")
        place.receive(path)
        assert place.sort().filed == {(STUDY, SERIES): 1}
        assert not here.is_symlink() and not (tmp_path / "nowhere").exists()

    @pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP])
    def test_a_file_system_without_hard_links_replaces_nothing_either(self, place, monkeypatch, error):
        def refuse(*arguments, **more):
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(os, "link", refuse)
        one, other = place.images(2)
        place.filed(one).parent.mkdir(parents=True)
        place.filed(one).write_bytes(b"here")
        place.receive(one, "MR.X.1")
        place.receive(other, "MR.X.2")
        filed = place.sort()
        assert filed.filed == {(STUDY, SERIES): 1}
        assert place.filed(one).read_bytes() == b"here"
        assert place.filed(other).read_bytes() == other.read_bytes()
        assert [one.reason for one in filed.set_aside] == [Reason.DIFFERS]


class TestWholeOrNot:
    def test_an_image_that_is_cut_is_never_filed(self, place):
        """Some cuts; `tests/integration/test_filing.py` has all."""
        (path,) = place.images(1)
        content = path.read_bytes()
        lengths = [*range(0, len(content), 173), *range(len(content) - 10, len(content))]
        for length in lengths:
            (place.staging / f"MR.X.{length}").write_bytes(content[:length])
        filed = place.sort()
        assert filed.filed == {} and len(filed.set_aside) == len(lengths)
        assert DAMAGE.issuperset(one.reason for one in filed.set_aside)
        assert Reason.DAMAGED in {one.reason for one in filed.set_aside}

    def test_neither_in_implicit_vr_which_needs_a_dictionary(self, place, tmp_path):
        (path,) = mr_series(
            tmp_path / "implicit",
            study_instance_uid=STUDY,
            series_instance_uid=SERIES,
            images=1,
            transfer_syntax=ImplicitVRLittleEndian,
        )
        content = path.read_bytes()
        for length in [*range(0, len(content), 211), *range(len(content) - 10, len(content))]:
            (place.staging / f"MR.X.{length}").write_bytes(content[:length])
        for origin in (Origin.OPEN, Origin.CLOSED):
            assert place.sort(origin).filed == {}
        place.receive(path)
        assert place.sort().filed == {(STUDY, SERIES): 1}

    @pytest.mark.parametrize("kind", ["jpeg", "jpeg2000", "rle"])
    def test_a_compressed_one_neither(self, place, tmp_path, kind):
        (path,) = compressed_series(
            tmp_path / kind, kind=kind, study_instance_uid=STUDY, series_instance_uid=SERIES, images=1
        )
        content = path.read_bytes()
        lengths = [*range(0, len(content), 431), *range(len(content) - 10, len(content))]
        for length in lengths:
            (place.staging / f"MR.X.{length}").write_bytes(content[:length])
        for origin in (Origin.OPEN, Origin.CLOSED):
            assert place.sort(origin).filed == {}

    def test_damaged_files_are_told_with_what_their_beginning_says(self, place):
        (path,) = place.images(1)
        place.receive(path)
        os.truncate(place.staging / NAME, path.stat().st_size - 1)
        (aside,) = place.sort().set_aside
        assert aside.reason is Reason.DAMAGED and aside.text.startswith("it is not whole: ")
        assert (aside.study_instance_uid, aside.series_instance_uid) == (STUDY, SERIES)
        assert Path(aside.path).name == f"MR.{path.name}"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda image: setattr(image, "SOPInstanceUID", "1.2..3"), Reason.NO_UID),
            (lambda image: delattr(image, "StudyInstanceUID"), Reason.NO_UID),
            (lambda image: setattr(image, "SeriesInstanceUID", "../../evil"), Reason.NO_UID),
            (lambda image: setattr(image, "SOPInstanceUID", "1.2.3.4"), Reason.ANNOUNCED_OTHERWISE),
            (lambda image: setattr(image, "SOPClassUID", UID("1.2.840.10008.5.1.4.1.1.2")), Reason.ANNOUNCED_OTHERWISE),
            (lambda image: delattr(image, "SOPClassUID"), Reason.ANNOUNCED_OTHERWISE),
            (lambda image: delattr(image, "PixelData"), Reason.NO_PIXELS),
            (lambda image: setattr(image, "PixelData", b""), Reason.NO_PIXELS),
            (lambda image: setattr(image, "StudyInstanceUID", f"{STUDY}.1"), Reason.NOT_REQUESTED),
            (lambda image: setattr(image, "StudyInstanceUID", STUDY[:-1]), Reason.NOT_REQUESTED),
        ],
    )
    def test_what_is_not_what_it_claims_to_be_is_set_aside(
        self, place, tmp_path, change: Callable[[pydicom.Dataset], None], reason
    ):
        image = pydicom.dcmread(place.images(1)[0])
        with warnings.catch_warnings(action="ignore"):  # of pydicom, about a UID that is none
            change(image)
            image.save_as(place.staging / NAME)
        assert place.reasons() == [reason]
        assert place.left() == [] and os.listdir(place.raw) == []

    def test_a_file_that_no_dcmdump_reads_is_kept_under_a_name_of_its_content(self, place):
        for name in ("MR.X.1", "MR.X.2"):
            (place.staging / name).write_bytes(b"no DICOM at all")
        (place.staging / "CT.X.3").write_bytes(b"nor this")
        filed = place.sort()
        assert len(filed.set_aside) == 3 and len(list(place.rejected.iterdir())) == 2

    def test_other_content_under_one_uid_gets_a_number(self, place):
        (path,) = place.images(1)
        for cut in (1, 2, 3):
            os.truncate(place.receive(path, f"MR.X.{cut}"), path.stat().st_size - cut)
        place.sort()
        assert sorted(one.name for one in place.rejected.iterdir()) == [
            f"MR.{path.name}",
            f"MR.{path.name}.1",
            f"MR.{path.name}.2",
        ]


class TestOrigin:
    """How a file was written counts where a cut between two elements leaves no trace."""

    def cut_between_elements(self, place, tmp_path: Path) -> Path:
        """A private object without its last elements: as whole as any, dcmdump says."""
        image = pydicom.dcmread(private_object(tmp_path, STUDY, SERIES))
        for element in [one for one in image if one.tag.group == 0x7FE1]:
            del image[element.tag]
        image.save_as(place.staging / NAME)
        return place.staging / NAME

    def test_R27_one_that_our_end_cut_short_is_removed(self, place):
        whole, cut = place.images(2)
        place.receive(whole, "MR.X.1")
        os.truncate(place.receive(cut, "MR.X.2"), 600)
        filed = place.sort(Origin.OPEN)
        assert filed == Filed({(STUDY, SERIES): 1}, removed=("MR.X.2",))
        assert place.left() == [] and not place.rejected.exists()

    @pytest.mark.parametrize("origin", [Origin.OPEN, Origin.INTERRUPTED])
    def test_of_what_may_be_cut_only_images_with_pixels_are_filed(self, place, tmp_path, origin):
        place.receive(place.images(1)[0], "MR.X.1")
        self.cut_between_elements(place, tmp_path)
        filed = place.sort(origin)
        assert filed.filed == {(STUDY, SERIES): 1}
        assert [one.reason for one in filed.set_aside] == [Reason.CUT_SHORT]

    def test_what_storescp_closed_is_whole(self, place, tmp_path):
        place.receive(private_object(tmp_path, STUDY, SERIES))
        assert place.sort().filed == {(STUDY, SERIES): 1}

    def test_after_a_restart_of_the_machine_nothing_is_filed(self, place):
        one, other = place.images(2)
        place.receive(one, "MR.X.1")
        os.truncate(place.receive(other, "MR.X.2"), 600)
        filed = place.sort(Origin.BEFORE_RESTART)
        assert sorted(one.reason.name for one in filed.set_aside) == ["DAMAGED", "RESTARTED"]
        assert filed.filed == {} and filed.removed == ()


class TestLinks:
    """Issue 11: whoever may write below site/raw must not lead us elsewhere."""

    @pytest.mark.parametrize("where", ["study", "series"])
    def test_one_below_raw_is_refused_and_the_file_stays(self, place, tmp_path, where):
        (path,) = place.images(1)
        folder = place.filed(path).parent
        link = folder if where == "series" else folder.parent
        link.parent.mkdir(exist_ok=True)
        (tmp_path / "elsewhere").mkdir()
        link.symlink_to(tmp_path / "elsewhere")
        place.receive(path)
        (kept,) = place.sort().kept
        assert "it is a link, which is not followed" in kept.text
        assert (kept.name, kept.study_instance_uid) == (NAME, STUDY)
        assert place.left() == [NAME] and os.listdir(tmp_path / "elsewhere") == []
        with pytest.raises(UnusableError, match=f"it is a link, which is not followed; make {link.name} a folder"):
            need_place(place.settings, place.folders, STUDY, SERIES)
        link.unlink()
        assert place.sort().filed == {(STUDY, SERIES): 1}

    def test_one_in_the_place_of_rejected_is_refused(self, place, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        place.rejected.symlink_to(tmp_path / "elsewhere")
        place.receive(place.images(1, study="1.2.3")[0])
        (kept,) = place.sort().kept
        assert "rejected cannot be written: it is a link, which is not followed" in kept.text
        assert os.listdir(tmp_path / "elsewhere") == []

    def test_raw_itself_may_be_one(self, place, tmp_path):
        place.raw.rmdir()
        (tmp_path / "other disk").mkdir()
        place.raw.symlink_to(tmp_path / "other disk")
        (path,) = place.images(1)
        place.receive(path)
        assert place.sort().filed == {(STUDY, SERIES): 1}
        assert (tmp_path / "other disk" / STUDY / SERIES / path.name).is_file()

    def test_a_link_in_staging_is_no_file(self, place, tmp_path):
        (place.staging / NAME).symlink_to(place.images(1)[0])
        assert place.left() == []

    @pytest.mark.parametrize("kind", ["folder", "fifo"])
    def test_something_else_in_the_place_of_an_image_stops_only_that(self, place, kind):
        one, other = place.images(2)
        place.filed(one).parent.mkdir(parents=True)
        place.filed(one).mkdir() if kind == "folder" else os.mkfifo(place.filed(one))
        place.receive(one, "MR.X.1")
        place.receive(other, "MR.X.2")
        filed = place.sort()
        assert filed.filed == {(STUDY, SERIES): 1}
        assert [one.name for one in filed.kept] == ["MR.X.1"] == place.left()


class TestRejected:
    """What is set aside is for nobody who may not see site/raw."""

    def modes(self, place) -> tuple[int, int]:
        (path,) = place.rejected.iterdir()
        return stat.S_IMODE(place.rejected.stat().st_mode), stat.S_IMODE(path.stat().st_mode)

    def set_one_aside(self, place) -> None:
        place.receive(place.images(1, study="1.2.3")[0])
        assert place.reasons() == [Reason.NOT_REQUESTED]

    @pytest.mark.parametrize(
        ("raw", "options", "folder", "file"),
        [
            (0o755, {}, 0o755, 0o644),
            (0o750, {}, 0o750, 0o640),
            (0o700, {}, 0o700, 0o600),
            (0o2770, {"file_mode": 0o664}, 0o2770, 0o660),
            (0o755, {"directory_mode": 0o750, "file_mode": 0o640}, 0o750, 0o640),
            (0o750, {"directory_mode": 0o755, "file_mode": 0o666}, 0o750, 0o640),
        ],
    )
    def test_it_has_the_rights_of_raw_and_never_more(self, place, raw, options, folder, file):
        place.raw.chmod(raw)
        place.settings = place.settings._replace(**options)
        old = os.umask(0o022)
        try:
            self.set_one_aside(place)
        finally:
            os.umask(old)
        assert self.modes(place) == (folder, file)

    def test_one_that_is_there_with_more_rights_loses_them(self, place):
        place.rejected.mkdir()
        place.rejected.chmod(0o777)
        place.raw.chmod(0o750)
        self.set_one_aside(place)
        assert self.modes(place) == (0o750, 0o640)

    def test_one_that_is_there_with_less_keeps_that(self, place):
        place.rejected.mkdir()
        place.rejected.chmod(0o700)
        self.set_one_aside(place)
        assert self.modes(place) == (0o700, 0o600)


class TestNeedPlace:
    def test_the_folders_are_made(self, place):
        need_place(place.settings, place.folders, STUDY, SERIES)
        assert (place.raw / STUDY / SERIES).is_dir()

    def test_a_file_in_the_way(self, place):
        (place.raw / STUDY).touch()
        with pytest.raises(UnusableError, match="cannot be made"):
            need_place(place.settings, place.folders, STUDY, SERIES)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may give files to any group")
    def test_a_group_that_we_are_no_member_of(self, place):
        place.settings = place.settings._replace(group=0)
        with pytest.raises(UnusableError, match="our user is not a member of it"):
            need_place(place.settings, place.folders, STUDY, SERIES)


class TestHeader:
    @pytest.mark.parametrize(
        "syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
    )
    def test_the_study_is_found_in_the_beginning_of_a_file(self, tmp_path, syntax):
        (path,) = mr_series(
            tmp_path, study_instance_uid=STUDY, series_instance_uid=SERIES, images=1, transfer_syntax=syntax
        )
        found = header.search(path.read_bytes()[:4000])
        assert (found.study_instance_uids[-1], found.series_instance_uids[-1]) == (STUDY, SERIES)
        assert found.sop_instance_uid == path.name

    @pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"1.2.840.10008.1.2.1.99" * 200, bytes(range(256)) * 40])
    def test_nothing_in_what_is_no_header(self, content):
        assert header.search(content) == (None, (), ())

    def test_another_class_of_images(self, tmp_path):
        (path,) = ct_series(tmp_path, study_instance_uid="1.2.3", series_instance_uid="1.2.3.4", images=1)
        assert header.search(path.read_bytes()).study_instance_uids == ("1.2.3",)


def test_the_note_of_a_folder_in_which_files_stay(place):
    note = Note("boot", frozenset([STUDY]), frozenset([NAME]))
    write_note(str(place.staging), note)
    assert read_note(str(place.staging)) == note


@pytest.mark.parametrize(
    ("reported", "reasons"),
    [({}, []), ({"1.2.3": ()}, []), ({STUDY: {SERIES}}, []), ({STUDY: {"1.2"}}, [Reason.OTHER_SERIES])],
)
def test_R29_an_image_of_a_series_that_is_not_listed_is_set_aside(place, reported, reasons):
    """Only where the list of the study is known."""
    place.receive(place.images(1)[0])
    done = place.sort(reported=reported)
    assert [one.reason for one in done.set_aside] == reasons
    assert sum(done.filed.values()) == 1 - len(reasons) and place.left() == []
