"""What `status --check` says of DCMTK's tools, of another receiver, and of the scanner; here no tool really runs."""

import socket
from collections.abc import Iterable
from pathlib import Path

import pytest

from scanner_mover.commands import check_scanner
from scanner_mover.commands.check_line import Finding, Verdict, busy, fix, not_tested, ok
from scanner_mover.config import Tls
from scanner_mover.errors import ConfigurationError, UnusableError
from scanner_mover.scanner import retry
from tests.support.ports import LOOPBACK
from tests.support.receiving import settings
from tests.support.site import Site
from tests.unit.commands.machine import ECHOED, FOUND, RECEIVING, SENT, TOOLS, Machine

INSTALL = "install DCMTK (Debian, Ubuntu: apt-get install dcmtk)"
SCANNER = f"scanner SCANNER at {LOOPBACK}:104"

FAILED = [SENT, "I: Received Final Find Response (Failed: UnableToProcess)"]
BUSY = ["F: Association Rejected:", "F: Result: Rejected Transient", "F: Reason: Temporary Congestion"]
HUNG_UP = ["F: Association Request Failed: 0006:0317 Peer aborted Association (or never connected)"]
REFUSED = ["F: Association Request Failed: 0006:031c TCP Initialization Error: Connection refused"]
REJECTED = ["F: Result: Rejected Permanent, Source: Service User", "F: Reason: Called AE Title Not Recognized"]
SILENT = ["E: Echo Failed: 0006:0203 DIMSE No data available (timeout in non-blocking mode)"]
BUSY_TEXT = "Association Rejected: Result: Rejected Transient Reason: Temporary Congestion"


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    for name in ("_FIRST_PAUSE_SECONDS", "_MOST_JITTER_SECONDS"):
        monkeypatch.setattr(retry, name, 0)
    return Machine(tmp_path / "bin", monkeypatch)


@pytest.fixture
def secure(tmp_path) -> Tls:
    """With files that look like what they should be."""
    key, certificate = tmp_path / "our key", tmp_path / "ours.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----")
    key.chmod(0o600)
    certificate.write_text("-----BEGIN CERTIFICATE-----")
    return Tls("config.json: SCANNER_MOVER.tls", str(key), str(certificate), str(certificate))


def until_error(findings: Iterable[Finding]) -> tuple[list[Finding], str]:
    """The findings before the error that ends them, and what it says."""
    before: list[Finding] = []
    with pytest.raises((UnusableError, ConfigurationError)) as raised:
        before.extend(findings)
    return before, str(raised.value)


def found(machine: Machine, names: Iterable[str]) -> list[Finding]:
    return [ok(f"{machine.folder}/{name} is DCMTK 3.6.7") for name in names]


# Tools


@pytest.mark.parametrize(("receive", "names"), [(False, TOOLS), (True, RECEIVING)])
def test_each_tool_that_is_needed_is_told_with_its_version(machine, receive, names):
    if not receive:
        machine.without("storescp")
        machine.without("dcmsend")
    told = list(check_scanner.tools(settings(receive=receive)))
    assert told == [*found(machine, names), ok("data dictionary of the DCMTK package")]
    assert machine.asked == []


@pytest.mark.parametrize("missing", ["echoscu", "storescp", "dcmsend"])
def test_a_tool_that_is_missing_hides_no_other(machine, missing):
    machine.without(missing)
    told = list(check_scanner.tools(settings(receive=True)))
    expected = found(machine, RECEIVING)
    expected[RECEIVING.index(missing)] = fix(f"{missing} is not on the PATH: {INSTALL}")
    assert told == [*expected, ok("data dictionary of the DCMTK package")]


@pytest.mark.parametrize("missing", ["findscu", "dump2dcm"])
def test_without_a_tool_for_queries_no_dictionary_is_looked_for(machine, missing):
    machine.without(missing)
    told, error = until_error(check_scanner.tools(settings()))
    assert error == f"{missing} is not on the PATH: {INSTALL}"
    assert told[TOOLS.index(missing)] == fix(error)
    assert len(told) == len(TOOLS)


