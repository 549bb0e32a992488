"""dcmqrscp, a real query/retrieve server, as the scanner of the demo, and storescu, which sends images to it."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from importlib.resources import files
from string import Template

from scanner_mover import signals
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError, reason
from scanner_mover.text import beginning

TOOLS = ("dcmqrscp", "storescu")
_HOST = "127.0.0.1"
_START_SECONDS = 10.0


@contextlib.contextmanager
def serving(
    tools: Toolbox, folder: str, *, port: int, ae_title: str, destination_ae_title: str, destination_port: int
) -> Iterator[None]:
    """Serve images on PORT of the loopback address until the end of the `with`; its files are in the new FOLDER.

    It has the AE title `ae_title`, and knows where to send images for `destination_ae_title`. Raises UnusableError when
    the server does not come up.
    """
    storage = os.path.join(folder, "images")
    text = files("scanner_mover").joinpath("templates", "dcmqrscp.cfg").read_text("ascii")
    configuration = os.path.join(folder, "dcmqrscp.cfg")
    filled = Template(text).substitute(
        port=port,
        ae_title=ae_title,
        storage=storage,
        destination_ae_title=destination_ae_title,
        destination_host=_HOST,
        destination_port=destination_port,
    )
    try:
        os.makedirs(storage)
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(filled)
    except OSError as error:
        raise UnusableError(f"{folder} cannot be written: {reason(error)}") from error
    output: list[str] = []
    with tools.started("dcmqrscp", ["-c", configuration], folder, lambda line, _: output.append(line)) as server:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if not server.is_alive() or time.monotonic() > deadline:
                raise UnusableError(f"dcmqrscp does not serve on port {port}: {beginning(' '.join(output).strip())}")
            signals.sleep(0.05)
        yield


def store(tools: Toolbox, folder: str, *, port: int, ae_title: str) -> None:
    """Send every file in FOLDER to the server on PORT of this machine (C-STORE).

    Raises UnusableError when one of them is not taken.
    """
    run = tools.run("storescu", ["-aec", ae_title, _HOST, str(port), "+sd", folder], stall_seconds=30)
    if run.exit_status:
        raise UnusableError(f"storescu could not fill the demo's scanner: {beginning(' '.join(run.err[-2:]))}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0
