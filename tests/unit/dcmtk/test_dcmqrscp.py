"""The demo's scanner: the configuration that dcmqrscp gets, and what it takes for running. No server runs here."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from scanner_mover import signals
from scanner_mover.dcmtk import dcmqrscp
from scanner_mover.dcmtk.tool import Run
from scanner_mover.errors import UnusableError
from tests.unit.dcmtk import Played

PLACES = {"port": 4006, "ae_title": "SCANNER", "destination_ae_title": "MOVER", "destination_port": 11112}


class Tools:
    """A toolbox with a played server: it prints LINES at its start and is alive the first LOOKS times that we look."""

    def __init__(self, *lines: str, looks: int = 1000) -> None:
        self.lines, self.looks = lines, looks
        self.calls: list[tuple[str, list[str], str]] = []
        self.runs = False

    @contextlib.contextmanager
    def started(
        self, name: str, arguments: list[str], folder: str, on_output: Callable[[str, bool], None]
    ) -> Iterator["Tools"]:
        self.calls.append((name, arguments, folder))
        for number, line in enumerate(self.lines):
            on_output(line, number % 2 == 0)
        self.runs = True
        try:
            yield self
        finally:
            self.runs = False

    def is_alive(self) -> bool:
        self.looks -= 1
        return self.looks >= 0


@pytest.fixture
def clock(monkeypatch) -> Callable[[], float]:
    """Seconds that went by while dcmqrscp was waited for; nobody sleeps."""
    now = [1000.0]
    monkeypatch.setattr(dcmqrscp.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(signals, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return lambda: now[0] - 1000


@pytest.fixture
def listens(monkeypatch):
    """Says after how many looks somebody listens on the port, which is asked for; None: never."""

    def listens(after: int | None) -> list[int]:
        ports: list[int] = []

        def look(port: int) -> bool:
            ports.append(port)
            return after is not None and len(ports) > after

        monkeypatch.setattr(dcmqrscp, "_listens", look)
        return ports

    return listens


def test_its_configuration_names_the_port_the_folder_and_where_images_go(tmp_path, listens, clock):
    listens(0)
    folder = tmp_path / "scanner"
    tools = Tools()
    with dcmqrscp.serving(tools, str(folder), **PLACES):
        assert (folder / "images").is_dir()
    assert (folder / "dcmqrscp.cfg").read_text().split("\n\n") == [
        "NetworkTCPPort = 4006\nMaxPDUSize = 16384\nMaxAssociations = 16",
        "HostTable BEGIN\nmover = (MOVER, 127.0.0.1, 11112)\nHostTable END",
        "VendorTable BEGIN\nVendorTable END",
        f'AETable BEGIN\nSCANNER "{folder}/images" RW (200, 1024mb) ANY\nAETable END\n',
    ]
    assert tools.calls == [("dcmqrscp", ["-c", f"{folder}/dcmqrscp.cfg"], str(folder))]


def test_it_serves_when_somebody_listens_on_its_port_and_ends_with_the_block(tmp_path, listens, clock):
    ports, tools = listens(3), Tools()
    with dcmqrscp.serving(tools, str(tmp_path), **PLACES):
        assert tools.runs
        assert ports == [4006] * 4
        assert 0 < clock() < 1
    assert not tools.runs


def test_it_ends_also_when_the_demo_fails(tmp_path, listens, clock):
    listens(0)
    tools = Tools()
    with pytest.raises(KeyError), dcmqrscp.serving(tools, str(tmp_path), **PLACES):
        raise KeyError
    assert not tools.runs


@pytest.mark.parametrize("lines", [(), ("E: cannot bind", "F: address in use ")])
def test_one_that_ends_is_not_waited_for_and_what_it_said_is_shown(tmp_path, listens, clock, lines):
    listens(None)
    tools = Tools(*lines, looks=2)
    with pytest.raises(UnusableError) as raised, dcmqrscp.serving(tools, str(tmp_path), **PLACES):
        pass
    assert str(raised.value) == f"dcmqrscp does not serve on port 4006: {' '.join(lines).strip()}"
    assert clock() < 1 and not tools.runs


def test_one_that_does_not_listen_is_waited_for_ten_seconds(tmp_path, listens, clock):
    listens(None)
    tools = Tools()
    match = "dcmqrscp does not serve on port 4006"
    with pytest.raises(UnusableError, match=match), dcmqrscp.serving(tools, str(tmp_path), **PLACES):
        pass
    assert 10 <= clock() < 11 and not tools.runs


@pytest.mark.parametrize(
    ("in_the_way", "why"), [("a file", "Not a directory"), ("images", "File exists"), ("cfg", "Is a directory")]
)
def test_a_folder_that_cannot_be_written_is_named_and_nothing_started(tmp_path, in_the_way, why):
    folder = tmp_path / "scanner"
    if in_the_way == "a file":
        folder.touch()
    else:
        (folder / ("images" if in_the_way == "images" else "dcmqrscp.cfg")).mkdir(parents=True)
    tools = Tools()
    with pytest.raises(UnusableError) as raised, dcmqrscp.serving(tools, str(folder), **PLACES):
        pass
    assert str(raised.value) == f"{folder} cannot be written: {why}"
    assert tools.calls == []


def test_a_port_is_looked_for_on_the_loopback_address():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert not dcmqrscp._listens(port), "it is taken, but nobody listens"
        server.listen()
        assert dcmqrscp._listens(port)


class Sender(Played):
    """A storescu that keeps how it was called."""

    def run(self, name: str, arguments: list[str], **more: object) -> Run:
        self.__dict__["called"] = (name, arguments, more)
        return self.__dict__["_run"]


def test_images_are_sent_from_a_whole_folder_to_this_machine_and_a_warning_is_no_failure():
    tools = Sender(err=["W: about an image"])
    dcmqrscp.store(tools, "/acquired", port=4006, ae_title="SCANNER")
    assert tools.called == (
        "storescu",
        ["-aec", "SCANNER", "127.0.0.1", "4006", "+sd", "/acquired"],
        {"stall_seconds": 30},
    )


def test_images_that_are_not_taken_are_an_error_with_the_last_two_lines():
    with pytest.raises(UnusableError) as raised:
        dcmqrscp.store(Sender(["out"], ["one", "two", "three"], 1), "/acquired", port=4006, ae_title="SCANNER")
    assert str(raised.value) == "storescu could not fill the demo's scanner: two three"
