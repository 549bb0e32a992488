"""What movescu says, as four versions say it, and what a C-MOVE makes of it (R15, R17)."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.config import Settings
from scanner_mover.dcmtk.movescu import MoveResult, move, parse
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Kind
from tests.support.ports import LOOPBACK
from tests.support.site import fake_tool, shell_tool
from tests.unit.dcmtk import NEEDED, VERSIONS, played, sample

STUDY = "1.2.826.0.1.3680043.10.1561.15"
SERIES = STUDY + ".1"

versions = pytest.mark.parametrize("version", VERSIONS)


def test_all_four_versions_were_recorded():
    assert set(NEEDED) <= set(VERSIONS)


# The text

NOT_SENT = (False, None)


@pytest.mark.parametrize(
    ("name", "sent_and_status"),
    [
        ("move-two-images", (True, "Success")),
        ("move-two-images-merged", (True, "Success")),
        ("move-no-image", (True, "Success")),
        ("move-no-receiver", (True, "Success")),
        ("move-status-a702", (True, "Refused: OutOfResourcesSubOperations")),
        ("move-status-a701", (True, "Refused: OutOfResourcesNumberOfMatches")),
        ("move-status-c001", (True, "Failed: UnableToProcess")),
        ("move-status-fe00", (True, "Cancel: SubOperationsTerminatedDueToCancelIndication")),
        ("move-status-b000", (True, "Warning: SubOperationsCompleteOneOrMoreFailures")),
        ("move-status-after-image", (True, "Refused: OutOfResourcesSubOperations")),
        ("move-broken-store", (True, "Refused: OutOfResourcesSubOperations")),
        ("move-mismatch", (True, "Warning: SubOperationsCompleteOneOrMoreFailures")),
        ("move-abort", (True, None)),
        ("move-hang-up", (True, None)),
        ("move-silence", (True, None)),
        ("move-bad-query", NOT_SENT),
        ("move-port-taken", NOT_SENT),
        ("move-missing-folder", NOT_SENT),
        ("move-missing-query", NOT_SENT),
        ("move-no-context", NOT_SENT),
        ("move-refused", NOT_SENT),
        ("move-rejected-called", NOT_SENT),
        ("move-rejected-busy", NOT_SENT),
        ("move-closed-at-once", NOT_SENT),
        ("move-no-association", NOT_SENT),
    ],
)
def test_R17_every_version_is_understood(name, sent_and_status):
    for version in VERSIONS:
        answer = parse(sample(version, name).lines)
        assert (answer.sent, answer.status) == sent_and_status, version


@versions
def test_R17_an_unknown_destination_has_two_wordings(version):
    answer = parse(sample(version, "move-status-a801").lines)
    assert answer.sent and answer.status in ("Refused: MoveDestinationUnknown", "Failed: MoveDestinationUnknown")


@given(lines=st.lists(st.text(st.characters()) | st.sampled_from(sample(VERSIONS[0], "move-two-images").lines)))
def test_any_text_is_read_without_a_crash(lines):
    answer = parse(lines)
    assert (answer.sent, answer.status is None) == (
        "I: Sending Move Request (MsgID 1)" in lines,
        "I: Received Final Move Response (Success)" not in lines,
    )


# A C-MOVE

# Prints the files OUT and ERR beside it and exits with STATUS; what it was called with is left in ARGUMENTS.
PLAYS_A_TEXT = """
here=${0%/*}
printf '%s\\n' "$@" > "$here/arguments"
cat "$here/out"
cat "$here/err" >&2
read -r status < "$here/status"
exit "$status"
"""


def settings(port: int = 104, **more: object) -> Settings:
    basis = Settings("ABCD", "config.json", "data", LOOPBACK, port, "SCANNER", "MOVER", 4006)
    return basis._replace(connect_timeout_seconds=5, response_timeout_seconds=5, **more)


@pytest.fixture
def plays(tmp_path) -> Callable[..., tuple[MoveResult, int, list[str]]]:
    """A C-MOVE with a movescu that prints a sample: how it went, images that were told of, and its arguments."""
    fake = shell_tool(tmp_path / "tools", "movescu", PLAYS_A_TEXT)

    def plays(version: str, name: str, **more: object) -> tuple[MoveResult, int, list[str]]:
        recorded = sample(version, name)
        for stream, lines in (("out", recorded.out), ("err", recorded.err)):
            text = "".join(f"{line}\n" for line in lines)
            (fake.parent / stream).write_bytes(text.encode("utf-8", "surrogateescape"))
        (fake.parent / "status").write_text(f"{recorded.index['exit_status']}\n")
        images: list[int] = []
        moved = move(
            Toolbox({"movescu": str(fake)}, {}),
            settings(**more),
            "query",
            progress=lambda: None,
            on_response=lambda: images.append(1),
        )
        return moved, len(images), (fake.parent / "arguments").read_text().splitlines()

    return plays


@pytest.mark.parametrize(
    ("name", "sent", "kind"),
    [
        ("move-two-images", True, None),
        ("move-no-image", True, None),
        ("move-status-a801", True, Kind.UNKNOWN_DESTINATION),
        ("move-status-a702", True, Kind.OUT_OF_RESOURCES),
        ("move-status-c001", True, Kind.REFUSED),
        ("move-status-b000", True, Kind.PARTIAL),
        ("move-status-fe00", True, Kind.CANCELLED),
        ("move-abort", True, Kind.INTERRUPTED),
        ("move-hang-up", True, Kind.INTERRUPTED),
        ("move-silence", True, Kind.INTERRUPTED),
        ("move-bad-query", False, Kind.INTERRUPTED),
        ("move-missing-folder", False, Kind.INTERRUPTED),
        ("move-no-context", False, Kind.UNSUPPORTED),
        ("move-refused", False, Kind.UNREACHABLE),
        ("move-rejected-calling", False, Kind.REJECTED),
        ("move-rejected-limit", False, Kind.BUSY),
    ],
)
def test_R17_the_text_counts_whatever_the_exit_status(name, sent, kind):
    for version in VERSIONS:
        tools = played(version, name)
        moved = move(tools, settings(), "query", progress=lambda: None, on_response=lambda: None)
        assert (moved.sent, moved.failure and moved.failure.kind) == (sent, kind), version
        assert moved.status and moved.seconds >= 0, version


@versions
def test_R17_each_image_is_told_of_as_it_comes(plays, version):
    assert plays(version, "move-two-images")[1] == 2
    assert plays(version, "move-no-image")[1] == 0


@versions
def test_R8_without_a_dictionary_it_is_unusable(plays, version):
    with pytest.raises(UnusableError, match="DCMTK finds no DICOM data dictionary"):
        plays(version, "move-no-dictionary")


def test_R15_the_arguments_of_the_reference(plays):
    _, _, arguments = plays(VERSIONS[0], "move-no-image", max_pdu=65536)
    assert arguments[-3:] == [LOOPBACK, "104", "query"]
    for pair in (("-aet", "MOVER"), ("-aec", "SCANNER"), ("-aem", "MOVER"), ("-to", "5"), ("-ta", "5")):
        assert pair in pairwise(arguments)
    assert {"-v", "--study"} <= set(arguments)
    # -td would end a retrieve whose images another program receives.
    assert ("-pdu", "65536") in pairwise(arguments)
    assert not {"+P", "-od", "-td", "+xa"} & set(arguments)


def test_a_movescu_without_progress_is_ended(tmp_path):
    fake = fake_tool(tmp_path / "tools", "movescu", "import time; time.sleep(600)")
    moved = move(
        Toolbox({"movescu": str(fake)}, {}),
        settings(retrieve_stall_seconds=0.1),
        "query",
        progress=lambda: None,
        on_response=lambda: None,
    )
    assert (moved.sent, moved.failure and moved.failure.kind) == (False, Kind.STALLED)


# The real one
