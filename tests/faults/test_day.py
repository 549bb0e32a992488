"""A day of passes, 15 seconds apart, while everything goes wrong now and then: with `--full` all 5,760 of them.

The clock and the waiting times are shortened by one factor (30: 48 minutes for the day), everything else is real:
one `scanner-mover move --every` process, DCMTK's tools, its locks, its files. Studies are requested, procedures run
and end, faults come and go. What is finished is compared with the scanner at once and then removed from both, as a
site does, so that the disk stays as it is. In the end nothing is lost and nothing has grown.

SCANNER_MOVER_DAY sets another number of passes, SCANNER_MOVER_DAY_SEED another course of events.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.limits import LONG, SHORT
from tests.faults.table import Entry
from tests.integration import invariants
from tests.integration.scenario import Scenario, Study
from tests.support.clock import Clock
from tests.support.ports import free_port
from tests.support.scripted import ScriptedScanner
from tests.support.site import BIN, Site, held_by_flock, wait_until

SECONDS_BETWEEN_PASSES = 15
MORE_THAN_ANY_DISK = 1 << 62
MIB = 1 << 20


class Length(NamedTuple):
    """How many passes, and how often faster than a site the mover's clock runs."""

    passes: int
    speed: float
    studies_every: int
    faults_every: int
    longest_fault: int
    measures: int

    @property
    def seconds_between_passes(self) -> float:
        return SECONDS_BETWEEN_PASSES / self.speed


