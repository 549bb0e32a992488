"""findscu against real scanners (R11, R12, R14)."""

from pathlib import Path

import pytest

from scanner_mover.config import Settings
from scanner_mover.dcmtk import findscu
from scanner_mover.dcmtk.dump2dcm import make_query_file, series_of_study
from scanner_mover.dcmtk.findscu import Found, find
from scanner_mover.failures import Kind
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import dumped_series
from tests.support.ports import LOOPBACK, free_port
from tests.support.script import Script
from tests.support.site import real_tools

STUDY = "1.2.826.0.1.3680043.10.1561.11"
TAGS = ["0020,000d", "0020,000e"]


def settings(port: int) -> Settings:
    basis = Settings("ABCD", "config.json", "data", LOOPBACK, port, "SCANNER", "MOVER", None)
    return basis._replace(connect_timeout_seconds=5, response_timeout_seconds=5)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def real(tmp_path: Path, folder: Path, port: int, *studies: str) -> list[Found]:
    tools = real_tools("findscu", "dump2dcm", "dcmdump")
    queries = [
        make_query_file(tools, series_of_study(study), str(tmp_path / f"query{number}"))
        for number, study in enumerate(studies)
    ]
    return find(tools, settings(port), queries, str(folder), TAGS)


def test_R11_R12_the_real_findscu_asks_a_real_scanner_many_in_one_association(tmp_path, folder):
    with Dcmqrscp(tmp_path / "scanner") as scanner:
        for number in (1, 2):
            series = f"{STUDY}.{number}"
            images = tmp_path / "images" / series
            scanner.store(dumped_series(images, study_instance_uid=STUDY, series_instance_uid=series, images=1))
        found = real(tmp_path, folder, scanner.port, STUDY, "1.2.3", STUDY)
        assert scanner.log.read_text(errors="replace").count("Association Received") == 1
    assert [one.failure for one in found] == [None, None, None]
    assert [sorted(str(answer.one("0020,000e")) for answer in one.answers) for one in found] == [
        [f"{STUDY}.1", f"{STUDY}.2"],
        [],
        [f"{STUDY}.1", f"{STUDY}.2"],
    ]


def test_R14_a_scanner_that_is_off_is_unreachable(tmp_path, folder):
    found = real(tmp_path, folder, free_port(), STUDY, "1.2.3")
    assert [one.failure and one.failure.kind for one in found] == [Kind.UNREACHABLE] * 2


def test_R14_a_scanner_that_does_not_know_us_rejects(tmp_path, folder):
    with Dcmqrscp(tmp_path / "scanner", ae_title="OTHER") as scanner:
        [found] = real(tmp_path, folder, scanner.port, STUDY)
    assert found.failure is not None and found.failure.kind is Kind.REJECTED


@pytest.mark.parametrize(("limit", "value"), [("MOST_ANSWERS", 300), ("MOST_BYTES", 100_000)])
def test_a_scanner_whose_answers_never_end_is_left_alone(scripted, tmp_path, folder, monkeypatch, limit, value):
    images = dumped_series(tmp_path / "images", study_instance_uid=STUDY, series_instance_uid=f"{STUDY}.1", images=1)
    scripted.studies = {STUDY: {f"{STUDY}.1": images}}
    scripted.script = Script(endless={"SERIES"})
    monkeypatch.setattr(findscu, limit, value)
    found = real(tmp_path, folder, scripted.port, STUDY, "1.2.3")
    assert [one.failure and one.failure.kind for one in found] == [Kind.LIMIT, None]
    assert found[0].failure is not None and f"more than {value}" in found[0].failure.text
    written = sum(path.stat().st_size for path in folder.rglob("rsp*"))
    assert written < 4_000_000, "it was ended soon after"
