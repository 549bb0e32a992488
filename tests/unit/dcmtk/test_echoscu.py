"""What echoscu is asked, and what its output says of the scanner: recorded from four versions, or made up."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scanner_mover.config import Tls
from scanner_mover.dcmtk.child import Ending, Why
from scanner_mover.dcmtk.echoscu import echo
from scanner_mover.dcmtk.tool import Run, Toolbox
from scanner_mover.errors import ConfigurationError
from scanner_mover.failures import Detail, Failure, Kind, Service
from tests.support.receiving import settings
from tests.unit.dcmtk import VERSIONS, Played, played

versions = pytest.mark.parametrize("version", VERSIONS)
ECHOED = "I: Received Echo Response (Success)"


class Once(Toolbox):
    """A toolbox whose one run went so; it keeps the call."""

    def __init__(self, run: Run) -> None:
        super().__init__({}, {})
        self.__dict__.update(result=run, calls=[])

    def run(self, name: str, arguments: Sequence[str], *, stall_seconds: float, **_: object) -> Run:
        self.__dict__["calls"].append((name, list(arguments), stall_seconds))
        run: Run = self.__dict__["result"]
        return replace(run)


def failure(run: Run) -> Failure:
    found = echo(Once(run), settings())
    assert found is not None
    assert found.detail.service is Service.ECHO
    return found


@versions
def test_a_scanner_that_answers_is_no_failure(version):
    assert echo(played(version, "echo-good"), settings()) is None


@versions
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("echo-refused", Kind.UNREACHABLE),
        ("echo-closed-at-once", Kind.HUNG_UP),
        ("echo-rejected-called", Kind.REJECTED),
        ("echo-rejected-busy", Kind.BUSY),
    ],
)
def test_a_scanner_that_does_not_answer_is_one_of_a_C_ECHO(version, name, kind):
    found = echo(played(version, name), settings())
    assert found is not None and (found.kind, found.detail.service) == (kind, Service.ECHO)


@pytest.mark.parametrize("exit_status", [0, 1, -11])
def test_the_answer_counts_and_not_the_exit_status(exit_status):
    assert echo(Played([ECHOED], exit_status=exit_status), settings()) is None
    assert failure(Run(["I: Releasing Association"], exit_status=max(0, exit_status))).kind is Kind.INTERRUPTED


@pytest.mark.parametrize(
    "line",
    [
        "I: Received Echo Response (Failed: 0x0110)",
        "I: Received Echo Response (Success) of another",
        "W: what came is not: I: Received Echo Response (Success)",
    ],
)
def test_only_success_is_success(line):
    assert failure(Run(err=[line])) == Failure(Kind.INTERRUPTED, "no final status came", Detail(service=Service.ECHO))


def test_one_that_falls_silent_was_ended_by_us():
    ending = Ending(Why.NO_PROGRESS, "ended: no progress for 130 s")
    assert failure(Run(err=["I: Requesting Association"], exit_status=-15, ended=ending)) == Failure(
        Kind.STALLED, ending.text, Detail(service=Service.ECHO)
    )


def test_a_tool_that_crashes_is_not_the_scanners_failure():
    assert failure(Run(exit_status=-11)).kind is Kind.KILLED


def test_it_is_told_the_titles_the_limits_and_the_scanner():
    tools = Once(Run([ECHOED]))
    assert echo(tools, settings(connect_timeout_seconds=2.5, response_timeout_seconds=7)) is None
    ((name, arguments, stall_seconds),) = tools.__dict__["calls"]
    assert name == "echoscu"
    assert arguments == [
        *["-v", "-aet", "MOVER", "-aec", "SCANNER", "-to", "3", "-ta", "7", "-td", "7", "127.0.0.1", "104"]
    ]
    assert stall_seconds == 2.5 + 2 * 7


def test_files_for_tls_that_it_cannot_use_are_an_error_of_the_configuration():
    secure = settings(tls=Tls("config.json: SCANNER_MOVER.tls", "k", "c", "a"))
    said = Run(err=["F: 000b:0004 Unable to load private TLS key from 'k'"], exit_status=1)
    with pytest.raises(ConfigurationError, match=r"^config\.json: SCANNER_MOVER\.tls cannot be used: Unable to load"):
        echo(Once(said), secure)
