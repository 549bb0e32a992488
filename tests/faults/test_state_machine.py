"""Any order of what happens at a scanner, at the site and to a pass: the invariants hold after every pass.

Hypothesis draws the order. When it ends all faults end, and passes finish every study that is requested and whose
procedure has ended, and no other. In CI the same few orders are drawn each time, with `--full` many, other ones.
"""

import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.faults.killed import kill
from tests.faults.limits import LONG, SHORT
from tests.faults.table import Entry
from tests.integration import invariants
from tests.integration.scenario import Scenario, Study
from tests.support.ports import free_port
from tests.support.scripted import Script, ScriptedScanner
from tests.support.site import Site, held_by_flock

QUIET_SECONDS = 30
AGES = 10_000.0
SMALL = st.integers(0, 2**16)

# What the scanner does otherwise while a fault lasts.
FAULTS = {
    "rejects for good": {"reject": (1, 1, 1)},
    "is busy": {"reject": (2, 3, 2)},
    "refuses a find": {"find_status": {"SERIES": 0xA700}},
    "refuses the images' names for now": {"find_status": {"IMAGE": 0xA700}},
    "has no series": {"find_answers": {"SERIES": []}},
    "refuses a move": {"move_status": 0xA702},
    "aborts a move at once": {"abort_move_after": 0},
    "aborts a move": {"abort_move_after": 1},
    "is silent in a move": {"move_silence": 60.0, "move_silence_after": 1},
    "is silent in a find": {"find_silence": 60.0},
    "sends no pending responses": {"pending_responses": False},
    "is slow": {"seconds_between_images": 0.1},
}
# Too long for CI.
SLOW = {"is silent in a move", "is silent in a find"}
QUICK = sorted(set(FAULTS) - SLOW)


