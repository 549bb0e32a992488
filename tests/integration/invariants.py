"""What holds after every pass, whatever happened in it."""

import os
from collections.abc import Iterable
from pathlib import Path

import pydicom
from pydicom.uid import UID

from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import PATIENT_ID, PATIENT_NAME
from tests.support.orthanc import Orthanc
from tests.support.receiver import whole_image
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site, flock

Scanner = Dcmqrscp | Orthanc | ScriptedScanner

# What a test has in a hostile text, so that whatever is made of it anywhere is found.
EVIL = "evil"

FOLDERS = ("active-scans", "finished-scans", "failed-scans")


def check(site: Site, scanner: Scanner, requested: Iterable[str]) -> None:
    """All of them; `requested` are the StudyInstanceUIDs that were ever requested at `site`."""
    for study_instance_uid in requested:
        check_request(site, scanner, study_instance_uid)
    check_images(site, scanner)
    check_places(site)
    check_no_patient(site)
    check_nothing_runs(site)
    check_nothing_left(site)


def check_request(site: Site, scanner: Scanner, study_instance_uid: str) -> None:
    """A request is in exactly one folder, and in finished-scans only when everything is here and has ended."""
    where = [name for name in FOLDERS if study_instance_uid in map(os.path.basename, site.requests_in(name))]
    assert len(where) == 1, f"the request for {study_instance_uid} is in {where}"
    if where == ["finished-scans"]:
        assert_study_is_here(site, scanner, study_instance_uid)
        assert has_ended(site, study_instance_uid), f"{study_instance_uid} was closed while its procedure runs"


def assert_study_is_here(site: Site, scanner: Scanner, study_instance_uid: str) -> None:
    """Every image that the scanner has of the study lies in site/raw: the same pixel data, transfer syntax and UIDs."""
    paths = images_of(scanner, study_instance_uid)
    assert paths, f"the scanner has no image of {study_instance_uid}"
    for path in paths:
        held = pydicom.dcmread(path)
        filed = site.series(study_instance_uid, str(held.SeriesInstanceUID)) / str(held.SOPInstanceUID)
        assert filed.is_file(), f"{filed} is not here"
        image = pydicom.dcmread(filed)
        assert image.get("PixelData") == held.get("PixelData"), f"{filed} has other pixels"
        assert image.file_meta.TransferSyntaxUID == held.file_meta.TransferSyntaxUID, f"{filed} was converted"


def images_of(scanner: Scanner, study_instance_uid: str) -> list[Path]:
    """The files that the scanner has of the study."""
    if isinstance(scanner, ScriptedScanner):
        paths = [path for series in scanner.studies.values() for images in series.values() for path in images]
    else:
        paths = list(scanner.images().values())
    return [path for path in paths if _study_of(path) == study_instance_uid]


def has_ended(site: Site, study_instance_uid: str) -> bool:
    """Whether there are MPPS files of the study and all of them have an end time, as pydicom reads them."""
    ended = []
    for path in (site.data / "scanner").iterdir():
        step = pydicom.dcmread(path)
        uids = [item.get("StudyInstanceUID") for item in step.get("ScheduledStepAttributesSequence", [])]
        if study_instance_uid in [step.get("StudyInstanceUID"), *uids]:
            ended.append(bool(step.get("PerformedProcedureStepEndTime")))
    return bool(ended) and all(ended)


