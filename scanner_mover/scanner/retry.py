"""The one retry policy: which failure is worth another try, and when (R17; the rules themselves: `rules.retrieving`).

    failure                                      another try
    ------------------------------------------   ----------------------------------------------------------------
    no connection, hangs up at once              within the pass, unless the last pass found none either: a console
                                                 that is off for a night costs one short attempt a pass
    rejected for now, broke off, no answer,      within the pass
    out of resources
    some images could not be sent                the next pass: what arrived is kept and counts, and the same images
                                                 would be sent once more
    ended by us, no progress                     the next pass: this one has waited long enough
    ended by us, answers without end             the next pass: the same answers would come again
    refused or failed by the scanner             the next pass
    rejected for good, no secure connection,     the next pass, one request each: a person must mend it, and until
    service not offered, destination unknown     then nothing else is worth sending

The tries within a pass are `retries` more, with growing pauses and jitter, so that many sites that wait for one
archive do not come back at the same moment. After all tries of one retrieve have failed, each later retrieve in that
pass gets one try only, and so does a study whose last retrieve failed. A scanner that stalls twice in a row is left
alone until the next pass, and a study whose retrieve failed then comes last.
"""

from collections.abc import Callable
from typing import TypeVar

import tenacity

from scanner_mover import signals
from scanner_mover.failures import Failure
from scanner_mover.rules.retrieving import is_worth_another_try

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_MOST_JITTER_SECONDS = 0.5

T = TypeVar("T")


def with_retries(
    attempt: Callable[[], T],
    failure_of: Callable[[T], Failure | None],
    retries: int,
    log: Callable[[str], None] | None = None,
) -> T:
    """Call ATTEMPT, and up to RETRIES times again while the failure of its result is worth it; gives the last result.

    LOG gets a line before each pause: what failed, and when it is tried again.
    """

    def before_sleep(state: tenacity.RetryCallState) -> None:
        if log is not None and state.outcome is not None and state.next_action is not None:
            log(_again_line(failure_of(state.outcome.result()), state.next_action.sleep))

    retrying = tenacity.Retrying(
        sleep=signals.sleep,
        stop=tenacity.stop_after_attempt(retries + 1),
        wait=tenacity.wait_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS)
        + tenacity.wait_random(0, _MOST_JITTER_SECONDS),
        retry=tenacity.retry_if_result(lambda result: is_worth_another_try(failure_of(result))),
        before_sleep=before_sleep,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    result: T = retrying(attempt)
    return result


def _again_line(failure: Failure | None, seconds: float) -> str:
    """The line in the log for FAILURE, after which the next try comes in SECONDS."""
    assert failure is not None
    service = failure.detail.service
    return f"{service.value if service else 'the scanner'} failed: {failure.text}; next try in {seconds:.1f} s"
