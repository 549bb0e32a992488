"""The scanner's faults: beside each other and one after another in the size that fits CI, each alone with `--full`."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import scanner_faults as faults
from tests.faults.laboratory import Fault, Laboratory
from tests.integration.scenario import Scenario
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site


@dataclass(frozen=True)
class Round:
    """One run of the laboratory: which faults, and how."""

    name: str
    faults: Sequence[Fault]
    receive: bool
    """movescu receives, else another program does."""
    passes: int = 1
    place: float = 0.5
    sizes: tuple[int, ...] = ()
    seed: int = 1


QUICK = [
    Round("rejections", faults.REJECTIONS, False),
    Round("breaks of C-FIND", faults.BREAKS_OF_FIND, False),
    Round("breaks of C-MOVE", [*faults.BREAKS_OF_MOVE, *faults.SLOW], True),
    Round("breaks inside an image", faults.BREAKS_INSIDE_AN_IMAGE, True),
    Round("statuses of C-FIND", faults.STATUSES_OF_FIND, False),
    Round("statuses of C-MOVE", faults.STATUSES_OF_MOVE, False),
    Round("answers", faults.ANSWERS, False),
    Round("images that were not asked for", faults.COUNTS, True),
    Round("images that are none", faults.IMAGES, True),
    Round("syntaxes", faults.SYNTAXES, True),
    Round("many series", faults.MANY_SERIES, False),
]

_PLACES = {"first": 0.0, "middle": 0.5, "last": 1.0}
# What is about images that are sent needs a movescu that receives them.
_RECEIVED = {*faults.COUNTS, *faults.IMAGES, *faults.BREAKS_INSIDE_AN_IMAGE}


def each_alone() -> list[Round]:
    """Each fault at the first message, in the middle and at the last, with studies and numbers of passes by chance."""
    rounds = []
    for number, fault in enumerate(fault for quick in QUICK for fault in quick.faults):
        for seed, (words, place) in enumerate(_PLACES.items()):
            numbers = random.Random(number * len(_PLACES) + seed)
            images = max(fault.images, numbers.randint(2, 5))
            sizes = (images,) * numbers.randint(1, 2)
            receive = fault in _RECEIVED or numbers.random() < 0.5
            name = f"{fault.name}, {words}, {'received' if receive else 'filed by another'}, {sizes}, seed {seed}"
            rounds.append(Round(name, [fault], receive, numbers.randint(2, 3), place, sizes, seed))
    return rounds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    rounds = [*QUICK, *each_alone()] if metafunc.config.getoption("--full") else QUICK
    metafunc.parametrize("one", rounds, ids=lambda one: one.name)


def test_faults_of_the_scanner(
    request: pytest.FixtureRequest, tmp_path: Path, site: Site, scripted: ScriptedScanner, one: Round
) -> None:
    site.receive = one.receive
    if not one.receive:
        scripted.files_into = site.data / "site" / "raw"
    laboratory = Laboratory(Scenario(tmp_path, site, scripted), scripted, request, one.seed)
    chosen = one.faults if len(one.faults) == 1 else [fault for fault in one.faults if fault.quick]
    steps = [[fault for fault in chosen if not fault.alone], *([fault] for fault in chosen if fault.alone)]
    laboratory.run([step for step in steps if step], passes=one.passes, place=one.place, sizes=one.sizes)
