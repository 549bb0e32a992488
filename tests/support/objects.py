"""DICOM objects for the tests: images of several kinds and the MPPS files that a modality leaves.

The images are derived from the real ones that lie inside the pydicom package, or made by the real `dump2dcm` from
`fixtures/mr_image.dump`. All carry the same synthetic patient, so that any of them may share a study.
"""

import itertools
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.process import environment

Kind = Literal["jpeg", "jpeg2000", "rle"]

PATIENT_NAME = "Test^Phantom"
PATIENT_ID = "PHANTOM-1"

_FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"

_UID_ROOT = "1.2.826.0.1.3680043.10.1561"
_counter = itertools.count(1)

# One image in several transfer syntaxes lies in the package; what does not is written anew by pydicom.
_MR_IN = {
    ExplicitVRLittleEndian: "MR_small.dcm",
    ImplicitVRLittleEndian: "MR_small.dcm",
    DeflatedExplicitVRLittleEndian: "MR_small.dcm",
    ExplicitVRBigEndian: "MR_small_bigendian.dcm",
    JPEG2000Lossless: "MR_small_jp2klossless.dcm",
    JPEGLSLossless: "MR_small_jpeg_ls_lossless.dcm",
    RLELossless: "MR_small_RLE.dcm",
}
_CT_IN = {
    ExplicitVRLittleEndian: "CT_small.dcm",
    ImplicitVRLittleEndian: "CT_small.dcm",
    DeflatedExplicitVRLittleEndian: "CT_small.dcm",
}
_COMPRESSED: dict[Kind, str] = {
    "jpeg": "SC_rgb_jpeg_dcmtk.dcm",
    "jpeg2000": "MR_small_jp2klossless.dcm",
    "rle": "MR_small_RLE.dcm",
}
_MODALITY_PERFORMED_PROCEDURE_STEP = UID("1.2.840.10008.3.1.2.3.3")


def uid(*numbers: int) -> str:
    """A new UID that ends with `numbers`; unique in this run and beside runs at the same time.

    At most 42 characters before `numbers`, so that the UIDs of images fit behind that of their series.
    """
    return ".".join([_UID_ROOT, str(os.getpid()), str(next(_counter)), *map(str, numbers)])


