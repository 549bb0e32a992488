"""Closing a request when nothing stands in the way, else what it waits for (R14, R22 to R25, R32, R35, R38, R40)."""

import time
from dataclasses import dataclass

from scanner_mover import clock
from scanner_mover.errors import UnusableError
from scanner_mover.rules import asking, reporting
from scanner_mover.rules import closing as rules
from scanner_mover.rules.outcomes import Outcome, WaitsFor
from scanner_mover.rules.reporting import Waiting
from scanner_mover.site import requests
from scanner_mover.transfer import waiting
from scanner_mover.transfer.closed import Mover
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.last_look import LastLook
from scanner_mover.transfer.retrieving import Retrieving
from scanner_mover.transfer.study import Study

# At most this many times in one pass everything is asked, and what is missing is retrieved.
_MOST_ROUNDS = 2


@dataclass(frozen=True)
class Closing:
    """Closes the requests of one pass."""

    job: Job
    findings: Findings
    retrieving: Retrieving
    last_look: LastLook
    mover: Mover

    def request(self, study: Study) -> Outcome:
        """Close the request of STUDY when nothing stands in the way; otherwise say what it waits for.

        Raises UnusableError when it cannot be moved.
        """
        waiting.note_steps(study)
        waiting.note_quiet(study)
        waits = self._waits_for(study)
        if study.answered and waits is not None:  # the questions that were not answered are not asked for now
            study.memory = study.memory._replace(closing_unanswered=False)
        for _ in range(_MOST_ROUNDS):
            if waits is not None or study.error is not None or self._asks_in(study) > 0:
                break
            waits, again = self._ask(study)
            if waits is None and study.error is None:
                return self._finish(study)
            if not again:
                break
            waits = self._waits_for(study)
        if self._keeps_nothing(study):
            reason = f"no series of a modality that is kept ({', '.join(self.job.settings.modalities or ())})"
            return self.mover.fail(study, reason, lambda file: f"{study.uid}, {reason}")
        why = self._waiting(study, waits)
        self.job.log("we are not done yet with this job")
        return self._look_at_age(study, why, may_fail=not self._goes_on(study, waits))

    def _goes_on(self, study: Study, waits: WaitsFor | None) -> bool:
        """Whether STUDY waits for something that ends within minutes, so that it does not fail now (R24)."""
        if waits is None:  # for the next questions before it is closed
            return study.error is None and study.uid not in self.findings.asked
        if waits is WaitsFor.QUIET or waits is WaitsFor.MPPS:
            return waiting.is_quiet_counted(study, self.job.settings)
        return waits in (WaitsFor.RETRIEVE, WaitsFor.IMAGES) and self.retrieving.has_just_begun(study)

    def _waits_for(self, study: Study) -> WaitsFor | None:
        return waiting.waits_for(study, self.job.settings, self.retrieving.seconds_left(study))

    def _asks_in(self, study: Study) -> float:
        """Seconds until the questions before closing may be asked (again) (R44)."""
        memory = study.memory
        # What was not answered is asked again in the next pass, and after that once a minute.
        counted = not memory.closing_unanswered
        return asking.due_in(memory.closing_asked, _basis(study), clock.now(), counted=counted)

    def _ask(self, study: Study) -> tuple[WaitsFor | None, bool]:
        """Ask what closes STUDY, and retrieve what turns out to be missing.

        Gives what it waits for by the answers, and whether images were asked for: then all is asked once more.
        """
        basis = _basis(study)
        if not self.last_look.at(study):
            self._remember_asking(study, basis, unanswered=True)
            return WaitsFor.SCANNER, False
        study.memory = study.memory._replace(obstacle=study.error or "")
        waits = self._waits_for(study)
        if waits is None and study.error is None:
            return None, False
        if waits is not WaitsFor.QUIET:
            self._remember_asking(study, _basis(study), unanswered=False)
        sent = self.findings.moves_sent
        if waits in (WaitsFor.RETRIEVE, WaitsFor.IMAGES):
            self.retrieving.study(study)
        return waits, self.findings.moves_sent > sent

    def _remember_asking(self, study: Study, basis: str, *, unanswered: bool) -> None:
        asked = asking.after_asking(study.memory.closing_asked, basis, clock.now(), changed=False)
        study.memory = study.memory._replace(closing_asked=asked, closing_unanswered=unanswered)

    def _finish(self, study: Study) -> Outcome:
        """Close the request; if it cannot be moved, not each pass repeats the move and the questions before it.

        Raises UnusableError when it cannot be moved.
        """
        try:
            return self.mover.finish(study)
        except UnusableError as error:
            self._remember_asking(study, _basis(study), unanswered=False)
            study.memory = study.memory._replace(obstacle=str(error))
            raise

    def _keeps_nothing(self, study: Study) -> bool:
        """Whether the request of STUDY is to fail because the site keeps none of its series (R40)."""
        may_move = bool(study.request.files) and self.job.closes
        return may_move and rules.keeps_nothing(
            answered=study.answered,
            series=len(study.series),
            wanted=len(study.wanted),
            state=study.procedure,
            quiet=waiting.quiet_left(study, self.job.settings),
        )

    def _waiting(self, study: Study, waits: WaitsFor | None) -> Waiting:
        """What STUDY waits for; it is remembered for `status`. None: for the next questions before closing."""
        settings, error = self.job.settings, study.error
        due_in = self.retrieving.seconds_left(study)
        if due_in is None:
            due_in = waiting.next_list_in(study, clock.now())
        quiet = waiting.quiet_left(study, settings) if waiting.is_known_to_end_by_quiet(study, settings) else 0.0
        if waits is None:
            error = error or study.memory.obstacle or None
            waits = WaitsFor.QUIET if error is None else WaitsFor.SCANNER
            due_in = quiet = self._asks_in(study)
        why = reporting.waiting(
            waits,
            series=[(one.count, one.memory) for one in study.wanted],
            due_in=due_in,
            quiet_left=quiet,
            open_steps=study.open_step_names,
            error=error,
        )
        next_try = None if why.seconds is None else round(time.time() + why.seconds, 1)
        study.memory = study.memory._replace(waits_for=why.waits_for, waits_text=why.text, next_try=next_try)
        return why

    def _look_at_age(self, study: Study, why: Waiting, *, may_fail: bool) -> Outcome:
        """Close the request of STUDY, which is not finished, if it has failed and MAY_FAIL (R24)."""
        outcome = Outcome.WAITING if study.error is None else Outcome.ERROR
        if not study.request.files or not self.job.closes:
            return outcome
        age = requests.age(study.request, time.time())
        over_age = age is not None and age >= self.job.settings.give_up_after_seconds
        now = clock.now()
        since = rules.over_age_since(over_age, study.answered, study.memory.over_age_since, now)
        study.memory = study.memory._replace(over_age_since=since)
        if not over_age:
            self.job.log(f'"{study.name}" is too new, keep it around longer')
            return outcome
        if not rules.gives_up(study.answered, since, now):
            then = "it fails if that is still so in a minute" if study.answered else "kept until the scanner answers"
            self.job.log(f'"{study.name}" is old, {then}')
            return outcome
        if not may_fail:
            self.job.log(f'"{study.name}" is old, but not failed yet: it may be complete in a moment')
            return outcome
        missing = [
            one.memory._replace(expected=one.count.expected, received=one.count.received)
            for one in study.wanted
            if not one.count.complete or one.count.vanished
        ]
        reason = reporting.failed_reason(why, missing)
        return self.mover.fail(study, reason, lambda file: f'"{file}" is old, download seems to have failed')


def _basis(study: Study) -> str:
    """What is reported and here of a study, as a text (R44)."""
    return f"{study.fingerprint}:{sum(len(one.here.names) for one in study.series.values())}"
