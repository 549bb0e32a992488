"""Mutated files: MPPS, answers, images, configuration, state. Some hundred in CI, many thousands with `--full`.

What a mutated file says is anybody's guess; so each test is made such that whatever it says must not matter: nothing
is closed that has an open step, nothing lies in site/raw under UIDs that are not its own, no run ends in a traceback,
and what is whole beside it is handled as ever. SCANNER_MOVER_SEED sets another seed.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pydicom
import pytest

from tests.faults.mutation import mutated, mutated_json
from tests.faults.table import Entry
from tests.integration import invariants
from tests.integration.scenario import Scenario
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site

SEED = os.environ.get("SCANNER_MOVER_SEED", "1")
ROUNDS_IN_FULL = 50
FILES = 40
SMALL_PASSES = 40
MOST_LINES = 8
# Nothing else: 70 would be an error of ours.
STATUSES = (0, 3, 4, 5, 6)

# The real findscu, and what it wrote is not what the scanner sent.
MUTATING_FINDSCU = """
import os, random, subprocess, sys
sys.path.insert(0, {root!r})
from tests.faults.mutation import mutated
done = subprocess.run([{real!r}, *sys.argv[1:]])
numbers = random.Random({seed!r})
for folder in [sys.argv[n + 1] for n, one in enumerate(sys.argv) if one == "-od"]:
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            whole = file.read()
        if numbers.random() < 0.7:
            with open(path, "wb") as file:
                file.write(mutated(whole, numbers))
