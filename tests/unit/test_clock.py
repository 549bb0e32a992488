"""The clock that nobody can set, times with their offset, and how old they are."""

import datetime
import io
import time

import pytest

from scanner_mover import clock
from scanner_mover.moment import Moment

NOON = "2026-01-31T12:00:00+01:00"
NOON_SECONDS = 1769857200.0


@pytest.fixture
def boot_id(monkeypatch):
    """Sets what the kernel says of its boot; an error is raised."""

    def says(answer: str | Exception) -> None:
        def opened(path: str, **_: object) -> io.StringIO:
            assert path == "/proc/sys/kernel/random/boot_id"
            if isinstance(answer, Exception):
                raise answer
            return io.StringIO(answer)

        monkeypatch.setattr(clock, "open", opened, raising=False)

    return says


def test_the_present_moment_is_of_this_boot_and_of_the_monotonic_clock(boot_id, monkeypatch):
    boot_id("6f2e-41\n")
    monkeypatch.setattr(time, "monotonic", lambda: 12.5)
    assert clock.now() == Moment("6f2e-41", 12.5)


@pytest.mark.parametrize("error", [FileNotFoundError(), UnicodeDecodeError("ascii", b"\xff", 0, 1, "not ASCII")])
def test_where_the_kernel_does_not_say_which_boot_it_is_its_name_is_empty(boot_id, error):
    boot_id(error)
    assert clock.now().boot == ""


@pytest.fixture(params=["UTC0", "CET-1", "NST3:30", "LINT-14"])
def zone(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_a_time_has_the_local_offset_with_a_colon_and_no_fraction(zone):
    text = {
        "UTC0": "2026-01-31T11:00:00+00:00",
        "CET-1": "2026-01-31T12:00:00+01:00",
        "NST3:30": "2026-01-31T07:30:00-03:30",
        "LINT-14": "2026-02-01T01:00:00+14:00",
    }[zone]
    assert clock.iso(NOON_SECONDS + 0.9) == text
    assert datetime.datetime.fromisoformat(text).timestamp() == NOON_SECONDS
    assert clock.age(text, NOON_SECONDS + 60) == 60


@pytest.mark.parametrize(
    ("later", "age"),
    [(0, 0.0), (0.25, 0.25), (86400, 86400.0), (-1, 0.0), (-1e9, 0.0)],
)
def test_a_time_in_the_future_is_no_time_ago(later, age):
    assert clock.age(NOON, NOON_SECONDS + later) == age


@pytest.mark.parametrize("text", ["", "soon", "12:00", "2026-02-30T12:00:00+01:00", "0001-01-01"])
def test_what_is_no_time_has_no_age(text):
    assert clock.age(text, NOON_SECONDS) is None
