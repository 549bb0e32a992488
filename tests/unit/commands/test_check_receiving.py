"""What `status --check` says of receiving: the port, the rules, this machine's own name, and a trial."""

import socket
import threading

import pytest

from scanner_mover.commands import check_receiving
from scanner_mover.commands.check_line import Verdict
from scanner_mover.dcmtk import storescp
from tests.support.checks import folders, only, path, settings
from tests.support.ports import LOOPBACK, free_port

__all__ = ["folders", "path"]


class TestPort:
    def test_one_that_is_free(self, folders):
        port = free_port()
        assert only(check_receiving.port(settings(port), folders)) == (Verdict.OK, f"DICOMPORT {port} is free for us")

    def test_one_that_another_program_has(self, folders, monkeypatch):
        monkeypatch.setattr(storescp, "_PORT_SECONDS", 0.01)
        with socket.create_server((LOOPBACK, 0)) as taken:
            found = only(check_receiving.port(settings(taken.getsockname()[1]), folders))
        assert found.verdict is Verdict.FIX
        assert "another program, perhaps a storage SCP, has it: stop it or set receive to false" in found.text


@pytest.mark.parametrize(
    ("deny", "verdict", "words"),
    [
        ("", Verdict.OK, "everybody who reaches the port may send"),
        ("storescp: ALL\n", Verdict.OK, "say who may send"),
        ("movescu: ALL\n", Verdict.FIX, "name movescu, which no longer receives: let them name storescp"),
        ("movescu: ALL\nstorescp: ALL\n", Verdict.OK, "say who may send"),
    ],
)
def test_rules_that_still_name_movescu_are_pointed_out(tmp_path, monkeypatch, deny, verdict, words):
    (tmp_path / "deny").write_text(deny)
    monkeypatch.setattr(storescp, "RULES", [str(tmp_path / "allow"), str(tmp_path / "deny")])
    found = only(check_receiving.rules())
    assert found.verdict is verdict and words in found.text


class TestOwnName:
    def test_one_that_is_looked_up_at_once(self):
        assert only(check_receiving.own_name()).verdict is Verdict.OK

    def test_one_that_nobody_knows_does_no_harm(self, monkeypatch):
        def fail(name):
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "gethostbyname", fail)
        assert only(check_receiving.own_name()).verdict is Verdict.OK

    def test_one_that_takes_long(self, monkeypatch):
        over = threading.Event()
        monkeypatch.setattr(socket, "gethostbyname", lambda name: over.wait(60))
        monkeypatch.setattr(check_receiving, "_LOOKUP_SECONDS", 0.1)
        found = only(check_receiving.own_name())
        over.set()
        assert found.verdict is Verdict.FIX and "put it into /etc/hosts" in found.text
