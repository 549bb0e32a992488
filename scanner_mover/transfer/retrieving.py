"""Retrieving the series of one study that are not complete (R15 to R18, R29 to R31)."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from scanner_mover import clock
from scanner_mover.dcmtk.dump2dcm import Query, move_of_series, moves_of_images
from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure
from scanner_mover.rules import retrieving as rules
from scanner_mover.rules import series as series_rules
from scanner_mover.rules.reporting import Stuck
from scanner_mover.rules.retrieving import How, NotNow, PassLimits, Pauses, Sickness
from scanner_mover.scanner.inventory import Inventory
from scanner_mover.scanner.retrieve import NothingRetrievableError, Retriever, Sent
from scanner_mover.site.filing import Kept, SetAside
from scanner_mover.site.images import images_in
from scanner_mover.site.verdict import DAMAGE, Reason
from scanner_mover.transfer.faults import SET_ASIDE, Message, fault, unusable
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.study import Series, Study, recounted, with_list


@dataclass
class Retrieving:
    """Retrieves series during one pass; `limits` is what its attempts have shown so far.

    `unusable` says why nothing can be retrieved any more, `kept` why images of a study cannot be filed: more of the
    same would only fill the disk.
    """

    job: Job
    findings: Findings
    inventory: Inventory
    retriever: Retriever
    limits: PassLimits
    unusable: str | None = None
    kept: dict[str, str] = field(default_factory=dict)

    def study(self, study: Study) -> None:
        """Retrieve what is missing of STUDY and may be asked for now, and count it again."""
        began: float | None = None
        for uid in rules.series_in_order(study.series, study.memory.series):
            series = self._judged(study, study.series[uid])
            self._say_count(study, series)
            if series.count.complete or not series.wanted or not series.is_told:
                continue
            if self._waits(study, series):
                continue
            if began is None:
                began = time.monotonic()
            others = len(self.job.requests) - 1
            if rules.has_had_its_turn(time.monotonic() - began, others):
                self.job.log(f"{study.uid}/{uid}, left to the next pass: other studies wait")
                continue
            self._retrieve(study, series)
        self._report_stuck(study)

    def seconds_left(self, study: Study) -> float | None:
        """Seconds until the next attempt of a series of STUDY; None when none is incomplete."""
        now, pauses = clock.now(), self._pauses()
        sick = rules.sick_pause(self.findings.sick, now, pauses)
        waits = [
            max(rules.due_in(one.memory, len(one.here.names), now, pauses), sick)
            for one in study.wanted
            if not one.count.complete and one.is_told
        ]
        return min(waits, default=None)

    def _pauses(self) -> Pauses:
        return Pauses(self.job.settings.repull_after_seconds, self.job.settings.repull_at_most_seconds)

    def _judged(self, study: Study, series: Series, *, next_is_made: bool = False) -> Series:
        """SERIES with its last attempt judged (R29)."""
        here, now, pauses = len(series.here.names), clock.now(), self._pauses()
        memory = rules.judge(series.memory, here, now, pauses, next_is_made=next_is_made)
        self.findings.fruitless_moves += memory.fruitless > series.memory.fruitless
        study.remember(series.uid, memory)
        return study.series[series.uid]

    def _waits(self, study: Study, series: Series) -> bool:
        """Whether SERIES is not asked for in this pass; says why."""
        name, now, job = f"{study.uid}/{series.uid}", clock.now(), self.job
        here = len(series.here.names)
        basis = rules.basis(series.told.count, series.memory.listing)
        why = rules.why_not_now(series.memory, here, basis, now, self._pauses(), by_hand=job.by_hand)
        if why is None and _are_being_rewritten(series, job.settings.quiet_seconds):
            why = NotNow.ON_THEIR_WAY
        if why is NotNow.ON_THEIR_WAY:
            job.log(f"{name}, pulled a moment ago, its images may still be on their way")
            return True
        if why is NotNow.PAUSE:
            left = rules.due_in(series.memory, here, now, self._pauses())
            job.log(f"{name}, {series.memory.fruitless} C-MOVEs brought nothing: the next one in {left:.0f} s")
            return True
        listing = series.memory.listing
        if series.told.count is None and listing is not None and listing.succeeded and not listing.listed:
            return True  # a series without an image (R37)
        new = not any(one.memory.attempt for one in study.series.values())
        if not job.by_hand and not new and rules.sick_pause(self.findings.sick, now, self._pauses()) > 0:
            job.log(f"{name}, not asked for now: the scanner sends nothing at all")
            return True
        return False

    def _retrieve(self, study: Study, series: Series) -> None:
        job, name = self.job, f"{study.uid}/{series.uid}"
        if job.dry_run:
            job.log(f"would pull series {study.uid} {series.uid} from {job.settings.host} : {job.settings.port}")
            return
        ended_by = self.limits.ended_by.text if self.limits.ended_by else None
        reason = self.unusable or ended_by or self.kept.get(study.uid)
        if reason is not None:
            study.error = study.error or reason
            study.remember(series.uid, replace(series.memory, error=reason))
            return
        if rules.needs_list(series.memory, series.here.names, by_hand=job.by_hand):
            listed = self._list(study, series)
            if listed is None or listed.count.complete:
                return
            series = listed
        how = rules.how(series.memory, series.here.names, series.memory.listing, by_hand=job.by_hand)
        if how is How.BY_NAME and not series.memory.listing_missing:
            job.log(f"{name}, nothing is missing by name: nothing is asked for")
            self._count_as_fruitless(study, series)
            return
        self._attempt(study, series, how)

    def _count_as_fruitless(self, study: Study, series: Series) -> None:
        """The scanner tells more images than it lists, and all of those are here: somebody must hear of it (R31)."""
        memory, here = series.memory, len(series.here.names)
        basis = rules.basis(series.told.count, memory.listing)
        after = rules.after_attempt(
            memory, at=clock.now(), by_name=False, basis=basis, before=max(memory.largest, here), failure=None
        )
        study.remember(series.uid, replace(after, retrieved=memory.retrieved))

    def _list(self, study: Study, series: Series) -> Series | None:
        """SERIES with its images listed by name; None when the scanner did not answer."""
        answer = self.inventory.images([(study.uid, series.uid)])[study.uid, series.uid]
        now = clock.now()
        if not series_rules.is_answer(answer.failure):
            assert answer.failure is not None
            self.scanner_fault(study, answer.failure, f"{study.uid}/{series.uid}, its images could not be listed")
            return None
        series = with_list(series, answer, study, self.job.settings, now)
        study.series[series.uid] = series
        return series

    def _attempt(self, study: Study, series: Series, how: How) -> None:
        """One attempt: all query files and retries of SERIES in this pass (R29)."""
        job, uid = self.job, series.uid
        series = self._judged(study, series, next_is_made=True)
        memory = series.memory
        before = max(memory.largest, len(series.here.names))
        retries = self.limits.retries if study.memory.failed_at is None else 0
        if how is How.BY_NAME:
            job.log(f"{study.uid}/{uid}, asking for the {memory.listing_missing} images that are missing")
        tries = 0

        def queries() -> Iterable[Query]:
            nonlocal tries
            tries += 1
            return self._queries(study, uid, how, again=tries > 1)

        try:
            sent = self.retriever.attempt(study.uid, uid, queries, retries)
        except UnusableError as error:
            study.error = study.error or str(error)
            study.remember(uid, replace(memory, error=str(error)))
            self.findings.faults.append(fault(error))
            job.log(str(error))
            if isinstance(error, NothingRetrievableError):
                self.unusable = str(error)
            return
        self.findings.moves_sent += sent.moves
        self._after(study, uid, how, before, sent)

    def _after(self, study: Study, uid: str, how: How, before: int, sent: Sent) -> None:
        """Remember what an attempt brought, and count again."""
        job, now = self.job, clock.now()
        failure = sent.failure
        series = study.series[uid]
        memory = replace(series.memory, retrieved=True, error=failure.text if failure else None)
        if sent.moves:
            basis = rules.basis(series.told.count, memory.listing)
            memory = rules.after_attempt(
                memory, at=now, by_name=how is How.BY_NAME, basis=basis, before=before, failure=failure
            )
        self.limits = rules.limits_after(self.limits, failure)
        study.memory = replace(study.memory, failed_at=None if failure is None else time.time())
        if failure is not None:
            self.scanner_fault(study, failure, None)
            if how is How.BY_NAME and memory.names_refused:
                why = "the scanner sends no single images of it: the whole series is asked for next time"
                job.log(f"{study.uid}/{uid}, {why}")
        self.take(sent.set_aside, sent.kept)
        here = images_in(job.folders.series(study.uid, uid))
        new = len(here.names) > len(series.here.names)
        text = _set_aside_text(sent.set_aside, new=new, rejected=job.folders.rejected)
        if sent.moves and self.findings.sick is not None:
            self.findings.sick = None if new else Sickness(self.findings.sick.fruitless + 1, now)
        if text is not None:
            memory = replace(memory, error=memory.error or text)
            study.error = study.error or text
            self.findings.faults.append(fault(Message(SET_ASIDE, f"{text}: the log says why each")))
        study.error = study.error or self.kept.get(study.uid)
        study.series[uid] = recounted(replace(series, memory=memory), here, job.settings, now)
        self._judged(study, study.series[uid])
        self._say_count(study, study.series[uid])

    def take(self, set_aside: Iterable[SetAside], kept: Iterable[Kept]) -> None:
        """Report what could not be filed: damaged images, and images that could not be moved."""
        rejected = self.job.folders.rejected
        if any(one.reason in DAMAGE for one in set_aside):
            self.findings.faults.append(fault(Message(SET_ASIDE, f"{_damaged(rejected)}: the log says why each")))
        for one in kept:
            self.kept[one.study_instance_uid or ""] = one.text
            self.findings.faults.append(unusable(one.text))

    def _queries(self, study: Study, uid: str, how: How, *, again: bool) -> Iterable[Query]:
        """What is to be sent of a series; called AGAIN for a retry: what came meanwhile is not asked for twice."""
        series, here = study.series[uid], images_in(self.job.folders.series(study.uid, uid))
        names = here.names
        if how is How.WHOLE and again and series_rules.are_named_by_uid(names) and not series.memory.names_refused:
            listed = self._list(study, recounted(series, here, self.job.settings, clock.now()))
            if listed is not None and listed.memory.listing_missing:
                how, series = How.BY_NAME, listed
        if how is How.WHOLE:
            return [move_of_series(study.uid, uid)]
        missing = series_rules.missing_by_name(series.sop_instance_uids or (), names)
        return moves_of_images(study.uid, uid, sorted(filter(is_uid, missing)))

    def scanner_fault(self, study: Study, failure: Failure, message: str | None) -> None:
        """Note a failure of the scanner; MESSAGE is for the log unless nothing else is worth sending."""
        study.error = study.error or failure.text
        self.findings.faults.append(fault(failure))
        # A console that is off for a night is one fault, not a line for each study and pass.
        if message is not None and not rules.ends_the_pass(failure) and failure.text != study.memory.error:
            self.job.log(f"{message}: {failure.text}")

    def _say_count(self, study: Study, series: Series) -> None:
        """Log how many images of a series are here, in the reference's words."""
        job, count, name = self.job, series.count, f"{study.uid}/{series.uid}"
        if not series.wanted:
            return
        job.progress.counted(study.uid, series.uid, count.received, count.expected, count.complete)
        if count.complete:
            job.log(f"{name}, we do have {count.received} of {count.expected}")
        elif count.expected is None:
            job.log(f"{name}, we do have {count.received} images, and the scanner does not say how many there are")
        elif not os.path.isdir(os.path.join(job.folders.raw, study.uid)):
            job.log(f"no study directory found {name}, we expect {count.expected} images")
        else:
            job.log(f"{name}, we do have {count.received} images but like to see {count.expected}")

    def _report_stuck(self, study: Study) -> None:
        """Tell of series of which nothing new comes (R31); one named on the command line is told at once."""
        if self.job.dry_run:
            return
        for series in study.wanted:
            memory, count = series.memory, series.count
            if count.complete or not series.is_told or self.findings.sick is not None:
                continue
            if memory.fruitless >= 3 or (self.job.by_hand and memory.retrieved):
                error = memory.attempt.error if memory.attempt is not None else None
                missing = memory.first_missing
                stuck = Stuck(study.uid, series.uid, count.received, count.expected, missing, error)
                self.findings.faults.append(fault(stuck))


def _set_aside_text(set_aside: Iterable[SetAside], *, new: bool, rejected: str) -> str | None:
    """What is wrong with what came and was SET_ASIDE; None for what strangers sent. NEW: something else was filed."""
    reasons = {one.reason for one in set_aside}
    if reasons & DAMAGE:
        return _damaged(rejected)
    if Reason.NOT_REQUESTED in reasons and not new:
        return f"images that came carry another StudyInstanceUID than the scanner told and were set aside in {rejected}"
    return None


def _damaged(rejected: str) -> str:
    return f"images that came are not whole and were set aside in {rejected}"


def _are_being_rewritten(series: Series, quiet_seconds: float) -> bool:
    """Whether all that is missing are files of 0 bytes that a program of the site may be writing just now (R13)."""
    now = time.time()
    fresh = [name for name, modified in series.here.empty.items() if abs(now - modified) < quiet_seconds]
    if not fresh or series.count.expected is None:
        return False
    return series.count.expected - series.count.received <= len(fresh)
