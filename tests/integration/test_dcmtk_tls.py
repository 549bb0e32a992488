"""The real tools with keys and certificates that openssl made: those that can be used, and a key that cannot."""

from pathlib import Path

import pytest

from scanner_mover.config import Settings, Tls
from scanner_mover.dcmtk import association, tls
from scanner_mover.errors import ConfigurationError
from tests.support import certificates
from tests.support.ports import LOOPBACK, free_port
from tests.support.site import real_tools

PLACE = "config.json: SCANNER_MOVER.tls"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    ours = certificates.make(tmp_path / "tls", "ours")
    files = Tls(PLACE, str(ours.key), str(ours.certificate), str(ours.certificate))
    return Settings("ABCD", "config.json", "/data", LOOPBACK, free_port(), "SCANNER", "MOVER", None)._replace(tls=files)


def test_files_that_can_be_used(settings):
    tls.check_files(settings)
    tls.check_tools(real_tools("findscu", "echoscu"), settings, ["findscu", "echoscu"])


def test_a_key_with_a_passphrase_is_never_asked_about(settings, tmp_path):
    """Also one that is not seen to have it: the tool ends, and does not wait for somebody to type."""
    assert settings.tls is not None
    key = certificates.with_passphrase(Path(settings.tls.key), tmp_path / "encrypted.key")
    settings = settings._replace(tls=settings.tls._replace(key=str(key)))
    with pytest.raises(ConfigurationError) as error:
        tls.check_files(settings)
    assert str(error.value).startswith(f"{PLACE}.key has a passphrase that nobody is there to type: {key}")
    arguments = [*association.options(settings), *association.address(settings)]
    run = real_tools("echoscu").run("echoscu", arguments, stall_seconds=30)
    assert run.ended is None
    assert "pass phrase" not in "".join(run.out + run.err)
    with pytest.raises(ConfigurationError, match=f"{PLACE} cannot be used: Unable to load private TLS key"):
        tls.check_output(settings, run.err)
