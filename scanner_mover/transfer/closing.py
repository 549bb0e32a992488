"""Closing a request: to `finished-scans`, or to `failed-scans` when it is over age (R22 to R26)."""

import time

from scanner_mover import clock, rules
from scanner_mover.rules import Outcome
from scanner_mover.site import requests
from scanner_mover.site.disk import sync_file_system, sync_folder
from scanner_mover.transfer.study import Study, Work


def finish(work: Work, study: Study) -> Outcome:
    """Close the request of STUDY, of which everything is here.

    Raises UnusableError when it cannot be moved.
    """
    if study.request.files and work.closes:
        if not work.dry_run:
            sync_file_system(work.folders.raw)
        _close(work, study, work.folders.finished_scans, "JOB {file} to {folder}")
    return Outcome.FINISHED


def look_at_age(work: Work, study: Study) -> Outcome:
    """Close the request of STUDY, which is not finished, if it has failed (R24).

    Raises UnusableError when it cannot be moved.
    """
    waiting = Outcome.WAITING if study.error is None else Outcome.ERROR
    if not study.request.files or not work.closes:
        return waiting
    answered = study.answer.failure is None
    age = requests.age(study.request, time.time())
    over_age = age is not None and age >= work.settings.give_up_after_seconds
    now = clock.now()
    since = rules.over_age_since(over_age, answered, study.knowledge.over_age_since, now)
    study.knowledge.over_age_since = since
    if not over_age:
        work.log(f'"{study.name}" is too new, keep it around longer')
    elif not rules.gives_up(answered, since, now):
        why = "it fails if that is still so in a minute" if answered else "kept until the scanner answers"
        work.log(f'"{study.name}" is old, {why}')
    else:
        _close(work, study, work.folders.failed_scans, '"{file}" is old, download seems to have failed')
        return Outcome.FAILED
    return waiting


def _close(work: Work, study: Study, folder: str, message: str) -> None:
    if work.dry_run:
        work.log(f"would move {study.name} to {folder}")
        return
    moved = requests.close(study.request, folder)
    for changed in (folder, work.folders.active_scans):
        sync_folder(changed)
    for file in moved:
        work.log(message.format(file=file, folder=folder))
    if not moved:
        work.log(f"{study.name} was taken away meanwhile")
