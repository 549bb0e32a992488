"""One pass over the requests: ask, count, decide, pull, count again, close (R11 to R26)."""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from scanner_mover import clock, rules
from scanner_mover.dcmtk import storescp, tls
from scanner_mover.dcmtk.dump2dcm import Query, move_of_series, moves_of_images
from scanner_mover.dcmtk.tool import TOOLS, find_tools
from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError
from scanner_mover.failures import NO_CONNECTION, Failure, Kind
from scanner_mover.moment import Moment
from scanner_mover.rules import Outcome, Procedure, SeriesFacts
from scanner_mover.scanner.advice import advice
from scanner_mover.scanner.inventory import Asker, SeriesAnswer
from scanner_mover.scanner.receiver import Receiver, file_left_over
from scanner_mover.scanner.retrieve import Puller
from scanner_mover.scanner.retry import ends_the_pass
from scanner_mover.site import mpps
from scanner_mover.site.disk import make_folder
from scanner_mover.site.filing import Filed
from scanner_mover.site.images import images_in
from scanner_mover.site.mpps_cache import Cache
from scanner_mover.site.requests import Request
from scanner_mover.transfer import closing
from scanner_mover.transfer.history import SeriesKnowledge, StudyKnowledge
from scanner_mover.transfer.report import SeriesReport, StudyReport
from scanner_mover.transfer.study import Study, Work

# A study with a thousand series does not keep the others waiting for hours.
_TURN_SECONDS = 600.0


def move(work: Work) -> tuple[list[StudyReport], bool]:
    """Make one pass over the requests of WORK; gives what became of each, and whether the scanner cannot be reached.

    Raises UnusableError when nothing can be done at all: no tools, folders that cannot be written; ConfigurationError
    when `tls` cannot be used.
    """
    return _Pass(work).run()


