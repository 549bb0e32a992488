"""A real `dcmqrscp` as the scanner: it returns no counts, and it needs the move destination in its configuration.

What it takes to have it send compressed images as they are stored (found in DCMTK's sources, proved with
`movescu +xa +P`): it has no codecs, and for a C-STORE it uses the *first* accepted presentation context of the image's
SOP class, whatever the transfer syntax of the file. Its options for outgoing associations (`-xs`, `-xv`, `-xr` …)
name one syntax for all SOP classes and let the receiver choose among that and the uncompressed ones. So it gets
association profiles (`-xf FILE IN OUT`) in which each SOP class that it holds is proposed in just the transfer
syntax that it is held in. From that follows what it cannot do: **two transfer syntaxes of one SOP class** (the
uncompressed ones count as one, it converts between them). `store` refuses that; Orthanc can.

It listens on all interfaces (no DCMTK tool can do otherwise) and answers any calling AE title.
"""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import pydicom
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ServerProcess, environment

_UNCOMPRESSED = (ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian)
_QUERY_RETRIEVE_CLASSES = (
    "1.2.840.10008.1.1",  # Verification
    "1.2.840.10008.5.1.4.1.2.1.1",  # Patient Root, FIND and MOVE
    "1.2.840.10008.5.1.4.1.2.1.2",
    "1.2.840.10008.5.1.4.1.2.2.1",  # Study Root, FIND and MOVE
    "1.2.840.10008.5.1.4.1.2.2.2",
)
_FILES_OF_A_CALL = 500  # the kernel limits the length of an argument list


class Dcmqrscp:
    """`dcmqrscp` with its configuration, images and log below `folder`, for use in a `with` or with start and stop.

    `destinations` are the move destinations it knows, {AE title: port}, all on loopback; a change of the dictionary
    counts from the next start. Holds at most 500 studies (DCMTK's limit). With `tcp_nodelay=False` it is as it comes:
    40 ms for each message.
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
    ) -> None:
        self.ae_title = ae_title
        self.port = port or free_port()
        self.destinations = dict(destinations or {})
        self.log = folder / "dcmqrscp.log"
        self._storage = folder / "images"
        self._storage.mkdir(parents=True, exist_ok=True)
        self._configuration = folder / "dcmqrscp.cfg"
        self._profiles = folder / "profiles.cfg"
        self._environment = environment(tcp_nodelay=tcp_nodelay)
        self._process = ServerProcess([], port=self.port, folder=folder, log=self.log, variables=self._environment)
        # {SOP class: transfer syntax, "" for any uncompressed one}
        self._held: dict[str, str] = {}

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> None:
        """Switch it on; returns when it listens."""
        self._configuration.write_text(self._configuration_text(), encoding="ascii")
        arguments = ["dcmqrscp", "-v", "-c", str(self._configuration)]
        # Without profiles it proposes every SOP class that it knows, so images can be added while it runs.
        if any(self._held.values()):
            self._profiles.write_text(self._profiles_text(), encoding="ascii")
            arguments += ["-xf", str(self._profiles), "Incoming", "Outgoing"]
        self._process.arguments = arguments
        self._process.start()

    def stop(self) -> None:
        """Switch it off, in the middle of whatever it does; what it holds stays."""
        self._process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def store(self, paths: Iterable[Path]) -> None:
        """Add images, running or not, as the very bytes of the files; one with a SOPInstanceUID it has replaces that.

        They are copied and entered in the index with `dcmqridx`: no C-STORE, so nothing is converted. Where they
        bring a compressed SOP class that was not there before, a running server is started anew.

        Raises ValueError for a second transfer syntax of a SOP class, see above.
        """
        held = dict(self._held)
        sources: dict[Path, Path] = {}
        for path in paths:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            syntax = str(header.file_meta.TransferSyntaxUID)
            syntax = "" if syntax in _UNCOMPRESSED else syntax
            if held.setdefault(str(header.SOPClassUID), syntax) != syntax:
                raise ValueError(f"{path}: dcmqrscp cannot serve {header.SOPClassUID.name} in two transfer syntaxes")
            sources[self._storage / str(header.SOPInstanceUID)] = path
        for stored, path in sources.items():
            shutil.copyfile(path, stored)
        names = iter(map(str, sources))
        while chunk := list(islice(names, _FILES_OF_A_CALL)):
            subprocess.run(
                ["dcmqridx", str(self._storage), *chunk],
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=self._environment,
            )
        changed = held != self._held and any(held.values())
        self._held = held
        if changed and self.running:
            self.stop()
            self.start()

    def images(self) -> dict[str, Path]:
        """What it holds: {SOPInstanceUID: file}."""
        return {path.name: path for path in self._storage.iterdir() if path.name[0].isdigit()}

    def _configuration_text(self) -> str:
        hosts = [
            f"destination{number} = ({ae_title}, {LOOPBACK}, {port})"
            for number, (ae_title, port) in enumerate(self.destinations.items())
        ]
        return "\n".join(
            [
                f"NetworkTCPPort = {self.port}",
                "MaxPDUSize = 16384",
                "MaxAssociations = 16",
                "HostTable BEGIN",
                *hosts,
                "HostTable END",
                "VendorTable BEGIN",
                "VendorTable END",
                "AETable BEGIN",
                f"{self.ae_title} {self._storage} RW (500, 1024mb) ANY",
                "AETable END",
                "",
            ]
        )

    def _profiles_text(self) -> str:
        syntaxes = sorted({syntax for syntax in self._held.values() if syntax})
        lines = ["[[TransferSyntaxes]]", "[Uncompressed]"]
        lines += [f"TransferSyntax{number} = {syntax}" for number, syntax in enumerate(_UNCOMPRESSED, 1)]
        for number, syntax in enumerate(syntaxes):
            lines += [f"[Compressed{number}]", f"TransferSyntax1 = {syntax}"]
        lines += ["[[PresentationContexts]]", "[Incoming]"]
        for number, sop_class in enumerate(_QUERY_RETRIEVE_CLASSES, 1):
            lines.append(f"PresentationContext{number} = {sop_class}\\Uncompressed")
        lines.append("[Outgoing]")
        for number, (sop_class, syntax) in enumerate(sorted(self._held.items()), 1):
            group = f"Compressed{syntaxes.index(syntax)}" if syntax else "Uncompressed"
            lines.append(f"PresentationContext{number} = {sop_class}\\{group}")
        lines += ["[[Profiles]]"]
        for name in ("Incoming", "Outgoing"):
            lines += [f"[{name}]", f"PresentationContexts = {name}"]
        return "\n".join([*lines, ""])