@pytest.mark.parametrize(
    ("version", "what"),
    [
        ("3.6.0", f"is DCMTK 3.6.0: 3.6.1 or newer is needed; {INSTALL}"),
        ("unknown", f"does not say which version of DCMTK it is: {INSTALL}"),
    ],
)
def test_R12_a_tool_that_is_too_old_or_another_program_is_named(machine, version, what):
    machine.versions["movescu"] = version
    told = list(check_scanner.tools(settings()))
    assert [one for one in told if one.verdict is Verdict.FIX] == [fix(f"{machine.folder}/movescu {what}")]
    assert len(told) == len(TOOLS) + 1


def test_with_tls_the_tools_that_talk_to_others_must_have_it(machine, secure):
    machine.help["movescu"] = "  --help"
    told = list(check_scanner.tools(settings(receive=True, tls=secure)))
    (wrong,) = [one for one in told if one.verdict is Verdict.FIX]
    assert wrong.text.endswith(
        f"{machine.folder}/movescu has no TLS; movescu has it from DCMTK 3.7.0 on and built with OpenSSL"
    )
    assert machine.helped == ["findscu", "movescu", "echoscu", "storescp"]
    assert len(told) == len(RECEIVING) + 2, "its version, too"


def test_without_tls_no_tool_need_have_it(machine):
    machine.help = dict.fromkeys(RECEIVING, "")
    told = list(check_scanner.tools(settings(receive=True)))
    assert {one.verdict for one in told} == {Verdict.OK}


# The dictionary


def test_R8_a_dictionary_that_is_named_and_there_is_the_one_that_is_used(machine, tmp_path, monkeypatch):
    dictionary = tmp_path / "own.dic"
    dictionary.touch()
    monkeypatch.setenv("DCMDICTPATH", f"{tmp_path}/none.dic:{dictionary}")
    assert list(check_scanner.tools(settings())) == [*found(machine, TOOLS), ok(f"data dictionary {dictionary}")]


