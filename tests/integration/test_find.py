"""`find` as people and scripts use it: against both real servers, and a scripted one for what these never answer."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
import pytest
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pynetdicom import evt

from tests.integration.invariants import assert_study_is_here
from tests.integration.test_terminal import Terminal
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import ct_series, mr_series, uid
from tests.support.orthanc import Orthanc
from tests.support.ports import free_port
from tests.support.scripted import PENDING, Answer, Script, ScriptedScanner
from tests.support.site import BIN, Site

STUDY_COLUMNS = [
    "StudyDate",
    "StudyTime",
    "PatientID",
    "PatientName",
    "StudyDescription",
    "ModalitiesInStudy",
    "AccessionNumber",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "StudyInstanceUID",
]
SERIES_COLUMNS = [
    "SeriesNumber",
    "SeriesDate",
    "SeriesTime",
    "Modality",
    "SeriesDescription",
    "ProtocolName",
    "NumberOfSeriesRelatedInstances",
    "ImagesInAcquisition",
    "SeriesInstanceUID",
    "StudyInstanceUID",
]
ODD = "a]b[ \"q\" 's' $(id) `id` #& d"


class Hospital(NamedTuple):
    """A real scanner with four studies, named by what is odd about them, and a site that asks it."""

    server: Dcmqrscp | Orthanc
    site: Site
    uids: dict[str, str]

    def names(self, uids: Iterable[str]) -> list[str]:
        name = {uid: name for name, uid in self.uids.items()}
        return sorted(name[uid] for uid in uids)


@pytest.fixture(scope="module", params=[Dcmqrscp, Orthanc])
def hospital(request, tmp_path_factory) -> Iterator[Hospital]:
    """Today is 2026-02-03: `yesterday` and `today` are studies of these days."""
    folder = tmp_path_factory.mktemp("hospital")
    with request.param(folder / "scanner", {"MOVER": free_port()}) as server:
        uids = {name: uid() for name in ("head", "abdomen", "yesterday", "today")}

        def acquired(name: str, make: Any = mr_series, images: int = 1, series: int = 1, **attributes: str) -> None:
            study = uids[name]
            for number in range(series, series + 1):
                more = {**attributes, "SeriesNumber": number}
                server.store(
                    make(
                        folder / f"{study}.{number}",
                        study_instance_uid=study,
                        series_instance_uid=f"{study}.{number}",
                        images=images,
                        attributes=more,
                    )
                )

        acquired("head", images=2, StudyDate="20260110", PatientID="A-1", StudyDescription="HEAD MRI")
        acquired(
            "head", ct_series, 3, 2, StudyDate="20260110", PatientID="A-1", StudyDescription="HEAD MRI", Modality="CT"
        )
        acquired(
            "abdomen", ct_series, StudyDate="20260131", PatientID="B-2", PatientName="Other^Name", StudyDescription=ODD
        )
        acquired("yesterday", StudyDate="20260202", PatientID=ODD, PatientName="Odd^" + ODD, StudyDescription="KNEE")
        acquired("today", StudyDate="20260203", PatientID="B-22", StudyTime="235900.123", AccessionNumber="ACC7")
        site = Site(folder / "site", scanner_port=server.port)
        yield Hospital(server, site, uids)


def find(site: Site, *arguments: str, exit_status: int = 0, **more: Any) -> list[dict[str, Any]]:
    """The rows of `find --json`."""
    done = site.mover("find", "--json", *arguments, **more)
    assert done.returncode == exit_status, done
    rows = json.loads(done.stdout)
    assert isinstance(rows, list)
    return rows


# What is printed


def test_json_csv_and_tsv_say_the_same_by_the_standards_keywords(hospital):
    rows = find(hospital.site)
    assert hospital.names(row["StudyInstanceUID"] for row in rows) == sorted(hospital.uids)
    for row in rows:
        assert list(row) == STUDY_COLUMNS
    texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]

    done = hospital.site.mover("find", "--csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(csv.DictReader(io.StringIO(done.stdout))) == texts

    done = hospital.site.mover("find")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0] == STUDY_COLUMNS
    assert [dict(zip(STUDY_COLUMNS, line, strict=True)) for line in lines[1:]] == texts


def test_what_the_scanner_has_is_what_is_shown(hospital):
    (row,) = find(hospital.site, "--study", hospital.uids["today"])
    assert row["StudyDate"] == "20260203"
    assert row["StudyTime"] == "235900.123"
    assert row["PatientID"] == "B-22"
    assert row["PatientName"] == "Test^Phantom"
    assert row["AccessionNumber"] == "ACC7"
    (row,) = find(hospital.site, "--study", hospital.uids["head"])
    assert row["StudyDescription"] == "HEAD MRI"
    if isinstance(hospital.server, Orthanc):
        assert sorted(row["ModalitiesInStudy"].split("\\")) == ["CT", "MR"]
        assert (row["NumberOfStudyRelatedSeries"], row["NumberOfStudyRelatedInstances"]) == (2, 5)
    else:
        # dcmqrscp knows none of these: absent is null, and the other columns are there.
        assert row["ModalitiesInStudy"] is None
        assert row["NumberOfStudyRelatedSeries"] is None
        assert row["NumberOfStudyRelatedInstances"] is None


def test_the_series_of_one_study(hospital):
    study = hospital.uids["head"]
    rows = find(hospital.site, "--level", "series", "--study", study)
    assert [list(row) for row in rows] == [SERIES_COLUMNS] * 2
    by_uid = {row["SeriesInstanceUID"]: row for row in rows}
    assert sorted(by_uid) == [f"{study}.1", f"{study}.2"]
    assert {row["StudyInstanceUID"] for row in rows} == {study}
    assert [by_uid[f"{study}.{number}"]["Modality"] for number in (1, 2)] == ["MR", "CT"]
    assert [by_uid[f"{study}.{number}"]["SeriesNumber"] for number in (1, 2)] == [1, 2]
    if isinstance(hospital.server, Orthanc):
        assert [by_uid[f"{study}.{number}"]["NumberOfSeriesRelatedInstances"] for number in (1, 2)] == [2, 3]


def test_nothing_found_is_an_empty_answer_and_no_fault(hospital):
    assert find(hospital.site, "--patient-id", "NOBODY") == []
    done = hospital.site.mover("find", "--patient-id", "NOBODY", "--csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(csv.reader(io.StringIO(done.stdout))) == [STUDY_COLUMNS]
    done = hospital.site.mover("find", "--patient-id", "NOBODY")
    assert (done.returncode, done.stdout) == (0, "\t".join(STUDY_COLUMNS) + "\n")


# What is asked for


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--patient-id", "B-2"], ["abdomen"]),
        (["--patient-id", "B-2*"], ["abdomen", "today"]),
        (["--patient-id", "?-1"], ["head"]),
        (["--patient-id", ODD], ["yesterday"]),
        (["--patient-name", "Other*"], ["abdomen"]),
        (["--patient-name", "T?st*"], ["head", "today"]),
        (["--patient-name", "Odd^" + ODD], ["yesterday"]),
        (["--description", "*MRI"], ["head"]),
        (["--description", ODD], ["abdomen"]),
        (["--date", "20260131"], ["abdomen"]),
        (["--date", "20260110-20260131"], ["abdomen", "head"]),
        (["--date", "2026-01-10-2026-01-31"], ["abdomen", "head"]),
        (["--date", "20260131-"], ["abdomen", "today", "yesterday"]),
        (["--date=-20260131"], ["abdomen", "head"]),
        (["--patient-name", "Other*", "--date", "20260203"], []),
    ],
    ids=" ".join,
)
def test_each_filter_finds_what_it_names_and_nothing_else(hospital, arguments, names):
    rows = find(hospital.site, *arguments)
    assert hospital.names(row["StudyInstanceUID"] for row in rows) == names


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("today", ["today"]),
        ("yesterday", ["yesterday"]),
        ("7d", ["abdomen", "today", "yesterday"]),
    ],
)
def test_a_date_can_be_said_as_people_say_it(hospital, said, names):
    faketime = shutil.which("faketime")
    assert faketime, "faketime is not installed"
    clock = ["--exclude-monotonic", "-f", "@2026-02-03 12:00:00"]
    program = [str(BIN / "scanner-mover"), "find", "--json", "--date", said]
    done = hospital.site.mover(*clock, *program, program=faketime)
    assert done.returncode == 0, done
    assert hospital.names(row["StudyInstanceUID"] for row in json.loads(done.stdout)) == names


@pytest.mark.parametrize(("modality", "names"), [("MR", ["head", "today", "yesterday"]), ("CT", ["abdomen", "head"])])
def test_a_modality_that_was_asked_for_is_what_comes(hospital, modality, names):
    # dcmqrscp does not know (0008,0061) and matches everything: that must not pass for the answer.
    done = hospital.site.mover("find", "--json", "--modality", modality)
    assert done.returncode == 0, done
    found = hospital.names(row["StudyInstanceUID"] for row in json.loads(done.stdout))
    assert found == names or "modality" in done.stderr.lower(), (found, done.stderr)


def test_a_modality_never_requests_a_study_of_another_one(hospital, tmp_path):
    site = Site(tmp_path / "own", scanner_port=hospital.server.port)
    site.mover("find", "--modality", "NM", "--request")
    assert site.requests_in("active-scans") == []


def test_filters_at_series_level(hospital):
    study = hospital.uids["head"]
    series = ["--level", "series", "--study", study]
    assert [row["SeriesInstanceUID"] for row in find(hospital.site, *series, "--modality", "CT")] == [f"{study}.2"]
    assert find(hospital.site, *series, "--modality", "NM") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--date", "20260230"],
        ["--date", "soon"],
        ["--level", "image"],
        ["--level", "series"],
        ["--level", "series", "--study", "1.2", "--request"],
        ["--study", "1.2\n3"],
        ["--study", "../../etc/passwd"],
        ["--limit", "0"],
        ["--json", "--csv"],
        ["--request"],
        ["--request", "--limit", "5"],
        ["--all"],
        ["--patient-id", "a\\b"],
        ["--patient-id", "a\nb"],
        ["--patient-name", "a\x1b[2Jb"],
        ["--description", "a\n(0020,000d) UI [1.2.3]"],
    ],
    ids=repr,
)
def test_wrong_usage_is_2_and_asks_nobody(tmp_path, arguments):
    with ScriptedScanner() as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        done = site.mover("find", *arguments)
        assert scanner.associations == 0
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert "\x1b[2J" not in done.stderr
    assert done.stderr.strip()


def test_a_value_beyond_ascii_is_sent_as_utf_8_and_says_so(tmp_path):
    queries: list[Dataset] = []

    def answers(query: Dataset) -> Iterable[Answer]:
        queries.append(query)
        return []

    with ScriptedScanner(script=Script(find_answers={"STUDY": answers})) as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        assert find(site, "--patient-name", "Äneas*", "--description", "頭部") == []
    (query,) = queries
    assert query.SpecificCharacterSet == "ISO_IR 192"
    assert str(query.PatientName) == "Äneas*"
    assert query.StudyDescription == "頭部"
    assert query.QueryRetrieveLevel == "STUDY"


# Character sets


def _stored(path: Path) -> tuple[str, str]:
    """The StudyInstanceUID and the name in the file, as pydicom reads it."""
    file = pydicom.dcmread(path, stop_before_pixels=True)
    return str(file.StudyInstanceUID), str(file.PatientName)


@pytest.mark.parametrize("as_what", ["--json", "--csv", "tsv"])
def test_names_in_pydicoms_own_files_come_out_as_pydicom_reads_them(tmp_path, as_what):
    paths = [Path(path) for path in sorted(get_charset_files("*.dcm")) if "SQEncoding" not in path]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Two files each for two of the studies: the second one tells no other name.
        expected = dict(_stored(path) for path in paths)
        assert len(expected) == 13
        with Dcmqrscp(tmp_path / "scanner") as scanner:
            scanner.store(paths)
            site = Site(tmp_path / "site", scanner_port=scanner.port)
            done = site.mover("find", *([] if as_what == "tsv" else [as_what]))
    assert (done.returncode, done.stderr) == (0, "")
    rows: list[Any]
    if as_what == "--json":
        rows = json.loads(done.stdout)
    else:
        rows = list(csv.DictReader(io.StringIO(done.stdout), delimiter="," if as_what == "--csv" else "\t"))
    assert {row["StudyInstanceUID"]: row["PatientName"] for row in rows} == expected


def test_latin_1_comes_out_of_both_servers(scanner, tmp_path):
    study = uid()
    attributes = {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "Rüdiger^Äneas",
        "StudyDescription": "Schädel für Größe",
    }
    scanner.store(
        mr_series(
            tmp_path / "i", study_instance_uid=study, series_instance_uid=f"{study}.1", images=1, attributes=attributes
        )
    )
    (row,) = find(Site(tmp_path / "site", scanner_port=scanner.port))
    assert (row["PatientName"], row["StudyDescription"]) == ("Rüdiger^Äneas", "Schädel für Größe")


def _answer(**attributes: Any) -> Dataset:
    answer = Dataset()
    answer.QueryRetrieveLevel = "STUDY"
    answer.StudyInstanceUID = uid()
    for keyword, value in attributes.items():
        setattr(answer, keyword, value)
    return answer


@pytest.mark.parametrize(
    ("declared", "content", "text"),
    [
        pytest.param("ISO_IR 192", "Äneas^頭部 € 🧠".encode(), "Äneas^頭部 € 🧠", id="UTF-8"),
        pytest.param("ISO_IR 100", "Rüdiger^Ä".encode("latin-1"), "Rüdiger^Ä", id="Latin-1"),
        pytest.param("\\ISO 2022 IR 87", "頭部^撮影".encode("iso2022_jp"), "頭部^撮影", id="ISO 2022 IR 87"),
        pytest.param("GB18030", "誠^头".encode("gb18030"), "誠^头", id="GB18030 with a backslash inside"),
        pytest.param(None, "Rüdiger".encode(), "Rüdiger", id="undeclared UTF-8"),
        pytest.param(None, "Rüdiger".encode("latin-1"), "Rüdiger", id="undeclared Latin-1"),
        pytest.param("ISO_IR 192", "Rüdiger".encode("latin-1"), "Rüdiger", id="Latin-1 that says UTF-8"),
        pytest.param("NO_SUCH_SET", "Rüdiger".encode(), "Rüdiger", id="unknown set"),
    ],
)
def test_what_an_answer_says_of_its_characters_is_believed(tmp_path, declared, content, text):
    class Raw(ScriptedScanner):
        """Answers with the very bytes of the test."""

        def _find(self, event: evt.Event) -> Iterator[Answer]:
            answer = _answer()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if declared is not None:
                    answer.add(pydicom.DataElement(0x00080005, "UN", declared.encode()))
                answer.add(pydicom.DataElement(0x00100010, "UN", content))
                answer.add(pydicom.DataElement(0x00081030, "UN", content))
                yield PENDING, answer

    with Raw() as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        done = site.mover("find", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)
    assert row["PatientName"] == text
    assert row["StudyDescription"] == text


@pytest.mark.parametrize("form", ["--json", "--csv", "tsv"])
def test_the_output_is_utf_8_wherever_it_is_called(tmp_path, form):
    """Also where the locale has another set, as on a machine that still runs in Latin-1."""
    answer = _answer(SpecificCharacterSet="ISO_IR 192", PatientName="頭部^Ä")
    with ScriptedScanner(script=Script(find_answers={"STUDY": [(PENDING, answer)]})) as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        for encoding in (
            {"LC_ALL": "C"},
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            {"PYTHONIOENCODING": "latin-1"},
        ):
            done = site.mover("find", *([] if form == "tsv" else [form]), env=encoding)
            assert (done.returncode, done.stderr) == (0, ""), encoding
            assert "頭部^Ä" in done.stdout, encoding


@pytest.mark.parametrize("length", [64, 400])
def test_a_long_value_is_not_cut(tmp_path, length):
    text = ("ä" * length)[:length]
    answer = _answer(SpecificCharacterSet="ISO_IR 192")
    answer.add(pydicom.DataElement(0x00081030, "LO", text, already_converted=True))
    with ScriptedScanner(script=Script(find_answers={"STUDY": [(PENDING, answer)]})) as scanner:
        (row,) = find(Site(tmp_path, scanner_port=scanner.port))
    assert row["StudyDescription"] == text


# Answers that are not as they should be


def test_a_scanner_that_knows_some_keys_only_still_gives_these(tmp_path):
    answers = [
        (PENDING, _answer(PatientID="P-1")),
        (PENDING, _answer(StudyDate="20260131", NumberOfStudyRelatedSeries=3)),
        (PENDING, _answer(PatientName="", StudyDescription=None)),
    ]
    with ScriptedScanner(script=Script(find_answers={"STUDY": answers})) as scanner:
        rows = find(Site(tmp_path, scanner_port=scanner.port))
    nothing: dict[str, Any] = dict.fromkeys(STUDY_COLUMNS)
    uids = [answer.StudyInstanceUID for _, answer in answers]
    assert rows == [
        {**nothing, "PatientID": "P-1", "StudyInstanceUID": uids[0]},
        {**nothing, "StudyDate": "20260131", "NumberOfStudyRelatedSeries": 3, "StudyInstanceUID": uids[1]},
        {**nothing, "StudyInstanceUID": uids[2]},
    ]


HOSTILE = "tab\there\nnew\r\nline \x1b[2J\x1b]0;owned\x07 nul\x00end \x9b31m [red]x[/] &amp; &#10; # [ ]"


@pytest.fixture
def hostile(tmp_path) -> Iterator[Site]:
    answers = []
    for number in range(2):
        answer = _answer(SpecificCharacterSet="ISO_IR 192", StudyDate="20260131")
        for tag in (0x00100010, 0x00081030, 0x00100020, 0x00080050):
            answer.add(pydicom.DataElement(tag, "UN", f"{number}{HOSTILE}".encode()))
        answers.append((PENDING, answer))
    with ScriptedScanner(script=Script(find_answers={"STUDY": answers})) as scanner:
        yield Site(tmp_path, scanner_port=scanner.port)


@pytest.mark.parametrize(
    "option", ["--study", "--patient-id", "--patient-name", "--date", "--modality", "--description"]
)
def test_an_empty_filter_is_wrong_usage_and_not_everything(tmp_path, option):
    site = Site(tmp_path)
    done = site.mover("find", option, "", "--request")
    assert done.returncode == 2 and option in done.stderr
    assert site.requests_in("active-scans") == []


def test_hostile_values_keep_one_line_a_row(hostile):
    done = hostile.mover("find")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.removesuffix("\n").split("\n")
    assert [line.count("\t") for line in lines] == [len(STUDY_COLUMNS) - 1] * 3
    assert all(character.isprintable() for line in lines for character in line.replace("\t", ""))
    assert r"tab\there\nnew\r\nline" in lines[1]

    done = hostile.mover("find", "--csv")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
    assert all(character.isprintable() for character in done.stdout.replace("\n", ""))
    for row in csv.DictReader(io.StringIO(done.stdout)):
        assert None not in row
        assert row["StudyDate"] == "20260131"


def test_hostile_values_are_one_line_of_json_and_all_there(hostile):
    done = hostile.mover("find", "--json")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    # Also U+009B, which begins a sequence as ESC [ does: people look at JSON on terminals, too.
    assert all(character.isprintable() for character in done.stdout.replace("\n", ""))
    rows = json.loads(done.stdout)
    assert [row["StudyDescription"] for row in rows] == [f"{number}{HOSTILE}" for number in range(2)]


@pytest.mark.parametrize("columns", [80, 160])
def test_no_escape_sequence_of_the_scanner_reaches_a_terminal(hostile, columns):
    with Terminal(hostile, "find", columns=columns, lines=200) as terminal:
        assert terminal.wait() == 0
    assert "\x1b[2J" not in terminal.text
    assert "\x1b]0;" not in terminal.text
    assert "\x07" not in terminal.text
    assert "\x9b" not in terminal.text
    assert "2 found" in terminal.text


def test_an_answer_that_is_cut_short_is_said_and_what_came_is_printed(tmp_path):
    answers = [_answer(PatientID=f"P-{number}") for number in range(3)]

    class CutShort(ScriptedScanner):
        """Aborts the association after three answers."""

        def _find(self, event: evt.Event) -> Iterator[Answer]:
            yield from ((PENDING, answer) for answer in answers)
            event.assoc.abort()

    with CutShort() as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        done = site.mover("find", "--json")
        assert done.returncode == 5
        assert [row["PatientID"] for row in json.loads(done.stdout)] == ["P-0", "P-1", "P-2"]
        assert "cut short after 3" in done.stderr
        # What was found is requested all the same, and the exit status says that there is more.
        done = site.mover("find", "--request", "--all")
        assert done.returncode == 5
        assert site.requests_in("active-scans") == sorted(answer.StudyInstanceUID for answer in answers)


@pytest.mark.parametrize("status", [0xA700, 0xC000])
def test_a_failure_at_the_end_is_no_whole_answer(tmp_path, status):
    answers = [(PENDING, _answer(PatientID="P-1")), (status, None)]
    with ScriptedScanner(script=Script(find_answers={"STUDY": answers})) as scanner:
        done = Site(tmp_path, scanner_port=scanner.port).mover("find", "--json")
    assert done.returncode == 5
    assert [row["PatientID"] for row in json.loads(done.stdout)] == ["P-1"]
    assert "cut short after 1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_silent_scanner_is_not_waited_for_without_end(tmp_path):
    with ScriptedScanner(script=Script(find_silence=600)) as scanner:
        site = Site(tmp_path, scanner_port=scanner.port, response_timeout_seconds=1)
        done = site.mover("find", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (5, [])


def test_a_scanner_that_is_off_is_5_and_one_line(tmp_path):
    done = Site(tmp_path).mover("find")
    assert done.returncode == 5
    assert "cannot be reached" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_scanner_that_rejects_us_says_what_to_register(tmp_path):
    with ScriptedScanner(ae_title="ANOTHER") as scanner:
        done = Site(tmp_path, scanner_port=scanner.port).mover("find")
    assert done.returncode == 5
    assert "SCANNERAETITLE" in done.stderr


def test_exit_statuses_of_the_set_up(tmp_path):
    site = Site(tmp_path)
    assert site.mover("find", "--config", str(tmp_path / "none.json")).returncode == 3
    assert site.mover("find", "NOSUCHSITE").returncode == 3
    done = site.mover("find", env={"PATH": str(tmp_path)})
    assert done.returncode == 4
    assert "apt-get install dcmtk" in done.stderr


def test_a_reader_that_goes_away_is_one_line(tmp_path):
    answers = [(PENDING, _answer(PatientID=f"P-{number}")) for number in range(200)]
    with ScriptedScanner(script=Script(find_answers={"STUDY": answers})) as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [str(BIN / "scanner-mover"), "find"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            env=site.environment,
            timeout=240,
        )
        os.close(writing)
    assert (done.returncode, done.stderr) == (4, b"scanner-mover: standard output cannot be written: Broken pipe\n")


# How many


@pytest.mark.parametrize(("limit", "shown", "more"), [(1, 1, True), (3, 3, True), (4, 4, False)])
def test_the_limit_is_exact_and_says_if_there_is_more(hospital, limit, shown, more):
    done = hospital.site.mover("find", "--json", "--limit", str(limit))
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == shown
    assert ("there are more" in done.stderr) == more
    assert (done.stderr == "") != more


def test_the_limit_is_what_is_requested(hospital, tmp_path):
    site = Site(tmp_path / "own", scanner_port=hospital.server.port)
    done = site.mover("find", "--limit", "2", "--request", "--all", "--json")
    assert done.returncode == 0
    found = [row["StudyInstanceUID"] for row in json.loads(done.stdout)]
    assert site.requests_in("active-scans") == sorted(found)
    assert len(found) == 2
    assert "there are more" in done.stderr


# What a scanner does with a key that it does not know


@pytest.fixture
def careless(tmp_path) -> Iterator[tuple[Site, dict[str, str]]]:
    """A scanner that returns all it has, whatever was asked for."""
    knee = _answer(StudyDescription="Left KNEE", PatientName="Knee^One", PatientID="K1", StudyDate="20260131")
    head = _answer(StudyDescription="Head", PatientName="Head^Two", PatientID="H2", StudyDate="20260201")
    nothing = _answer()
    answers = [(PENDING, answer) for answer in (knee, head, nothing)]
    uids = {"knee": knee.StudyInstanceUID, "head": head.StudyInstanceUID}
    with ScriptedScanner(script=Script(find_answers={"STUDY": answers})) as scanner:
        yield Site(tmp_path, scanner_port=scanner.port), uids


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--description", "*knee*"], "knee"),
        (["--patient-id", "K?"], "knee"),
        (["--patient-name", "KNEE*"], "knee"),
        (["--date", "2026-02-01-"], "head"),
    ],
    ids=" ".join,
)
def test_what_does_not_match_is_neither_shown_nor_requested_and_that_is_said(careless, arguments, name):
    site, uids = careless
    done = site.mover("find", "--json", *arguments, "--request")
    assert done.returncode == 0
    assert [row["StudyInstanceUID"] for row in json.loads(done.stdout)] == [uids[name]]
    assert site.requests_in("active-scans") == [uids[name]]
    assert (
        f"also returned 2 studies that do not match {arguments[0]} {arguments[1]}" in done.stderr
        or "--date" in arguments
    )


def test_studies_of_other_modalities_are_counted_too(careless):
    site, _ = careless
    done = site.mover("find", "--json", "--modality", "CT", "--request")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "also returned 3 studies that do not match --modality CT" in done.stderr
    assert site.requests_in("active-scans") == []


def test_another_study_than_the_one_asked_for_is_not_shown(careless):
    site, uids = careless
    done = site.mover("find", "--json", "--study", uids["head"])
    assert [row["StudyInstanceUID"] for row in json.loads(done.stdout)] == [uids["head"]]


def test_the_limit_counts_what_matches(careless):
    site, uids = careless
    done = site.mover("find", "--json", "--patient-id", "H2", "--limit", "1")
    assert [row["StudyInstanceUID"] for row in json.loads(done.stdout)] == [uids["head"]]
    assert "there are more" not in done.stderr


def test_one_answer_for_each_image_is_one_row_for_each_study(tmp_path):
    studies = [uid() for _ in range(16)]
    answers = []
    for number in range(47):
        answer = _answer(PatientID=f"P-{number % 16}", NumberOfStudyRelatedInstances=number)
        answer.StudyInstanceUID = studies[number % 16]
        answer.ModalitiesInStudy = "MR" if number < 16 else "SR"
        answers.append((PENDING, answer))
    with ScriptedScanner(script=Script(find_answers={"STUDY": answers})) as scanner:
        site = Site(tmp_path, scanner_port=scanner.port)
        rows = find(site)
        assert [row["StudyInstanceUID"] for row in rows] == studies
        assert {row["ModalitiesInStudy"] for row in rows} == {"MR\\SR"}
        assert rows[0]["NumberOfStudyRelatedInstances"] == 32
        assert find(site, "--limit", "16") == rows
        done = site.mover("find", "--request", "--all")
        assert "requested 16 studies; 0 were requested already" in done.stderr


def test_series_are_sorted_by_their_numbers_and_named_once(tmp_path):
    study = uid()

    def series(number: int | None, last: int) -> Dataset:
        answer = Dataset()
        answer.QueryRetrieveLevel = "SERIES"
        answer.StudyInstanceUID, answer.SeriesInstanceUID = study, f"{study}.{last}"
        answer.SeriesNumber = number
        return answer

    answers = [series(10, 1), series(None, 9), series(2, 10), series(2, 9), series(1, 4), series(10, 1)]
    with ScriptedScanner(script=Script(find_answers={"SERIES": [(PENDING, one) for one in answers]})) as scanner:
        rows = find(Site(tmp_path, scanner_port=scanner.port), "--level", "series", "--study", study)
    # The series 9 was named twice, first without a number.
    assert [(row["SeriesNumber"], row["SeriesInstanceUID"].rpartition(".")[2]) for row in rows] == [
        (1, "4"),
        (2, "9"),
        (2, "10"),
        (10, "1"),
    ]


# Long work


@pytest.fixture
def slow_answers(tmp_path) -> Iterator[Site]:
    answers = [(PENDING, _answer(PatientID=f"P-{number}", PatientName="Test^Phantom")) for number in range(50)]
    script = Script(find_answers={"STUDY": answers}, seconds_between_answers=0.1)
    with ScriptedScanner(script=script) as scanner:
        yield Site(tmp_path / "site", scanner_port=scanner.port)


def test_a_bar_counts_the_answers_on_a_terminal_and_is_gone_at_the_end(slow_answers):
    with Terminal(slow_answers, "find", lines=200) as terminal:
        terminal.until(lambda screen: bool(re.search(r"answers .* [1-9][0-9]?$", screen)))
        assert terminal.wait() == 0
    assert "50 found" in terminal.screen
    assert "answers" not in terminal.screen


def test_there_is_no_bar_in_a_pipe(slow_answers):
    done = slow_answers.mover("find", "--limit", "1")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
    assert done.stderr == "scanner-mover: there are more than these 1\n"


def test_ctrl_c_ends_it_in_order_and_leaves_no_answers(slow_answers, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with Terminal(slow_answers, "find", env={"TMPDIR": str(scratch)}) as terminal:
        terminal.until(lambda screen: bool(re.search(r"answers .* [1-9]", screen)))
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.wait(240) == 128 + signal.SIGINT
    assert "Traceback" not in terminal.text
    assert "answers" not in terminal.screen
    assert terminal.text.rfind("\x1b[?25h") > terminal.text.rfind("\x1b[?25l") >= 0
    assert list(scratch.rglob("rsp*")) == []


def test_the_answers_of_one_that_was_killed_are_removed_by_the_next_one(slow_answers, tmp_path):
    """They have patients' names in them."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = {"TMPDIR": str(scratch)}
    with Terminal(slow_answers, "find", env=env) as terminal:
        terminal.until(lambda screen: bool(re.search(r"answers .* [1-9]", screen)))
        terminal.process.kill()
        terminal.process.wait()
    assert list(scratch.rglob("rsp*")), "it left nothing behind: this proved nothing"
    assert slow_answers.mover("find", "--limit", "1", env=env).returncode == 0
    assert list(scratch.iterdir()) == []


