"""Closing a request: what decides is asked immediately before, then it moves (R14, R22 to R26, R32, R35, R36, R38)."""

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from scanner_mover import clock
from scanner_mover.failures import Failure
from scanner_mover.rules import asking, reporting
from scanner_mover.rules import closing as rules
from scanner_mover.rules import series as series_rules
from scanner_mover.rules.closing import Outcome, Procedure, WaitsFor
from scanner_mover.rules.reporting import Waiting
from scanner_mover.scanner.inventory import Everything, Inventory, StudyAnswer
from scanner_mover.site import ledger, requests
from scanner_mover.site.disk import sync_file_system, sync_folder
from scanner_mover.site.mpps import Step
from scanner_mover.transfer.faults import Message, fault
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.report import ClosedRequest
from scanner_mover.transfer.retrieving import Retrieving
from scanner_mover.transfer.study import Series, Study, look, series_reports

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

    def request(self, study: Study) -> Outcome:
        """Close the request of STUDY if its turn has come; otherwise say what it waits for.

        Raises UnusableError when it cannot be moved.
        """
        self._note_quiet(study)
        waits = self._waits_for(study)
        for _ in range(_MOST_ROUNDS):
            if waits is not None or study.error is not None or not self._may_ask(study):
                break
            sent = self.findings.moves_sent
            waits = self._ask_and_look(study)
            if waits is None and study.error is None:
                return self._finish(study)
            if self.findings.moves_sent == sent:
                break
            waits = self._waits_for(study)
        if self._keeps_nothing(study, waits):
            reason = f"no series of a modality that is kept ({', '.join(self.job.settings.modalities or ())})"
            return self._fail(study, reason, f"{study.uid}, {reason}")
        waiting = self._waiting(study, waits or WaitsFor.QUIET)
        self.job.log("we are not done yet with this job")
        return self._look_at_age(study, waiting)

    def _note_quiet(self, study: Study) -> None:
        """Since when the scanner has told the same (R22 a); counted from the end of the procedure on."""
        if not study.answered:
            return
        ended_before = study.memory.procedure == study.procedure.value
        earlier = study.memory.fingerprint if ended_before else None
        since = rules.unchanged_since(study.fingerprint, earlier, study.memory.unchanged_since, study.asked_at)
        study.memory = replace(
            study.memory,
            fingerprint=study.fingerprint,
            unchanged_since=since,
            procedure=study.procedure.value,
        )

    def _quiet_left(self, study: Study) -> float:
        since = study.memory.unchanged_since
        seconds = self.job.settings.quiet_seconds
        if study.procedure is Procedure.UNKNOWN:
            seconds = max(seconds, self._no_mpps_seconds(study) or seconds)
        return seconds if since is None else rules.quiet_left(since, study.asked_at, seconds)

    def _no_mpps_seconds(self, study: Study) -> float | None:
        expected = study.memory.mpps_expected and study.request.mpps_expected
        option = self.job.settings.no_mpps_after_seconds
        return rules.no_mpps_seconds(option, expected, study.memory.study_date, datetime.date.today())

    def _ends_by_quiet(self, study: Study) -> bool:
        """Whether it counts as ended when nothing changes any more, or has ended (R32)."""
        return study.procedure is not Procedure.UNKNOWN or self._no_mpps_seconds(study) is not None

    def _waits_for(self, study: Study) -> WaitsFor | None:
        state = study.procedure
        quiet = self._quiet_left(study)
        if state is Procedure.UNKNOWN and self._no_mpps_seconds(study) is not None and quiet <= 0:
            state = Procedure.ENDED  # no MPPS file will come (R32)
        left = self.retrieving.seconds_left(study)
        return rules.waits_for(
            answered=study.answered,
            counts=[one.count for one in study.wanted],
            wanted=len(study.wanted),
            state=state,
            quiet=quiet,
            due=left is not None and left <= 0,
        )

    def _may_ask(self, study: Study) -> bool:
        """Whether the questions before closing are asked (again) now (R44); a dry run asks too."""
        return asking.is_due(study.memory.closing_asked, _basis(study), clock.now(), counted=True)

    def _ask_and_look(self, study: Study) -> WaitsFor | None:
        """Ask everything that closes STUDY, read its MPPS files, retrieve what turns out to be missing."""
        by_name = [
            one.uid
            for one in study.wanted
            if one.is_told and (one.told.count is None or series_rules.are_named_by_uid(one.here.names))
        ]
        for one in study.wanted:
            if one.uid not in by_name:
                self.job.log(f"{study.uid}/{one.uid}, its files are not named by UIDs: relying on the count")
        told = self.inventory.everything(study.uid, by_name)
        study.asked_at = clock.now()
        study.answer, study.steps = told.series, self.steps_of(study.uid)
        if not self._is_answered(study, told):
            return WaitsFor.SCANNER
        memory = {uid: one.memory for uid, one in study.series.items()}
        study.memory = replace(study.memory, series=memory, study_date=told.study.study_date or "")
        images = {(study.uid, uid): answer for uid, answer in told.images.items()}
        look(study, images, self.job.settings, self.job.folders, study.asked_at, again=True)
        self._note_quiet(study)
        self._say_lists(study, told)
        cut_short = self._is_cut_short(study, told.study)
        waits = self._waits_for(study)
        if waits is None and not cut_short:
            return None
        if waits is not WaitsFor.QUIET:
            asked = asking.after_asking(study.memory.closing_asked, _basis(study), study.asked_at, changed=False)
            study.memory = replace(study.memory, closing_asked=asked)
        self.retrieving.study(study)
        return waits or WaitsFor.IMAGES

    def _is_answered(self, study: Study, told: Everything) -> bool:
        """Whether every question before closing was answered; a refusal of a level is an answer (R22 b, R35)."""
        questions: list[tuple[str, Failure | None]] = [("SERIES", told.series.failure)]
        questions += [("IMAGE", one.failure) for one in told.images.values()]
        questions.append(("STUDY", told.study.failure))
        for level, failure in questions:
            if failure is not None and (level == "SERIES" or not series_rules.is_answer(failure)):
                text = f"{study.uid}, the scanner could not be asked at {level} level before closing"
                self.retrieving.scanner_fault(study, failure, text)
                return False
        return True

    def _say_lists(self, study: Study, told: Everything) -> None:
        """Say of each series what its list means."""
        for uid, answer in told.images.items():
            series = study.series.get(uid)
            if series is None or series.memory.listing is None:
                continue
            name, listing = f"{study.uid}/{uid}", series.memory.listing
            if series_rules.count_is_believed(listing) and series.told.count is not None:
                why = answer.failure.text if answer.failure else "it names none"
                self.job.log(f"{name}, the scanner does not list its images ({why}): relying on the count")
            elif listing.cut_in_a_row:
                assert answer.failure is not None
                self.retrieving.scanner_fault(study, answer.failure, f"{name}, the list of its images was cut short")
            elif listing.missing:
                self.job.log(f"{name}, {listing.missing} images that the scanner lists are not here")
            if listing.succeeded and listing.answers != listing.listed:
                self.job.log(f"{name}, the scanner lists {listing.listed} images in {listing.answers} answers")

    def _is_cut_short(self, study: Study, told: StudyAnswer) -> bool:
        """Whether the STUDY level tells more than all series together (R35); if so, that is a fault."""
        told_series = [one for one in study.series.values() if one.is_told]
        numbers = [_number_of_images(one) for one in told_series]
        if told.failure is not None or not rules.study_tells_more(told.series, told.images, len(told_series), numbers):
            return False
        text = (
            f"study {study.uid}: the scanner tells {told.series or '?'} series with {told.images or '?'} images at "
            f"STUDY level, but lists {len(told_series)} series with {sum(filter(None, numbers))}: it is not closed; "
            "does the scanner limit the number of its answers?"
        )
        study.error = study.error or "the scanner does not list all series"
        self.findings.faults.append(fault(Message(f"cut-short {study.uid}", text)))
        self.job.log(text)
        return True

    def _keeps_nothing(self, study: Study, waits: WaitsFor | None) -> bool:
        """Whether no series of STUDY is of a modality that the site keeps, and none will come (R40)."""
        excluded = bool(study.series) and not study.wanted
        return (
            excluded
            and waits is WaitsFor.SCANNER
            and study.answered
            and study.procedure is Procedure.ENDED
            and self._quiet_left(study) <= 0
            and bool(study.request.files)
            and self.job.closes
        )

    def _waiting(self, study: Study, waits: WaitsFor) -> Waiting:
        counts = [one.count for one in study.wanted]
        waiting = reporting.waiting(
            waits,
            counts=counts,
            due_in=self.retrieving.seconds_left(study),
            quiet_left=self._quiet_left(study) if self._ends_by_quiet(study) else 0.0,
            open_steps=[f"{one.name} ({one.status or 'no status'})" for one in study.open_steps],
            error=study.error,
            stuck=any(one.memory.fruitless >= 3 for one in study.wanted if not one.count.complete),
        )
        seconds = waiting.seconds
        next_try = None if seconds is None else round(time.time() + seconds, 1)
        study.memory = replace(
            study.memory, waits_for=waiting.waits_for.value, waits_text=waiting.text, next_try=next_try
        )
        return waiting

    def _look_at_age(self, study: Study, waiting: Waiting) -> Outcome:
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
            why = "it fails if that is still so in a minute" if study.answered else "kept until the scanner answers"
            self.job.log(f'"{study.name}" is old, {why}')
            return outcome
        missing = [
            replace(one.memory, expected=one.count.expected, received=one.count.received)
            for one in study.wanted
            if not one.count.complete
        ]
        reason = reporting.failed_reason(waiting.text, study.memory, missing)
        return self._fail(study, reason, '"{file}" is old, download seems to have failed')

    def _finish(self, study: Study) -> Outcome:
        job = self.job
        lacking = [one for one in study.wanted if one.count.vanished]
        reason = None
        if lacking:
            parts = (f"{one.uid} ({one.count.received} of {one.count.expected} images)" for one in lacking)
            reason = f"the scanner no longer has all of series {', '.join(parts)}"
            job.log(f"{study.uid} is closed incomplete: {reason}")
        if study.request.files and job.closes:
            if not job.dry_run:
                sync_file_system(job.folders.raw)
            self._move(study, job.folders.finished_scans, "JOB {file} to {folder}", finished=True, reason=reason)
        return Outcome.FINISHED

    def _fail(self, study: Study, reason: str, message: str) -> Outcome:
        self._move(study, self.job.folders.failed_scans, message, finished=False, reason=reason)
        return Outcome.FAILED

    def _move(self, study: Study, folder: str, message: str, *, finished: bool, reason: str | None) -> None:
        """Write the ledger, then move the request (R39)."""
        job = self.job
        if job.dry_run:
            job.log(f"would move {study.name} to {folder}")
            return
        series = series_reports(study)
        ledger.append(
            job.server.ledger,
            ledger.Entry(
                study_instance_uid=study.uid,
                time=clock.iso(time.time()),
                outcome="finished" if finished else "failed",
                reason=reason,
                series=tuple(
                    ledger.SeriesCounts(one.series_instance_uid, one.expected, one.received) for one in series
                ),
                incomplete=finished and reason is not None,
            ),
        )
        moved = requests.close(study.request, folder)
        for changed in (folder, job.folders.active_scans):
            sync_folder(changed)
        for file in moved:
            job.log(message.format(file=file, folder=folder))
        if not moved:
            job.log(f"{study.name} was taken away meanwhile")
            return
        raw = f"{job.folders.raw}/{study.uid}"
        self.findings.closed.append(ClosedRequest(study.uid, finished, reason, series, raw))


def _basis(study: Study) -> str:
    """What is told and here of a study, as a text (R44)."""
    return f"{study.fingerprint}:{sum(len(one.here.names) for one in study.series.values())}"


def _number_of_images(series: Series) -> int | None:
    """How many images the scanner tells of a series, by its number or its list, repeated answers included."""
    listing = series.memory.listing
    answers = listing.answers if listing is not None and listing.listed else None
    return max(filter(None, (series.told.number_of_series_related_instances, answers)), default=None)