sys.exit(done.returncode)
"""


@pytest.fixture
def scenario(request: pytest.FixtureRequest, tmp_path: Path, site: Site, scripted: ScriptedScanner) -> Scenario:
    name = request.node.originalname.removeprefix("test_mutated_").replace("_", " ")
    return Scenario(tmp_path, site, scripted, Entry(request, f"mutated: {name}"))


@pytest.fixture
def numbers(request: pytest.FixtureRequest, round_number: int) -> random.Random:
    return random.Random(f"{SEED} {round_number} {request.node.originalname}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("round_number", range(ROUNDS_IN_FULL if metafunc.config.getoption("--full") else 1))


def check(scenario: Scenario, done: "CompletedProcess[str]") -> None:
    """What holds after a run that met mutated files."""
    scenario.entries[0].count()
    assert done.returncode in STATUSES, done
    assert "Traceback" not in done.stderr + scenario.site.log(), (done.stderr, scenario.site.log()[-3000:])
    lines = done.stderr.splitlines()
    assert len(lines) <= MOST_LINES, done
    assert len(set(lines)) == len(lines), "no line twice"
    invariants.assert_no_patient(done.stderr)
    invariants.check_no_patient(scenario.site)
    invariants.check_places(scenario.site)
    assert invariants.processes_of(scenario.site) == []


def test_mutated_mpps_files(scenario: Scenario, numbers: random.Random) -> None:
    healthy = scenario.acquire(1)
    scenario.have(healthy.paths)
    studies = [scenario.acquire(1) for _ in range(FILES)]
    for number, study in enumerate(studies):
        scenario.have(study.paths)
        ended = numbers.random() < 0.5
        path = scenario.site.mpps(study.uid, ended=ended, name=f"{number}.mpps")
        path.write_bytes(mutated(path.read_bytes(), numbers))
        # Whatever the mutated one says, this step goes on.
        scenario.site.mpps(study.uid, ended=False)
    for _ in range(2):
        check(scenario, scenario.site.move())
        assert scenario.site.requests_in("active-scans") == sorted(study.uid for study in studies)
    assert scenario.where(healthy) == "finished-scans"


def test_mutated_answers(scenario: Scenario, numbers: random.Random) -> None:
    site = scenario.site
    # Neither may be closed, whatever the answers say: a procedure that goes on, an image that never comes.
    running = [scenario.acquire(1, ended=False) for _ in range(FILES)]
    half = [scenario.acquire(2) for _ in range(4)]
    for study in (*running, *half):
        scenario.have(study.paths[:1])
    assert isinstance(scenario.scanner, ScriptedScanner)
    scenario.scanner.script.never_sends = {study.paths[1].name for study in half}
    real = shutil.which("findscu", path=site.environment["PATH"])
    root = str(Path(__file__).parents[2])
    fake = site.tool("findscu", MUTATING_FINDSCU.format(root=root, real=real, seed=str(numbers.random())))
    for _ in range(2):
        check(scenario, site.move())
        invariants.check_images(site, scenario.scanner)
        assert {scenario.where(study) for study in running} == {"active-scans"}
    fake.unlink()
    scenario.scanner.script.never_sends = ()
    for study in (*running, *half):
        invariants.check_request(site, scenario.scanner, study.uid)


def test_mutated_images(scenario: Scenario, numbers: random.Random) -> None:
    """What is filed is what was sent, byte for byte, under the UIDs that it has."""
    healthy = scenario.acquire(1)
    study = scenario.acquire(FILES, ended=False)
    scenario.request(study, age_seconds=60)
    sent = scenario.folder / "sent"
    sent.mkdir()
    copies = []
    for path in study.paths:
        whole = path.read_bytes()
        begin = data_set_of(whole)
        copies.append(sent / path.name)
        # The association breaks at most of those that storescp cannot read at all: a few of them are enough.
        mutation = mutated(whole, numbers, begin) if numbers.random() < 0.7 else whole
        copies[-1].write_bytes(mutation)
    assert isinstance(scenario.scanner, ScriptedScanner)
    scenario.scanner.script.sends = lambda paths: copies if len(paths) > 1 else paths
    known = {content[data_set_of(content) :] for content in (path.read_bytes() for path in (*copies, *healthy.paths))}
    for _ in range(2):
        check(scenario, scenario.site.move())
        for path in (scenario.site.data / "site" / "raw").glob("*/*/*"):
            content = path.read_bytes()
            assert content[data_set_of(content) :] in known, f"{path} is not what was sent"
            image = pydicom.dcmread(path, stop_before_pixels=True)
            own = (image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID)
            assert path.relative_to(scenario.site.data / "site" / "raw").parts == own
        assert scenario.where(study) == "active-scans"
    assert scenario.where(healthy) == "finished-scans"


def data_set_of(content: bytes) -> int:
    """Where the data set begins: behind group 2, whose length is its first element (PS3.10 section 7.1)."""
    return 144 + int.from_bytes(content[140:144], "little")


@pytest.fixture
def idle(scenario: Scenario) -> Iterator[Site]:
    """A site that requests nothing, so that a pass is short, and whose last pass left a rich state."""
    study = scenario.acquire(2, 1, ended=False)
    scenario.have(study.paths[:1])
    scenario.a_pass()
    yield scenario.site


def test_mutated_configuration(scenario: Scenario, idle: Site, numbers: random.Random) -> None:
    scenario.site.request("not-a-uid")
    whole = idle.config_file.read_bytes()
    # Never another folder than the site's own.
    environment = {"SERVERDIR": str(idle.server)}
    aside = idle.data / "active-scans"
    for _ in range(SMALL_PASSES * 2):
        idle.config_file.write_bytes(mutated_json(whole, numbers))
        done = idle.mover("status", "--json", env=environment)
        check(scenario, done)
    idle.config_file.write_bytes(whole)
    assert aside.is_dir()
    scenario.a_pass()


def test_mutated_state(scenario: Scenario, idle: Site, numbers: random.Random) -> None:
    whole = idle.state_file.read_bytes()
    (study,) = scenario.requested
    for number in range(SMALL_PASSES):
        idle.state_file.write_bytes(mutated_json(whole, numbers))
        check(scenario, idle.mover("status", "--json"))
        if number % 4 == 0:
            check(scenario, idle.move())
            invariants.check_request(idle, scenario.scanner, study)
    idle.mpps(study, ended=True)
    for _ in range(2):
        scenario.a_pass()
    assert idle.requests_in("finished-scans") == [study]
