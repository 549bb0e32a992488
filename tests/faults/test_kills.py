"""A pass is ended at a moment that nobody chose, wherever it is then; the passes that follow make up for it (R27).

`tests/integration/test_killed.py` ends it at chosen moments of a C-MOVE. Here the moments come from a generator of
random numbers, whose seed stands in the name of each test, within the time that the last whole pass took. With
`--full` there are 50 moments for each signal with each scanner, half of them with --receive.
"""

import contextlib
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.killed import kill
from tests.faults.table import Entry
from tests.integration.invariants import Scanner
from tests.integration.scenario import Scenario, Study
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.orthanc import Orthanc
from tests.support.receiver import StorescpReceiver
from tests.support.site import Site

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
MOMENTS = 50
MOMENTS_OF_A_TEST = 5
SCANNERS = {"dcmqrscp": Dcmqrscp, "orthanc": Orthanc}
# In CI each signal twice, --receive and dcmqrscp alone: what files images is ours there.
MOMENTS_IN_CI = 2
FIRST_SECONDS = 2.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "number" not in metafunc.fixturenames:
        return
    full = metafunc.config.getoption("--full")
    cases = [
        pytest.param(name, kind, receives, seed, id=f"{name}-{kind}-{'receive' if receives else 'no-receive'}-{seed}")
        for name in SIGNALS
        for kind in (SCANNERS if full else ["dcmqrscp"])
        for receives in ((True, False) if full else (True,))
        for seed in range(MOMENTS // MOMENTS_OF_A_TEST // 2 if full else 1)
    ]
    metafunc.parametrize(("number", "kind", "receives", "seed"), cases)


@pytest.fixture
def place(
    request: pytest.FixtureRequest, tmp_path: Path, receive_port: int, kind: str, receives: bool, number: str
) -> Iterator[Scenario]:
    """A site, its real scanner and, when the mover does not receive, its receiver."""
    with contextlib.ExitStack() as stack:
        scanner: Scanner = stack.enter_context(SCANNERS[kind](tmp_path / "scanner", {"MOVER": receive_port}))
        site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=receive_port, receive=receives)
        if not receives:
            stack.enter_context(StorescpReceiver(tmp_path / "receiver", site.data, port=receive_port))
        name = f"killed by {number} at random, {kind}, {'--receive' if receives else 'another receives'}"
        yield Scenario(tmp_path, site, scanner, Entry(request, name))


@pytest.fixture
def moments(full: bool) -> int:
    return MOMENTS_OF_A_TEST if full else MOMENTS_IN_CI


def test_killed_at_random(place: Scenario, number: str, receives: bool, seed: int, moments: int) -> None:
    chance = random.Random(f"{seed} {number} {receives}")
    sent = signal.Signals[number]
    seconds = FIRST_SECONDS
    for _ in range(moments):
        # A study that runs and one of which some is here already, so that there is something of every kind to kill.
        running = place.acquire(1, ended=False)
        begun = place.acquire(4)
        if receives:
            place.have([*running.paths, *begun.paths[:1]])
        moment = chance.uniform(0, seconds)
        with said_where(f"killed after {moment:.3f} s of {seconds:.3f}, seed {seed}"):
            kill(place, sent, moment)
            place.site.mpps(running.uid, ended=True)
            began = time.monotonic()
            finish(place, running, begun)
            seconds = time.monotonic() - began


def finish(place: Scenario, *studies: Study) -> None:
    """Passes until these are finished: one is enough where we receive, another program may need a moment to link."""
    for _ in range(1 if place.site.receive else 10):
        place.a_pass()
        if all(place.where(study) == "finished-scans" for study in studies):
            # What a kill cut short is nothing that a person has to look at.
            assert not (place.site.data / "site" / "rejected").exists()
            return
        time.sleep(0.2)
    raise AssertionError([place.where(study) for study in studies])


@contextlib.contextmanager
def said_where(where: str) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error
