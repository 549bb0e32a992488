"""What `status --check` says of receiving, with a storescp that runs: the port in use, and the trial."""

import os

import pytest

from scanner_mover.commands import check_receiving
from scanner_mover.commands.check_line import Verdict
from scanner_mover.dcmtk.storescp import Listener
from scanner_mover.errors import UnusableError
from scanner_mover.site.lock import Lock
from scanner_mover.site.staging import make_staging
from tests.support.checks import folders, only, path, settings
from tests.support.ports import free_port
from tests.support.site import fake_tool, path_without_ours, real_tools

__all__ = ["folders", "path"]


class TestPort:
    def test_one_on_which_a_pass_receives_now(self, folders):
        port = free_port()
        listener = Listener(real_tools("storescp"), settings(port), make_staging(folders, [], Lock()))
        listener.start()
        try:
            found = only(check_receiving.port(settings(port), folders))
            assert found == (Verdict.OK, f"a pass receives on DICOMPORT {port} now")
        finally:
            listener.end()


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
