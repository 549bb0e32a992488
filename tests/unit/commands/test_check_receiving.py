"""What `status --check` says of receiving: the port, the rules, this machine's own name, and a trial."""

import os
import socket
import threading
from pathlib import Path

import pytest

from scanner_mover.commands import check_receiving
from scanner_mover.commands.finding import Finding, Verdict
from scanner_mover.config import Settings
from scanner_mover.dcmtk import storescp
from scanner_mover.dcmtk.storescp import Listener
from scanner_mover.errors import UnusableError
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.staging import make_staging
from tests.support.ports import LOOPBACK, free_port
from tests.support.site import fake_tool, path_without_ours, real_tools


def settings(port: int) -> Settings:
    return Settings("ABCD", "config.json", "data", LOOPBACK, 104, "SCANNER", "MOVER", port)._replace(receive=True)


@pytest.fixture
def folders(tmp_path: Path) -> DataFolders:
    return DataFolders(str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.setenv("PATH", path_without_ours())


def only(findings) -> Finding:
    (finding,) = findings
    return finding


class TestPort:
    def test_one_that_is_free(self, folders):
        port = free_port()
        assert only(check_receiving.port(settings(port), folders)) == (Verdict.OK, f"DICOMPORT {port} is free for us")

    def test_one_that_another_program_has(self, folders):
        with socket.create_server((LOOPBACK, 0)) as taken:
            found = only(check_receiving.port(settings(taken.getsockname()[1]), folders))
        assert found.verdict is Verdict.FIX
        assert "another program, perhaps a storage SCP, has it: stop it or set receive to false" in found.text

    def test_one_on_which_a_pass_receives_now(self, folders):
        port = free_port()
        listener = Listener(real_tools("storescp"), settings(port), make_staging(folders, []))
        listener.start()
        try:
            found = only(check_receiving.port(settings(port), folders))
            assert found == (Verdict.OK, f"a pass receives on DICOMPORT {port} now")
        finally:
            listener.end()


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


class TestTrial:
    def test_a_private_class_arrives(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        found = only(check_receiving.trial(settings(4006)))
        assert found == (Verdict.OK, "storescp receives objects of private classes too")
        assert os.listdir(tmp_path) == []

    def test_one_that_does_not_is_named(self, tmp_path, monkeypatch):
        real = real_tools("storescp").paths["storescp"]
        text = f"import os, sys\nos.execv({real!r}, [{real!r}] + [one for one in sys.argv[1:] if one != '-pm'])\n"
        fake = fake_tool(tmp_path / "tools", "storescp", text)
        monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{path_without_ours()}")
        found = only(check_receiving.trial(settings(4006)))
        assert found.verdict is Verdict.FIX
        assert "an object of a private class that was sent to storescp did not arrive: " in found.text

    def test_a_storescp_that_does_not_listen(self, tmp_path, monkeypatch):
        fake = fake_tool(tmp_path / "tools", "storescp", "import sys; sys.exit(1)")
        monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{path_without_ours()}")
        with pytest.raises(UnusableError, match=r"^storescp cannot receive here: storescp does not listen"):
            list(check_receiving.trial(settings(4006)))
