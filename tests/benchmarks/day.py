"""Kind to the console: a simulated day of passes over six requests, and what the console and the person hear of them.

The clock is moved, everything else is real: the installed program, DCMTK's tools, a scanner that answers by C-FIND,
C-MOVE and C-STORE. After each pass the wall clock of the next one goes on by a step and the moments in the state file
go back by it. The steps are the reference's 15 s while the healthy request is about to finish, then a minute, which is
the shortest pause after a fruitless attempt (R29), and five minutes when the pauses are an hour; with `--hour` they are
15 s all day.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.benchmarks.data import Lab, Study, study
from tests.benchmarks.harness import Row, Sample, must
from tests.integration.scenario import time_passes
from tests.support.clock import Clock
from tests.support.ports import free_port
from tests.support.scripted import Script, ScriptedScanner
from tests.support.site import Site

_DAY = 24 * 3600
# Until all that is over age has failed: twice a minute apart (R24).
_AFTER = 600
# {from this second of the day on: seconds to the next pass}
_STEPS = {0: 15, 900: 60, 2 * 3600: 300}
_FIRST_SECONDS = 900
_OFF_FROM, _OFF_SECONDS = 900, 8 * 3600
_IMAGES = 6
_MOST_MOVES = 35
_STATUSES = {0, 4, 5, 6}


@dataclass
class _Project:
    """A site, its scanner, and what happened at it while time passed."""

    site: Site
    scanner: ScriptedScanner
    clock: Clock
    seconds: float = 0
    passes: int = 0
    lines: list[str] = field(default_factory=list)
    closed: dict[str, tuple[float, str]] = field(default_factory=dict)
    """When each request was closed, and the folder that it went to."""

    def request(self, one: Study, *, mpps: bool = True) -> None:
        """The scanner has the study, and the site requests it; without an MPPS file as `find --request` does."""
        self.scanner.studies[one.uid] = dict(one.series)
        if mpps:
            self.site.mpps(one.uid, ended=True)
        self.site.request(one.uid, content=b"" if mpps else json.dumps({"mpps": "not expected"}).encode())

    def live(self, until: float, *, hour: bool) -> None:
        """Passes until this many seconds of the day are over."""
        while self.seconds < until:
            done = self.site.move("--settle", "0")
            self.passes += 1
            must(done.returncode in _STATUSES, f"a pass ended with {done.returncode}: {done.stderr}")
            must("Traceback" not in done.stderr, done.stderr)
            self.lines += [f"{_clock(self.seconds)} {line}" for line in done.stderr.splitlines()]
            for folder in ("finished-scans", "failed-scans"):
                for uid in self.site.requests_in(folder):
                    self.closed.setdefault(uid, (self.seconds, folder))
            step = _STEPS[0] if hour else next(step for at, step in reversed(_STEPS.items()) if self.seconds >= at)
            self.seconds += step
            self.clock.jump(self.seconds)
            time_passes(self.site, step)

    def moves_of(self, one: Study) -> int:
        return sum(asked == one.uid for asked, _, _ in self.scanner.moves)


def rows(lab: Lab) -> list[Row]:
    """One project with five requests, one with a console that is off for eight hours, and the healthy one alone."""
    alone, healthy_alone = _project(lab), study(lab.folder("studies"), 1, _IMAGES)
    with alone.scanner:
        alone.request(healthy_alone)
        alone.live(_FIRST_SECONDS, hour=lab.hour)
    return [*_five_requests(lab, alone.closed[healthy_alone.uid][0]), *_console_off(lab)]


def _five_requests(lab: Lab, healthy_alone: float) -> list[Row]:
    project = _project(lab)
    scanner = project.scanner
    names = ("healthy", "one image never comes", "class refused", "Success and nothing sent", "no MPPS file")
    studies = {name: study(lab.folder("studies"), 1, _IMAGES) for name in names}
    silence = names[1:4]
    scripts: dict[str, Callable[[Study], Script]] = {
        "one image never comes": lambda one: Script(never_sends={one.paths[2].name}),
        "class refused": lambda one: Script(cannot_send={path.name for path in one.paths}),
        "Success and nothing sent": lambda one: Script(sends_nothing=True),
    }
    for name, script in scripts.items():
        scanner.scripts[studies[name].uid] = script(studies[name])
    with scanner:
        for name, one in studies.items():
            project.request(one, mpps=name != "no MPPS file")
        project.live(_DAY + _AFTER, hour=lab.hour)
    _tell(project)
    for name in ("healthy", "no MPPS file"):
        must(studies[name].uid in project.closed, f"{name} was never closed: {project.site.log()[-2000:]}")
        must(project.closed[studies[name].uid][1] == "finished-scans", f"{name} failed")
    for name in silence:
        must(project.closed.get(studies[name].uid, ("", ""))[1] == "failed-scans", f"{name} did not fail in a day")
    again = sum(number - 1 for number in scanner.sent.values())
    return [
        *(
            Row("day", f"C-MOVEs in a day, {name}", _one(project.moves_of(studies[name]), "C-MOVEs"), mark=_MOST_MOVES)
            for name in silence
        ),
        *(
            Row("day", f"C-MOVEs in a day, {name}", _one(project.moves_of(studies[name]), "C-MOVEs"), mark=1)
            for name in ("healthy", "no MPPS file")
        ),
        Row("day", "images sent again that are here", _one(again, "images"), mark=0),
        Row(
            "day",
            "the healthy request is finished after",
            _one(project.closed[studies["healthy"].uid][0], "s"),
            "the same, alone",
            _one(healthy_alone, "s"),
            1,
        ),
        Row("day", "the request without MPPS is finished after", _one(project.closed[studies[names[4]].uid][0], "s")),
        Row("day", "lines told in the day", _one(len(project.lines), "lines")),
        Row("day", "passes", _one(project.passes, "passes")),
    ]


def _console_off(lab: Lab) -> list[Row]:
    project, one = _project(lab), study(lab.folder("studies"), 2, _IMAGES)
    project.request(one)
    on_again = _OFF_FROM + _OFF_SECONDS
    # Half of it is here when the console is switched off.
    project.scanner.script.never_sends = {path.name for path in one.paths[_IMAGES:]}
    with project.scanner:
        project.live(_OFF_FROM, hour=lab.hour)
    project.live(on_again, hour=lab.hour)
    project.scanner.script.never_sends = set()
    before = len(project.scanner.moves)
    with project.scanner:
        project.live(on_again + _DAY // 4, hour=lab.hour)
    _tell(project)
    must(one.uid in project.closed, f"it was never closed: {project.site.log()[-2000:]}")
    where = project.closed[one.uid]
    must(where[1] == "finished-scans", "the request of the console that was off failed")
    return [
        Row("day", "console off for 8 h: finished after it is on", _one(where[0] - on_again, "s")),
        Row("day", "console off for 8 h: C-MOVEs afterwards", _one(len(project.scanner.moves) - before, "C-MOVEs")),
        Row("day", "console off for 8 h: lines told", _one(len(project.lines), "lines")),
    ]


def _project(lab: Lab) -> _Project:
    """A site with the defaults of the program, but for pauses that would be slept through and the size of this disk."""
    port = free_port()
    scanner = ScriptedScanner({}, {"MOVER": port})
    root = lab.folder("site")
    site = Site(root, scanner_port=scanner.port, receive_port=port, receive=True)
    site.config(repull_after_seconds=None, quiet_seconds=None, retries=None)
    clock = Clock(root / "clock")
    site.environment |= clock.environment
    return _Project(site, scanner, clock)


def _one(value: float, unit: str) -> Sample:
    return Sample((float(value),), unit)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 3600):02}:{int(seconds // 60) % 60:02}:{int(seconds) % 60:02}"


def _tell(project: _Project) -> None:
    """Each line, so that somebody can judge it."""
    print(f"\ntold in {_clock(project.seconds)}, {project.passes} passes:", *project.lines, sep="\n  ", file=sys.stderr)
