"""The options of `find`, what is printed of an answer, and what is requested; the answers are made up."""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from scanner_mover.arguments_by_hand import FindOptions
from scanner_mover.arguments_by_hand import Level as Named
from scanner_mover.commands import find
from scanner_mover.commands.find import _check, _not_matching, _wanted
from scanner_mover.config import Settings
from scanner_mover.errors import ConfigurationError, ExitStatus, UnusableError, UsageError
from scanner_mover.failures import Failure, Kind, Level
from scanner_mover.scanner.search import SERIES_KEYWORDS, STUDY_KEYWORDS, Answer, Row, Wanted
from tests.support.site import Site


@pytest.mark.parametrize(
    "options",
    [
        FindOptions(),
        FindOptions(request=True, all=True),
        FindOptions(request=True, date="7d"),
        FindOptions(request=True, study="1.2.3"),
        FindOptions(request=True, date="7d", all=True),
        FindOptions(level=Named.SERIES, study="1.2.3", modality="MR"),
    ],
)
def test_what_goes_together(options):
    _check(options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (FindOptions(request=True), "--all"),
        (FindOptions(request=True, limit=5), "--all"),
        (FindOptions(all=True), "--all belongs to --request"),
        (FindOptions(level=Named.SERIES), "needs --study"),
        (FindOptions(level=Named.SERIES, study="1.2", request=True), "leave out --level series"),
        (FindOptions(level=Named.SERIES, study="1.2", patient_id="A"), "leave out --level series"),
        (FindOptions(level=Named.SERIES, study="1.2", patient_name="A"), "leave out --level series"),
        (FindOptions(study="x"), "'x' is not a UID"),
        (FindOptions(json=True, csv=True), "exclude each other"),
    ],
)
def test_what_does_not(options, said):
    with pytest.raises(UsageError, match=said):
        _check(options)


def test_what_is_asked_for():
    options = FindOptions(study="1.2.3", patient_id="A*", date="2026-01-31", description="knee")
    assert _wanted(options) == Wanted(Level.STUDY, "1.2.3", "A*", "", "20260131", "", "knee")
    with pytest.raises(UsageError, match="--date"):
        _wanted(FindOptions(date="soon"))


def test_what_does_not_match_is_said_with_the_option_as_it_was_given():
    answer = Answer([], False, None, 12, ("description", "study_date"))
    assert _not_matching(FindOptions(description="*knee*", date="7d"), answer) == (
        "the scanner also returned 12 studies that do not match --description *knee*, --date 7d: "
        "they are neither shown nor requested"
    )
    one = Answer([], False, None, 1, ("modality",))
    assert _not_matching(FindOptions(level=Named.SERIES, study="1.2", modality="MR"), one) == (
        "the scanner also returned 1 series that does not match --modality MR: it is neither shown nor requested"
    )


# What is printed


def study(uid: str | None = "1.2.3", **values: str | int | None) -> Row:
    return {**dict.fromkeys(STUDY_KEYWORDS), "StudyInstanceUID": uid, **values}


def answer(*rows: Row, **changes) -> Answer:
    return Answer(**{"rows": list(rows), "more": False, "failure": None, "not_matching": 0, "ignored": (), **changes})


