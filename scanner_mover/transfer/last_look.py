"""The questions before a request is closed: all that decides is asked and read immediately before (R22, R35, R44)."""

from collections.abc import Callable
from dataclasses import dataclass

from scanner_mover import clock
from scanner_mover.failures import Failure, Level
from scanner_mover.rules import closing as rules
from scanner_mover.rules import series as series_rules
from scanner_mover.rules.records import Listing
from scanner_mover.scanner.inventory import Everything, Inventory, StudyAnswer
from scanner_mover.site.mpps import Step
from scanner_mover.text import counted, images_of
from scanner_mover.transfer import waiting
from scanner_mover.transfer.faults import LISTS, cut_short, fault
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.messages import note_failure
from scanner_mover.transfer.study import Series, Study, look


@dataclass(frozen=True)
class LastLook:
    """Asks the questions before closing; `steps_of` reads the MPPS files of one study anew."""

    job: Job
    findings: Findings
    inventory: Inventory
    steps_of: Callable[[str], tuple[Step, ...]]

    def at(self, study: Study) -> bool:
        """Ask everything that closes STUDY, read its MPPS files, and count it anew; False: not all was answered.

        Where the answers say that it must not be closed now, `study.error` says why.
        """
        by_name = self._to_list(study)
        reported = self.inventory.everything(study.uid, by_name)
        study.asked_at = clock.now()
        study.answer, study.steps = reported.series, self.steps_of(study.uid)
        waiting.note_steps(study)
        if not self._is_answered(study, reported):
            return False
        self.findings.asked.add(study.uid)
        memory = {uid: one.memory for uid, one in study.series.items()}
        study.memory = study.memory._replace(series=memory, study_date=reported.study.study_date or "")
        images = {(study.uid, uid): answer for uid, answer in reported.images.items()}
        look(study, images, self.job.settings, self.job.folders, study.asked_at, again=True)
        waiting.note_quiet(study)
        self._say_lists(study, reported)
        self._look_for_a_cut(study, reported.study)
        return True

    def _to_list(self, study: Study) -> list[str]:
        """The series whose images are asked for by name; of the others the log says that their count decides."""
        by_name = []
        for one in study.wanted:
            if not one.is_reported:
                continue
            if one.reported.number is None or series_rules.are_named_by_uid(one.here.names):
                by_name.append(one.uid)
            else:
                self.job.log(f"{study.uid}/{one.uid}, its files are not named by UIDs: relying on the count")
        return by_name

    def _is_answered(self, study: Study, reported: Everything) -> bool:
        """Whether every question before closing was answered; a refusal of a level is an answer (R22 b, R35)."""
        questions: list[tuple[Level, Failure | None]] = [(Level.SERIES, reported.series.failure)]
        questions += [(Level.IMAGE, one.failure) for one in reported.images.values()]
        questions.append((Level.STUDY, reported.study.failure))
        for level, failure in questions:
            if failure is not None and (level is Level.SERIES or not series_rules.is_answer(failure)):
                text = f"{study.uid}, the scanner could not be asked at {level.value} level before closing"
                note_failure(self.job, self.findings, study, failure, text)
                return False
        return True

    def _say_lists(self, study: Study, reported: Everything) -> None:
        """Say of each series what its list means."""
        for uid, answer in reported.images.items():
            series = study.series.get(uid)
            if series is not None and series.memory.listing is not None:
                self._say_list(study, series, series.memory.listing, answer.failure)

    def _say_list(self, study: Study, series: Series, listing: Listing, failure: Failure | None) -> None:
        name, log = f"{study.uid}/{series.uid}", self.job.log
        if series_rules.relies_on_count(listing) and series.reported.number is not None:
            if listing.cut_in_a_row:
                # From here on the count decides: the lists have not recovered (R34).
                self.findings.dropped.add(LISTS)
            why = failure.text if failure else "it names none"
            log(f"{name}, the scanner does not list its images ({why}): relying on the count")
        elif listing.cut_in_a_row:
            assert failure is not None
            note_failure(self.job, self.findings, study, failure, f"{name}, the list of its images was cut short")
        elif listing.missing:
            one, several = "image that the scanner lists is not here", "images that the scanner lists are not here"
            log(f"{name}, {counted(listing.missing, one, several)}")
        if listing.succeeded and listing.answers != listing.listed:
            log(f"{name}, the scanner lists {images_of(listing.listed)} in {listing.answers} answers")

    def _look_for_a_cut(self, study: Study, reported: StudyAnswer) -> None:
        """If the STUDY level reports more than all series together, that is a fault (R35)."""
        reported_series = [one for one in study.series.values() if one.is_reported]
        numbers = [_number_of_images(one) for one in reported_series]
        if reported.failure is not None or not rules.study_reports_more(
            reported.series, reported.images, len(reported_series), numbers
        ):
            return
        at_study_level = images_of(reported.images) if reported.images else "? images"
        text = (
            f"study {study.uid}: the scanner reports {reported.series or '?'} series with {at_study_level} at STUDY "
            f"level, but lists {len(reported_series)} series with {sum(filter(None, numbers))}: it is not closed; does "
            "the scanner limit the number of its answers?"
        )
        study.error = study.error or "the scanner does not list all series"
        self.findings.faults.append(fault(cut_short(study.uid, text)))
        self.job.log(text)


def _number_of_images(series: Series) -> int | None:
    """How many images of a series the scanner reports, by its number or its list, repeated answers included."""
    listing = series.memory.listing
    answers = listing.answers if listing is not None and listing.listed else None
    return max(filter(None, (series.reported.number_of_series_related_instances, answers)), default=None)
