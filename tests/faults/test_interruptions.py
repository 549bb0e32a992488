"""A signal reaches a pass at any instruction at which Python looks for signals: it ends in order (R27).

`test_kills.py` and `test_state_machine.py` send signals at moments, which seldom hit a given instruction.
Here a first pass writes down the places that its main thread comes to (`interruption`), some nine thousand, and SIGTERM
is sent at some of them: each ends with 128 + n or whole, nothing is left behind, no traceback is seen, and the passes
after it finish what can be finished and nothing else. In CI a few that are always the same, with `--full` others each
time.
"""

import random
from pathlib import Path

import pytest

from tests.faults import interruption
from tests.faults.place import Place
from tests.integration import invariants

SCENARIO = "a signal at any instruction"
SHIM = Path(interruption.__file__).parent
INTERRUPTED = "interrupted here\n"
SHARES, SHARES_IN_CI = 16, 1
SAMPLE, SAMPLE_IN_CI = 50, 4
SEED = 27
# How often the pass comes to the place before the signal does; some come seldom.
TIMES = (1, 1, 2, 5, 20)
# Ended by the signal, at the beginning without a word of ours; or whole, because it came when all was done.
STATUSES = (143, -15, 0, 4, 5)


@pytest.mark.timeout(6 * 3600)
def test_R27_a_signal_at_any_instruction(place: Place, share: int, full: bool) -> None:
    seed = random.randrange(2**32) if full else SEED + share
    print(f"seed {seed}")
    chance = random.Random(seed)
    studies = place.fill()
    places = place.trace(SHIM, "INTERRUPTION_TRACE")
    assert any("/scanner_mover/dcmtk/" in one for one in places)
    place.settle(studies)
    studies = place.fill()
    broken = []
    interrupted = 0
    for where in chance.sample(places, SAMPLE if full else SAMPLE_IN_CI):
        times = chance.choice(TIMES)
        done = place.a_pass(SHIM, INTERRUPTION_AT=where, INTERRUPTION_TIMES=str(times))
        place.entry.count()
        interrupted += INTERRUPTED in done.stderr
        try:
            place.check_at_once(done, STATUSES)
            if INTERRUPTED in done.stderr:
                assert done.returncode < 0 or done.returncode > 128, "the signal was lost"
            assert invariants.staging(place.site) == []
            assert invariants.work_folders(place.site) == []
        except AssertionError as error:
            broken.append(f"{where}, {times} times: ended with {done.returncode}: {error}\n{done.stderr}")
        place.scenario.every_pause_is_over()
        if all(place.scenario.where(study) == "finished-scans" for study in studies):
            place.clean_up(studies)
            studies = place.fill()
    place.settle(studies)
    assert not broken, "\n\n".join(broken)
    assert interrupted, "no pass came to its place: this proved nothing"
