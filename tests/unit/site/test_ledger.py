"""The ledger of closed studies: a line each, on the disk, and nothing that a damaged line breaks (R39)."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.errors import UnusableError
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.ledger import Entry, SeriesCounts, append, read
from tests.support import objects

STUDY = "1.2.826.0.1.3680043.10.1561.39"
OTHER = STUDY + "1"
TIME = "2026-01-31T10:00:00+01:00"
FINISHED = Entry(STUDY, TIME, Outcome.FINISHED, None, (SeriesCounts("1.2.3", 5, 5), SeriesCounts("1.2.4", None, 7)))
FAILED = Entry(OTHER, TIME, Outcome.FAILED, "2 of 6 images missing", (SeriesCounts("1.2.5", 6, 4),), True)

APPEND_MANY = """
import sys
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.site.ledger import Entry, append
for number in range(100):
    append(sys.argv[1], Entry(f"1.{sys.argv[2]}.{number}", "x" * 500, Outcome.FINISHED))
"""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "moveFromScanner.ledger.jsonl"


def test_R39_what_was_written_is_what_is_read(path):
    append(str(path), FINISHED)
    append(str(path), FAILED)
    assert read(str(path)) == {STUDY: FINISHED, OTHER: FAILED}


def test_R39_its_lines_are_json_without_a_patient(path):
    old = os.umask(0o077)
    try:
        append(str(path), FINISHED)
    finally:
        os.umask(old)
    assert json.loads(path.read_text()) == {
        "study": STUDY,
        "time": TIME,
        "outcome": "finished",
        "reason": None,
        "series": [
            {"series_instance_uid": "1.2.3", "expected": 5, "received": 5},
            {"series_instance_uid": "1.2.4", "expected": None, "received": 7},
        ],
        "incomplete": False,
    }
    assert objects.PATIENT_NAME not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644


def test_R39_of_a_study_that_was_closed_twice_the_last_line_counts(path):
    append(str(path), Entry(STUDY, TIME, Outcome.FAILED, "no answer"))
    append(str(path), FINISHED)
    assert read(str(path)) == {STUDY: FINISHED}
    assert len(path.read_text().splitlines()) == 2


def test_R39_without_a_file_there_is_no_entry(path):
    assert read(str(path)) == {}


def test_R39_it_is_on_the_disk_before_the_request_moves(path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    append(str(path), FINISHED)
    assert synced == [str(path), str(path.parent)]
    append(str(path), FAILED)
    assert synced[2:] == [str(path)]
    monkeypatch.setattr(os, "fsync", real)


@pytest.mark.parametrize("cut", [1, 2, 10, 100])
def test_R39_after_a_line_that_was_torn_the_next_begins_anew(path, cut):
    append(str(path), FINISHED)
    append(str(path), FAILED)
    path.write_bytes(path.read_bytes()[:-cut])
    assert read(str(path)) == ({STUDY: FINISHED, OTHER: FAILED} if cut == 1 else {STUDY: FINISHED})
    append(str(path), FAILED)
    assert read(str(path)) == {STUDY: FINISHED, OTHER: FAILED}


def test_R39_on_a_full_disk_nothing_is_written_and_it_is_named(path):
    append(str(path), FINISHED)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(UnusableError, match=r"^the ledger .* cannot be written: File too large$"):
            append(str(path), FAILED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before


def test_R39_two_processes_write_whole_lines(path):
    writers = [subprocess.Popen([sys.executable, "-c", APPEND_MANY, str(path), str(number)]) for number in (1, 2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    # Between two of them there may be an empty line: one saw the other's half written.
    assert len(read(str(path))) == len(list(filter(None, path.read_text().splitlines()))) == 200


DAMAGED: list[bytes] = [
    *[b"", b"{", b"[]", b"null", b"\xff\xfe", b"\0" * 100, b"[" * 100_000, b"9" * 5000, b"x" * 3_000_000],
    *[b'{"study": "1.2"}', b"[" + b"1," * 600_000 + b"1]"],
]


@pytest.mark.parametrize("line", DAMAGED, ids=lambda line: repr(line[:20]))
def test_R39_a_damaged_line_costs_no_other(path, line):
    append(str(path), FINISHED)
    path.write_bytes(path.read_bytes() + line + b"\n")
    append(str(path), FAILED)
    assert read(str(path)) == {STUDY: FINISHED, OTHER: FAILED}


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_R39_the_end_of_a_line_that_is_too_long_is_no_line(path, end):
    append(str(path), FINISHED)
    path.write_bytes(b"x" * (1 << 20) + path.read_bytes().rstrip() + end)
    assert read(str(path)) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    name=st.sampled_from(["study", "time", "outcome", "reason", "series", "incomplete"]),
    inner=st.sampled_from([None, "series_instance_uid", "expected", "received"]),
    value=json_values,
)
def test_R39_whatever_stands_in_a_line_it_is_an_entry_or_none(tmp_path_factory, name, inner, value):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.unlink(missing_ok=True)
    append(str(path), FINISHED)
    line = json.loads(path.read_text())
    if inner is None:
        line[name] = value
    else:
        line["series"][0][inner] = value
    path.write_text(json.dumps(line))
    for uid, entry in read(str(path)).items():
        assert uid == entry.study_instance_uid and entry.outcome in (Outcome.FINISHED, Outcome.FAILED)
        assert all(isinstance(series, SeriesCounts) and series.received >= 0 for series in entry.series)


@pytest.mark.timeout(20)
def test_R39_what_is_no_file_in_its_place_is_named_and_holds_nobody(path):
    os.mkfifo(path)
    with pytest.raises(UnusableError, match=r"the ledger .* cannot be written: it is not a regular file"):
        append(str(path), FINISHED)
    with pytest.raises(UnusableError, match=r"the ledger .* cannot be read: it is not a regular file"):
        read(str(path))


@pytest.mark.parametrize(("project", "name"), [("ABCD", "moveFromScanner"), ("LAB", "moveFromScannerLAB")])
def test_R39_it_lies_beside_the_state_file(project, name):
    folders = ServerFolders("/server", project)
    assert folders.ledger == f"/server/.pids/{name}.ledger.jsonl"
    assert os.path.dirname(folders.state) == os.path.dirname(folders.ledger)
