"""movescu against a real scanner (R15, R17)."""

import re
from pathlib import Path

import pytest

from scanner_mover.config import Settings
from scanner_mover.dcmtk.dump2dcm import make_query_file, move_of_series
from scanner_mover.dcmtk.movescu import MoveResult, move
from scanner_mover.failures import Kind
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import dumped_series
from tests.support.ports import LOOPBACK, free_port
from tests.support.receiver import StorescpReceiver
from tests.support.site import real_tools

STUDY = "1.2.826.0.1.3680043.10.1561.15"
SERIES = STUDY + ".1"


def settings(port: int = 104, **more: object) -> Settings:
    basis = Settings("ABCD", "config.json", "data", LOOPBACK, port, "SCANNER", "MOVER", 4006)
    return basis._replace(connect_timeout_seconds=5, response_timeout_seconds=5, **more)


def real(tmp_path: Path, port: int) -> MoveResult:
    tools = real_tools("movescu", "dump2dcm")
    query = make_query_file(tools, move_of_series(STUDY, SERIES), str(tmp_path / "query"))
    return move(tools, settings(port), query, progress=lambda: None, on_response=lambda: None)


@pytest.fixture
def scanner(tmp_path):
    with Dcmqrscp(tmp_path / "scanner", {"MOVER": free_port()}) as scanner:
        for series in (SERIES, STUDY + ".2"):
            images = tmp_path / "images" / series
            scanner.store(dumped_series(images, study_instance_uid=STUDY, series_instance_uid=series, images=2))
        yield scanner


def test_R15_the_real_movescu_has_one_series_sent(tmp_path, scanner):
    with StorescpReceiver(tmp_path / "receiver", tmp_path / "data", port=scanner.destinations["MOVER"]) as receiver:
        moved = real(tmp_path, scanner.port)
        assert (moved.sent, moved.status, moved.failure) == (True, "Success", None)
        receiver.wait_until_linked(2)
        assert sorted(path.name for path in receiver.linked()) == [f"{SERIES}.1", f"{SERIES}.2"]


def test_R17_a_scanner_that_does_not_know_us_says_so(tmp_path, scanner):
    scanner.stop()
    scanner.destinations = {"ANOTHER": free_port()}
    scanner.start()
    moved = real(tmp_path, scanner.port)
    assert moved.failure is not None and moved.failure.kind is Kind.UNKNOWN_DESTINATION
    assert re.fullmatch(r"(Refused|Failed): MoveDestinationUnknown", moved.status)


def test_R17_a_receiver_that_is_down_is_no_success(tmp_path, scanner):
    assert real(tmp_path, scanner.port).failure is not None


def test_a_scanner_that_is_off_is_unreachable(tmp_path):
    moved = real(tmp_path, free_port())
    assert (moved.sent, moved.failure and moved.failure.kind) == (False, Kind.UNREACHABLE)