# Requests


def test_a_request_is_one_file_each_and_never_written_over(hospital, tmp_path):
    site = Site(tmp_path / "own", scanner_port=hospital.server.port)
    there = site.request(hospital.uids["head"], age_seconds=5000, content=b"asked by the ward\n")
    before = there.stat()
    done = site.mover("find", "--request", "--all")
    assert done.returncode == 0
    assert "requested 3 studies; 1 was requested already" in done.stderr
    assert len(done.stdout.splitlines()) == 5
    assert site.requests_in("active-scans") == sorted(hospital.uids.values())
    for name in ("abdomen", "yesterday", "today"):
        assert (site.data / "active-scans" / hospital.uids[name]).read_bytes() == b'{"mpps": "not expected"}'
    after = there.stat()
    assert there.read_bytes() == b"asked by the ward\n"
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)

    tree = site.tree("data")
    done = site.mover("find", "--request", "--all")
    assert done.returncode == 0
    assert "requested 0 studies; 4 were requested already" in done.stderr
    assert site.tree("data") == tree


def test_without_request_nothing_is_written(hospital):
    before = hospital.site.tree()
    assert hospital.site.mover("find").returncode == 0
    assert hospital.site.tree() == before


def test_a_study_with_a_name_that_leads_elsewhere_is_not_requested_and_said(tmp_path):
    good, bad = _answer(), _answer()
    bad.add(pydicom.DataElement(0x0020000D, "UI", "../../owned", already_converted=True))
    with ScriptedScanner(script=Script(find_answers={"STUDY": [(PENDING, bad), (PENDING, good)]})) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        done = site.mover("find", "--request", "--all")
    assert done.returncode != 0
    assert "StudyInstanceUID" in done.stderr
    assert site.requests_in("active-scans") == [good.StudyInstanceUID]
    assert list(tmp_path.rglob("owned")) == []