KNEE = study(StudyDate="20260131", StudyDescription="knee\t\x1b[2J, left", NumberOfStudyRelatedSeries=12)
HEAD = study("1.2.4", StudyDescription='Größe "L"', NumberOfStudyRelatedSeries=0)
BROKEN = Failure(Kind.UNREACHABLE, "Connection refused")


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    monkeypatch.delenv("SCANNER_MOVER_CONFIG", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Site(tmp_path, scanner_port=104, receive_port=11112)


@pytest.fixture
def run(site, monkeypatch, capsys) -> Callable[..., SimpleNamespace]:
    """`find` with these options, when the scanner gives this answer or this is raised.

    Gives the exit status, both streams, and what was asked for.
    """

    def run(given: Answer | Exception, *, terminal: bool = False, **options) -> SimpleNamespace:
        asked: list[tuple[Settings, Wanted, int | None]] = []

        def search(settings: Settings, wanted: Wanted, limit: int | None, scratch_folder: str) -> Answer:
            asked.append((settings, wanted, limit))
            Path(scratch_folder, "rsp0001.dcm").touch()
            if isinstance(given, Exception):
                raise given
            return given

        monkeypatch.setattr(find, "search", search)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
        status = find.run(FindOptions(**{"config": str(site.config_file), **options}))
        printed = capsys.readouterr()
        return SimpleNamespace(status=status, out=printed.out, err=printed.err.splitlines(), asked=asked)

    return run


def test_a_pipe_gets_the_keywords_and_a_line_for_each_row(run):
    done = run(answer(KNEE, HEAD))
    assert (done.status, done.err) == (ExitStatus.OK, [])
    assert done.out.splitlines() == [
        "\t".join(STUDY_KEYWORDS),
        "20260131\t\t\t\tknee\\t\\x1b[2J, left\t\t\t12\t\t1.2.3",
        '\t\t\t\tGröße "L"\t\t\t0\t\t1.2.4',
    ]
    assert run(answer()).out == "\t".join(STUDY_KEYWORDS) + "\n"


def test_csv_quotes_what_it_must(run):
    assert run(answer(KNEE, HEAD), csv=True, terminal=True).out.split("\n") == [
        ",".join(STUDY_KEYWORDS),
        '20260131,,,,"knee\\t\\x1b[2J, left",,,12,,1.2.3',
        ',,,,"Größe ""L""",,,0,,1.2.4',
        "",
    ]


def test_json_is_a_list_of_objects_with_numbers_and_nulls_on_one_line(run):
    out = run(answer(KNEE, HEAD), json=True, terminal=True).out
    assert out.count("\n") == 1 and "\x1b" not in out
    assert json.loads(out) == [KNEE, HEAD]
    assert run(answer(), json=True).out == "[]\n"


@pytest.mark.parametrize(
    ("given", "words"),
    [(answer(KNEE), "1 found"), (answer(), "nothing found"), (answer(HEAD, failure=BROKEN), "1 found")],
)
def test_a_terminal_gets_a_table(run, given, words):
    assert words in run(given, terminal=True).out


def test_nothing_found_is_not_said_of_a_scanner_that_did_not_answer(run):
    assert run(answer(failure=BROKEN), terminal=True).out == ""


def test_series_have_columns_of_their_own(run):
    row = {**dict.fromkeys(SERIES_KEYWORDS), "SeriesNumber": 7, "SeriesInstanceUID": "1.2.3.1"}
    done = run(answer(row), level=Named.SERIES, study="1.2.3")
    assert done.out.splitlines() == ["\t".join(SERIES_KEYWORDS), "7" + "\t" * 8 + "1.2.3.1\t"]


def test_the_scanner_of_the_project_is_asked_with_the_limit_and_nothing_stays_behind(run, site, tmp_path):
    before = sorted(tmp_path.iterdir())
    [(settings, wanted, limit)] = run(answer(), limit=5, modality="MR").asked
    assert (settings.file, settings.port, limit) == (str(site.config_file), 104, 5)
    assert wanted == Wanted(modality="MR")
    with pytest.raises(UnusableError):
        run(UnusableError("no tool"))
    assert sorted(tmp_path.iterdir()) == before


def test_the_configuration_is_also_found_by_the_environment(run, site, monkeypatch):
    monkeypatch.setenv("SCANNER_MOVER_CONFIG", str(site.config_file))
    assert len(run(answer(), config=None).asked) == 1


def test_options_that_do_not_go_together_a_value_that_cannot_be_sent_and_an_unknown_project_are_errors(run):
    with pytest.raises(UsageError, match="exclude each other"):
        run(answer(), json=True, csv=True)
    with pytest.raises(UsageError, match=r"^not a value$"):
        run(ValueError("not a value"))
    with pytest.raises(ConfigurationError, match=r"SITES\.NONE is missing"):
        run(answer(), project="NONE")


def test_what_is_left_out_of_the_answer_is_said(run):
    done = run(answer(KNEE, more=True, not_matching=1, ignored=("description",)), limit=1, description="head")
    assert done.status == ExitStatus.OK
    assert done.err == [
        "scanner-mover: there are more than these 1",
        "scanner-mover: the scanner also returned 1 study that does not match --description head: it is neither "
        "shown nor requested",
    ]


@pytest.mark.parametrize(
    ("rows", "cut"), [((), ""), ((KNEE,), "the answer was cut short after 1: ")], ids=["nothing", "something"]
)
def test_a_scanner_that_fails_is_5_and_what_came_before_is_printed(run, rows, cut):
    done = run(answer(*rows, failure=BROKEN))
    assert (done.status, done.out.count("\n")) == (ExitStatus.SCANNER, 1 + len(rows))
    [line] = done.err
    assert line.startswith(
        f"scanner-mover: {cut}scanner SCANNER at 127.0.0.1:104 cannot be reached (Connection refused)"
    )


# What is requested


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "requested 2 studies; 0 were requested already"),
        (["1.2.3"], "requested 1 study; 1 was requested already"),
        (["1.2.3", "1.2.4"], "requested 0 studies; 2 were requested already"),
    ],
)
def test_R32_each_study_is_requested_once_and_no_mpps_file_of_it_is_expected(run, site, there, said):
    for uid in there:
        site.request(uid, content=b"mine")
    assert run(answer(KNEE, HEAD), request=True, all=True).err == [f"scanner-mover: {said}"]
    assert {path.name: path.read_bytes() for path in (site.data / "active-scans").iterdir()} == {
        uid: b"mine" if uid in there else b'{"mpps": "not expected"}' for uid in ("1.2.3", "1.2.4")
    }


def test_without_request_nothing_is_requested(run, site):
    run(answer(KNEE))
    assert site.requests_in("active-scans") == []


@pytest.mark.parametrize("uid", [None, "", "1.2/../3", 7], ids=str)
def test_a_study_without_a_valid_uid_is_named_after_all_others_were_requested(run, site, capsys, uid):
    with pytest.raises(UnusableError) as raised:
        run(answer(study(uid), HEAD), request=True, all=True)
    assert str(raised.value) == f"the scanner names a study without a valid StudyInstanceUID: {uid!r}"
    assert site.requests_in("active-scans") == ["1.2.4"]
    assert capsys.readouterr().err == "scanner-mover: requested 1 study; 0 were requested already\n"


def test_a_request_that_cannot_be_written_is_named_after_all_others_were(run, site, monkeypatch):
    write = find.requests.write

    def fails(folder: str, uid: str, *, mpps_expected: bool) -> bool:
        if uid == "1.2.3":
            raise UnusableError(f"{os.path.join(folder, uid)} cannot be written: No space left on device")
        return write(folder, uid, mpps_expected=mpps_expected)

    monkeypatch.setattr(find, "requests", SimpleNamespace(write=fails))
    with pytest.raises(UnusableError, match=r"active-scans/1\.2\.3 cannot be written"):
        run(answer(KNEE, HEAD), request=True, all=True)
    assert site.requests_in("active-scans") == ["1.2.4"]


def test_what_arrived_of_an_answer_that_was_cut_short_is_requested(run, site):
    done = run(answer(HEAD, failure=BROKEN), request=True, all=True)
    assert done.status == ExitStatus.SCANNER
    assert site.requests_in("active-scans") == ["1.2.4"]
