"""storescp as we start and end it: it listens, it writes, and its whole process group goes."""

import socket
import threading
import time
from io import BytesIO

import pytest
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from scanner_mover.config import Tls
from scanner_mover.dcmtk import processes, storescp
from scanner_mover.dcmtk.storescp import Listener, end_left_over, need_port
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import ConfigurationError, UnusableError
from tests.support.classes import store_any
from tests.support.objects import dumped_series, uid
from tests.support.ports import LOOPBACK, free_port, is_listening
from tests.support.receiving import folder, rules, settings
from tests.support.site import fake_tool, is_running, real_tools, wait_until

__all__ = ["folder", "rules"]


class TestListener:
    def test_it_listens_when_start_returns_and_nothing_of_it_is_left_when_end_returns(self, folder):
        port = free_port()
        listener = Listener(real_tools("storescp"), settings(port), str(folder))
        listener.start()
        assert is_listening(port) and listener.is_alive()
        with socket.socket() as idle, socket.socket() as half:
            for one in (idle, half):
                one.connect((LOOPBACK, port))
            half.sendall(b"\x01\x00")
            group = listener._child.group
            wait_until(lambda: len(processes.members(group)) >= 3)
            assert listener.end() == frozenset()
            assert [one for one in processes.members(group) if one.state not in "ZX"] == []
        assert not is_listening(port)
        assert listener.end() == frozenset()

    def test_it_writes_what_is_sent_and_has_it_open_meanwhile(self, folder, tmp_path):
        port = free_port()
        listener = Listener(real_tools("storescp"), settings(port), str(folder))
        listener.start()
        try:
            paths = dumped_series(tmp_path / "images", study_instance_uid=uid(), series_instance_uid=uid(), images=3)
            store_any(paths, port, "WHATEVER")
            assert len(list(folder.iterdir())) == 3
            assert listener.open_files() == frozenset()
            with half_an_image(port) as _:
                wait_until(lambda: len(list(folder.iterdir())) == 4)
                (open_file,) = listener.open_files()
                assert (folder / open_file).is_file()
                assert listener.end() == {open_file}
                assert (folder / open_file).is_file()  # storescp leaves the part when it is killed
        finally:
            listener.end()

    def test_a_port_that_is_taken(self, folder):
        with socket.socket() as taken:
            taken.bind(("", 0))
            taken.listen()
            listener = Listener(real_tools("storescp"), settings(taken.getsockname()[1]), str(folder))
            with pytest.raises(UnusableError, match=r"\(DICOMPORT\) cannot be opened .* another program"):
                listener.start()
            assert not listener.is_alive()

    def test_a_folder_that_is_not_there(self, tmp_path):
        listener = Listener(real_tools("storescp"), settings(free_port()), str(tmp_path / "nowhere"))
        with pytest.raises(UnusableError, match=r"storescp does not listen: .*directory does not exist"):
            listener.start()
        listener.end()

    def test_a_certificate_that_it_cannot_use_is_an_error_of_the_configuration(self, tmp_path, folder):
        (tmp_path / "nothing").write_text("nothing")
        tls = Tls("config.json: tls", *[str(tmp_path / "nothing")] * 3)
        listener = Listener(real_tools("storescp"), settings(free_port(), tls=tls), str(folder))
        with pytest.raises(ConfigurationError, match=r"config\.json: tls cannot be used"):
            listener.start()
        listener.end()

    def test_a_program_that_takes_the_port_meanwhile_is_not_ours(self, tmp_path, folder, monkeypatch):
        monkeypatch.setattr(storescp, "_START_SECONDS", 1.0)
        port = free_port()
        fake = fake_tool(tmp_path / "tools", "storescp", "import time; time.sleep(600)")
        listener = Listener(Toolbox({"storescp": str(fake)}, {}), settings(port), str(folder))
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((LOOPBACK, port))
            timer = threading.Timer(0.2, other.listen)
            monkeypatch.setattr(storescp, "need_port", lambda port: timer.start())
            with pytest.raises(UnusableError, match="storescp does not listen"):
                listener.start()
            timer.join()
            assert is_listening(port)
        listener.end()


def test_r27_what_a_kill_left_is_known_by_its_folder_and_ended(folder, tmp_path):
    """Here it is only believed to be left: its argument is what counts."""
    port, other_port = free_port(), free_port()
    (tmp_path / "other").mkdir()
    left = Listener(real_tools("storescp"), settings(port), str(folder))
    other = Listener(real_tools("storescp"), settings(other_port), str(tmp_path / "other"))
    left.start()
    other.start()
    try:
        with half_an_image(port):
            wait_until(lambda: list(folder.iterdir()))
            pids = [one.pid for one in processes.members(left._child.group)]
            assert len(pids) == 2
            (open_file,) = end_left_over([str(folder)], lambda path: path == str(folder))
            assert (folder / open_file).is_file()
            wait_until(lambda: not any(map(is_running, pids)))
            need_port(port)
        assert is_listening(other_port)
        assert end_left_over([str(folder)], lambda path: path == str(folder)) == frozenset()
    finally:
        left.end()
        other.end()


def half_an_image(port: int) -> socket.socket:
    """A connection in which half of a C-STORE has come, until it is closed."""
    ae = AE()
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1")
    association = ae.associate(LOOPBACK, port)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3"
    request.DataSet = BytesIO(bytes(64 << 10))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    for fragment in list(message.encode_msg(1, 1024))[:20]:
        association.dul.send_pdu(fragment)
    time.sleep(0.1)
    return association.dul.socket.socket.dup()
