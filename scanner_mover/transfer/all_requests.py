"""The requests of one pass, one after the other: facts are fetched, rules are called, and what they say is done.

The walk of a StudyInstanceUID: `handle` asks for the series of all studies at once; `_one` looks at one study, has
`Retrieving` ask for what is missing, and `Closing` close it or say what it waits for; its report comes back.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from scanner_mover import clock
from scanner_mover.dcmtk import storescp, tls
from scanner_mover.dcmtk.tool import Toolbox, find_tools
from scanner_mover.errors import UnusableError
from scanner_mover.failures import NO_CONNECTION
from scanner_mover.moment import Moment
from scanner_mover.rules import asking, turns
from scanner_mover.rules.closing import shown_end, shown_status
from scanner_mover.rules.modalities import is_wanted
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.rules.records import ReportedSeries, SeriesMemory, StudyMemory
from scanner_mover.rules.retrieving import PassLimits
from scanner_mover.scanner.inventory import ImageAnswer, Inventory, Place, SeriesAnswer
from scanner_mover.scanner.query_files import QueryFiles
from scanner_mover.scanner.retrieve import Retriever
from scanner_mover.site.disk import make_folder
from scanner_mover.site.images import images_in
from scanner_mover.site.mpps import Step
from scanner_mover.site.requests import Request
from scanner_mover.text import images_of
from scanner_mover.transfer import health
from scanner_mover.transfer.attempts import Attempts
from scanner_mover.transfer.closed import Mover
from scanner_mover.transfer.closing import Closing
from scanner_mover.transfer.faults import fault, no_study
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.last_look import LastLook
from scanner_mover.transfer.messages import note_failure, report_lost_steps
from scanner_mover.transfer.receiving import receiver_of, receiving
from scanner_mover.transfer.report import StudyReport
from scanner_mover.transfer.retrieving import Retrieving
from scanner_mover.transfer.steps import Steps
from scanner_mover.transfer.study import Study, look, remembered, series_reports


def handle(job: Job, findings: Findings) -> None:
    """Make one pass over the requests of JOB; its results are put into FINDINGS.

    Raises UnusableError when nothing can be done at all: no tools, folders that cannot be written; ConfigurationError
    when `tls` cannot be used.
    """
    tools = _tools(job)
    if job.closes and not job.dry_run:
        for folder in (job.folders.active_scans, job.folders.finished_scans, job.folders.failed_scans):
            make_folder(folder)
    files = QueryFiles(tools, job.scratch_folder)
    inventory = Inventory(tools, job.settings, files, 0 if job.scanner_was_down else job.settings.retries, job.log)
    receiver = receiver_of(job, tools)
    retriever = Retriever(tools, job.settings, job.folders, files, receiver, job.log, job.progress)
    attempts = Attempts(job, findings, inventory, retriever, PassLimits(job.settings.retries))
    retrieving = Retrieving(job, findings, attempts)
    steps = Steps(job, tools, findings)
    last_look = LastLook(job, findings, inventory, steps.of)
    closing = Closing(job, findings, retrieving, last_look, Mover(job, findings))
    with receiving(receiver, attempts, tools):
        # Before the scanner is asked: what it says then is at least as new as the end of the procedure.
        steps_at_first = steps.of_all()
        answers = inventory.series(turns.errors_last(job.study_instance_uids, findings.memory))
        findings.scanner_down = any(
            one.failure is not None and one.failure.kind in NO_CONNECTION for one in answers.values()
        )
        _Requests(job, findings, inventory, retrieving, closing, answers, steps_at_first, clock.now()).handle_all()


def _tools(job: Job) -> Toolbox:
    """The tools that JOB needs. Raises UnusableError, and ConfigurationError when `tls` cannot be used."""
    receiving_tools = [storescp.NAME] if job.settings.receive else []
    tools = find_tools(("findscu", "movescu", "dump2dcm", "dcmdump", *receiving_tools))
    tls.check(tools, job.settings, ["findscu", "movescu", *receiving_tools])
    return tools


@dataclass
class _Requests:
    """All requests of one pass, with what was asked for all of them at once."""

    job: Job
    findings: Findings
    inventory: Inventory
    retrieving: Retrieving
    closing: Closing
    answers: Mapping[str, SeriesAnswer]
    steps: Mapping[str, tuple[Step, ...]]
    asked_at: Moment

    def handle_all(self) -> None:
        images = self._lists()
        health.judge_the_silent(self.job, self.findings)
        health.note_silence(self.findings)
        for request in self._in_order():
            sent, arrived = self.findings.moves_sent, self.findings.images_received
            self.findings.reports.append(self._one(request, images))
            if self.findings.images_received > arrived:
                health.note_arrival(self.findings, request.study_instance_uid)
            if self.findings.moves_sent > sent:
                self.job.keep_state()
                health.note_silence(self.findings)
        health.report_silence(self.job, self.findings)
        health.note_untested(self.findings, self.job.settings.modalities)

    def _in_order(self) -> list[Request]:
        requests, uid_of, memory = self.job.requests, attrgetter("study_instance_uid"), self.findings.memory
        if self.findings.silence is None:
            return turns.in_order_of_turn(requests, uid_of, memory)
        # A scanner that sends nothing may send what it was never asked for (R29).
        new = {
            uid
            for uid, reported in self._wanted()
            if turns.has_one_never_asked_for([reported.series_instance_uid], memory.get(uid))
        }
        return turns.in_order_of_attempts(requests, uid_of, memory, new, clock.now().boot)

    def _wanted(self) -> Iterator[tuple[str, ReportedSeries]]:
        """The series that the scanner has and that are kept (R40), each with the StudyInstanceUID it was asked for."""
        for uid, answer in self.answers.items():
            for reported in answer.series:
                if is_wanted(reported.modality, self.job.settings.modalities):
                    yield uid, reported

    def _lists(self) -> dict[Place, ImageAnswer]:
        """The images of the series that only a list can count, as far as it is time to ask (R13, R44)."""
        now = clock.now()
        due = [
            (uid, reported.series_instance_uid)
            for uid, reported in self._wanted()
            if self._list_is_due(uid, reported, now)
        ]
        return self.inventory.images(due) if due else {}

    def _list_is_due(self, uid: str, reported: ReportedSeries, now: Moment) -> bool:
        memory = self._memory(uid).series.get(reported.series_instance_uid, SeriesMemory())
        listing = memory.listing
        if reported.number is not None and (listing is None or not listing.listed or memory.complete):
            return False
        try:
            here = len(images_in(self.job.folders.series(uid, reported.series_instance_uid)).names)
        except UnusableError:  # its study says so when its turn comes
            return False
        return asking.is_due(memory.list_asked, f"{reported.number}:{here}", now, counted=reported.number is not None)

    def _memory(self, uid: str) -> StudyMemory:
        return self.findings.memory.get(uid) or StudyMemory()

    def _one(self, request: Request, images: Mapping[Place, ImageAnswer]) -> StudyReport:
        """Handle one request, whatever happens to another (R25)."""
        uid = request.study_instance_uid
        study = Study(request, self._memory(uid), self.answers[uid], self.asked_at, self.steps.get(uid, ()))
        received = sum(one.received for one in study.memory.series.values())
        report_lost_steps(self.job, self.findings, study)
        try:
            outcome = self._handle(study, images)
        except UnusableError as error:
            self.findings.faults.append(fault(error))
            self.job.log(str(error))
            study.error, outcome = str(error), Outcome.ERROR
        finally:
            self.findings.memory[uid] = remembered(study)
        return self._report(study, outcome, received)

    def _handle(self, study: Study, images: Mapping[Place, ImageAnswer]) -> Outcome:
        log = self.job.log
        log(f"PROCESS: {study.name}")
        failure = study.answer.failure
        if failure is not None:
            text = f"the scanner could not be asked for {study.uid}"
            note_failure(self.job, self.findings, study, failure, text)
            self.findings.missing = True
        look(study, images, self.job.settings, self.job.folders, self.asked_at)
        if study.uid in self.job.forgotten and not self.job.by_hand:
            study.wait_after_loss()
        self._say_lists(study, images)
        self._say_unwanted(study)
        if study.answered and not study.series:
            log(f"the scanner has no series of {study.uid}")
            if self.job.by_hand:
                self.findings.faults.append(fault(no_study(study.uid)))
        self.retrieving.study(study)
        log(f"done with scanning for series in study {study.uid}")
        self._say_procedure(study)
        return self.closing.request(study)

    def _say_lists(self, study: Study, images: Mapping[Place, ImageAnswer]) -> None:
        for uid in study.series:
            answer = images.get((study.uid, uid))
            if answer is not None and answer.failure is not None:
                text = f"{study.uid}/{uid}, the scanner could not be asked for its images"
                note_failure(self.job, self.findings, study, answer.failure, text)

    def _say_unwanted(self, study: Study) -> None:
        """Log once which series are not kept (R40)."""
        for uid, one in study.series.items():
            if not one.wanted and uid not in study.memory.series:
                self.job.log(f"{study.uid}/{uid}, not asked for: modalities has no {one.reported.modality}")

    def _say_procedure(self, study: Study) -> None:
        log = self.job.log
        if not study.steps:
            log(f"could not find {study.uid} MPPS file in {self.job.folders.scanner}/")
        elif not study.open_steps:
            last = study.steps[-1]
            log(f"PerformedProcedureStepEndTime found {shown_end(last.status, last.end_time)}")
        else:
            log("no PerformedProcedureStepEndTime yet, still in progress")
            for one in study.open_steps:
                log(f"step {one.name} still in progress ({shown_status(one.status)})")

    def _report(self, study: Study, outcome: Outcome, received_before: int) -> StudyReport:
        series = series_reports(study)
        arrived = sum(one.received for one in series) - received_before
        self.findings.images_received += max(0, arrived)
        seen = clock.iso(time.time())
        memory = self.findings.memory[study.uid]
        event = _event(study.error, len(series), sum(one.pulled for one in series), arrived)
        if event is not None and event != memory.event:
            memory = memory._replace(event=event, event_at=seen)
        self.findings.memory[study.uid] = memory._replace(
            outcome=outcome, procedure=study.procedure, error=study.error, seen=seen
        )
        if outcome in (Outcome.FINISHED, Outcome.FAILED) and self.job.closes:
            self.findings.memory.pop(study.uid, None)
        return StudyReport(study.uid, outcome, series, study.procedure, study.error)


def _event(error: str | None, series: int, retrieved: int, arrived: int) -> str | None:
    """What happened to a study in this pass, for `status`; None for nothing."""
    if error is not None:
        return error
    if not series:
        return "the scanner has no series of it"
    images = images_of(max(0, arrived))
    if retrieved:
        return f"{retrieved} series retrieved, {images} arrived"
    return f"{images} arrived" if arrived > 0 else None
