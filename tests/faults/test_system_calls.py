"""Each system call of a pass fails once: EIO, ESTALE, a full disk, no more descriptors, no rights.

A first pass writes down which calls it makes (`shim`), a line of the program and a number each. Then a pass like it is
made for each of them, in which it fails. The invariants hold at once, no traceback is seen, and the passes after it
finish what can be finished and nothing else. In CI a seeded sample; with `--full` each call that there is, the first
times that a line makes it, and with each error that fits.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

import pytest

from tests.faults import shim
from tests.faults.limits import LONG, short_limits
from tests.faults.table import Entry
from tests.integration import invariants
from tests.integration.scenario import Scenario, Study
from tests.support.ports import free_port
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site

SHIM = Path(shim.__file__).parent
# What a line does more often than this it does for more of the same.
MOST_OF_A_LINE = 3
ERRORS = ("EIO", "ESTALE", "EACCES")
OF_CHANGES = ("ENOSPC", "EROFS")
CHANGES = {"chmod", "chown", "fchmod", "fchown", "file.write", "link", "mkdir", "rename", "replace", "rmdir", "symlink"}
MORE_CHANGES = {"unlink", "utime", "write"}
OF_DESCRIPTORS = ("EMFILE", "ENFILE")
SAMPLE_IN_CI = 24
SHARES, SHARES_IN_CI = 16, 4
SEED = 11

# 0, or one line and 4 or 5; 3 when the configuration could not be read.
STATUSES = (0, 3, 4, 5)


class Failing(NamedTuple):
    """A call, as the shim names it, and the error that it ends with."""

    call: str
    error: str


class Place:
    """A site at which each kind of request is there: what a failing call must not close, lose or damage."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        port = free_port()
        self.scanner = ScriptedScanner({}, {"MOVER": port})
        self.site = Site(
            folder / "site",
            scanner_port=self.scanner.port,
            receive_port=port,
            receive=True,
            **LONG,
        )
        self.scenario = Scenario(folder, self.site, self.scanner, entry)
        # Their last images never come, or their procedures go on: they are never finished.
        self.open: list[Study] = []
        self.entry = entry
        self._log_read = 0

    def fill(self) -> list[Study]:
        """Make what a pass is to work on: studies that it can finish, and others that it must not."""
        scenario = self.scenario
        fresh = scenario.acquire(2, 1)
        here = scenario.acquire(2)
        scenario.have(here.paths)
        half = scenario.acquire(3)
        scenario.have(half.paths[:2])
        if not self.open:
            running = scenario.acquire(1, ended=False)
            scenario.have(running.paths)
            second_step = scenario.acquire(1)
            scenario.have(second_step.paths)
            self.site.mpps(second_step.uid, ended=False, name=f"{second_step.uid}.2.mpps")
            short = scenario.acquire(3)
            self.scanner.script.never_sends = {short.paths[0].name}
            self.open = [running, second_step, short]
        return [fresh, here, half]

    def clean_up(self, studies: list[Study]) -> None:
        """As a site does with what is finished."""
        for study in studies:
            del self.scanner.studies[study.uid]
            self.scenario.requested.remove(study.uid)
            (self.site.data / "finished-scans" / study.uid).unlink()
            (self.site.data / "scanner" / f"{study.uid}.mpps").unlink()
            shutil.rmtree(self.site.data / "site" / "raw" / study.uid)

    def a_pass(self, **variables: str) -> "CompletedProcess[str]":
        return self.site.move(env={"PYTHONPATH": str(SHIM), **variables})

    def trace(self) -> list[str]:
        """The names of all calls that a pass makes here."""
        file = self.site.root / "trace"
        file.unlink(missing_ok=True)
        done = self.a_pass(SYSTEM_CALLS_TRACE=str(file))
        assert done.returncode in (0, 5), done
        return file.read_text(encoding="utf-8").splitlines()

    def check_at_once(self, done: "CompletedProcess[str]") -> None:
        """What holds right after a pass in which a call failed."""
        log = self.site.log()
        self._log_read, new = len(log), log[self._log_read :]
        assert done.returncode in STATUSES
        assert "Traceback" not in done.stderr + new, new[-2000:]
        invariants.assert_no_patient(done.stdout + done.stderr)
        for uid in self.scenario.requested:
            invariants.check_request(self.site, self.scanner, uid)
        invariants.check_images(self.site, self.scanner)
        assert invariants.processes_of(self.site) == []


def choose(calls: list[str], full: bool) -> list[Failing]:
    """Which of the calls fail, and how."""
    numbers = random.Random(SEED)
    chosen = [call for call in calls if int(call.rsplit(" ", 1)[1]) <= MOST_OF_A_LINE]
    failing = []
    for call in chosen:
        errors = errors_of(call.split()[0])
        failing += [Failing(call, error) for error in (errors if full else [numbers.choice(errors)])]
    # One of each line before a second of any.
    numbers.shuffle(failing)
    return failing if full else list({one.call.rpartition(" ")[0]: one for one in failing}.values())


def errors_of(name: str) -> list[str]:
    """What the call may end with."""
    if name == "pipe":
        return [*OF_DESCRIPTORS]
    more = OF_CHANGES if name in CHANGES | MORE_CHANGES else OF_DESCRIPTORS if name in ("open", "scandir") else ()
    return [*ERRORS, *more]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, Entry(request, "a system call fails"))
    with made.scanner:
        yield made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("--full")
    metafunc.parametrize("share", range(SHARES if full else SHARES_IN_CI))


@pytest.mark.timeout(6 * 3600)
def test_each_system_call_fails_once(place: Place, share: int, full: bool) -> None:
    studies = place.fill()
    calls = place.trace()
    settle(place, studies)
    failing = choose(calls, full)[share::SHARES] if full else choose(calls, full)[:SAMPLE_IN_CI][share::SHARES_IN_CI]
    print(f"{len(failing)} failing calls of {len(set(calls))} calls")
    broken = []
    for one in failing:
        studies = place.fill()
        with short_limits(place.site):
            done = place.a_pass(SYSTEM_CALLS_FAULT=one.call, SYSTEM_CALLS_ERRNO=one.error)
        place.entry.count()
        try:
            place.check_at_once(done)
        except AssertionError as error:
            said = "\n".join(done.stderr.splitlines()[-2:])
            broken.append(f"{one.call}, {one.error}: ended with {done.returncode}: {error}\n{said}")
        settle(place, studies)
    assert not broken, "\n\n".join(broken)


def settle(place: Place, studies: list[Study]) -> None:
    """Nothing fails any more: what can be finished is, what cannot is not, and nothing is left behind."""
    for _ in range(4):
        done = place.site.move()
        # What could not be used waits for its next try, and its exit status holds until then.
        assert done.returncode in (0, 4, 5), (done, place.site.log())
        place.entry.count()
        if all(place.scenario.where(study) == "finished-scans" for study in studies):
            break
        place.scenario.every_pause_is_over()
    assert {place.scenario.where(study) for study in studies} == {"finished-scans"}, place.site.log()
    assert {place.scenario.where(study) for study in place.open} == {"active-scans"}
    invariants.check(place.site, place.scanner, place.scenario.requested)
    place.clean_up(studies)
