"""`--since`, what an audit prints, and what is requested again; what the scanner has is made up."""

import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import pytest

from scanner_mover import config
from scanner_mover.arguments import StatusOptions
from scanner_mover.commands import audit
from scanner_mover.commands.audit import _rows, _summary, since
from scanner_mover.config import Settings
from scanner_mover.errors import ExitStatus, UnusableError, UsageError
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.site import ledger
from scanner_mover.site.folders import ServerFolders
from scanner_mover.transfer.audit import AuditedSeries, AuditedStudy, ClosedStudy
from tests.support.site import Site


def study(*missing: int, lost: bool = False, failure: Failure | None = None) -> AuditedStudy:
    series = tuple(AuditedSeries(f"1.2.{number}", 6, 6 - one, one) for number, one in enumerate(missing))
    return AuditedStudy(ClosedStudy("1.2", "/data/finished-scans/1.2"), series, failure, bool(missing), lost)


@pytest.mark.parametrize("text", ["60", "60d"])
def test_since_takes_days(text):
    age = datetime.datetime.now().timestamp() - since(text)
    # An hour more or less where the clocks change.
    assert abs(age - 60 * 86400) < 3700


@pytest.mark.parametrize("text", ["2026-01-31", "20260131"])
def test_since_takes_a_date(text):
    assert datetime.datetime.fromtimestamp(since(text)) == datetime.datetime(2026, 1, 31)


def test_without_since_everything_counts():
    assert since(None) == 0


@pytest.mark.parametrize("text", ["", "soon", "30 d", "-3", "2026-02-30", "999999", "d", "1.5d"])
def test_since_takes_nothing_else(text):
    with pytest.raises(UsageError, match="--since"):
        since(text)


def test_the_summary_counts_with_the_right_words():
    assert _summary([study(0)]) == (
        "1 closed study, 1 compared with the scanner: 0 lack images (0 in all), 0 are no longer on the scanner"
    )
    failure = Failure(Kind.BUSY, "busy")
    assert _summary([study(1), study(2, 3), study(), study(lost=True), study(failure=failure)]) == (
        "5 closed studies, 4 compared with the scanner: 2 lack images (6 in all), 1 is no longer on the scanner, "
        "1 is lost: neither the scanner nor site/raw has any image"
    )
    assert "1 lacks images (1 in all)" in _summary([study(1)])


def test_a_row_for_each_series_that_lacks_images_and_for_a_lost_study():
    assert _rows(study(2, 0)) == [("1.2", "1.2.0", "6", "4", "2")]
    assert _rows(study(lost=True)) == [("1.2", "", "", "0", "")]
    assert _rows(study()) == []


