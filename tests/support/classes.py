"""Objects of many storage classes for one study: what a real console holds beside images.

Each is the smallest that a server takes: its own UIDs, the patient, and what makes its class what it is. Explicit VR
little endian but for one, which is JPEG. Odd UIDs are padded, private elements are there, as vendors write them.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from tests.support.objects import PATIENT_ID, PATIENT_NAME, compressed_series, mr_series
from tests.support.ports import LOOPBACK

SIEMENS_CSA_NON_IMAGE = "1.3.12.2.1107.5.9.1"
PRIVATE_CLASSES = {
    "Siemens CSA Non-Image": (SIEMENS_CSA_NON_IMAGE, "OT"),
    "Philips MR Spectrum": ("1.3.46.670589.11.0.0.12.1", "MR"),
    "Philips MR Series Data": ("1.3.46.670589.11.0.0.12.2", "MR"),
    "Philips MR Examcard": ("1.3.46.670589.11.0.0.12.4", "MR"),
    "GE Private Data": ("1.2.840.113619.4.30", "MR"),
}
CLASSES = {
    "Raw Data": ("1.2.840.10008.5.1.4.1.1.66", "MR"),
    "MR Spectroscopy": ("1.2.840.10008.5.1.4.1.1.4.2", "MR"),
    "Basic Text SR": ("1.2.840.10008.5.1.4.1.1.88.11", "SR"),
    "Comprehensive SR": ("1.2.840.10008.5.1.4.1.1.88.33", "SR"),
    "Key Object Selection": ("1.2.840.10008.5.1.4.1.1.88.59", "KO"),
    "Encapsulated PDF": ("1.2.840.10008.5.1.4.1.1.104.1", "DOC"),
    "Grayscale Presentation State": ("1.2.840.10008.5.1.4.1.1.11.1", "PR"),
    "Color Presentation State": ("1.2.840.10008.5.1.4.1.1.11.2", "PR"),
    "Real World Value Mapping": ("1.2.840.10008.5.1.4.1.1.67", "RWV"),
    "General ECG": ("1.2.840.10008.5.1.4.1.1.9.1.2", "ECG"),
}
IMAGE_CLASSES = {
    "Enhanced MR": ("1.2.840.10008.5.1.4.1.1.4.1", "MR"),
    "Segmentation": ("1.2.840.10008.5.1.4.1.1.66.4", "SEG"),
    "Label Map Segmentation": ("1.2.840.10008.5.1.4.1.1.66.7", "SEG"),
    "Parametric Map": ("1.2.840.10008.5.1.4.1.1.30", "MR"),
}
_MOST_SECONDS = 600
#: With the MR image and the JPEG image: this many objects, each in a series of its own.
NUMBER = len(PRIVATE_CLASSES) + len(CLASSES) + len(IMAGE_CLASSES) + 2


def every_class(folder: Path, study_instance_uid: str) -> list[Path]:
    """One object of each class in `folder`, which is made; each is a series of the study."""
    folder.mkdir(parents=True, exist_ok=True)
    series = (f"{study_instance_uid}.{number}" for number in range(1, NUMBER + 1))
    common = {"study_instance_uid": study_instance_uid, "images": 1}
    paths = mr_series(folder, series_instance_uid=next(series), **common)
    paths += compressed_series(folder, kind="jpeg", series_instance_uid=next(series), **common)
    paths += [
        private_object(folder, study_instance_uid, next(series), sop_class, modality)
        for sop_class, modality in PRIVATE_CLASSES.values()
    ]
    paths += [_write(_plain(study_instance_uid, next(series), *one), folder) for one in CLASSES.values()]
    paths += [_write(_image(study_instance_uid, next(series), *one), folder) for one in IMAGE_CLASSES.values()]
    return paths


def private_object(
    folder: Path,
    study_instance_uid: str,
    series_instance_uid: str,
    sop_class_uid: str = SIEMENS_CSA_NON_IMAGE,
    modality: str = "MR",
    number: int = 1,
) -> Path:
    """An object of a private class, of which no dictionary knows anything, in `folder`, which is there."""
    data_set = _plain(study_instance_uid, series_instance_uid, sop_class_uid, modality, number)
    block = data_set.private_block(0x7FE1, "SIEMENS CSA NON-IMAGE", create=True)
    block.add_new(0x10, "OB", bytes(range(256)) * 20)
    block = data_set.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "UN", b"SV10\4\3\2\1" + bytes(1001) + b"\0")
    return _write(data_set, folder)


def _plain(study: str, series: str, sop_class_uid: str, modality: str, number: int = 1) -> Dataset:
    data_set = Dataset()
    data_set.SOPClassUID = UID(sop_class_uid)
    data_set.SOPInstanceUID = UID(f"{series}.{number}")
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = UID(study), UID(series)
    data_set.PatientName, data_set.PatientID = PATIENT_NAME, PATIENT_ID
    data_set.PatientBirthDate, data_set.PatientSex = "", "O"
    data_set.StudyDate, data_set.StudyTime, data_set.StudyID, data_set.AccessionNumber = "20260131", "101500", "1", ""
    data_set.Modality, data_set.SeriesNumber, data_set.InstanceNumber = modality, 1, number
    content = Dataset()
    content.ValueType, content.ContinuityOfContent, content.TextValue = "TEXT", "SEPARATE", "nothing to report"
    data_set.ContentSequence = [content]
    if modality == "DOC":
        data_set.MIMETypeOfEncapsulatedDocument = "application/pdf"
        data_set.EncapsulatedDocument = b"%PDF-1.4\n" + bytes(range(251)) * 9
    return data_set


def _image(study: str, series: str, sop_class_uid: str, modality: str) -> Dataset:
    data_set = _plain(study, series, sop_class_uid, modality)
    data_set.Rows, data_set.Columns, data_set.NumberOfFrames, data_set.SamplesPerPixel = 16, 16, 3, 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    frames: list[Dataset] = []
    for number in range(1, 4):
        frame, content = Dataset(), Dataset()
        content.FrameAcquisitionNumber = number
        frame.FrameContentSequence = [content]
        frames.append(frame)
    data_set.PerFrameFunctionalGroupsSequence = frames
    values = range(3 * 16 * 16)
    if sop_class_uid == IMAGE_CLASSES["Parametric Map"][0]:
        data_set.BitsAllocated = 32
        data_set.FloatPixelData = struct.pack(f"<{len(values)}f", *values)
        return data_set
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.HighBit, data_set.PixelRepresentation = 15, 0
    data_set.PixelData = struct.pack(f"<{len(values)}H", *values)
    return data_set


def _write(data_set: Dataset, folder: Path) -> Path:
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / str(data_set.SOPInstanceUID)
    data_set.save_as(path, enforce_file_format=True)
    return path


def data_set_bytes(path: Path) -> tuple[str, bytes]:
    """The transfer syntax of a file, and the bytes of its data set as they stand."""
    content = path.read_bytes()
    begin = 144 + int.from_bytes(content[140:144], "little")
    return str(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID), content[begin:]


def differences(path: Path, other: Path) -> Iterator[str]:
    """The elements in which two files differ."""
    one, two = pydicom.dcmread(path), pydicom.dcmread(other)
    for tag in sorted({*one.keys(), *two.keys()}):
        if tag not in one or tag not in two or one[tag] != two[tag]:
            yield f"{tag} {one.get(tag)!r:.80} {two.get(tag)!r:.80}"


def store_any(paths: Iterable[Path], port: int, called_ae_title: str, *, calling_ae_title: str = "MODALITY") -> None:
    """Send objects of any class to a server on the loopback address (DCMTK's storescu knows no private ones).

    Raises RuntimeError when one is not taken.
    """
    from pynetdicom import AE  # costs time, and most tests only make objects

    files = [(path, pydicom.dcmread(path)) for path in paths]
    ae = AE(ae_title=calling_ae_title)
    # Whoever is slow here is the machine.
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _MOST_SECONDS
    for _, data_set in files:
        ae.add_requested_context(data_set.SOPClassUID, data_set.file_meta.TransferSyntaxUID)
    association = ae.associate(LOOPBACK, port, ae_title=called_ae_title)
    try:
        for path, data_set in files:
            status = association.send_c_store(data_set).get("Status")
            if status != 0:
                raise RuntimeError(f"{path} is not taken: {status}")
    finally:
        association.release()