class Events(RuleBasedStateMachine):
    """One site and its scanner; every rule is something that happens."""

    def __init__(self, entry: Entry, full: bool) -> None:
        super().__init__()
        self.full = full
        self.folder = Path(tempfile.mkdtemp(prefix="scanner-mover-events-"))
        port = free_port()
        self.scanner = ScriptedScanner({}, {"MOVER": port})
        self.site = Site(
            self.folder / "site",
            scanner_port=self.scanner.port,
            receive_port=port,
            receive=True,
            quiet_seconds=QUIET_SECONDS,
            repull_after_seconds=2 * QUIET_SECONDS,
            **LONG,
        )
        self.scenario = Scenario(self.folder, self.site, self.scanner, entry)
        self.studies: list[Study] = []
        self.ended: set[str] = set()
        self.fault: str | None = None
        self.was_failing = False
        self.switched_on = True
        self.scanner.start()

    # Which studies a rule may choose from

    def requested(self) -> list[Study]:
        return [study for study in self.studies if study.uid in self.scenario.requested]

    def open(self) -> list[Study]:
        """Those that are not finished."""
        finished = self.site.requests_in("finished-scans")
        return [study for study in self.studies if study.uid not in finished]

    # What happens at the scanner

    @initialize(images=st.integers(2, 4), first=st.sampled_from(["half a move", "SIGKILL", *QUICK]))
    def begin(self, images: int, first: str) -> None:
        """Something goes wrong at the first pull: what is drawn after it may go well for long."""
        self.acquire([images], ended=True, request=True)
        if first == "SIGKILL":
            self.kill_a_pass(first, 0.8)
        elif first == "half a move":
            self.send_only_some(0, 1)
        else:
            self.go_wrong(first)

    @rule(images=st.lists(st.integers(1, 4), min_size=1, max_size=2), ended=st.booleans(), request=st.booleans())
    def acquire(self, images: list[int], ended: bool, request: bool) -> None:
        if len(self.studies) == 4:
            return
        study = self.scenario.acquire(*images, ended=ended, request=request)
        self.studies.append(study)
        if ended:
            self.ended.add(study.uid)

    @precondition(lambda self: self.open())
    @rule(which=SMALL, images=st.integers(1, 3))
    def add_series(self, which: int, images: int) -> None:
        """Also after the end of the procedure: one that is reconstructed late."""
        study = chosen(self.open(), which)
        if len(study.series) < 4:
            self.scenario.add_series(study, len(study.series) + 1, images)

    @precondition(lambda self: len(self.ended) < len(self.studies))
    @rule(which=SMALL)
    def end_procedure(self, which: int) -> None:
        study = chosen([study for study in self.studies if study.uid not in self.ended], which)
        self.site.mpps(study.uid, ended=True)
        self.ended.add(study.uid)

    @rule()
    def switch_scanner(self) -> None:
        if self.scanner.running:
            self.was_failing = True
            self.scanner.stop()
        else:
            self.scanner.start()

    @precondition(lambda self: self.fault is None)
    @rule(name=st.sampled_from(sorted(FAULTS)))
    def go_wrong(self, name: str) -> None:
        if name in SLOW and not self.full:
            return
        self.fault = name
        self.was_failing = True
        if name in SLOW:
            self.site.config(**SHORT)
        for field, value in FAULTS[name].items():
            setattr(self.scanner.script, field, value)
        self.make_a_pass()

    @precondition(lambda self: self.fault is None and self.requested())
    @rule(which=SMALL, images=st.integers(0, 2))
    def send_only_some(self, which: int, images: int) -> None:
        """And say Success of it."""
        self.fault = "half a move"
        self.was_failing = True
        for series in chosen(self.requested(), which).series:
            self.scanner.script.send_only[series] = images
        self.make_a_pass()

    @precondition(lambda self: self.fault is not None)
    @rule()
    def be_well(self) -> None:
        self.scanner.script = Script()
        self.site.config(**LONG)
        self.fault = None

    # What happens at the site

    @precondition(lambda self: len(self.requested()) < len(self.studies))
    @rule(which=SMALL)
    def request(self, which: int) -> None:
        self.scenario.request(chosen([one for one in self.studies if one not in self.requested()], which))

    @precondition(lambda self: self.open())
    @rule(which=SMALL)
    def delete_image(self, which: int) -> None:
        paths = [path for one in self.open() for path in (self.site.data / "site" / "raw" / one.uid).glob("*/*")]
        if paths:
            sorted(paths)[which % len(paths)].unlink()

    @rule(content=st.sampled_from([b"", b"\0\xff", b"[]", b'{"version": 1, "requests": {"1.2": 3}}', None]))
    def damage_state(self, content: bytes | None) -> None:
        if self.site.state_file.exists():
            whole = self.site.state_file.read_bytes()
            self.site.state_file.write_bytes(whole[: len(whole) // 2] if content is None else content)

    @rule()
    def switch_site(self) -> None:
        self.switched_on = not self.switched_on
        self.site.switch(b"010\n" if self.switched_on else b"000\n")

    @rule(seconds=st.sampled_from([QUIET_SECONDS / 2, QUIET_SECONDS + 1.0, AGES]))
    def time_passes(self, seconds: float) -> None:
        # A state file that is broken, or none yet, has no moments.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AssertionError):
            self.scenario.time_passes(seconds)

    # Passes

    @rule()
    def make_a_pass(self) -> None:
        done = self.site.move(seconds=600)
        # With a fault it depends on what there was to ask. One that has ended counts until the scanner is asked again.
        allowed = (0, 5) if self.switched_on and self.was_failing else (0,)
        assert done.returncode in allowed, (done, self.fault, self.site.log())
        if self.switched_on and self.fault is None and self.scanner.running and done.returncode == 0:
            self.was_failing = False
        if self.switched_on:
            self.scenario.check(done, done.returncode)
        else:
            self.check_without_work(done)

    @rule(
        name=st.sampled_from(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"]),
        moment=st.floats(0.05, 1.5, allow_nan=False),
    )
    def kill_a_pass(self, name: str, moment: float) -> None:
        # A slow one, so that it is at a pull most of the time.
        between, self.scanner.script.seconds_between_images = self.scanner.script.seconds_between_images, 0.1
        kill(self.scenario, signal.Signals[name], moment)
        self.scanner.script.seconds_between_images = between

    @rule()
    def hold_the_lock(self) -> None:
        with held_by_flock(self.site.lock_file):
            done = self.site.move()
        assert (done.returncode, done.stderr) == (1, "")
        self.check_without_work(done)

    def check_without_work(self, done: "CompletedProcess[str]") -> None:
        """A pass that had nothing to do leaves what a killed one left to the next that has."""
        assert "Traceback" not in done.stderr + self.site.log()
        invariants.check_nothing_runs(self.site)
        invariants.check_images(self.site, self.scenario.scanner)
        for uid in self.scenario.requested:
            invariants.check_request(self.site, self.scanner, uid)

    # The end

    def teardown(self) -> None:
        try:
            # Not after a failure: the folder is as it should not be.
            if sys.exc_info()[0] is None:
                self.all_is_well_again()
        finally:
            self.scanner.stop()
            shutil.rmtree(self.folder)

    def all_is_well_again(self) -> None:
        self.be_well()
        if not self.scanner.running:
            self.scanner.start()
        if not self.switched_on:
            self.switch_site()
        wanted = sorted(study.uid for study in self.requested() if study.uid in self.ended)
        for _ in range(6):
            if self.site.requests_in("finished-scans") == wanted:
                break
            self.time_passes(AGES)
            self.make_a_pass()
        self.was_failing = False
        self.time_passes(AGES)
        self.make_a_pass()
        assert self.site.requests_in("finished-scans") == wanted, self.site.log()


def chosen(studies: list[Study], which: int) -> Study:
    return studies[which % len(studies)]


def how_many(full: bool) -> settings:
    size = settings(
        deadline=None,
        database=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
            HealthCheck.large_base_example,
        ],
    )
    if full:
        return settings(size, max_examples=100, stateful_step_count=40)
    # What is found is not made smaller: that takes longer than CI has time.
    phases = [Phase.explicit, Phase.generate]
    return settings(size, max_examples=3, stateful_step_count=8, derandomize=True, phases=phases)


@pytest.mark.timeout(3 * 3600)
def test_any_order_of_events(request: pytest.FixtureRequest, full: bool) -> None:
    entry = Entry(request, "any order of events")
    run_state_machine_as_test(lambda: Events(entry, full), settings=how_many(full))