# A whole audit


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    """Five closed studies: 1.2.1 to 1.2.4 finished, 1.2.5 failed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TERM", "dumb")  # without colours
    site = Site(tmp_path, scanner_port=104, receive_port=11112)
    for number in range(1, 6):
        closed = site.data / ("finished-scans" if number < 5 else "failed-scans") / f"1.2.{number}"
        closed.parent.mkdir(exist_ok=True)
        closed.touch()
    return site


#: What the scanner says of them: nothing is missing, two images of a series are, it is lost, it is gone, no answer.
SAYS = {
    "1.2.1": ((0,), True, False, None),
    "1.2.2": ((2, 0, 3), True, False, None),
    "1.2.3": ((), False, True, None),
    "1.2.4": ((), False, False, None),
    "1.2.5": ((), False, False, Failure(Kind.UNREACHABLE, "Connection refused")),
}
HEADER = "study\tseries\texpected\treceived\tmissing"
TABLE = f"{HEADER}\n1.2.2\t1.2.2.0\t6\t4\t2\n1.2.2\t1.2.2.2\t6\t3\t3\n1.2.3\t\t\t0\t\n"
SUMMARY = (
    "scanner-mover: 5 closed studies, 4 compared with the scanner: 1 lacks images (5 in all), 1 is no longer on the "
    "scanner, 1 is lost: neither the scanner nor site/raw has any image"
)
OFF = "scanner-mover: scanner SCANNER at 127.0.0.1:104 cannot be reached (Connection refused): is it on, "


@pytest.fixture
def run(site, monkeypatch, capsys) -> Callable[..., SimpleNamespace]:
    """An audit with these options; gives its exit status, both streams, and the closed studies that it looked at."""

    def run(says: dict = SAYS, *, terminal: bool = False, **options) -> SimpleNamespace:
        looked_at: list[ClosedStudy] = []

        def audited(settings: Settings, closed: Sequence[ClosedStudy], folder: str) -> Iterator[AuditedStudy]:
            assert os.path.isdir(folder)
            for one in closed:
                looked_at.append(one)
                uid = one.study_instance_uid
                missing, on_scanner, lost, failure = says[uid]
                series = (AuditedSeries(f"{uid}.{number}", 6, 6 - lack, lack) for number, lack in enumerate(missing))
                yield AuditedStudy(one, tuple(series), failure, on_scanner, lost)

        monkeypatch.setattr(audit, "audit", audited)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
        settings = config.load(str(site.config_file), config.DEFAULT_PROJECT)
        server = ServerFolders(str(site.server), config.DEFAULT_PROJECT)
        status = audit.run(settings, server, StatusOptions(audit=True, **options))
        printed = capsys.readouterr()
        return SimpleNamespace(status=status, out=printed.out, err=printed.err.splitlines(), looked_at=looked_at)

    return run


def test_a_pipe_gets_the_series_that_lack_images_and_standard_error_the_summary(run):
    done = run()
    assert done.out == TABLE
    assert done.err[0] == SUMMARY
    assert [line[: len(OFF)] for line in done.err[1:]] == [OFF]


def test_a_terminal_gets_the_studies_that_lack_images(run):
    out = run(terminal=True).out
    assert HEADER not in out
    assert [line for line in out.splitlines() if line in SAYS] == ["1.2.2", "1.2.3"]


def test_json_has_every_study_on_a_terminal_too(run):
    out = run(terminal=True, json=True).out
    found = {one["study"]: (one["missing"], one["lost"], one["error"]) for one in json.loads(out)}
    assert found == {
        "1.2.1": (0, False, None),
        "1.2.2": (5, False, None),
        "1.2.3": (0, True, None),
        "1.2.4": (0, False, None),
        "1.2.5": (0, False, "Connection refused"),
    }


@pytest.mark.parametrize(("options", "text"), [({}, TABLE), ({"json": True}, '[{"study": "1.2.1", ')])
def test_a_file_gets_it_instead_and_nothing_is_on_a_terminal(run, tmp_path, options, text):
    done = run(terminal=True, output=str(tmp_path / "file"), **options)
    assert done.out == "" and done.err[0] == SUMMARY
    assert (tmp_path / "file").read_text().startswith(text)


def test_the_audit_is_5_when_the_scanner_failed_and_each_failure_is_one_line(run):
    off, busy = Failure(Kind.UNREACHABLE, "Connection refused"), Failure(Kind.BUSY, "busy")
    says = {uid: ((), False, False, busy if uid == "1.2.4" else off) for uid in SAYS}
    done = run(says)
    assert done.status == ExitStatus.SCANNER
    assert ["is busy" in line for line in done.err[1:]] == [False, True]
    assert run({**SAYS, "1.2.5": SAYS["1.2.2"]}).status == ExitStatus.OK, "images that are missing are no failure"


def test_only_what_was_closed_since_is_looked_at_and_the_ledger_says_what_was_finished(run, site, monkeypatch):
    server = ServerFolders(str(site.server), config.DEFAULT_PROJECT)
    os.makedirs(server.pids)
    ledger.append(server.ledger, ledger.Entry("1.2.2", "2026-01-31T12:00:00+01:00", Outcome.FINISHED))
    looked_at = run(since="1d").looked_at
    assert [one.study_instance_uid for one in looked_at] == list(SAYS)
    assert [one.study_instance_uid for one in looked_at if one.finished] == ["1.2.2"]
    monkeypatch.setattr(audit, "since", lambda text: time.time() + 60)
    assert run(since="1d").looked_at == []


def test_what_is_no_time_is_refused_before_the_scanner_is_asked(run, capsys):
    with pytest.raises(UsageError, match="--since"):
        run(since="soon")
    assert capsys.readouterr().out == ""


def test_an_audit_leaves_no_folder_behind(run, tmp_path):
    before = sorted(tmp_path.iterdir())
    run()
    assert sorted(tmp_path.iterdir()) == before


# Requested again


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "scanner-mover: requested 1 study again; 0 were requested already"),
        (["1.2.2"], "scanner-mover: requested 0 studies again; 1 was requested already"),
    ],
)
def test_what_lacks_images_is_requested_again_and_nothing_else(run, site, there, said):
    for uid in there:
        site.request(uid)
    done = run(request=True)
    assert site.requests_in("active-scans") == ["1.2.2"]
    assert done.err[:2] == [SUMMARY, said] and done.err[2].startswith(OFF)
    assert done.status == ExitStatus.SCANNER


def test_an_audit_alone_requests_nothing(run, site):
    run()
    assert site.requests_in("active-scans") == []


def test_the_list_is_printed_also_when_nothing_can_be_requested(run, monkeypatch, capsys):
    def fail(*_: object) -> tuple[int, int]:
        raise UnusableError("a pass is running")

    monkeypatch.setattr(audit, "request_again", fail)
    with pytest.raises(UnusableError, match="a pass is running"):
        run(request=True)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (TABLE, SUMMARY + "\n")
