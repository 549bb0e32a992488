"""Retrieving what is missing of one study: which series, when, and how (R15 to R18, R29 to R31)."""

import time
from dataclasses import dataclass

from scanner_mover import clock
from scanner_mover.rules import retrieving as rules
from scanner_mover.rules import turns
from scanner_mover.rules.retrieving import How, NotNow
from scanner_mover.site.images import images_in
from scanner_mover.text import counted
from scanner_mover.transfer.attempts import Attempts
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.messages import report_stuck, say_count
from scanner_mover.transfer.study import Series, Study, recounted


@dataclass(frozen=True)
class Retrieving:
    """Retrieves series during one pass by ATTEMPTS."""

    job: Job
    findings: Findings
    attempts: Attempts

    def study(self, study: Study) -> None:
        """Retrieve what is missing of STUDY and may be asked for now, and count it again."""
        began: float | None = None
        for uid in turns.series_in_order(study.series, study.memory.series, clock.now().boot):
            series = self.attempts.judged(study, study.series[uid])
            say_count(self.job, study, series)
            if not series.is_to_be_retrieved:
                continue
            self.findings.missing = True
            why = self._why_not_now(study, series)
            if why is not None:
                self._say_why(study, series, why)
                continue
            if began is None:
                began = time.monotonic()
            others = len(self.job.requests) - 1
            if turns.has_had_its_turn(time.monotonic() - began, others):
                self.job.log(f"{study.uid}/{uid}, left to the next pass: other studies wait")
                continue
            self._retrieve(study, series)
        report_stuck(self.job, self.findings, study)

    def seconds_left(self, study: Study) -> float | None:
        """Seconds until the next attempt of a series of STUDY; None when none will be made."""
        now, pauses = clock.now(), self.job.pauses
        waits = [
            max(rules.due_in(one.memory, len(one.here.names), now, pauses), self._silent_for(study, one))
            for one in study.series.values()
            if one.is_to_be_retrieved
        ]
        return min(waits, default=None)

    def has_just_begun(self, study: Study) -> bool:
        """Whether a series of STUDY was asked for, and not yet twice in vain: the rest may arrive in a moment."""
        return any(
            one.memory.attempt is not None and one.memory.fruitless < rules.LONG_PAUSE_AFTER
            for one in study.series.values()
            if one.is_to_be_retrieved
        )

    def _why_not_now(self, study: Study, series: Series) -> NotNow | None:
        """Why SERIES is not asked for in this pass; None when it is."""
        now, memory = clock.now(), series.memory
        basis = rules.basis(series.reported.number, memory.listing)
        by_hand = self.job.by_hand
        why = rules.why_not_now(memory, len(series.here.names), basis, now, self.job.pauses, by_hand=by_hand)
        if why is not None:
            return why
        if are_being_rewritten(series, self.job.settings.quiet_seconds, time.time()):
            return NotNow.ON_THEIR_WAY
        if by_hand:
            return None
        waits = self._silent_for(study, series) > 0 or self._leaves_its_turn(study, series)
        return NotNow.SCANNER_FAILING if waits else None

    def _leaves_its_turn(self, study: Study, series: Series) -> bool:
        """Whether the one attempt for which it is time, while the scanner sends nothing, is for another series:
        the scanner may be able to send one that was never asked for (R29).
        """
        if self.findings.silence is None or series.memory.attempt is None:
            return False
        # One with an error was just tried, and could not even be asked for.
        return any(
            one.memory.attempt is None and one.memory.error is None
            for one in study.series.values()
            if one.is_to_be_retrieved
        )

    def _silent_for(self, study: Study, series: Series) -> float:
        """Seconds until a scanner that sends nothing at all is asked for SERIES of STUDY (R29).

        One that was never asked for does not wait, if all of the study that was asked for did send something: other
        studies may be what the scanner cannot send.
        """
        asked = [one.memory for one in study.series.values() if one.memory.attempt is not None]
        if series.memory.attempt is None and all(one.largest for one in asked):
            return 0.0
        return rules.silence_pause(self.findings.silence, clock.now(), self.job.pauses)

    def _say_why(self, study: Study, series: Series, why: NotNow) -> None:
        """Say in the log why SERIES is not asked for now."""
        name, memory = f"{study.uid}/{series.uid}", series.memory
        match why:
            case NotNow.ON_THEIR_WAY:
                self.job.log(f"{name}, asked for a moment ago, its images may still be on their way")
            case NotNow.PAUSE:
                here = len(series.here.names)
                left = rules.due_in(memory, here, clock.now(), self.job.pauses)
                fruitless = memory.fruitless + rules.is_fruitless(memory, here)
                attempts = counted(fruitless, "attempt", "attempts")
                self.job.log(f"{name}, {attempts} brought nothing: the next one in {left:.0f} s")
            case NotNow.SCANNER_FAILING:
                self.job.log(f"{name}, not asked for now: the scanner sends nothing at all")

    def _retrieve(self, study: Study, series: Series) -> None:
        job, name = self.job, f"{study.uid}/{series.uid}"
        if job.dry_run:
            job.log(f"would pull series {study.uid} {series.uid} from {job.settings.host} : {job.settings.port}")
            return
        reason = self.attempts.why_none(study)
        if reason is not None:
            study.error = study.error or reason
            study.remember(series.uid, series.memory._replace(error=reason))
            return
        series = self._with_what_came(study, series)
        if series.count.complete:
            return
        if rules.needs_list(series.memory, series.here.names, by_hand=job.by_hand):
            listed = self.attempts.list_images(study, series)
            if listed is None or listed.count.complete:
                return
            series = listed
        how = rules.how(series.memory, series.here.names, series.memory.listing, by_hand=job.by_hand)
        if how is How.BY_NAME and not self.attempts.missing_uids(series):
            job.log(f"{name}, nothing is missing that can be asked for by name: nothing is asked for")
            self._count_as_fruitless(study, series)
            return
        self.attempts.make(study, series, how)

    def _with_what_came(self, study: Study, series: Series) -> Series:
        """SERIES with the images of it that arrived while others were retrieved in this pass."""
        if not self.findings.moves_sent:
            return series
        here = images_in(self.job.folders.series(study.uid, series.uid))
        if here.names == series.here.names:
            return series
        study.series[series.uid] = recounted(series, here, self.job.settings, clock.now())
        say_count(self.job, study, study.series[series.uid])
        return study.series[series.uid]

    def _count_as_fruitless(self, study: Study, series: Series) -> None:
        """The scanner reports more images than can be asked for, and those are here: a fault (R31)."""
        memory, here = series.memory, len(series.here.names)
        basis = rules.basis(series.reported.number, memory.listing)
        after = rules.after_attempt(
            memory, at=clock.now(), by_name=False, basis=basis, before=max(memory.largest, here), failure=None
        )
        study.remember(series.uid, after._replace(retrieved=memory.retrieved))


def are_being_rewritten(series: Series, quiet_seconds: float, now: float) -> bool:
    """Whether all that is missing of SERIES are files of 0 bytes that a program of the site may be writing (R13).

    NOW is in seconds of the epoch.
    """
    fresh = [name for name, modified in series.here.empty.items() if abs(now - modified) < quiet_seconds]
    if not fresh or series.count.expected is None:
        return False
    return series.count.expected - series.count.received <= len(fresh)
