"""TLS to the scanner, an Orthanc that takes nothing else; keys and certificates are made for each test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.scenario import Scenario
from tests.integration.test_check import check
from tests.support import certificates
from tests.support.certificates import Certificate
from tests.support.objects import uid
from tests.support.orthanc import Orthanc, Tls
from tests.support.site import Site, dcmtk_version

FIRST_MOVESCU_WITH_TLS = (3, 7, 0)
FIRST_WITH_RFC_8996 = (3, 6, 8)


@pytest.fixture
def ours(tmp_path: Path) -> Certificate:
    return certificates.make(tmp_path / "tls", "ours")


@pytest.fixture
def stranger(tmp_path: Path) -> Certificate:
    """One that nobody trusts."""
    return certificates.make(tmp_path / "tls", "stranger")


@pytest.fixture
def scanner(tmp_path: Path, receive_port: int, ours: Certificate) -> Iterator[Orthanc]:
    """An Orthanc with TLS that trusts us."""
    folder = tmp_path / "tls"
    own, modality = (certificates.make(folder, name) for name in ("scanner", "modality"))
    tls = Tls(own, certificates.bundle(folder / "trusted.pem", ours, modality), modality)
    with Orthanc(tmp_path / "scanner", {"MOVER": receive_port}, tls=tls) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, scanner: Orthanc, receive_port: int, ours: Certificate) -> Site:
    site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=receive_port, receive=True)
    assert scanner.tls is not None
    site.config(tls=tls(ours, scanner.tls.own))
    return site


def tls(own: Certificate, scanners: Certificate, **more: str) -> dict[str, str]:
    files = {"key": own.key, "certificate": own.certificate, "authorities": scanners.certificate}
    return {**{name: str(path) for name, path in files.items()}, **more}


def refused(scenario: Scenario, exit_status: int, *words: str) -> str:
    """A pass that fails with one line that holds the WORDS, and one after it that has nothing new to say."""
    study = scenario.acquire(1)
    done = scenario.a_pass(exit_status=exit_status)
    assert done.stdout == ""
    (line,) = (line.removeprefix("scanner-mover: ") for line in done.stderr.splitlines())
    for word in words:
        assert word in line
    assert scenario.where(study) == "active-scans"
    assert scenario.said(line)
    assert [fault["text"] for fault in scenario.site.state()["faults"]] == [line]
    assert scenario.a_pass(exit_status=exit_status).stderr == ""
    return line


# Has TLS as far as its help tells, and is the real one for everything else.
CLAIMS_TLS = """
import os, sys
if "--help" in sys.argv:
    print("  +tls  --enable-tls")
    sys.exit()
