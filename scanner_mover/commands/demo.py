"""`scanner-mover demo`: shows the whole job on this machine, with a real `dcmqrscp` as the scanner."""

import contextlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from rich.filesize import decimal
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from scanner_mover.arguments import MoveOptions
from scanner_mover.commands.move import make_pass
from scanner_mover.dcmtk import dcmqrscp
from scanner_mover.dcmtk.tool import TOOLS, find_tools
from scanner_mover.display.terminal import plain_text, show
from scanner_mover.errors import ExitStatus, UnusableError, UsageError, reason
from scanner_mover.site import requests

_UID = "1.2.826.0.1.3680043.8.498.24"  # below pydicom's root, which it lends for tests
_MODALITY_PERFORMED_PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"
_SCANNER, _MOVER = "SCANNER", "MOVER"
_MOST_PASSES = 5
# A folder with a UID for its name has a line of its own.
_SHORT_NAME = 30


@dataclass(frozen=True)
class _Study:
    """A study of the demo: how many images each of its series has, and whether its procedure has ended."""

    uid: str
    images: tuple[int, ...]
    ended: bool


_STUDIES = (_Study(f"{_UID}.1", (3, 8, 5), ended=True), _Study(f"{_UID}.2", (4,), ended=False))


def run(keep: str | None) -> int:
    """Show the job; KEEP is a folder to leave everything in. Gives the exit status of the contract.

    Raises UnusableError when a tool cannot be used or nothing can be written, UsageError when KEEP cannot be used.
    """
    try:
        with _place(keep) as place:
            status = _show(place)
    except OSError as error:
        # pydicom puts a traceback into the text of the error that it makes of one.
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise UnusableError(f"the demo cannot write its files: {reason(cause)}") from error
    if status == ExitStatus.OK:
        _what_next(keep)
    return status


@contextlib.contextmanager
def _place(keep: str | None) -> Iterator[str]:
    if keep is None:
        place = tempfile.mkdtemp(prefix="scanner-mover-demo.")
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return
    try:
        os.makedirs(keep, exist_ok=True)
        if os.listdir(keep):
            raise UsageError(f"--keep: {keep} is not empty")
    except OSError as error:
        raise UsageError(f"--keep: {keep} cannot be used: {reason(error)}") from error
    yield os.path.abspath(keep)


def _show(place: str) -> int:
    """Show the job in the folder PLACE; gives the exit status of the last pass, or 5 when nothing was finished."""
    tools = find_tools((*TOOLS, *dcmqrscp.TOOLS))
    data = os.path.join(place, "data")
    scanner_port, mover_port = _free_ports()
    show(Rule("a scanner, two requested studies, one of them still running"))
    with dcmqrscp.serving(
        tools,
        os.path.join(place, "scanner"),
        port=scanner_port,
        ae_title=_SCANNER,
        destination_ae_title=_MOVER,
        destination_port=mover_port,
    ):
        _fill(place, data)
        dcmqrscp.store(tools, os.path.join(place, "acquired"), port=scanner_port, ae_title=_SCANNER)
        shutil.rmtree(os.path.join(place, "acquired"))
        file = _configure(place, data, scanner_port, mover_port)
        for study in _STUDIES:
            state = "has ended" if study.ended else "is running"
            images = ", ".join(str(number) for number in study.images)
            show(f"study {study.uid}: series of {images} images, its procedure {state}", soft_wrap=True)
        options = MoveOptions(config=file, server_dir=os.path.join(place, "server"), receive=True, verbose=True)
        status = _make_passes(options, os.path.join(data, "finished-scans", _STUDIES[0].uid))
    show(Rule("what came out"), _tree(data))
    return status


def _make_passes(options: MoveOptions, finished: str) -> int:
    """Make passes until the file FINISHED is there; gives the exit status of the last one, or 5 when it is not."""
    for number in range(1, _MOST_PASSES + 1):
        show(Rule(f"pass {number}: scanner-mover move --receive"))
        status = make_pass(options, "scanner-mover")
        if status or os.path.exists(finished):
            return status
    return ExitStatus.SCANNER


