"""A real Orthanc as the scanner: it returns counts, and moves without a StudyInstanceUID.

(0020,1209) NumberOfSeriesRelatedInstances is its own count; (0020,1002) ImagesInAcquisition is what the first image
that it got of the series says, and absent when that says nothing. An unknown move destination it answers with
0xC000, unable to process.

It sends every image in the transfer syntax that it is stored in, whatever the mixture: it opens a new C-STORE
association where SOP class or syntax change, and with "TranscodeDicomProtocol" off it converts nothing.

No HTTP server, no plugins; the DICOM port is open on all interfaces (Orthanc cannot bind to one) and any
calling AE title may ask.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pydicom
from pydicom.errors import InvalidDicomError

from tests.support.certificates import Certificate
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ServerProcess, environment

# storescu proposes one transfer syntax at a time (PS3.5 A.4), all uncompressed ones without an option.
_STORESCU_PROPOSES = {
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}
_FILES_OF_A_CALL = 500  # the kernel limits the length of an argument list


class Tls(NamedTuple):
    """Orthanc's own certificate, a file of the authorities that it trusts, and the certificate that images come with.

    It takes nobody without a certificate that it trusts. `sends` says whether it uses TLS to its destinations, too.
    """

    own: Certificate
    trusted: Path
    modality: Certificate
    sends: bool = True


class Orthanc:
    """Orthanc with its configuration, database and log below `folder`; the same interface as `Dcmqrscp`.

    `destinations` are the move destinations it knows, {AE title: port}, all on loopback; a change of the dictionary
    counts from the next start. `tls` switches TLS on, in both directions. Without `tcp_nodelay` each message takes
    40 ms.
    """

    host = LOOPBACK

    def __init__(
        self,
        folder: Path,
        destinations: Mapping[str, int] | None = None,
        *,
        ae_title: str = "SCANNER",
        port: int | None = None,
        tcp_nodelay: bool = True,
        tls: Tls | None = None,
    ) -> None:
        self.tls = tls
        self.ae_title = ae_title
        self.port = port or free_port()
        self.destinations = dict(destinations or {})
        self.log = folder / "orthanc.log"
        self._storage = folder / "database"
        self._storage.mkdir(parents=True, exist_ok=True)
        self._configuration = folder / "orthanc.json"
        self._process = ServerProcess(
            ["Orthanc", str(self._configuration)],
            port=self.port,
            folder=folder,
            log=self.log,
            variables=environment(tcp_nodelay=tcp_nodelay),
        )

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> None:
        """Switch it on; returns when it listens."""
        self._configuration.write_text(json.dumps(self._options(), indent=2), encoding="ascii")
        self._process.start()

    def stop(self) -> None:
        """Switch it off, in the middle of whatever it does; what it holds stays (its own shutdown takes seconds)."""
        self._process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def store(self, paths: Iterable[Path]) -> None:
        """Send images to it by `storescu`, each in the transfer syntax of its file; it has to run.

        An image with a SOPInstanceUID that it holds already changes nothing ("OverwriteInstances" is off). Raises
        RuntimeError with storescu's output unless every image was answered with Success.
        """
        by_option: dict[str, list[str]] = {}
        for path in paths:
            syntax = str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
            by_option.setdefault(_STORESCU_PROPOSES.get(syntax, "-x="), []).append(str(path))
        for option, names in by_option.items():
            for first in range(0, len(names), _FILES_OF_A_CALL):
                self._storescu(option, names[first : first + _FILES_OF_A_CALL])

    def images(self) -> dict[str, Path]:
        """What it holds: {SOPInstanceUID: file}; the files are as they came."""
        found = {}
        for path in self._storage.rglob("*"):
            # The database lies beside the images, and files come and go while it runs.
            if path.is_file():
                try:
                    header = pydicom.dcmread(path, stop_before_pixels=True)
                except (InvalidDicomError, FileNotFoundError):
                    continue
                found[str(header.SOPInstanceUID)] = path
        return found

    def _storescu(self, option: str, names: list[str]) -> None:
        arguments = ["storescu", "-v", "-R", option, "-aet", "MODALITY", "-aec", self.ae_title]
        if self.tls is not None:
            arguments += ["+tls", *map(str, self.tls.modality), "+cf", str(self.tls.own.certificate)]
        done = subprocess.run(
            [*arguments, self.host, str(self.port), *names],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(tcp_nodelay=True),
        )
        output = done.stdout.decode(errors="backslashreplace")
        # Its exit status says nothing about the answers.
        if done.returncode != 0 or output.count("Received Store Response (Success)") != len(names):
            raise RuntimeError(f"storescu ended with {done.returncode}:\n{output[-4000:]}")

    def _options(self) -> dict[str, object]:
        sends_tls = self.tls is not None and self.tls.sends
        return {
            "Name": self.ae_title,
            "StorageDirectory": str(self._storage),
            "IndexDirectory": str(self._storage),
            "Plugins": [],
            "HttpServerEnabled": False,
            "RemoteAccessAllowed": False,
            "DicomAet": self.ae_title,
            "DicomPort": self.port,
            "DicomCheckCalledAet": True,
            "StrictAetComparison": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {
                ae_title: {"AET": ae_title, "Host": LOOPBACK, "Port": port, "UseDicomTls": sends_tls}
                for ae_title, port in self.destinations.items()
            },
            "TranscodeDicomProtocol": False,
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": False,
            "StoreMD5ForAttachments": False,
            # Without these two it writes to the disk for each image (0.15 s), or goes on with old jobs when restarted.
            "SyncStorageArea": False,
            "SaveJobs": False,
            **({} if self.tls is None else self._tls_options(self.tls)),
        }

    @staticmethod
    def _tls_options(tls: Tls) -> dict[str, object]:
        return {
            "DicomTlsEnabled": True,
            "DicomTlsPrivateKey": str(tls.own.key),
            "DicomTlsCertificate": str(tls.own.certificate),
            "DicomTlsTrustedCertificates": str(tls.trusted),
            "DicomTlsRemoteCertificateRequired": True,
        }