os.execv({0!r}, [{0!r}, *sys.argv[1:]])
"""
# Of a version that has none.
WITHOUT_TLS = 'import sys\nprint("$dcmtk: {0} v3.6.9 2024-12-11 $" if "--version" in sys.argv else "  -v  --verbose")\n'


@pytest.fixture
def movescu_with_tls() -> None:
    if dcmtk_version() < FIRST_MOVESCU_WITH_TLS:
        pytest.skip("movescu has TLS from DCMTK 3.7.0 on: see tests/versions")


@pytest.fixture
def asks_only(site: Site) -> None:
    """A movescu that claims to have TLS, in every version: for passes that end before anything is moved."""
    real = shutil.which("movescu", path=site.environment["PATH"])
    assert real
    site.tool("movescu", CLAIMS_TLS.format(real))


def test_find(scenario: Scenario) -> None:
    study = scenario.acquire(1)
    done = scenario.site.mover("find", "--json", "--study", study.uid)
    assert (done.returncode, done.stderr) == (0, "")
    assert study.uid in done.stdout


@pytest.mark.parametrize("profile", ["bcp195", "bcp195-nd", "bcp195-ex", "8996", "8996-mod"])
def test_find_with_a_profile(scenario: Scenario, scanner: Orthanc, ours: Certificate, profile: str) -> None:
    assert scanner.tls is not None
    scenario.site.config(tls=tls(ours, scanner.tls.own, profile=profile))
    done = scenario.site.mover("find")
    if profile.startswith("8996") and dcmtk_version() < FIRST_WITH_RFC_8996:
        assert done.returncode == 3
        assert f"findscu does not know {profile};" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    else:
        assert (done.returncode, done.stderr) == (0, "")


def test_files_are_named_relative_to_the_configuration(scenario: Scenario) -> None:
    site = scenario.site
    for name in ("ours.key", "ours.pem", "scanner.pem"):
        shutil.copy(site.root.parent / "tls" / name, site.config_file.parent)
    site.config(tls={"key": "ours.key", "certificate": "ours.pem", "authorities": "scanner.pem"})
    assert site.mover("find").returncode == 0


@pytest.mark.usefixtures("asks_only")
def test_a_scanner_that_we_do_not_trust_is_told_nothing(
    scenario: Scenario, ours: Certificate, stranger: Certificate
) -> None:
    scenario.site.config(tls=tls(ours, stranger), retries=2)
    line = refused(
        scenario, 5, "agree on a secure connection", "certificate verify failed", "SCANNER_MOVER.tls.authorities"
    )
    found = scenario.site.mover("find", "--study", uid())
    assert (found.returncode, found.stderr) == (5, f"scanner-mover: {line}\n")


@pytest.mark.usefixtures("asks_only")
def test_a_scanner_that_does_not_trust_us_takes_nothing_from_us(
    scenario: Scenario, scanner: Orthanc, stranger: Certificate
) -> None:
    assert scanner.tls is not None
    scenario.site.config(tls=tls(stranger, scanner.tls.own))
    refused(scenario, 5, "hangs up at once", str(stranger.certificate), "SCANNER_MOVER.tls.certificate")


def test_plain_text_where_the_scanner_wants_tls(scenario: Scenario) -> None:
    scenario.site.config(tls=None)
    refused(scenario, 5, "hangs up at once", "SCANNER_MOVER.tls")


@pytest.mark.usefixtures("asks_only")
def test_tls_where_the_scanner_wants_plain_text(scenario: Scenario, scanner: Orthanc) -> None:
    scanner.stop()
    scanner.tls = None
    scanner.start()
    refused(scenario, 5, "agree on a secure connection", "SCANNERPORT must be its port for TLS")


class TestAToolThatLacksIt:
    def test_nothing_is_sent_in_plain_text_instead(self, scenario: Scenario, scanner: Orthanc) -> None:
        site = scenario.site
        scanner.stop()
        scanner.tls = None  # what was sent in plain text would be taken
        scanner.start()
        tool = site.tool("movescu", WITHOUT_TLS.format("movescu"))
        refused(scenario, 3, f"{site.config_file}: SCANNER_MOVER.tls ", str(tool), "no TLS", "from DCMTK 3.7.0 on")
        assert site.images("", "") == []
        scenario.a_pass("--dry-run", exit_status=3)
        # Asking needs no movescu.
        tool.unlink()
        site.tool("findscu", WITHOUT_TLS.format("findscu"))
        done = site.mover("find")
        assert done.returncode == 3
        assert "findscu has no TLS" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_the_real_movescu_before_3_7_0(self, scenario: Scenario) -> None:
        if dcmtk_version() >= FIRST_MOVESCU_WITH_TLS:
            pytest.skip("this one has it")
        refused(scenario, 3, "SCANNER_MOVER.tls", "movescu", "from DCMTK 3.7.0 on")
        assert scenario.site.mover("status", "--audit").returncode == 0

    def test_the_check_names_it(self, scenario: Scenario) -> None:
        site = scenario.site
        tool = site.tool("movescu", WITHOUT_TLS.format("movescu"))
        line = check(site).named("from DCMTK 3.7.0 on")
        assert str(tool) in line
        assert "the scanner answers a C-FIND" in check(site).ok


def test_a_key_that_everybody_can_read_is_named(site: Site, ours: Certificate) -> None:
    ours.key.chmod(0o644)
    assert check(site).named("can be read by everybody").endswith(f"chmod o= {ours.key}")
    ours.key.chmod(0o640)
    assert not any("by everybody" in line for line in check(site).fix)


def unreadable(path: Path) -> None:
    path.unlink()


def with_passphrase(path: Path) -> None:
    plain = path.rename(path.with_suffix(".plain"))
    certificates.with_passphrase(plain, path)


def empty(path: Path) -> None:
    path.write_text("")


def of_another(path: Path) -> None:
    other = certificates.make(path.parent, "other")
    shutil.copy(other.key, path)


def broken(path: Path) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "AAAA", lines[-1], ""]))


@pytest.mark.usefixtures("asks_only")
@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("key", unreadable, "tls.key cannot be read"),
        ("certificate", unreadable, "tls.certificate cannot be read"),
        ("authorities", unreadable, "tls.authorities cannot be read"),
        ("key", with_passphrase, "tls.key has a passphrase"),
        ("key", empty, "tls.key holds no private key in PEM format"),
        ("certificate", empty, "tls.certificate holds no certificate in PEM format"),
        ("authorities", empty, "tls.authorities holds no certificate in PEM format"),
        ("key", of_another, "do not match"),
        ("key", broken, "nable to load private TLS key"),
        ("certificate", broken, "tls cannot be used"),
        ("authorities", broken, "nable to load certificate file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    scenario: Scenario,
    scanner: Orthanc,
    ours: Certificate,
    name: str,
    spoil: Callable[[Path], None],
    words: str,
) -> None:
    site = scenario.site
    path = site.root / f"spoilt.{name}"
    assert scanner.tls is not None
    shutil.copy(tls(ours, scanner.tls.own)[name], path)
    spoil(path)
    site.config(tls={**tls(ours, scanner.tls.own), name: str(path)})
    refused(scenario, 3, f"{site.config_file}: SCANNER_MOVER.tls", words, str(path))
    check(site).named(words)
    # It asks nobody.
    assert site.mover("status").returncode == 0


@pytest.mark.other_dcmtk
@pytest.mark.usefixtures("movescu_with_tls")
class TestBothDirections:
    def test_a_study_is_pulled_and_finished(self, scenario: Scenario) -> None:
        study = scenario.acquire(3, 2)
        assert scenario.a_pass().stderr == ""
        assert scenario.where(study) == "finished-scans"
        scenario.site.config(receive=True)
        assert check(scenario.site).fix == []

    def test_images_in_plain_text_are_not_taken(self, scenario: Scenario, scanner: Orthanc) -> None:
        study = scenario.acquire(1)
        assert scanner.tls is not None
        scanner.stop()
        scanner.tls = scanner.tls._replace(sends=False)
        scanner.start()
        scenario.a_pass(exit_status=5)
        assert scenario.where(study) == "active-scans"
        assert scenario.site.images(study.uid, f"{study.uid}.1") == []
        scanner.stop()
        scanner.tls = scanner.tls._replace(sends=True)
        scanner.start()
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
