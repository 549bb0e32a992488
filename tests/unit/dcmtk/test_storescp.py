"""storescp before it listens: its arguments, the port, what it says (`tests/integration` has one that listens)."""

import os
import socket
import threading
from itertools import pairwise

import pytest

from scanner_mover.config import Tls
from scanner_mover.dcmtk import storescp
from scanner_mover.dcmtk.storescp import Listener, arguments, has_rule_for, need_port
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from tests.support.ports import LOOPBACK, free_port
from tests.support.receiving import folder, rules, settings
from tests.support.site import fake_tool, real_tools

__all__ = ["folder", "rules"]


class TestArguments:
    def test_every_class_bit_for_bit_under_names_of_its_own(self):
        given = arguments(settings(retrieve_stall_seconds=300.2), "FOLDER")
        assert given[-3:] == ["-od", "FOLDER", "4006"]
        assert {"--fork", "+xa", "-pm", "+B", "+uf", "-dhl"} <= set(given)
        # An association may pause between two images for as long as a C-MOVE may.
        assert {("-ts", "301"), ("-ta", "30")} <= set(pairwise(given))
        # -td deletes the part that came and goes on waiting.
        assert not {"-td", "+ac", "+tls", "-pdu"} & set(given)

    def test_tls_and_the_size_of_a_pdu_are_those_of_the_settings(self):
        given = arguments(settings(tls=Tls("place", "KEY", "CERT", "AUTH"), max_pdu=65536), "FOLDER")
        assert given[given.index("+tls") :][:6] == ["+tls", "KEY", "CERT", "-pw", "+cf", "AUTH"]
        assert ("-pdu", "65536") in pairwise(given)

    @pytest.mark.parametrize(
        ("allow", "deny", "is_narrowed"),
        [
            (None, None, False),
            ("", "ALL: ALL\n", False),
            ("# storescp: 192.0.2.7\n", "# storescp: ALL", False),
            ("sshd: ALL\nstorescp: 192.0.2.7\n", None, True),
            (None, "sshd, storescp: ALL\n", True),
            ("", "storescps: ALL\n", False),
            ("movescu: 192.0.2.7\n", "movescu: ALL\n", False),
        ],
    )
    def test_rules_for_storescp_are_kept_and_no_name_is_looked_up(self, rules, allow, deny, is_narrowed):
        for path, text in zip(rules, (allow, deny), strict=True):
            if text is not None:
                path.write_text(text)
        given = arguments(settings(), "FOLDER")
        assert ("+ac" in given) == has_rule_for("storescp") == is_narrowed
        assert "-dhl" in given


class TestPort:
    def test_one_that_is_free(self):
        need_port(free_port())

    @pytest.mark.parametrize("address", ["", LOOPBACK])
    def test_one_that_is_taken_is_named_with_what_to_do(self, address, monkeypatch):
        monkeypatch.setattr(storescp, "_PORT_SECONDS", 0.01)
        with socket.socket() as taken:
            taken.bind((address, 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(UnusableError) as raised:
                need_port(port)
        assert str(raised.value) == (
            f"port {port} (DICOMPORT) cannot be opened to receive images: another program, perhaps a storage SCP, has "
            "it: stop it or set receive to false"
        )

    def test_one_that_becomes_free_in_a_moment(self, monkeypatch):
        monkeypatch.setattr(storescp, "_PORT_SECONDS", 240)
        with socket.socket() as taken:
            taken.bind((LOOPBACK, 0))
            taken.listen()
            port = taken.getsockname()[1]
            threading.Timer(0.2, taken.close).start()
            need_port(port)

    def test_one_that_only_root_may_open_whatever_the_kernel_says(self, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(UnusableError, match=r"^port 104 \(DICOMPORT\) .* open ports below 1024 for root only"):
            need_port(104)

    def test_one_that_the_kernel_refuses(self, monkeypatch):
        def refuse(self, address):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(socket.socket, "bind", refuse)
        with pytest.raises(UnusableError, match="cannot be opened to receive images: Permission denied"):
            need_port(4006)


class TestListener:
    def test_one_that_ends_at_once_says_why(self, tmp_path, folder):
        fake = fake_tool(tmp_path / "tools", "storescp", "import os; os.write(2, b'F: cannot do it\\n'); os._exit(1)")
        listener = Listener(Toolbox({"storescp": str(fake)}, {}), settings(free_port()), str(folder))
        with pytest.raises(UnusableError, match="storescp does not listen: cannot do it"):
            listener.start()
        listener.end()

    def test_connections_that_a_rule_refuses_are_reported_once(self, folder):
        denied: list[str] = []
        listener = Listener(real_tools("storescp"), settings(), str(folder), denied.append)
        line = "E: Receiving Association failed: 0006:0324 TCP wrapper: denied connection from unknown (192.0.2.1)"
        for _ in range(3):
            listener._take(line, True)
        assert denied == ["denied connection from unknown (192.0.2.1)"]
