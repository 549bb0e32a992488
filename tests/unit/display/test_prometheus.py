"""The metrics of `status --prometheus`, read with prometheus_client's own parser."""

import math
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from scanner_mover import __version__
from scanner_mover.display.prometheus import metrics
from scanner_mover.rules.outcomes import Outcome, Procedure
from scanner_mover.site.state import State
from scanner_mover.transfer.overview import Closed, FailedRequest, Overview, RequestStatus, Waiting
from scanner_mover.transfer.report import StudyReport

NUMBERS = st.floats(0, 1e12, allow_nan=False) | st.none()
NOW = 1_800_000_000.0
OUTCOMES = ("finished", "failed", "waiting", "error")


def overview(**changes: object) -> Overview:
    whole = Overview(
        project="ABCD",
        enabled=True,
        running=False,
        state=State(),
        last_pass_at=None,
        looked_at=NOW,
        requests=(),
        free_bytes=5 << 30,
        reserve_bytes=1 << 30,
        finished=Closed(7, 2),
        failed=Closed(3, 1),
        failed_requests=(),
        problems=(),
    )
    return whole._replace(**changes)


def request(outcome: Outcome, age_seconds: float, stuck: tuple[str, ...] = ()) -> RequestStatus:
    report = StudyReport("1.2.3", outcome, (), Procedure.UNKNOWN, None)
    return RequestStatus(report, NOW - age_seconds, age_seconds, Waiting(stuck=stuck), "", "")


def parsed(text: str) -> dict[str, Metric]:
    """The families by name; the node exporter's collector wants each of them once, with its type."""
    assert text.endswith("\n")
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    for family in families:
        assert family.name.startswith("scanner_mover_")
        assert family.type in ("gauge", "counter")
        assert family.documentation
        for sample in family.samples:
            assert sample.name.startswith("scanner_mover_")
            assert (family.type == "counter") == sample.name.endswith("_total")
            assert sample.timestamp is None  # the collector refuses a file with times
    return {family.name: family for family in families}


def value(text: str, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in parsed(text).values()
        for sample in family.samples
        if sample.name == f"scanner_mover_{name}" and labels.items() <= sample.labels.items()
    ]
    assert len(found) == 1, (name, labels)
    return found[0]


def test_what_one_would_alert_on_is_there():
    state = State()
    state.seconds, state.exit_status, state.failed_pulls, state.images_received = 1.25, 5, 4, 12345678901
    state.moves_sent, state.fruitless_moves, state.failed_requests = 17, 6, 8
    text = metrics(
        overview(
            running=True,
            enabled=False,
            state=state,
            last_pass_at=NOW - 61.5,
            requests=(
                request(Outcome.WAITING, 10, ("1.2", "1.3")),
                request(Outcome.ERROR, 7200.5, ("1.4",)),
                request(Outcome.WAITING, 30),
            ),
            failed_requests=(FailedRequest("1.2.3", NOW, None), FailedRequest("1.2.4", NOW, "2 of 6 images missing")),
        )
    )
    assert value(text, "enabled", project="ABCD") == 0
    assert value(text, "running") == 1
    assert value(text, "last_pass_timestamp_seconds") == NOW - 61.5
    assert value(text, "last_pass_duration_seconds") == 1.25
    assert value(text, "last_pass_exit_status") == 5
    assert [value(text, "requests", state=one) for one in OUTCOMES] == [0, 0, 2, 1]
    assert value(text, "oldest_request_timestamp_seconds") == NOW - 7200.5
    assert value(text, "stuck_series") == 3
    assert value(text, "recently_failed_requests") == 2
    assert value(text, "failed_requests_total") == 8
    assert value(text, "moves_sent_total") == 17
    assert value(text, "fruitless_moves_total") == 6
    assert value(text, "free_bytes") == 5 << 30
    assert value(text, "reserve_bytes") == 1 << 30
    assert value(text, "build_info", version=__version__) == 1
    assert value(text, "finished_scans") == 7
    assert value(text, "failed_scans") == 3
    assert value(text, "failed_pulls_total") == 4
    assert value(text, "images_received_total") == 12345678901


def test_what_is_not_known_is_left_out_and_nothing_is_zero_instead():
    text = metrics(overview(enabled=None, running=None, free_bytes=None))
    names = parsed(text)
    assert "scanner_mover_free_bytes" not in names
    assert "scanner_mover_oldest_request_timestamp_seconds" not in names
    for name in (
        "enabled",
        "running",
        "last_pass_timestamp_seconds",
        "last_pass_duration_seconds",
        "last_pass_exit_status",
    ):
        assert f"scanner_mover_{name}" not in names
    assert value(text, "requests", state="waiting") == 0


def test_no_study_is_named():
    text = metrics(overview(requests=(request(Outcome.WAITING, 1),)))
    assert "1.2.3" not in text


@pytest.mark.parametrize("project", ['a"b', "a\\b", "a\\nb", "ä b", "a{b}", "PCGC", "a,b=c", "\\", '"', "a#b"])
def test_any_name_of_a_project_survives(project):
    text = metrics(overview(project=project))
    assert value(text, "finished_scans", project=project) == 7


@given(
    st.text(min_size=1),
    st.lists(st.tuples(st.sampled_from(Outcome), st.floats(0, 1e12))),
    NUMBERS,
    st.none() | st.booleans(),
    st.integers(0, 2**63),
)
def test_everything_can_be_parsed_back(project, requests, age, running, images):
    state = State()
    state.images_received, state.seconds = images, age
    text = metrics(
        overview(
            project=project,
            running=running,
            state=state,
            last_pass_at=age,
            requests=tuple(request(*one) for one in requests),
        )
    )
    parsed(text)
    if age is not None:
        assert math.isclose(value(text, "last_pass_timestamp_seconds"), age, rel_tol=1e-12)
    if requests:
        oldest = min(NOW - one[1] for one in requests)
        assert math.isclose(value(text, "oldest_request_timestamp_seconds"), oldest, rel_tol=1e-12)
    assert sum(value(text, "requests", state=one) for one in OUTCOMES) == len(requests)
    assert math.isclose(value(text, "images_received_total"), images, rel_tol=1e-12)


def test_promtool_has_nothing_to_say_of_them():
    """The linter of the Debian package `prometheus`: names, units, help and types as its authors want them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    text = metrics(overview(last_pass_at=NOW - 5, requests=(request(Outcome.ERROR, 10, ("1.2",)),)))
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
