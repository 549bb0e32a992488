"""The attempts of one pass: C-MOVEs for a series with their retries, and what is remembered of them (R17, R29, R30)."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from scanner_mover import clock
from scanner_mover.dcmtk.dump2dcm import Query, move_of_series, moves_of_images
from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules import reporting
from scanner_mover.rules import retrieving as rules
from scanner_mover.rules import series as series_rules
from scanner_mover.rules.records import SeriesMemory, Silence
from scanner_mover.rules.retrieving import How, PassLimits
from scanner_mover.scanner.inventory import Inventory
from scanner_mover.scanner.retrieve import NothingRetrievableError, Retriever, Sent
from scanner_mover.site.filing import Kept, SetAside
from scanner_mover.site.images import images_in
from scanner_mover.text import images_of
from scanner_mover.transfer.faults import SET_ASIDE, Fault, Message, fault, unusable
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.messages import note_failure, say_count, set_aside_text
from scanner_mover.transfer.study import Series, Study, recounted, remembered, with_list


@dataclass
class Attempts:
    """Makes the attempts of one pass; `limits` is what they have shown so far.

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

    def why_none(self, study: Study) -> str | None:
        """Why nothing of STUDY is asked for any more in this pass; None when it may be."""
        ended_by = self.limits.ended_by.text if self.limits.ended_by else None
        return self.job.unusable or self.unusable or ended_by or self.kept.get(study.uid)

    def judged(self, study: Study, series: Series, *, next_is_made: bool = False) -> Series:
        """SERIES with its last attempt judged (R29)."""
        here, now, pauses = len(series.here.names), clock.now(), self.job.pauses
        memory = rules.judge(series.memory, here, now, pauses, next_is_made=next_is_made)
        self.findings.fruitless_moves += memory.fruitless > series.memory.fruitless
        study.remember(series.uid, memory)
        return study.series[series.uid]

    def list_images(self, study: Study, series: Series) -> Series | None:
        """SERIES with its images listed by name; None when the scanner did not answer."""
        answer = self.inventory.images([(study.uid, series.uid)])[study.uid, series.uid]
        now = clock.now()
        if not series_rules.is_answer(answer.failure):
            assert answer.failure is not None
            text = f"{study.uid}/{series.uid}, its images could not be listed"
            note_failure(self.job, self.findings, study, answer.failure, text)
            return None
        series = with_list(series, answer, study, self.job.settings, now)
        study.series[series.uid] = series
        return series

    def missing_uids(self, series: Series) -> list[str]:
        """The images of SERIES that can be asked for by name: its list names them, and they are not here."""
        return sorted(filter(is_uid, series_rules.missing_by_name(series.sop_instance_uids or (), series.here.names)))

    def make(self, study: Study, series: Series, how: How) -> None:
        """One attempt: all query files and retries of SERIES in this pass (R29)."""
        series = self.judged(study, series, next_is_made=True)
        job, uid, memory = self.job, series.uid, series.memory
        before = max(memory.largest, len(series.here.names))
        retries = self.limits.retries if study.memory.failed_at is None else 0
        if how is How.BY_NAME:
            missing = images_of(memory.listing_missing)
            job.log(f"{study.uid}/{uid}, asking for what is missing: {missing}")
        self._note_retrieving(study)
        sent, tries = Sent(), 0

        def queries() -> Iterable[Query]:
            nonlocal tries
            tries += 1
            return self._queries(study, uid, how, again=tries > 1)

        try:
            # What the scanner listed once, and not now, may still arrive.
            reported = {*study.series, *study.memory.series}
            self.retriever.attempt(study.uid, uid, queries, retries, sent, reported)
        except UnusableError as error:
            self._note_unusable(study, uid, error)
            if sent.moves:
                sent.failure = Failure(Kind.INTERRUPTED, str(error))
                self._remember(study, uid, sent, before, by_name=how is How.BY_NAME)
            return
        self._after(study, uid, how, before, sent)

    def take(self, set_aside: Iterable[SetAside], kept: Iterable[Kept]) -> None:
        """Report what could not be filed: damaged images, and images that could not be moved."""
        text = set_aside_text(set_aside, self.job.study_instance_uids, new=True, rejected=self.job.folders.rejected)
        if text is not None:
            self.findings.faults.append(_set_aside(text))
        for one in kept:
            self.kept[one.study_instance_uid or ""] = one.text
            self.findings.faults.append(unusable(one.text)._replace(needs_retrieve=True))

    def _note_retrieving(self, study: Study) -> None:
        """`status` shows what is retrieved while that goes on: once a study, for its series are kept as they arrive."""
        shown, memory = reporting.RETRIEVING, study.memory
        if (memory.waits_text, memory.next_try, memory.error) == (shown.text, None, study.error):
            return
        study.memory = memory._replace(
            waits_for=shown.waits_for, waits_text=shown.text, next_try=None, error=study.error
        )
        self.findings.memory[study.uid] = remembered(study)
        self.job.keep_state()

    def _note_unusable(self, study: Study, uid: str, error: UnusableError) -> None:
        text = str(error)
        study.error = study.error or text
        study.remember(uid, study.series[uid].memory._replace(error=text))
        self.findings.faults.append(fault(error)._replace(needs_retrieve=True))
        self.job.log(text)
        if isinstance(error, NothingRetrievableError):
            self.unusable = text

    def _remember(self, study: Study, uid: str, sent: Sent, before: int, *, by_name: bool) -> SeriesMemory:
        """Remember an attempt, also in case this pass is killed. One that sent nothing is not remembered."""
        self.findings.moves_sent += sent.moves
        series, failure = study.series[uid], sent.failure
        memory = series.memory._replace(retrieved=True, error=failure.text if failure else None)
        if sent.moves:
            self.findings.attempted.add((study.uid, uid))
            basis = rules.basis(series.reported.number, memory.listing)
            memory = rules.after_attempt(
                memory, at=clock.now(), by_name=by_name, basis=basis, before=before, failure=failure
            )
        study.remember(uid, memory)
        study.memory = study.memory._replace(failed_at=None if failure is None else time.time())
        self.findings.memory[study.uid] = remembered(study)
        self.job.keep_state()
        return memory

    def _after(self, study: Study, uid: str, how: How, before: int, sent: Sent) -> None:
        """Remember what an attempt brought, and count again."""
        job, failure = self.job, sent.failure
        memory = self._remember(study, uid, sent, before, by_name=how is How.BY_NAME)
        self.limits = rules.limits_after(self.limits, failure, sent=sent.moves > 0)
        if failure is not None:
            note_failure(job, self.findings, study, failure, None)
            if how is How.BY_NAME and memory.names_refused:
                why = "the scanner sends no single images of it: the whole series is asked for next time"
                job.log(f"{study.uid}/{uid}, {why}")
        self.take((), sent.kept)
        series = study.series[uid]
        here = images_in(job.folders.series(study.uid, uid))
        new = len(here.names) > len(series.here.names)
        text = set_aside_text(sent.set_aside, job.study_instance_uids, new=new, rejected=job.folders.rejected)
        if memory.attempt is not None and sent.moves and self.findings.silence is not None:
            self.findings.silence = None if new else Silence(self.findings.silence.fruitless + 1, memory.attempt.at)
        if text is not None:
            if memory.attempt is not None and not new:
                memory = memory._replace(attempt=memory.attempt._replace(error=memory.attempt.error or text))
            memory = memory._replace(error=memory.error or text)
            study.error = study.error or text
            self.findings.faults.append(_set_aside(text))
        study.error = study.error or self.kept.get(study.uid)
        study.series[uid] = recounted(replace(series, memory=memory), here, job.settings, clock.now())
        say_count(job, study, self.judged(study, study.series[uid]))

    def _queries(self, study: Study, uid: str, how: How, *, again: bool) -> Iterable[Query]:
        """What is to be sent of a series; called AGAIN for a retry: what arrived meanwhile is not asked for twice."""
        here = images_in(self.job.folders.series(study.uid, uid))
        series = replace(study.series[uid], here=here)
        by_uid = series_rules.are_named_by_uid(here.names)
        if how is How.WHOLE and again and by_uid and not series.memory.names_refused:
            listed = self.list_images(study, recounted(series, here, self.job.settings, clock.now()))
            if listed is not None and self.missing_uids(listed):
                how, series = How.BY_NAME, listed
        if how is How.WHOLE:
            return [move_of_series(study.uid, uid)]
        return moves_of_images(study.uid, uid, self.missing_uids(series))


def _set_aside(text: str) -> Fault:
    return fault(Message(SET_ASIDE, f"{text}: the log says why each"))
