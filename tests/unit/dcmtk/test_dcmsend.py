"""dcmsend: when an object counts as sent, and what the failure is otherwise."""

from collections.abc import Sequence

import pytest

from scanner_mover.dcmtk import dcmsend
from scanner_mover.dcmtk.tool import Run, Toolbox
from scanner_mover.failures import Kind

SUCCESS = "I: Received C-STORE Response (Success)"
REFUSED = "E: Association Rejected:"


class Sender(Toolbox):
    """A toolbox in which dcmsend prints these lines; `calls` has how it was called."""

    def __init__(self, out: Sequence[str] = (), err: Sequence[str] = ()) -> None:
        super().__init__({}, {})
        self.__dict__["answer"] = Run(list(out), list(err))
        self.__dict__["calls"] = []

    def run(self, name: str, arguments: Sequence[str], **more: object) -> Run:
        self.__dict__["calls"].append((name, list(arguments), more))
        answer: Run = self.__dict__["answer"]
        return answer


@pytest.mark.parametrize(
    ("out", "err"),
    [([SUCCESS], []), ([], [SUCCESS]), (["I: Sending SOP instance 1/1"], ["W: private class", SUCCESS])],
)
def test_the_object_was_taken_when_the_receiver_says_Success_on_either_stream(out, err):
    assert dcmsend.send(Sender(out, err), "FILE", 4006) is None


@pytest.mark.parametrize(
    ("out", "err", "kind", "text"),
    [
        ([], [], Kind.INTERRUPTED, "no final status came"),
        (["I: Received C-STORE Response (Refused: OutOfResources)"], [], Kind.INTERRUPTED, "no final status came"),
        (["I: Received C-STORE Response (Success)?"], [], Kind.INTERRUPTED, "no final status came"),
        (
            [],
            ["F: cannot send SOP instance", "E: No presentation context for this class"],
            Kind.UNSUPPORTED,
            "cannot send SOP instance No presentation context for this class",
        ),
        (
            ["E: of standard output"],
            ["E: Association Request Failed: 0006:031b Failed to establish association"],
            Kind.UNREACHABLE,
            "Association Request Failed: Failed to establish association of standard output",
        ),
    ],
)
def test_otherwise_the_failure_is_that_of_its_lines_those_of_standard_error_first(out, err, kind, text):
    failure = dcmsend.send(Sender(out, err), "FILE", 4006)
    assert failure is not None
    assert (failure.kind, failure.text) == (kind, text)


def test_it_sends_to_this_machine_alone_and_does_not_wait_for_ever():
    tools = Sender([SUCCESS])
    dcmsend.send(tools, "FILE", 4006)
    ((name, arguments, more),) = tools.__dict__["calls"]
    assert (name, arguments) == ("dcmsend", ["-v", "127.0.0.1", "4006", "FILE"])
    assert 0 < more["stall_seconds"] <= 60