def mr_series(
    folder: Path,
    *,
    study_instance_uid: str,
    series_instance_uid: str,
    images: int,
    first_instance_number: int = 1,
    transfer_syntax: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> list[Path]:
    """MR images of 64 x 64 pixels, about 10 KB each, as `folder`/SOPInstanceUID; the folder is made when missing.

    The SOPInstanceUID is SERIES.n with n the instance number. `transfer_syntax`: explicit VR little endian, or what
    the package has this image in (implicit, deflated, big endian, JPEG 2000, JPEG-LS, RLE). `attributes` sets more
    by keyword, such as `{"SeriesDescription": "T1"}`. The first pixel of an image in little endian is its instance
    number, so that no two images of a series are alike.
    """
    return _series(
        _MR_IN,
        folder,
        study_instance_uid,
        series_instance_uid,
        images,
        first_instance_number,
        transfer_syntax,
        attributes,
    )


def ct_series(
    folder: Path,
    *,
    study_instance_uid: str,
    series_instance_uid: str,
    images: int,
    first_instance_number: int = 1,
    transfer_syntax: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> list[Path]:
    """CT images of 128 x 128 pixels, about 39 KB each; otherwise as `mr_series` (explicit, implicit, deflated)."""
    return _series(
        _CT_IN,
        folder,
        study_instance_uid,
        series_instance_uid,
        images,
        first_instance_number,
        transfer_syntax,
        attributes,
    )


def compressed_series(
    folder: Path,
    *,
    kind: Kind,
    study_instance_uid: str,
    series_instance_uid: str,
    images: int,
    first_instance_number: int = 1,
    attributes: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Really compressed images, their pixel data as in the package; otherwise as `mr_series`.

    `jpeg` is JPEG Baseline in colour (Secondary Capture), `jpeg2000` JPEG 2000 lossless and `rle` RLE lossless (both
    MR).
    """
    name = _COMPRESSED[kind]
    syntax = UID(str(_read(name).file_meta.TransferSyntaxUID))
    return _series(
        {syntax: name},
        folder,
        study_instance_uid,
        series_instance_uid,
        images,
        first_instance_number,
        syntax,
        attributes,
    )


def dumped_series(
    folder: Path,
    *,
    study_instance_uid: str,
    series_instance_uid: str,
    images: int,
    first_instance_number: int = 1,
) -> list[Path]:
    """MR images of 8 x 8 pixels that the real `dump2dcm` makes of `fixtures/mr_image.dump`; otherwise as `mr_series`.

    The smallest images there are here, in explicit VR little endian, with nothing of pydicom in them. 13 ms each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    template = (_FIXTURES / "mr_image.dump").read_text(encoding="ascii")
    paths = []
    for number in range(first_instance_number, first_instance_number + images):
        sop_instance_uid = f"{series_instance_uid}.{number}"
        text = template.format(
            study_instance_uid=study_instance_uid,
            series_instance_uid=series_instance_uid,
            sop_instance_uid=sop_instance_uid,
            instance_number=number,
            first_pixel=f"{number & 0xFFFF:04x}",
        )
        path = folder / sop_instance_uid
        dump = folder / f".{sop_instance_uid}.dump"
        dump.write_text(text, encoding="ascii")
        subprocess.run(
            ["dump2dcm", "+te", str(dump), str(path)],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(tcp_nodelay=False),
        )
        dump.unlink()
        paths.append(path)
    return paths


def mpps(
    path: Path,
    *,
    study_instance_uid: str,
    ended: bool | str | None,
    scheduled_in_sequence: bool = True,
    status: str | None = None,
) -> Path:
    """A Modality Performed Procedure Step as a modality leaves it, written to `path` (folders are made); `path`.

    `ended` is about (0040,0251) PerformedProcedureStepEndTime: True or a text gives it a value, False leaves it
    empty as N-CREATE does, None leaves the attribute out. The StudyInstanceUID stands in (0040,0270)
    ScheduledStepAttributesSequence (PS3.4 F.7.2.1), with `scheduled_in_sequence=False` at the top instead. `status` is
    (0040,0252) where it is not what follows from `ended`.
    """
    data_set = Dataset()
    data_set.SOPClassUID = _MODALITY_PERFORMED_PROCEDURE_STEP
    data_set.SOPInstanceUID = uid()
    data_set.Modality = "MR"
    data_set.PatientName = PATIENT_NAME
    data_set.PatientID = PATIENT_ID
    data_set.PatientBirthDate = ""
    data_set.PatientSex = "O"
    scheduled = Dataset()
    if scheduled_in_sequence:
        scheduled.StudyInstanceUID = study_instance_uid
    else:
        data_set.StudyInstanceUID = study_instance_uid
    scheduled.AccessionNumber = ""
    scheduled.RequestedProcedureID = "RP1"
    scheduled.ScheduledProcedureStepID = "SPS1"
    data_set.ScheduledStepAttributesSequence = [scheduled]
    data_set.PerformedProcedureStepID = "PPS1"
    data_set.PerformedStationAETitle = "SCANNER"
    data_set.PerformedProcedureStepStartDate = "20260131"
    data_set.PerformedProcedureStepStartTime = "101500"
    data_set.PerformedProcedureStepStatus = status or ("COMPLETED" if ended else "IN PROGRESS")
    if ended is not None:
        end_time = ended if isinstance(ended, str) else "104500" if ended else ""
        data_set.PerformedProcedureStepEndDate = "20260131" if end_time else ""
        data_set.PerformedProcedureStepEndTime = end_time
    data_set.PerformedSeriesSequence = []
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    data_set.save_as(path, enforce_file_format=True)
    return path


def by_study(paths: Iterable[Path]) -> dict[str, dict[str, list[Path]]]:
    """The images sorted as {StudyInstanceUID: {SeriesInstanceUID: [path, …]}}: what a `ScriptedScanner` has."""
    studies: dict[str, dict[str, list[Path]]] = {}
    for path in paths:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        series = studies.setdefault(str(header.StudyInstanceUID), {})
        series.setdefault(str(header.SeriesInstanceUID), []).append(path)
    return studies


def _read(name: str) -> FileDataset:
    path = get_testdata_file(name, download=False)
    if not isinstance(path, str):
        raise FileNotFoundError(f"{name} is not in the pydicom package")
    return pydicom.dcmread(path)


def _series(
    sources: Mapping[UID, str],
    folder: Path,
    study_instance_uid: str,
    series_instance_uid: str,
    images: int,
    first_instance_number: int,
    transfer_syntax: str | None,
    attributes: Mapping[str, Any] | None,
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    syntax = UID(transfer_syntax or ExplicitVRLittleEndian)
    if syntax not in sources:
        raise ValueError(f"no such image in {syntax.name}")
    data_set = _read(sources[syntax])
    data_set.file_meta.TransferSyntaxUID = syntax
    # Storage SCPs drop the padding, and a test that compares data sets would see a difference that means nothing.
    if "DataSetTrailingPadding" in data_set:
        del data_set.DataSetTrailingPadding
    # Encapsulated pixel data is OB (PS3.5 A.4); where the package has OW, each DCMTK tool would warn about it.
    if syntax.is_encapsulated:
        data_set["PixelData"].VR = "OB"
    data_set.PatientName = PATIENT_NAME
    data_set.PatientID = PATIENT_ID
    data_set.StudyDate = "20260131"
    data_set.StudyTime = "101500"
    data_set.StudyInstanceUID = study_instance_uid
    data_set.SeriesInstanceUID = series_instance_uid
    for keyword, value in (attributes or {}).items():
        setattr(data_set, keyword, value)
    return list(_write(data_set, folder, range(first_instance_number, first_instance_number + images)))


def _write(data_set: FileDataset, folder: Path, instance_numbers: Iterable[int]) -> Iterator[Path]:
    syntax = UID(str(data_set.file_meta.TransferSyntaxUID))
    pixels = data_set.PixelData
    for number in instance_numbers:
        sop_instance_uid = f"{data_set.SeriesInstanceUID}.{number}"
        data_set.SOPInstanceUID = sop_instance_uid
        data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
        data_set.file_meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
        data_set.InstanceNumber = number
        if syntax.is_little_endian and not syntax.is_encapsulated:
            data_set.PixelData = (number & 0xFFFF).to_bytes(2, "little") + pixels[2:]
        path = folder / sop_instance_uid
        data_set.save_as(path, enforce_file_format=True)
        yield path
