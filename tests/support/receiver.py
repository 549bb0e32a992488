"""The site's receiver, as it stands beside the reference script: a storage SCP and the daemon behind it.

A real `storescp` writes what arrives into an archive folder. A thread stands in for the daemon: it links each image
as DATADIR/site/raw/STUDY/SERIES/SOPINSTANCEUID, at once or, when the test wants it to lag, later.

What storescp does is only half of what a daemon can rely on: it writes under the final name, and a name appears
before the file is whole. So an image is linked when its size has not changed between two looks *and* it can be read
to its end; and storescp makes a new file for each arrival (`+uf`), so that an image that is sent again
does not truncate the file that is linked already.
"""

import contextlib
import os
import struct
import threading
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID

from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ServerProcess, environment

_SECONDS_BETWEEN_LOOKS = 0.02
_PIXEL_DATA = 0x7FE00010
# pydicom has no exception of its own for a file that is cut anywhere.
_RAISED_FOR_A_CUT_FILE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    Warning,  # where the tests turn warnings into errors
    struct.error,
    zlib.error,
    BytesLengthException,
    InvalidDicomError,
)
_SEQUENCE_DELIMITER = bytes.fromhex("fe ff dd e0 00 00 00 00")


class StorescpReceiver:
    """`storescp` into `folder`/archive, and the daemon that links into `data_dir`/site/raw.

    It takes every transfer syntax, several associations at once and (storescp checks none) any called AE title;
    `ae_title` is what a scanner's table of destinations should name, see `destination`. It listens on all interfaces.

    `delay` is how many seconds after its arrival an image is linked. `hold` and `release` stop the linking and let it
    go on, while images go on arriving.
    """

    host = LOOPBACK

    def __init__(
        self,
        folder: Path,
        data_dir: Path,
        *,
        ae_title: str = "MOVER",
        port: int | None = None,
        delay: float = 0,
        tcp_nodelay: bool = True,
    ) -> None:
        self.ae_title = ae_title
        self.port = port or free_port()
        self.delay = delay
        self.raw = data_dir / "site" / "raw"
        self.archive = folder / "archive"
        self.archive.mkdir(parents=True, exist_ok=True)
        self.log = folder / "storescp.log"
        self._process = ServerProcess(
            ["storescp", "-v", "--fork", "+xa", "+uf", "-aet", ae_title, "-od", str(self.archive), str(self.port)],
            port=self.port,
            folder=folder,
            log=self.log,
            variables=environment(tcp_nodelay=tcp_nodelay),
        )
        self._seen: dict[Path, tuple[int, float]] = {}
        self._linked: dict[Path, Path] = {}
        self._released = threading.Event()
        self._released.set()
        self._ending = threading.Event()
        self._daemon: threading.Thread | None = None

    @property
    def destination(self) -> dict[str, int]:
        """{AE title: port}, as the scanners want their destinations."""
        return {self.ae_title: self.port}

    def start(self) -> None:
        """Listen and link; what an earlier run left unlinked is linked, too."""
        self._process.start()
        self._ending.clear()
        self._daemon = threading.Thread(target=self._run, name="linking daemon", daemon=True)
        self._daemon.start()

    def stop(self) -> None:
        self._process.stop()
        self._ending.set()
        if self._daemon is not None:
            self._daemon.join()
            self._daemon = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def hold(self) -> None:
        """Link nothing until `release`."""
        self._released.clear()

    def release(self) -> None:
        self._released.set()

    def arrived(self) -> list[Path]:
        """The files in the archive, whole or not yet."""
        return sorted(path for path in self.archive.iterdir() if path.is_file())

    def linked(self) -> list[Path]:
        """The links in site/raw."""
        return sorted(path for path in self.raw.glob("*/*/*") if path.is_symlink())

    def wait_until_linked(self, images: int, seconds: float = 120) -> None:
        """Return as soon as there are that many links; TimeoutError after `seconds`."""
        end = time.monotonic() + seconds
        while (number := len(self.linked())) < images:
            if time.monotonic() > end:
                raise TimeoutError(f"{number} of {images} images linked after {seconds} s")
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _run(self) -> None:
        while not self._ending.wait(_SECONDS_BETWEEN_LOOKS):
            for path in self.arrived():
                if path not in self._linked and self._is_due(path):
                    self._link(path)

    def _is_due(self, path: Path) -> bool:
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            # storescp removes an image whose association ended in the middle.
            return False
        earlier_size, since = self._seen.get(path, (-1, 0.0))
        if size != earlier_size:
            self._seen[path] = (size, time.monotonic())
            return False
        return self._released.is_set() and time.monotonic() - since >= self.delay

    def _link(self, path: Path) -> None:
        image = whole_image(path)
        if image is None:
            return
        link = self.raw / str(image.StudyInstanceUID) / str(image.SeriesInstanceUID) / str(image.SOPInstanceUID)
        link.parent.mkdir(parents=True, exist_ok=True)
        # An image that comes again keeps its first link, as one that is filed already.
        with contextlib.suppress(FileExistsError):
            os.symlink(path, link)
        self._linked[path] = link


def whole_image(path: Path) -> Dataset | None:
    """The data set of the file, or None while it is not one that can be read to its end."""
    try:
        image = pydicom.dcmread(path)
        # A file that is cut just before an element, the pixel data above all, reads well; and so does one whose
        # last value is cut in some places.
        if image.SOPInstanceUID != image.file_meta.MediaStorageSOPInstanceUID or "SeriesInstanceUID" not in image:
            return None
        if "Image" in UID(str(image.file_meta.MediaStorageSOPClassUID)).name and not _has_all_pixels(image, path):
            return None
    except _RAISED_FOR_A_CUT_FILE:
        return None
    return image


def _has_all_pixels(image: Dataset, path: Path) -> bool:
    if UID(str(image.file_meta.TransferSyntaxUID)).is_encapsulated:
        last_tag = max(element.tag for element in image)
        return last_tag > _PIXEL_DATA or path.read_bytes().endswith(_SEQUENCE_DELIMITER)
    pixels = int(image.Rows) * int(image.Columns) * int(image.get("NumberOfFrames", 1))
    return len(image.PixelData) >= pixels * int(image.SamplesPerPixel) * int(image.BitsAllocated) // 8