def _what_next(keep: str | None) -> None:
    """The last lines: what to do now."""
    table = Table.grid(padding=(0, 2))
    table.add_row(Text("scanner-mover init", "bold"), "sets up a site of your own: it asks what it needs")
    table.add_row(Text("scanner-mover status --check", "bold"), "says what is missing there")
    if keep is None:
        table.add_row(Text("scanner-mover demo --keep DIR", "bold"), "leaves these folders in DIR, to be looked at")
    else:
        table.add_row(plain_text(os.path.abspath(keep), "bold"), "has these folders, to be looked at")
    show(Rule("what to do next"), table)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _configure(place: str, data: str, scanner_port: int, mover_port: int) -> str:
    """Write the configuration that a site would write; without its waiting times, which are for real scanners."""
    file = os.path.join(place, "config.json")
    keys = {
        "DATADIR": data,
        "SCANNERIP": "127.0.0.1",
        "SCANNERPORT": scanner_port,
        "SCANNERAETITLE": _SCANNER,
        "DICOMAETITLE": _MOVER,
        "DICOMPORT": mover_port,
        "SCANNER_MOVER": {"receive": True, "settle_seconds": 0, "quiet_seconds": 0, "reserve_bytes": 0},
    }
    with open(file, "w", encoding="utf-8") as stream:
        json.dump(keys, stream, indent=2)
    return file


def _fill(place: str, data: str) -> None:
    """The images that the scanner acquired, the requests, the MPPS files, and the switch."""
    acquired = os.path.join(place, "acquired")
    for folder in (acquired, *(os.path.join(data, name) for name in ("active-scans", "scanner", "config"))):
        os.makedirs(folder)
    with open(os.path.join(data, "config", "enabled"), "w", encoding="ascii") as file:
        file.write("010\n")
    # The file lies in the pydicom package: nothing is downloaded.
    image = pydicom.dcmread(str(get_testdata_file("MR_small.dcm", download=False)))
    image.PatientName, image.PatientID = "Phantom^Demo", "DEMO"
    for study in _STUDIES:
        image.StudyInstanceUID = study.uid
        for series, images in enumerate(study.images, 1):
            image.SeriesInstanceUID = f"{study.uid}.{series}"
            image.SeriesNumber = series
            for number in range(1, images + 1):
                image.SOPInstanceUID = UID(f"{study.uid}.{series}.{number}")
                image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
                image.InstanceNumber = number
                image.save_as(os.path.join(acquired, image.SOPInstanceUID))
        requests.write(os.path.join(data, "active-scans"), study.uid, mpps_expected=True)
        _write_mpps(os.path.join(data, "scanner", f"{study.uid}.mpps"), study)


def _write_mpps(path: str, study: _Study) -> None:
    step = Dataset()
    step.StudyInstanceUID = study.uid
    mpps = Dataset()
    mpps.PerformedProcedureStepStatus = "COMPLETED" if study.ended else "IN PROGRESS"
    mpps.PerformedProcedureStepEndTime = "093000" if study.ended else None
    mpps.ScheduledStepAttributesSequence = [step]
    mpps.file_meta = FileMetaDataset()
    mpps.file_meta.MediaStorageSOPClassUID = UID(_MODALITY_PERFORMED_PROCEDURE_STEP)
    mpps.file_meta.MediaStorageSOPInstanceUID = UID(f"{study.uid}.0")
    mpps.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    mpps.save_as(path, enforce_file_format=True)


def _tree(folder: str, shown: str = "") -> Tree:
    """FOLDER and everything below it, folders before files; what lies alone in a folder shares its line.

    SHOWN is what stands before its name in that line. Many files in a folder are counted.
    """
    name = f"{shown}{os.path.basename(folder)}/"
    with os.scandir(folder) as scanned:
        entries = sorted(scanned, key=lambda one: (one.is_file(), len(one.name), one.name))
    files = [entry for entry in entries if entry.is_file()]
    size = decimal(sum(entry.stat().st_size for entry in files))
    if len(entries) == 1 and not files and len(name) < _SHORT_NAME:
        return _tree(entries[0].path, name)
    if len(entries) == len(files):
        what = files[0].name if len(files) == 1 else ""
        count = f"  {len(files)} files" if len(files) > 1 else ""
        return Tree(Text.assemble((name, "bold"), (what, "green"), (f"{count}  {size}" if files else "", "dim")))
    tree = Tree(Text(name, style="bold"), guide_style="dim")
    for entry in entries:
        if entry.is_dir():
            tree.add(_tree(entry.path))
        else:
            tree.add(Text.assemble((entry.name, "green"), (f"  {decimal(entry.stat().st_size)}", "dim")))
    return tree
