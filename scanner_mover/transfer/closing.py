"""Closing a request when its turn has come, and else what it waits for (R14, R22 to R25, R32, R35, R38, R40)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from scanner_mover import clock
from scanner_mover.rules import asking, reporting
from scanner_mover.rules import closing as rules
from scanner_mover.rules.closing import Outcome, Procedure, WaitsFor
from scanner_mover.rules.reporting import Waiting
from scanner_mover.scanner.inventory import Inventory
from scanner_mover.site import requests
from scanner_mover.site.mpps import Step
from scanner_mover.transfer import waiting
from scanner_mover.transfer.closed import Mover
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.last_look import LastLook
from scanner_mover.transfer.retrieving import Retrieving
from scanner_mover.transfer.study import Study

# New series and missing images are retrieved, and all is asked once more, so often in one pass.
_MOST_ROUNDS = 2


@dataclass
class Closing:
    """Closes the requests of one pass; `steps_of` reads the MPPS files of one study anew."""

    job: Job
    findings: Findings
    inventory: Inventory
    retrieving: Retrieving
    steps_of: Callable[[str], tuple[Step, ...]]
    _last_look: LastLook = field(init=False)
    _mover: Mover = field(init=False)

    def __post_init__(self) -> None:
        self._last_look = LastLook(self.job, self.findings, self.inventory, self.retrieving, self.steps_of)
        self._mover = Mover(self.job, self.findings)

    def request(self, study: Study) -> Outcome:
        """Close the request of STUDY if its turn has come; otherwise say what it waits for.

        Raises UnusableError when it cannot be moved.
        """
        waiting.note_quiet(study)
        waits = self._waits_for(study)
        for _ in range(_MOST_ROUNDS):
            if waits is not None or study.error is not None or not self._may_ask(study):
                break
            waits, again = self._ask(study)
            if waits is None and study.error is None:
                return self._mover.finish(study)
            if not again:
                break
            waits = self._waits_for(study)
        if self._keeps_nothing(study, waits):
            reason = f"no series of a modality that is kept ({', '.join(self.job.settings.modalities or ())})"
            return self._mover.fail(study, reason, lambda file: f"{study.uid}, {reason}")
        why = self._waiting(study, waits or WaitsFor.QUIET)
        self.job.log("we are not done yet with this job")
        return self._look_at_age(study, why)

    def _waits_for(self, study: Study) -> WaitsFor | None:
        return waiting.waits_for(study, self.job.settings, self.retrieving.seconds_left(study))

    def _may_ask(self, study: Study) -> bool:
        """Whether the questions before closing are asked (again) now (R44); a dry run asks too."""
        return asking.is_due(study.memory.closing_asked, _basis(study), clock.now(), counted=True)

    def _ask(self, study: Study) -> tuple[WaitsFor | None, bool]:
        """Ask what closes STUDY, and retrieve what turns out to be missing.

        Gives what it waits for by the answers, and whether images were asked for: then all is asked once more.
        """
        if not self._last_look.at(study):
            return WaitsFor.SCANNER, False
        waits = self._waits_for(study)
        if waits is None and study.error is None:
            return None, False
        if waits is not WaitsFor.QUIET:
            asked = asking.after_asking(study.memory.closing_asked, _basis(study), study.asked_at, changed=False)
            study.memory = replace(study.memory, closing_asked=asked)
        sent = self.findings.moves_sent
        if waits in (WaitsFor.RETRIEVE, WaitsFor.IMAGES):
            self.retrieving.study(study)
        return waits, self.findings.moves_sent > sent

    def _keeps_nothing(self, study: Study, waits: WaitsFor | None) -> bool:
        """Whether no series of STUDY is of a modality that the site keeps, and none will come (R40)."""
        excluded = bool(study.series) and not study.wanted
        return (
            excluded
            and waits is WaitsFor.SCANNER
            and study.answered
            and study.procedure is Procedure.ENDED
            and waiting.quiet_left(study, self.job.settings) <= 0
            and bool(study.request.files)
            and self.job.closes
        )

    def _waiting(self, study: Study, waits: WaitsFor) -> Waiting:
        """What STUDY waits for; it is remembered for `status`."""
        settings = self.job.settings
        why = reporting.waiting(
            waits,
            counts=[one.count for one in study.wanted],
            due_in=self.retrieving.seconds_left(study),
            quiet_left=waiting.quiet_left(study, settings) if waiting.ends_by_quiet(study, settings) else 0.0,
            open_steps=[f"{one.name} ({one.status or 'no status'})" for one in study.open_steps],
            error=study.error,
            stuck=any(one.memory.fruitless >= 3 for one in study.wanted if not one.count.complete),
        )
        next_try = None if why.seconds is None else round(time.time() + why.seconds, 1)
        study.memory = replace(study.memory, waits_for=why.waits_for.value, waits_text=why.text, next_try=next_try)
        return why

    def _look_at_age(self, study: Study, why: Waiting) -> Outcome:
        """Close the request of STUDY, which is not finished, if it has failed (R24)."""
        outcome = Outcome.WAITING if study.error is None else Outcome.ERROR
        if not study.request.files or not self.job.closes:
            return outcome
        age = requests.age(study.request, time.time())
        over_age = age is not None and age >= self.job.settings.give_up_after_seconds
        now = clock.now()
        since = rules.over_age_since(over_age, study.answered, study.memory.over_age_since, now)
        study.memory = replace(study.memory, over_age_since=since)
        if not over_age:
            self.job.log(f'"{study.name}" is too new, keep it around longer')
            return outcome
        if not rules.gives_up(study.answered, since, now):
            then = "it fails if that is still so in a minute" if study.answered else "kept until the scanner answers"
            self.job.log(f'"{study.name}" is old, {then}')
            return outcome
        missing = [
            replace(one.memory, expected=one.count.expected, received=one.count.received)
            for one in study.wanted
            if not one.count.complete
        ]
        reason = reporting.failed_reason(why.text, study.memory, missing)
        return self._mover.fail(study, reason, lambda file: f'"{file}" is old, download seems to have failed')


def _basis(study: Study) -> str:
    """What is told and here of a study, as a text (R44)."""
    return f"{study.fingerprint}:{sum(len(one.here.names) for one in study.series.values())}"
