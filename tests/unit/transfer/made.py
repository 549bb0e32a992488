"""What the tests of this folder make: a job without a scanner, and studies as a pass sees them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scanner_mover.config import Settings
from scanner_mover.moment import Moment
from scanner_mover.rules.records import ReportedSeries, SeriesMemory, StudyMemory
from scanner_mover.scanner.inventory import SeriesAnswer
from scanner_mover.scanner.progress import Progress
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.site.mpps import Step
from scanner_mover.site.requests import Request, scan
from scanner_mover.transfer.job import Job
from scanner_mover.transfer.study import Study, look

STUDY = "1.2.826.0.1.3680043.10.1561.3"
SERIES = f"{STUDY}.1"
NOW = Moment("boot", 100_000.0)
ENDED = Step("MPPS.1.2.3", "1.2.3", "COMPLETED", "104500")
RUNNING = Step("MPPS.1.2.3", "1.2.3", "IN PROGRESS", None)
SETTINGS = Settings("ABCD", "config.json", "data", "127.0.0.1", 104, "CONSOLE", "MOVER", 11112, reserve_bytes=0)


def ago(seconds: float) -> Moment:
    """So many seconds before NOW."""
    return Moment(NOW.boot, NOW.seconds - seconds)


def uids(number: int) -> list[str]:
    """The SOPInstanceUIDs of a series of this many images."""
    return [f"{SERIES}.{one}" for one in range(1, number + 1)]


def folders(root: Path) -> DataFolders:
    """A data folder below `root`, with what a site has."""
    made = DataFolders(str(root / "data"))
    for path in (made.active_scans, made.finished_scans, made.failed_scans, made.raw):
        Path(path).mkdir(parents=True, exist_ok=True)
    return made


def have(root: Path, names: Iterable[str], series: str = SERIES, content: str = "image") -> None:
    """Files of these names are in the folder of the series."""
    folder = Path(folders(root).series(STUDY, series))
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(content)


def make_job(root: Path, lines: list[str] | None = None, **more: Any) -> Job:
    """A job over what is requested below `root`; `more` are its other fields, or options of the settings."""
    options = {name: more.pop(name) for name in list(more) if name in Settings._fields}
    server = ServerFolders(str(root / "server"), "ABCD")
    Path(server.pids).mkdir(parents=True, exist_ok=True)
    made = folders(root)
    job = Job(
        settings=SETTINGS._replace(data_dir=made.data_dir, **options),
        folders=made,
        server=server,
        requests=scan(made.active_scans).requests,
        scratch_folder=str(root),
        closes=True,
        by_hand=False,
        dry_run=False,
        scanner_was_down=False,
        log=[].append if lines is None else lines.append,
        not_yet_reported=lambda kind, paths: list(paths),
        progress=Progress(),
    )
    return replace(job, **more)


def request(root: Path, **more: Any) -> Request:
    """A request for the study, as a pass finds it."""
    Path(folders(root).active_scans, STUDY).write_text("")
    (found,) = scan(folders(root).active_scans).requests
    return found._replace(**more)


def make_study(
    root: Path,
    *reported: ReportedSeries,
    memory: StudyMemory | None = None,
    series: dict[str, SeriesMemory] | None = None,
    answer: SeriesAnswer | None = None,
    steps: tuple[Step, ...] = (ENDED,),
    **options: Any,
) -> Study:
    """The study as it is looked at NOW: the scanner has REPORTED its series."""
    memory = (memory or StudyMemory())._replace(series=series or {})
    study = Study(request(root), memory, answer or SeriesAnswer(reported), NOW, steps)
    look(study, {}, SETTINGS._replace(**options), folders(root), NOW)
    return study
