"""Which failure is worth another try, and how often (R17)."""

from collections.abc import Callable

import pytest

from scanner_mover.errors import Ended, UnusableError
from scanner_mover.failures import Failure, Kind, Service
from scanner_mover.rules.retrieving import ends_the_pass, is_worth_another_try
from scanner_mover.scanner import retry
from scanner_mover.scanner.retry import with_retries

# kind: (another try in this pass, the end of this pass)
POLICY = {
    Kind.UNREACHABLE: (True, True),
    Kind.HUNG_UP: (True, True),
    Kind.BUSY: (True, False),
    Kind.REJECTED: (False, True),
    Kind.INSECURE: (False, True),
    Kind.UNSUPPORTED: (False, True),
    Kind.INTERRUPTED: (True, False),
    Kind.KILLED: (True, False),
    Kind.STALLED: (False, False),
    Kind.LIMIT: (False, False),
    Kind.ENDLESS: (False, False),
    Kind.CANCELLED: (False, False),
    Kind.OUT_OF_RESOURCES: (True, False),
    Kind.PARTIAL: (False, False),
    Kind.UNKNOWN_DESTINATION: (False, True),
    Kind.REFUSED: (False, False),
}
BUSY = Failure(Kind.BUSY, "busy")


class Attempts:
    """Plays one result after the other, the last one for ever, and counts."""

    def __init__(self, *results: Failure | BaseException | None) -> None:
        self.results = list(results)
        self.made = 0

    def __call__(self) -> Failure | None:
        result = self.results[min(self.made, len(self.results) - 1)]
        self.made += 1
        if isinstance(result, BaseException):
            raise result
        return result


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch):
    for name in ("_FIRST_PAUSE_SECONDS", "_MOST_JITTER_SECONDS"):
        monkeypatch.setattr(retry, name, 0.001)


def run(attempts: Attempts, retries: int, log: Callable[[str], None] | None = None) -> Failure | None:
    return with_retries(attempts, lambda result: result, retries, log)


@pytest.mark.parametrize("kind", list(Kind))
def test_R17_the_policy_for_each_kind(kind):
    failure = Failure(kind, "words")
    assert (is_worth_another_try(failure), ends_the_pass(failure)) == POLICY[kind]


def test_R17_a_success_needs_no_other_try():
    attempts = Attempts(None)
    assert not is_worth_another_try(None)
    assert (run(attempts, 5), attempts.made) == (None, 1)


@pytest.mark.parametrize("kind", [kind for kind, (again, _) in POLICY.items() if not again])
def test_R17_what_is_not_worth_it_is_tried_once(kind):
    failure = Failure(kind, "words")
    attempts = Attempts(failure)
    assert (run(attempts, 5), attempts.made) == (failure, 1)


def test_R17_what_is_worth_it_is_tried_as_often_as_configured():
    attempts = Attempts(BUSY)
    assert (run(attempts, 1), attempts.made) == (BUSY, 2)


def test_R17_without_retries_there_is_one_try():
    attempts = Attempts(BUSY)
    assert (run(attempts, 0), attempts.made) == (BUSY, 1)


def test_R17_the_tries_end_with_the_first_success():
    attempts = Attempts(BUSY, None)
    assert (run(attempts, 5), attempts.made) == (None, 2)


@pytest.mark.parametrize("error", [UnusableError("no tool"), Ended(15)])
def test_R27_what_is_no_failure_of_the_scanner_goes_through_at_once(error):
    attempts = Attempts(error)
    with pytest.raises(type(error)) as raised:
        run(attempts, 5)
    assert (raised.value, attempts.made) == (error, 1)


@pytest.mark.parametrize(
    ("service", "beginning"), [(Service.FIND, "C-FIND"), (Service.MOVE, "C-MOVE"), (None, "the scanner")]
)
def test_R17_each_further_try_is_in_the_log(service, beginning):
    log: list[str] = []
    run(Attempts(BUSY.about(service), BUSY.about(service), None), 5, log.append)
    assert log == [f"{beginning} failed: busy; next try in 0.0 s"] * 2


def test_R17_the_last_failure_is_not_followed_by_a_try():
    log: list[str] = []
    run(Attempts(BUSY), 1, log.append)
    assert len(log) == 1
