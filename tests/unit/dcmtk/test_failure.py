"""Which kind of failure the tools' own words tell of, in four versions (R12, R14, R17)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.dcmtk import findscu, movescu
from scanner_mover.dcmtk.failure import of_lines, of_status
from scanner_mover.failures import Failure, Kind, Title
from tests.unit.dcmtk import NEEDED, VERSIONS, sample

versions = pytest.mark.parametrize("version", VERSIONS)


def test_all_four_versions_were_recorded():
    assert set(NEEDED) <= set(VERSIONS)


def sent_statuses(version: str, name: str) -> list[str]:
    """The codes that the scanner of the sample sent, in order."""
    shows = sample(version, name).index["shows"]
    return [word for word in str(shows).split() if word.startswith("0x")]


def kind(failure: Failure | None) -> Kind | None:
    return failure and failure.kind


# The codes of PS3.4 tables C.4-1 and C.4-2, those of PS3.7 annex C, and some that mean nothing.
OF_FIND = {
    "0x0000": None,
    "0xA700": Kind.OUT_OF_RESOURCES,
    "0xA701": Kind.OUT_OF_RESOURCES,
    "0xA702": Kind.OUT_OF_RESOURCES,
    "0xFE00": Kind.CANCELLED,
}
OF_MOVE = {**OF_FIND, "0xA801": Kind.UNKNOWN_DESTINATION, "0xB000": Kind.PARTIAL}


@versions
def test_R14_of_all_statuses_of_a_C_FIND_only_Success_is_one(version):
    statuses = [one.status for one in findscu.parse(sample(version, "find-every-status").lines)]
    found = dict(zip(sent_statuses(version, "find-every-status"), statuses, strict=True))
    assert len(found) > 20
    assert {code: kind(of_status(str(status))) for code, status in found.items()} == {
        code: OF_FIND.get(code, Kind.REFUSED) for code in found
    }


@versions
def test_R17_of_all_statuses_of_a_C_MOVE_only_Success_is_one(version):
    lines = [line for line in sample(version, "move-every-status").lines if "Final Move Response" in line]
    statuses = [movescu.parse([line]).status for line in lines]
    found = dict(zip(sent_statuses(version, "move-every-status"), statuses, strict=True))
    assert len(found) > 20
    assert {code: kind(of_status(str(status))) for code, status in found.items()} == {
        code: OF_MOVE.get(code, Kind.REFUSED) for code in found
    }


@pytest.mark.parametrize("status", ["Pending", "Pending: WarningUnsupportedOptionalKeys"])
def test_what_is_no_final_status_is_interrupted(status):
    assert kind(of_status(status)) is Kind.INTERRUPTED


@pytest.mark.parametrize("status", ["Cancel", "Cancel: x"])
def test_R34_a_request_that_the_scanner_cancels_was_answered(status):
    assert kind(of_status(status)) is Kind.CANCELLED


@pytest.mark.parametrize("status", ["", "success", "Unknown Status: 0xb000", "Succes", "Failed", "x", "Warning"])
def test_R14_what_is_not_understood_is_no_success(status):
    failure = of_status(status)
    assert failure is not None and failure.text == status


@given(status=st.text(st.characters()))
def test_R14_any_words_but_Success_are_a_failure(status):
    assert (of_status(status) is None) == status.startswith("Success")


# Without a final status


@pytest.mark.parametrize("tool", ["find", "move", "echo"])
@pytest.mark.parametrize(
    ("name", "expected", "words"),
    [
        ("refused", Kind.UNREACHABLE, "TCP Initialization Error"),
        ("closed-at-once", Kind.HUNG_UP, "Peer aborted Association"),
        ("no-association", Kind.UNREACHABLE, "DUL network read timeout"),
        ("rejected-called", Kind.REJECTED, "Called AE Title Not Recognized"),
        ("rejected-calling", Kind.REJECTED, "Calling AE Title Not Recognized"),
        ("rejected-no-reason", Kind.REJECTED, "No Reason"),
        ("rejected-busy", Kind.BUSY, "Temporary Congestion"),
        ("rejected-limit", Kind.BUSY, "Local Limit Exceeded"),
    ],
)
def test_R14_no_association(tool, name, expected, words):
    for version in VERSIONS:
        failure = of_lines(sample(version, f"{tool}-{name}").lines)
        assert failure.kind is expected, version
        assert words in failure.text, version


@pytest.mark.parametrize("tool", ["find", "move", "echo"])
@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("rejected-called", Title.CALLED),
        ("rejected-calling", Title.CALLING),
        ("rejected-no-reason", None),
        ("rejected-busy", None),
        ("refused", None),
    ],
)
def test_the_title_that_is_rejected_is_known(tool, name, title):
    for version in VERSIONS:
        assert of_lines(sample(version, f"{tool}-{name}").lines).detail.title is title, version


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("E: No presentation context for: (RAW) RawDataStorage", ("RawDataStorage",)),
        ("W: Unsupported SOP class: 1.2.840.10008.5.1.4.1.1.66", ("1.2.840.10008.5.1.4.1.1.66",)),
        (
            "E: unknown transfer syntax 1.2.840.10008.1.2.4.57 of MRImageStorage",
            ("1.2.840.10008.1.2.4.57", "MRImageStorage"),
        ),
        ("I: No presentation context for: (RAW) RawDataStorage", ()),
        ("E: cannot write RawDataStorage", ()),
        ("E: No Acceptable Presentation Contexts", ()),
    ],
)
def test_what_was_refused_is_known_where_a_tool_names_it(line, named):
    assert of_lines(["I: x", line, line]).detail.refused == named


@pytest.mark.parametrize(
    ("name", "expected", "words"),
    [
        ("find-no-context", Kind.UNSUPPORTED, "No Acceptable Presentation Contexts"),
        ("move-no-context", Kind.UNSUPPORTED, "No Acceptable Presentation Contexts"),
        ("find-abort", Kind.INTERRUPTED, "Peer aborted Association"),
        ("find-hang-up", Kind.INTERRUPTED, "Peer aborted Association"),
        ("find-silence", Kind.INTERRUPTED, "DIMSE No data available"),
        ("find-response-too-many", Kind.INTERRUPTED, "Unexpected Response MsgId"),
        ("find-missing-folder", Kind.INTERRUPTED, "specified output directory does not exist"),
        ("find-quiet", Kind.INTERRUPTED, "no final status came"),
        ("move-abort", Kind.INTERRUPTED, "Peer aborted Association"),
        ("move-hang-up", Kind.INTERRUPTED, "Peer aborted Association"),
        ("move-silence", Kind.INTERRUPTED, "DIMSE No data available"),
    ],
)
def test_R14_an_association_without_an_answer(name, expected, words):
    for version in VERSIONS:
        failure = of_lines(sample(version, name).lines)
        assert failure.kind is expected, version
        assert words in failure.text, version


# What findscu 3.6.5, then the later ones, said of an Orthanc with TLS.
INSECURE = {
    "certificate verify failed": [
        [
            "E: TLS client handshake failed",
            "E: Association Request Failed: 0006:031b Failed to establish association",
            "E: 0006:0317 Peer aborted Association (or never connected)",
            "E: 0006:031e DUL secure transport layer: certificate verify failed",
        ],
        ["E: Association Request Failed: 000b:0886 TLS error: certificate verify failed"],
        ["F: Association Request Failed: 000b:0886 TLS error: certificate verify failed"],
    ],
    "OpenSSL I/O error": [["E: Association Request Failed: 000b:0017 OpenSSL I/O error (SSL_ERROR_SYSCALL)"]],
}


@pytest.mark.parametrize(("words", "lines"), [(words, lines) for words, all_ in INSECURE.items() for lines in all_])
def test_no_secure_connection(words, lines):
    failure = of_lines(lines)
    assert failure.kind is Kind.INSECURE
    assert words in failure.text


def test_a_stranger_who_knocks_while_images_are_received_is_no_failure_of_the_scanner():
    lines = ["E: TLS server handshake failed", "E: 000b:0886 TLS error: certificate verify failed"]
    assert of_lines([*lines, "E: Move Request Failed: 0006:020e DIMSE"]).kind is Kind.INTERRUPTED


def test_a_scanner_that_hangs_up_at_once_is_told_with_the_same_words_each_time():
    """DCMTK tells of it in two ways, as it happens: a person is not told of a new fault each time."""
    said = [
        "E: Association Request Failed: 0006:0317 Peer aborted Association (or never connected)",
        "E: Association Request Failed: 0006:031d TCP I/O Error (Connection reset by peer) occurred in routine: "
        "sendAssociationRQTCP",
    ]
    first, second = (of_lines([line]) for line in said)
    assert first == second
    assert first.kind is Kind.HUNG_UP


@versions
@pytest.mark.parametrize("tool", ["find", "move", "echo"])
def test_a_scanner_that_hangs_up_at_once_is_not_one_that_is_off(version, tool):
    """3.6.5 says of both that the peer aborted."""
    assert of_lines(sample(version, f"{tool}-closed-at-once").lines).kind is Kind.HUNG_UP
    for name in ("refused", "no-association", "abort", "hang-up"):
        if (tool, name) not in {("echo", "abort"), ("echo", "hang-up")}:
            assert of_lines(sample(version, f"{tool}-{name}").lines).kind is not Kind.HUNG_UP


@versions
def test_a_failure_is_told_in_one_line_that_is_the_same_each_time(version):
    """Codes and numbers of condition are left out, and no line is told twice."""
    for name in ("find-refused", "move-refused", "find-abort", "move-abort"):
        text = of_lines(sample(version, name).lines).text
        assert text.isprintable() and "0006:03" not in text and "I: " not in text


@given(lines=st.lists(st.text(st.characters()) | st.text(st.characters()).map("E: {}".format)))
def test_any_lines_are_a_failure(lines):
    failure = of_lines(lines)
    assert failure.text and isinstance(failure.kind, Kind)


def test_a_scanner_that_takes_the_association_and_not_the_service_does_not_offer_it():
    lines = ["W: no presentation context", "E: Move SCU Failed: 0006:0208 DIMSE No valid Presentation Context ID"]
    assert of_lines(lines).kind is Kind.UNSUPPORTED


def test_of_a_line_without_end_the_beginning_is_told():
    """A text of a million words took a pass minutes, while it had the lock, and filled the log."""
    endless = "Find SCU Failed" + " x" * 500_000
    for text in (of_lines([f"E: {endless}"]).text, failure_text(endless)):
        assert text.startswith("Find SCU Failed x x ") and text.endswith("…") and len(text) < 400


def failure_text(status: str) -> str:
    failure = of_status(status)
    assert failure is not None
    return failure.text