LENGTHS = {
    "ten minutes": Length(20, 100, 4, 2, 3, 2),
    "a day": Length(int(os.environ.get("SCANNER_MOVER_DAY", "5760")), 30, 40, 25, 8, 24),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = list(LENGTHS) if metafunc.config.getoption("--full") else list(LENGTHS)[:1]
    metafunc.parametrize("length", [LENGTHS[name] for name in names], ids=names)


class Measure(NamedTuple):
    """What may not grow: the mover's memory, files, threads and children, and what lies where it works."""

    rss: int
    descriptors: int
    threads: int
    children: int
    files: int
    state: int

    def __str__(self) -> str:
        return (
            f"{self.rss / MIB:.1f} MiB, {self.descriptors} open files, {self.threads} threads, "
            f"{self.children} children, {self.files} files of its own, {self.state} bytes of state"
        )


def measure(process_id: int, site: Site) -> Measure:
    """While no pass works, see `between_passes`: one that only tries the lock takes more for a moment, so the least of
    several looks counts."""
    looks = []
    for _ in range(20):
        process = Path("/proc", str(process_id))
        status = dict(line.split(":", 1) for line in process.joinpath("status").read_text().splitlines())
        tasks = list(process.joinpath("task").iterdir())
        children = []
        for task in tasks:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                children += task.joinpath("children").read_text().split()
        own = [
            *invariants.staging(site),
            *(site.server / ".pids").iterdir(),
            *Path(site.environment["TMPDIR"]).iterdir(),
        ]
        looks.append(
            Measure(
                int(status["VmRSS"].split()[0]) * 1024,
                len(list(process.joinpath("fd").iterdir())),
                len(tasks),
                len(children),
                len(own),
                site.state_file.stat().st_size if site.state_file.is_file() else 0,
            )
        )
        time.sleep(0.02)
    return Measure(*(min(values) for values in zip(*looks, strict=True)))


class Day:
    """The site, its scanner and the mover between them, and what happens to them."""

    def __init__(self, folder: Path, length: Length, seed: int, entry: Entry) -> None:
        self.length = length
        self.random = random.Random(seed)
        self.clock = Clock(folder / "clock", length.speed)
        self.port = free_port()
        self.scanner = ScriptedScanner({}, {"MOVER": self.port})
        self.site = Site(
            folder / "site",
            scanner_port=self.scanner.port,
            receive_port=self.port,
            receive=True,
            settle_seconds=5 / length.speed,
            quiet_seconds=60 / length.speed,
            repull_after_seconds=120 / length.speed,
            retries=1,
            **LONG,
        )
        self.site.environment |= self.clock.environment
        self.scenario = Scenario(folder, self.site, self.scanner, entry)
        self.entry = entry
        self.acquired = folder / "acquired"
        self.printed = folder / "printed"
        self.errors = folder / "errors"
        self.made = 0
        self.finished = 0
        self.running: list[Study] = []
        self.requested: dict[str, Study] = {}
        self.faults: Counter[str] = Counter()
        self.fault: contextlib.AbstractContextManager[None] | None = None
        self.over_at = 0
        self._read = 0
        self.process: subprocess.Popen[bytes] | None = None

    # The mover

    @contextlib.contextmanager
    def moving(self) -> Iterator["subprocess.Popen[bytes]"]:
        every = f"{self.length.seconds_between_passes:g}"
        with self.printed.open("wb") as output, self.errors.open("wb") as errors:
            process = subprocess.Popen(
                [str(BIN / "scanner-mover"), "move", "--receive", "--every", every, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self.site.environment,
                start_new_session=True,
            )
        self.process = process
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def look(self) -> bool:
        """Count the passes that were made since the last look, and see that the mover lives; whether there are any."""
        assert self.process is not None
        assert self.process.poll() is None, self.errors.read_text()[-4000:]
        with self.printed.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        for _ in range(new.count(b"\n")):
            self.made += 1
            self.entry.count()
        return b"\n" in new

    # What a site does

    def acquire(self) -> None:
        """A study at the scanner, requested; of some the procedure goes on."""
        ended = self.random.random() < 0.6
        images = [self.random.randint(1, 6) for _ in range(self.random.randint(1, 3))]
        study = self.scenario.acquire(*images, ended=ended, request=False)
        self.site.request(study.uid, age_seconds=time.time() - self.clock.now())
        self.requested[study.uid] = study
        if not ended:
            self.running.append(study)

    def scan_on(self) -> None:
        """A running procedure gets one more series, or ends."""
        if not self.running:
            return
        study = self.random.choice(self.running)
        if self.random.random() < 0.4:
            self.scenario.add_series(study, len(study.series) + 1, self.random.randint(1, 4))
        else:
            self.running.remove(study)
            self.site.mpps(study.uid, ended=True)

    def clean_up(self) -> None:
        """Compare what is finished with the scanner, then remove it from both."""
        for uid in self.site.requests_in("finished-scans"):
            study = self.requested.pop(uid)
            invariants.assert_study_is_here(self.site, self.scanner, uid)
            assert invariants.has_ended(self.site, uid), f"{uid} was closed while its procedure runs"
            assert study not in self.running
            del self.scanner.studies[uid]
            for path in study.paths:
                self.scanner.forget(path)
            for series in study.series:
                shutil.rmtree(self.acquired / series)
                self.scanner.script.send_only.pop(series, None)
            shutil.rmtree(self.site.data / "site" / "raw" / uid)
            (self.site.data / "scanner" / f"{uid}.mpps").unlink()
            (self.site.data / "finished-scans" / uid).unlink()
            self.finished += 1
        assert self.site.requests_in("failed-scans") == []
        for uid in self.requested:
            # It may move between the two looks.
            there = [uid in self.site.requests_in(name) for name in ("active-scans", "finished-scans")]
            assert any(there), f"the request for {uid} is lost"

    def rotate_log(self) -> None:
        """As logrotate does; the mover opens a new one."""
        assert self.process is not None
        log = self.site.server / "logs" / "moveFromScanner.log"
        if log.exists():
            text = log.read_text(encoding="utf-8")
            assert "Traceback" not in text
            log.replace(log.with_suffix(".log.1"))
            self.process.send_signal(signal.SIGHUP)

    # What goes wrong. Each lasts until its generator is resumed.

    @contextlib.contextmanager
    def script(self, **fields: object) -> Iterator[None]:
        before = {name: getattr(self.scanner.script, name) for name in fields}
        for name, value in fields.items():
            setattr(self.scanner.script, name, value)
        yield
        for name, value in before.items():
            setattr(self.scanner.script, name, value)

    @contextlib.contextmanager
    def silence(self, **fields: object) -> Iterator[None]:
        """One that only a time limit ends."""
        self.configure(**SHORT)
        with self.script(**fields):
            yield
        self.configure(**LONG)

    @contextlib.contextmanager
    def scanner_is_off(self) -> Iterator[None]:
        self.scanner.stop()
        yield
        self.scanner.start()

    @contextlib.contextmanager
    def half_moves(self) -> Iterator[None]:
        for study in self.requested.values():
            for series in study.series:
                self.scanner.script.send_only[series] = 1
        yield
        self.scanner.script.send_only.clear()

    @contextlib.contextmanager
    def broken_state(self) -> Iterator[None]:
        with contextlib.suppress(FileNotFoundError):
            content = self.site.state_file.read_bytes()
            self.site.state_file.write_bytes(self.random.choice([b"", b"\xff\0", b"[]", content[: len(content) // 2]]))
        yield

    @contextlib.contextmanager
    def lost_images(self) -> Iterator[None]:
        """Somebody removes images of studies that are not finished, between two passes."""
        with self.between_passes():
            for uid in self.site.requests_in("active-scans"):
                for path in list((self.site.data / "site" / "raw" / uid).glob("*/*")):
                    if self.random.random() < 0.5:
                        path.unlink()
        yield

    @contextlib.contextmanager
    def held_lock(self) -> Iterator[None]:
        """A script holds it for a while; there is no pass meanwhile."""
        with self.between_passes():
            time.sleep(self.random.uniform(1, 4) * self.length.seconds_between_passes)
        yield

    @contextlib.contextmanager
    def between_passes(self) -> Iterator[None]:
        """The lock is ours while the block runs: taken as soon as no pass has it."""
        with held_by_flock(self.site.lock_file, wait=True):
            yield

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        self.configure(reserve_bytes=MORE_THAN_ANY_DISK)
        yield
        self.configure(reserve_bytes=0)

    @contextlib.contextmanager
    def switched_off(self) -> Iterator[None]:
        self.site.switch(b"000\n")
        yield
        self.site.switch(b"010\n")

    @contextlib.contextmanager
    def taken_port(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            other = stack.enter_context(socket.socket())
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # While movescu listens it cannot be had: then nothing happens this time.
            with contextlib.suppress(OSError):
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("", self.port))
                other.listen()
            yield

    @contextlib.contextmanager
    def wrong_clock(self) -> Iterator[None]:
        self.clock.jump(self.random.choice([86400, -86400]))
        yield
        self.clock.jump(0)

    def configure(self, **keys: object) -> None:
        """Written at once, as an editor does: half a file would be a fault of its own."""
        live = self.site.config_file
        self.site.config_file = live.with_suffix(".new")
        self.site.config(**keys)
        self.site.config_file.rename(live)
        self.site.config_file = live

    def go_wrong(self) -> None:
        kinds: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
            "scanner off": self.scanner_is_off,
            "rejected": lambda: self.script(reject=(1, 1, 1)),
            "busy": lambda: self.script(reject=(2, 3, 2)),
            "half moves": self.half_moves,
            "aborted find": lambda: self.script(abort_at_find=len(self.scanner.asked) + 1),
            "aborted move": lambda: self.script(abort_move_after=1),
            "refused find": lambda: self.script(find_status={"SERIES": 0xC001}),
            "refused move": lambda: self.script(move_status=0xA702),
            "silent find": lambda: self.silence(find_silence=600),
            "silent move": lambda: self.silence(move_silence=600, move_silence_after=1),
            "broken state": self.broken_state,
            "lost images": self.lost_images,
            "held lock": self.held_lock,
            "full disk": self.full_disk,
            "switched off": self.switched_off,
            "taken port": self.taken_port,
            "wrong clock": self.wrong_clock,
        }
        name = self.random.choice(sorted(kinds))
        self.faults[name] += 1
        # Time limits are not shortened as the passes are: the silences would otherwise take most of the day.
        passes = self.random.randint(1, 2 if name.startswith("silent") else self.length.longest_fault)
        self.fault = kinds[name]()
        self.fault.__enter__()
        self.over_at = self.made + passes

    def be_well(self) -> None:
        if self.fault is not None:
            self.fault.__exit__(None, None, None)
            self.fault = None

    def live_through(self) -> list[Measure]:
        """All passes; what was measured each hour, in a short day less often."""
        length, seen = self.length, []
        next_study = next_event = next_clean_up = 1
        next_fault = length.faults_every
        while self.made < length.passes:
            wait_until(self.look, 600)
            if self.fault is not None and self.made >= self.over_at:
                self.be_well()
                next_fault = self.made + self.random.randint(1, 2 * length.faults_every)
            if self.fault is None and self.made >= next_fault:
                self.go_wrong()
            if self.made >= next_study:
                self.acquire()
                next_study = self.made + self.random.randint(1, 2 * length.studies_every)
            if self.made >= next_event:
                self.scan_on()
                next_event = self.made + self.random.randint(1, length.studies_every)
            if self.made >= next_clean_up:
                self.clean_up()
                next_clean_up = self.made + 5
            if self.made >= length.passes / length.measures * (len(seen) + 1):
                self.rotate_log()
                assert self.process is not None
                with self.between_passes():
                    seen.append(measure(self.process.pid, self.site))
                self.scanner.asked.clear()
                self.scanner.moves.clear()
        return seen

    def finish(self) -> None:
        """All faults end, all procedures too, and every request is finished."""
        self.be_well()
        while self.running:
            self.site.mpps(self.running.pop().uid, ended=True)
        wait_until(self.all_are_closed, 1200)
        self.clean_up()
        assert not self.requested

    def all_are_closed(self) -> bool:
        self.look()
        return not self.site.requests_in("active-scans")


@pytest.mark.timeout(4 * 3600)
def test_a_day_of_passes(request: pytest.FixtureRequest, tmp_path: Path, length: Length) -> None:
    seed = int(os.environ.get("SCANNER_MOVER_DAY_SEED", "4"))
    day = Day(tmp_path, length, seed, Entry(request, f"passes for {request.node.callspec.id}"))
    site = day.site
    began = time.monotonic()
    with day.scanner, day.moving() as process:
        try:
            hours = day.live_through()
            day.finish()
            with day.between_passes():
                end = measure(process.pid, site)
        except BaseException:
            print(f"seed {seed}, after {day.made} passes; faults so far: {dict(day.faults)}; now {day.fault}")
            raise
        process.send_signal(signal.SIGTERM)
        assert process.wait(240) == 0
    invariants.check_nothing_runs(site)
    invariants.check_nothing_left(site)
    assert "Traceback" not in day.errors.read_text() + site.log()
    print(
        f"{day.made} passes in {time.monotonic() - began:.0f} s, {day.finished} studies finished, "
        f"{day.faults.total()} faults {dict(day.faults)}"
    )
    for number, seen in enumerate([*hours, end], 1):
        print(f"{number} of {len(hours)}: {seen}" if number <= len(hours) else f"at the end: {seen}")
    first = hours[0]
    assert end.descriptors <= min(seen.descriptors for seen in hours)
    assert end.threads <= min(seen.threads for seen in hours)
    assert end.children == 0
    assert {path.name for path in (site.server / ".pids").iterdir()} <= {
        "moveFromScanner.ledger.jsonl",
        "moveFromScanner.lock",
        "moveFromScanner.mpps.json",
        # A pass that the wall clock of the day leaps over seems to hang.
        "moveFromScanner.hanging",
        "moveFromScanner.state.json",
    }
    # By a tenth and the allocator's own noise.
    assert end.rss < first.rss * 1.1 + 2 * MIB, (first, end)
