"""The TLS options that the tools get, and what is said of files that they cannot use.

`tests/integration` has the rest: `test_dcmtk_tls.py` with keys that openssl made, `test_tls.py` with a scanner.
"""

import os
from pathlib import Path

import pytest

from scanner_mover.config import Settings, Tls
from scanner_mover.dcmtk import association, tls
from scanner_mover.errors import ConfigurationError
from tests.support.ports import LOOPBACK, free_port
from tests.support.site import real_tools

PLACE = "config.json: SCANNER_MOVER.tls"
PLAIN = Settings("ABCD", "config.json", "/data", LOOPBACK, free_port(), "SCANNER", "MOVER", None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With files that look like what they should be; no tool is given them here."""
    key, certificate = tmp_path / "ours.key", tmp_path / "ours.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----")
    certificate.write_text("-----BEGIN CERTIFICATE-----")
    return PLAIN._replace(tls=Tls(PLACE, str(key), str(certificate), str(certificate)))


def refusal(settings: Settings) -> str:
    with pytest.raises(ConfigurationError) as error:
        tls.check_files(settings)
    return str(error.value)


def test_without_tls_nothing_is_looked_at_and_nothing_said():
    tls.check_files(PLAIN)
    tls.check_tools(real_tools("findscu"), PLAIN, ["findscu"])
    tls.check_output(PLAIN, ["F: 000b:0004 Unable to load private TLS key from 'x'"])
    assert not [argument for argument in association.options(PLAIN) if argument.startswith("+")]


def test_the_tools_are_told_the_files_before_the_scanner_and_never_to_ask_for_a_passphrase(settings):
    assert settings.tls is not None
    _, key, certificate, authorities, _ = settings.tls
    expected = ["+tls", key, certificate, "-pw", "+cf", authorities]
    assert association.options(settings)[-6:] == expected
    settings = settings._replace(tls=settings.tls._replace(profile="bcp195-nd"))
    assert association.options(settings)[-7:] == [*expected, "--profile-bcp195-nd"]


@pytest.mark.parametrize("name", ["key", "certificate", "authorities"])
def test_a_folder_and_a_pipe_are_no_files(settings, name, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        assert settings.tls is not None
        spoilt = settings._replace(tls=settings.tls._replace(**{name: str(path)}))
        assert refusal(spoilt) == f"{PLACE}.{name} is not a file: {path}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("F: 000b:0006 Private key 'k' and certificate 'c' do not match", "Private key 'k' and certificate 'c' do not"),
        ("F: 000b:0005 Unable to load certificate from 'c'", "Unable to load certificate from 'c'"),
        ("W: unable to load certificate file 'a', ignoring", "unable to load certificate file 'a'"),
    ],
)
def test_what_a_tool_says_of_files_that_it_cannot_use(settings, line, words):
    with pytest.raises(ConfigurationError) as error:
        tls.check_output(settings, ["I: x", line])
    assert str(error.value).startswith(f"{PLACE} cannot be used: {words}")


@pytest.mark.parametrize(
    "line",
    ["F: Association Request Failed: 000b:0886 TLS error: certificate verify failed", "F: Association Rejected:"],
)
def test_what_a_tool_says_of_the_scanner_is_not_about_the_files(settings, line):
    tls.check_output(settings, [line])