class _Pass:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._settings = settings = work.settings
        self._folders = folders = work.folders
        self._log = log = work.log
        receiving = [storescp.NAME] if settings.receive else []
        tools = find_tools([*TOOLS, *receiving])
        tls.check(tools, settings, ["findscu", "movescu", *receiving])
        if work.closes and not work.dry_run:
            for folder in (folders.active_scans, folders.finished_scans, folders.failed_scans):
                make_folder(folder)
        uids = [request.study_instance_uid for request in work.requests]
        self._tools = tools
        self._uids = uids
        self._receiver = Receiver(tools, settings, folders, uids, log)
        self._asker = Asker(tools, settings, work.work, 0 if work.scanner_was_down else settings.retries, work.log)
        self._puller = Puller(tools, settings, folders, self._asker.files, self._receiver, log, work.watcher)
        self._listed: dict[tuple[str, str], SeriesAnswer] = {}
        self._by_image: set[tuple[str, str]] = set()
        self._no_more_pulls: str | None = None
        self._listens_on = False

    def run(self) -> tuple[list[StudyReport], bool]:
        try:
            return self._run()
        finally:
            self._end_receiver()

    def _end_receiver(self) -> None:
        try:
            if self._listens_on:
                # Some scanners answer Success first and send afterwards (R41).
                quiet = max(5.0, self._settings.settle_seconds)
                self._take(self._receiver.listen_on(quiet, self._settings.retrieve_stall_seconds))
            self._take(self._receiver.end())
        except UnusableError as error:
            self._work.faults.unusable(str(error))
        finally:
            self._receiver.end()

    def _take(self, filed: Filed) -> None:
        self._puller.take(filed)
        for text in dict.fromkeys(one.text for one in filed.kept):
            self._work.faults.unusable(text)

    def _run(self) -> tuple[list[StudyReport], bool]:
        if not self._work.dry_run:
            try:
                self._take(file_left_over(self._tools, self._settings, self._folders, self._uids, self._log))
            except UnusableError as error:
                self._work.faults.unusable(str(error))
        # Before the scanner is asked: what it says then is at least as new as the end of the procedure.
        steps = self._steps()
        answers = self._asker.series(self._uids)
        asked_at = clock.now()
        self._list_images(
            [
                (uid, series.series_instance_uid)
                for uid, answer in answers.items()
                for series in answer.series
                if rules.expected_images(series.number_of_series_related_instances, series.images_in_acquisition, None)
                is None
            ]
        )
        reports = []
        for request in self._in_order():
            uid = request.study_instance_uid
            study = Study(request, self._work.knowledge[uid], answers[uid], steps.get(uid, ()))
            # Each request is handled whatever happens to another (R25).
            try:
                outcome = self._handle(study, asked_at)
            except UnusableError as error:
                self._work.faults.unusable(str(error))
                self._log(str(error))
                study.error, outcome = str(error), Outcome.ERROR
            reports.append(self._report(study, outcome))
        down = self._asker.ended_by is not None and self._asker.ended_by.kind in NO_CONNECTION
        return reports, down

    def _in_order(self) -> list[Request]:
        """The requests, oldest first, but those whose pull failed last, the one whose failure is longest ago first.

        A sick study does not keep the others waiting, and no sick one another.
        """
        knowledge = self._work.knowledge
        for request in self._work.requests:
            knowledge.setdefault(request.study_instance_uid, StudyKnowledge())
        return sorted(self._work.requests, key=lambda one: knowledge[one.study_instance_uid].failed_at or 0.0)

    def _steps(self) -> dict[str, tuple[mpps.Step, ...]]:
        folder = self._folders.scanner
        cache = Cache(self._work.mpps_index, folder)
        try:
            found = mpps.read_steps(self._tools, folder, self._uids, cache)
        except UnusableError as error:
            self._work.faults.unusable(str(error))
            return {}
        cache.save(os.path.join(self._work.work, "mpps.json"))
        for line in mpps.unreadable_lines(folder, self._work.new_among("mpps", found.unreadable)):
            self._log(line)
        for fault in found.faults:
            self._work.faults.unusable(str(fault))
        return found.steps

    def _list_images(self, series: Sequence[tuple[str, str]]) -> None:
        self._listed |= self._asker.images([one for one in series if one not in self._listed])

    def _handle(self, study: Study, asked_at: Moment) -> Outcome:
        self._log(f"PROCESS: {study.name}")
        self._look_at_series(study, asked_at)
        self._log(f"done with scanning for series in study {study.uid}")
        self._tell_procedure(study)
        if study.may_finish:
            self._check_by_name(study)
        if study.may_finish and study.error is None:
            return closing.finish(self._work, study)
        self._log("we are not done yet with this job")
        return closing.look_at_age(self._work, study)

    def _look_at_series(self, study: Study, asked_at: Moment) -> None:
        failure = study.answer.failure
        if failure is not None:
            self._scanner_fault(study, failure, f"the scanner could not be asked for {study.uid}: {failure.text}")
        for found in study.answer.series:
            listed = self._listed.get((study.uid, found.series_instance_uid))
            if listed is not None and listed.failure is not None:
                self._scanner_fault(
                    study,
                    listed.failure,
                    f"{study.uid}/{found.series_instance_uid}, the scanner could not be asked for its images: "
                    f"{listed.failure.text}",
                )
            self._count(
                study,
                found.series_instance_uid,
                rules.expected_images(
                    found.number_of_series_related_instances,
                    found.images_in_acquisition,
                    len(listed.sop_instance_uids) if listed is not None and listed.failure is None else None,
                ),
            )
        counts = sorted((series.series_instance_uid, series.expected) for series in study.series.values())
        if failure is None:
            # Quiet is counted from the end of the procedure on: what is reconstructed then is waited for.
            same = study.knowledge.procedure == study.procedure.value
            earlier = study.knowledge.counts if same else None
            since = rules.unchanged_since(counts, earlier, study.knowledge.unchanged_since, asked_at)
            study.knowledge.counts, study.knowledge.unchanged_since = counts, since
            study.quiet = rules.is_quiet(since, asked_at, self._settings.quiet_seconds)
        known = study.knowledge.series
        this_pass = {
            uid: replace(known[uid], pulled=False, error=None) if uid in known else SeriesKnowledge()
            for uid in study.series
        }
        # What a scanner that is off does not tell is not forgotten.
        study.knowledge.series = this_pass if failure is None else known | this_pass
        failed = {uid for uid, one in known.items() if one.error is not None}
        if failure is None and not study.series:
            self._log(f"the scanner has no series of {study.uid}")
        for series in sorted(study.series.values(), key=lambda one: one.series_instance_uid in failed):
            self._tell_count(study, series)
            if not series.complete:
                self._pull(study, series)

    def _count(self, study: Study, series_instance_uid: str, expected: int | None) -> SeriesFacts:
        names = list(images_in(self._folders.series(study.uid, series_instance_uid)).names)
        listed = self._listed.get((study.uid, series_instance_uid))
        missing = 0
        earlier = study.series.get(series_instance_uid)
        if earlier is not None and earlier.missing_by_name and listed is not None:
            missing = len(rules.missing_by_name(listed.sop_instance_uids, names))
        study.series[series_instance_uid] = facts = SeriesFacts(series_instance_uid, expected, len(names), missing)
        return facts

    def _tell_count(self, study: Study, series: SeriesFacts) -> None:
        name = f"{study.uid}/{series.series_instance_uid}"
        self._work.watcher.counted(
            study.uid, series.series_instance_uid, series.received, series.expected, series.complete
        )
        if series.complete:
            self._log(f"{name}, we do have {series.received} of {series.expected}")
        elif series.expected is None:
            self._log(f"{name}, we do have {series.received} images, and the scanner does not say how many there are")
        elif not os.path.isdir(os.path.join(self._folders.raw, study.uid)):
            self._log(f"no study directory found {name}, we expect {series.expected} images")
        else:
            self._log(f"{name}, we do have {series.received} images but like to see {series.expected}")

    def _pull(self, study: Study, series: SeriesFacts) -> None:
        """Pull SERIES if that may be done now, and count it again (R15 to R18)."""
        uid = series.series_instance_uid
        name = f"{study.uid}/{uid}"
        known = study.knowledge.series[uid]
        grows = series.received > known.received
        if not rules.may_pull(
            known.moved, clock.now(), grows=grows, repull_after_seconds=self._settings.repull_after_seconds
        ):
            self._log(f"{name}, pulled a moment ago, its images may still be on their way")
            return
        if self._work.dry_run:
            self._log(f"would pull series {study.uid} {uid} from {self._settings.host} : {self._settings.port}")
            return
        if self._has_had_its_turn(study):
            self._log(f"{name}, left to the next pass: other studies wait")
            return
        if self._no_more_pulls is not None:
            known.error = study.error = self._no_more_pulls
            return
        try:
            # A study whose last pull failed is tried once a pass, until that goes well.
            self._puller.filed = Filed()
            failure = self._puller.pull(
                study.uid, uid, lambda: self._missing(study, uid), try_again=study.knowledge.failed_at is None
            )
            if self._puller.filed.kept:
                raise UnusableError(self._puller.filed.kept[0].text)
            if self._puller.filed.damaged:
                known.error = study.error = (
                    f"images that came are not whole and were set aside in {self._folders.rejected}"
                )
                self._work.faults.scanner(f"{known.error}: the log says why each")
        except UnusableError as error:
            known.error = study.error = str(error)
            if self._puller.is_stuck:
                self._no_more_pulls = str(error)
            self._log(str(error))
            self._work.faults.unusable(str(error))
            return
        known.pulled = True
        if failure is None:
            known.moved = clock.now()
            study.knowledge.failed_at = None
        else:
            known.error = failure.text
            study.knowledge.failed_at = time.time()
            self._scanner_fault(study, failure, None)
            if self._puller.ended_by is not None:
                self._no_more_pulls = failure.text
        series = self._count(study, uid, series.expected)
        self._tell_count(study, series)
        self._listens_on |= failure is None and not series.complete
        if (study.uid, uid) not in self._by_image:
            return
        if failure is None:
            known.asked_by_name = series.received
        elif failure.kind is Kind.REFUSED:
            known.by_series = True
            self._log(f"{name}, the scanner sends no single images of it: the whole series is asked for next time")

    def _has_had_its_turn(self, study: Study) -> bool:
        """Whether STUDY was pulled for so long that the others, if there are any, come first now."""
        now = time.monotonic()
        if study.pulling_since is None:
            study.pulling_since = now
        return len(self._uids) > 1 and now - study.pulling_since >= _TURN_SECONDS

    def _missing(self, study: Study, series_instance_uid: str) -> Iterable[Query]:
        """What is to be sent of a series: the images that are missing, where some are here and the scanner lists it."""
        one = study.uid, series_instance_uid
        names = list(images_in(self._folders.series(*one)).names)
        known = study.knowledge.series[series_instance_uid]
        if known.asked_by_name == len(names):
            known.by_series = True  # none of them came, nor was filed since
        if rules.are_named_by_uid(names) and not known.by_series:
            self._list_images([one])
            listed = self._listed[one]
            missing = sorted(filter(is_uid, rules.missing_by_name(listed.sop_instance_uids, names)))
            if missing and listed.failure is None:
                self._log(f"{study.uid}/{series_instance_uid}, asking for the {len(missing)} images that are missing")
                self._by_image.add(one)
                return moves_of_images(*one, missing)
        return [move_of_series(*one)]

    def _check_by_name(self, study: Study) -> None:
        """Just before a request is closed: has every image that the scanner lists a file here (R22 b)?"""
        folders = {uid: self._folders.series(study.uid, uid) for uid in study.series}
        by_name = []
        for uid, folder in folders.items():
            if rules.are_named_by_uid(list(images_in(folder).names)):
                by_name.append(uid)
            else:
                self._log(f"{study.uid}/{uid}, its files are not named by UIDs: their number is believed")
        self._list_images([(study.uid, uid) for uid in by_name])
        for uid in by_name:
            listed = self._listed[study.uid, uid]
            name = f"{study.uid}/{uid}"
            if listed.failure is not None and listed.failure.kind is not Kind.REFUSED:
                self._scanner_fault(
                    study,
                    listed.failure,
                    f"{name}, the scanner could not be asked for its images: {listed.failure.text}",
                )
                continue
            facts, names = study.series[uid], list(images_in(folders[uid]).names)
            if listed.failure is not None or not listed.sop_instance_uids:
                why = listed.failure.text if listed.failure else "it names none"
                self._log(f"{name}, the scanner does not list its images ({why}): their number is believed")
                # Beside images that are named by UIDs a file of another name is none of them.
                lacking = (facts.expected or 0) - sum(map(is_uid, names))
                if lacking > 0:
                    study.series[uid] = replace(facts, missing_by_name=lacking)
                continue
            missing = rules.missing_by_name(listed.sop_instance_uids, names)
            if missing:
                expected = max(facts.expected or 0, len(listed.sop_instance_uids))
                study.series[uid] = facts = SeriesFacts(uid, expected, facts.received, len(missing))
                self._log(f"{name}, {len(missing)} images that the scanner lists are not here")
                self._pull(study, facts)

    def _tell_procedure(self, study: Study) -> None:
        if not study.steps:
            self._log(f"could not find {study.uid} MPPS file in {self._folders.scanner}/")
        elif study.procedure is Procedure.ENDED:
            self._log(f"PerformedProcedureStepEndTime found {study.steps[-1].end_time}")
        else:
            self._log("no PerformedProcedureStepEndTime yet, still in progress")

    def _scanner_fault(self, study: Study, failure: Failure, message: str | None) -> None:
        study.error = study.error or failure.text
        self._work.faults.scanner(advice(failure, self._settings))
        # A scanner that is off for a night is one fault, told when it begins and ends, not a line for each study.
        if message is not None and not ends_the_pass(failure) and failure.text != study.knowledge.error:
            self._log(message)

    def _report(self, study: Study, outcome: Outcome) -> StudyReport:
        """Tell of STUDY, and keep for the next pass what is now known of it."""
        knowledge = study.knowledge
        arrived, series = 0, []
        for uid, facts in study.series.items():
            known = knowledge.series.setdefault(uid, SeriesKnowledge())
            arrived += facts.received - known.received
            known.expected, known.received, known.complete = facts.expected, facts.received, facts.complete
            series.append(SeriesReport(uid, facts.expected, facts.received, facts.complete, known.pulled, known.error))
        knowledge.seen = clock.iso(time.time())
        event = _event(study.error, len(series), sum(one.pulled for one in series), arrived)
        if event is not None and event != knowledge.event:
            knowledge.event, knowledge.event_at = event, knowledge.seen
        knowledge.outcome, knowledge.procedure, knowledge.error = outcome.value, study.procedure.value, study.error
        if outcome in (Outcome.FINISHED, Outcome.FAILED) and self._work.closes:
            self._work.knowledge.pop(study.uid, None)
        return StudyReport(study.uid, outcome.value, tuple(series), study.procedure.value, study.error)


def _event(error: str | None, series: int, pulled: int, arrived: int) -> str | None:
    """What happened to a study in this pass, for `status`; None for nothing."""
    if error is not None:
        return error
    if not series:
        return "the scanner has no series of it"
    if pulled:
        return f"{pulled} series pulled, {arrived} images arrived"
    return f"{arrived} images arrived" if arrived > 0 else None