def test_a_week_of_studies_is_one_command_and_the_next_passes(tmp_path):
    port = free_port()
    dates = ["20260126", "20260127", "20260127", "20260130", "20260201", "20260120", "20260202"]
    with Orthanc(tmp_path / "scanner", {"MOVER": port}) as scanner:
        studies = []
        for number, date in enumerate(dates):
            study = uid()
            make = ct_series if number % 2 else mr_series
            for series in (1, 2):
                scanner.store(
                    make(
                        tmp_path / "acquired" / f"{study}.{series}",
                        study_instance_uid=study,
                        series_instance_uid=f"{study}.{series}",
                        images=2,
                        attributes={"StudyDate": date},
                    )
                )
            studies.append(study)
        site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=port, receive=True)
        week, others = studies[:5], studies[5:]
        for study in studies:
            site.mpps(study)
        done = site.mover("find", "--date", "2026-01-26-2026-02-01", "--request")
        assert done.returncode == 0, done
        assert "requested 5 studies" in done.stderr
        assert site.requests_in("active-scans") == sorted(week)
        for _ in range(2):
            assert site.move().returncode == 0, site.log()
        assert site.requests_in("finished-scans") == sorted(week)
        for study in week:
            assert_study_is_here(site, scanner, study)
        for study in others:
            assert not (site.data / "site" / "raw" / study).exists()