def check_images(site: Site, scanner: Scanner | None) -> None:
    """Everything in site/raw is a whole image that lies under its own UIDs, with the pixels that the scanner has.

    None: there is no scanner any more to compare with.
    """
    raw = site.data / "site" / "raw"
    held = {} if scanner is None else _pixels(scanner)
    for path in raw.rglob("*"):
        if path.is_dir():
            continue
        image = whole_image(path)
        assert image is not None, f"{path} is not whole"
        if "PixelData" in image and not UID(str(image.file_meta.TransferSyntaxUID)).is_encapsulated:
            pixels = int(image.Rows) * int(image.Columns) * int(image.SamplesPerPixel)
            pixels *= int(image.get("NumberOfFrames", 1))
            assert len(image.PixelData) == pixels * int(image.BitsAllocated) // 8, path
        own = (image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID)
        assert path.relative_to(raw).parts == tuple(map(str, own))
        pixels_held = held.get(str(image.SOPInstanceUID))
        assert pixels_held is None or image.get("PixelData") == pixels_held, (
            f"{path} has other pixels than the scanner's"
        )


def check_places(site: Site) -> None:
    """Nothing lies in DATADIR or SERVERDIR, or above them, where nothing belongs."""
    unknown = _names(site.data) - {"config", "scanner", "site", *FOLDERS}
    assert not unknown, unknown
    assert _names(site.data / "site") <= {"raw", "rejected"}
    assert _names(site.server) <= {"logs", ".pids"}
    rejected = site.data / "site" / "rejected"
    assert not rejected.exists() or all(path.is_file() for path in rejected.iterdir()), "a folder was set aside"
    # Where names with `..` in them would lead from DATADIR, and relative ones from where we are.
    for folder in (Path.cwd(), *site.data.parents):
        made = [name for name in _names(folder) if EVIL in name]
        assert not made, f"{made} in {folder}"


def check_no_patient(site: Site) -> None:
    """No name and no ID of a patient stands in a file of SERVERDIR: the logs, the state, what is kept beside it."""
    for path in site.server.rglob("*"):
        if path.is_file():
            assert_no_patient(path.read_text(encoding="utf-8", errors="replace"))


def assert_no_patient(text: str) -> None:
    """The patient of the tests' objects, whole or a part of the name, is not in the text."""
    for patient in (PATIENT_NAME, PATIENT_ID, *PATIENT_NAME.split("^")[1:]):
        assert patient not in text, f"{patient} is told"


def check_nothing_runs(site: Site) -> None:
    """No process of a pass lives, and nobody holds a lock."""
    assert processes_of(site) == []
    for path in (site.lock_file, site.data / "active-scans"):
        assert flock(path) == 0, f"{path} is still locked"


def processes_of(site: Site) -> list[str]:
    """The command lines of all processes that got the environment of a run at `site`: the mover and its children."""
    mark = os.fsencode(f"SERVERDIR={site.environment['SERVERDIR']}")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in process.joinpath("environ").read_bytes().split(b"\0"):
                found.append(process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # it ended meanwhile, or is no child of ours
            continue
    return found


def check_nothing_left(site: Site) -> None:
    """No staging folder, no working folder, no temporary file."""
    assert staging(site) == []
    assert work_folders(site) == []
    temporary = Path(site.environment["TMPDIR"])
    assert list(temporary.iterdir()) == []


def staging(site: Site) -> list[Path]:
    """The private folders into which movescu receives."""
    name = ".moveFromScanner.staging.*"
    return [*(site.data / "site").glob(name), *(site.data / "site" / "raw").glob(name)]


def work_folders(site: Site) -> list[Path]:
    """The folders, and parts of the state file, beside the lock."""
    return list((site.server / ".pids").glob(".moveFromScanner*.work.*"))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _pixels(scanner: Scanner) -> dict[str, bytes]:
    """The pixel data of each SOPInstanceUID that a scripted scanner has; others are compared when a study is closed."""
    if not isinstance(scanner, ScriptedScanner):
        return {}
    paths = [path for series in scanner.studies.values() for images in series.values() for path in images]
    images = [pydicom.dcmread(path) for path in paths]
    return {str(image.SOPInstanceUID): image.PixelData for image in images if "PixelData" in image}


def _study_of(path: Path) -> str:
    header = pydicom.dcmread(path, specific_tags=["StudyInstanceUID"], stop_before_pixels=True)
    return str(header.StudyInstanceUID)