def test_R8_a_dictionary_that_is_not_there_is_passed_over_and_said(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("DCMDICTPATH", f"{tmp_path}/none.dic")
    assert list(check_scanner.tools(settings()))[-2:] == [
        ok(f"DCMDICTPATH names no file that exists ({tmp_path}/none.dic): DCMTK's own path is used"),
        ok("data dictionary of the DCMTK package"),
    ]


def test_R8_without_a_dictionary_the_other_lines_come_first(machine):
    machine.has_dictionary = False
    told, error = until_error(check_scanner.tools(settings()))
    assert told == found(machine, TOOLS)
    assert error.startswith("DCMTK finds no DICOM data dictionary: install DCMTK")


# Another receiver


@pytest.mark.parametrize("listens", [True, False])
def test_whether_another_program_listens(tmp_path, listens):
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        if listens:
            other.listen()
        port = other.getsockname()[1]
        told = list(check_scanner.other_receiver(settings(port)._replace(file=configuration(tmp_path, port))))
    if listens:
        assert told == [ok(f"a program listens on DICOMPORT {port}")]
    else:
        assert told == [fix(f"nothing listens on DICOMPORT {port}: start the storage SCP, or set receive")]


def test_without_the_port_nothing_is_known_of_another_program(tmp_path):
    told = list(check_scanner.other_receiver(settings()._replace(file=configuration(tmp_path, None))))
    assert told == [not_tested("whether another program receives: DICOMPORT is not given")]


def configuration(folder: Path, port: int | None) -> str:
    site = Site(folder, scanner_port=104, receive_port=11112)
    site.config(DICOMPORT=port)
    return str(site.config_file)


# The scanner


def test_a_scanner_that_answers_is_asked_for_nothing_that_it_has(machine):
    told = list(check_scanner.scanner(settings()))
    assert told == [ok("the scanner answers a C-ECHO"), ok("the scanner answers a C-FIND")]
    assert machine.asked == ["echoscu", "findscu"]
    (query,) = machine.queries
    assert "(0008,0052) CS [SERIES]" in query and "(0020,000d) UI [2.25.0]" in query


@pytest.mark.parametrize(
    ("lines", "tries", "what"),
    [(REFUSED, 1, "cannot be reached (Association Request Failed: TCP"), (HUNG_UP, 4, "hangs up at once (Association")],
)
def test_a_scanner_that_is_off_is_said_once(machine, lines, tries, what):
    machine.answers["echoscu"] = [lines]
    (told,) = check_scanner.scanner(settings())
    assert told.verdict is Verdict.FIX and told.text.startswith(f"C-ECHO: {SCANNER} {what}")
    assert machine.asked == ["echoscu"] * tries


@pytest.mark.parametrize("lines", [REJECTED, SILENT])
def test_one_that_fails_the_echo_is_asked_to_find_all_the_same(machine, lines):
    machine.answers = {"echoscu": [lines], "findscu": [FOUND]}
    echo, find = check_scanner.scanner(settings())
    assert echo.verdict is Verdict.FIX and echo.text.startswith(f"C-ECHO: {SCANNER} ")
    assert find == ok("the scanner answers a C-FIND")
    assert machine.asked == ["echoscu", "findscu"]


def test_one_that_fails_the_query_is_named_with_its_words(machine):
    machine.answers["findscu"] = [FAILED]
    assert list(check_scanner.scanner(settings())) == [
        ok("the scanner answers a C-ECHO"),
        fix(
            f"C-FIND: {SCANNER} did not do what it was asked (Failed: UnableToProcess): "
            "tried again in the next pass; if it goes on, the scanner's log says why"
        ),
    ]
    assert machine.asked == ["echoscu", "findscu"]


def test_one_that_stays_busy_is_no_fault(machine):
    machine.answers = {"echoscu": [BUSY], "findscu": [BUSY]}
    assert list(check_scanner.scanner(settings())) == [
        busy(f"{question}: the scanner is busy and takes no more associations ({BUSY_TEXT}); try again")
        for question in ("C-ECHO", "C-FIND")
    ]
    assert machine.asked == ["echoscu"] * 4 + ["findscu"] * 4


@pytest.mark.parametrize("first", [BUSY, HUNG_UP])
def test_one_that_has_not_closed_the_last_association_is_asked_again(machine, first):
    machine.answers = {"echoscu": [first, ECHOED], "findscu": [first, first, first, FOUND]}
    told = list(check_scanner.scanner(settings()))
    assert told == [ok("the scanner answers a C-ECHO"), ok("the scanner answers a C-FIND")]
    assert machine.asked == ["echoscu"] * 2 + ["findscu"] * 4


@pytest.mark.parametrize("missing", ["echoscu", "movescu"])
def test_without_a_tool_the_scanner_is_not_asked(machine, missing):
    machine.without(missing)
    assert until_error(check_scanner.scanner(settings())) == ([], f"{missing} is not on the PATH: {INSTALL}")
    assert machine.asked == []


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, False), (0o604, True), (0o602, True)])
def test_a_key_that_everybody_can_read_is_named(machine, secure, mode, is_open):
    Path(secure.key).chmod(mode)
    *wrong, echo, find = check_scanner.scanner(settings(tls=secure))
    line = fix(f"{secure.place}.key can be read by everybody: chmod o= '{secure.key}'")
    assert wrong == ([line] if is_open else [])
    assert (echo.verdict, find.verdict) == (Verdict.OK, Verdict.OK)


def test_with_a_file_for_tls_that_cannot_be_used_nothing_is_sent(machine, secure):
    Path(secure.key).unlink()
    told, error = until_error(check_scanner.scanner(settings(tls=secure)))
    assert (told, machine.asked) == ([], [])
    assert error == f"{secure.place}.key cannot be read: {secure.key}: No such file or directory"


def test_what_only_a_retrieve_can_show_is_said_with_the_command():
    assert list(check_scanner.sending()) == [not_tested("whether the scanner sends to us; try move --study UID")]
