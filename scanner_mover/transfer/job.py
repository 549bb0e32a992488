"""What a pass is given to do, and what it has found so far."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from scanner_mover.config import Settings
from scanner_mover.rules.records import Silence, StudyMemory
from scanner_mover.rules.retrieving import Pauses
from scanner_mover.scanner.inventory import Place
from scanner_mover.scanner.progress import Progress
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.site.requests import Request
from scanner_mover.site.state import Counters
from scanner_mover.transfer.faults import Fault
from scanner_mover.transfer.report import ClosedRequest, StudyReport


@dataclass(frozen=True)
class Job:
    """What a pass is to do, and with what.

    `scratch_folder` is private and empty. `closes` says whether requests may be moved between folders, `by_hand`
    whether the studies were named on the command line (`--study`). `not_yet_reported` gives those of some paths that no
    earlier pass has reported. `forgotten` are studies whose memory was lost, `keep_state` writes the state file now and
    then while the pass goes on; where it cannot be written, `unusable` says so, and nothing is retrieved (R29).
    """

    settings: Settings
    folders: DataFolders
    server: ServerFolders
    requests: Sequence[Request]
    scratch_folder: str
    closes: bool
    by_hand: bool
    dry_run: bool
    scanner_was_down: bool
    log: Callable[[str], None]
    not_yet_reported: Callable[[str, Sequence[str]], list[str]]
    progress: Progress
    keep_state: Callable[[], None] = lambda: None
    forgotten: Collection[str] = ()
    unusable: str | None = None

    @property
    def pauses(self) -> Pauses:
        """How long to wait between attempts (R18, R29)."""
        return Pauses(self.settings.repull_after_seconds, self.settings.repull_at_most_seconds)

    @property
    def study_instance_uids(self) -> list[str]:
        """The studies of this pass."""
        return [request.study_instance_uid for request in self.requests]


@dataclass
class Findings:
    """What a pass has found so far; filled while it goes on, since a signal may end it at any moment.

    `memory` is what is remembered of each study, brought up to date; `closed` are the requests that were moved.
    `attempted` are the series for which a C-MOVE was sent, `asked` the studies of which the questions before closing
    were asked. `untested` are the groups of faults that this pass could not test, `dropped` those that end because
    nobody asks any more, and have not recovered. `missing`: something that the scanner has, or may have, is not
    here, whether it was asked for in this pass or not.
    """

    memory: dict[str, StudyMemory]
    silence: Silence | None = None
    scanner_down: bool = False
    faults: list[Fault] = field(default_factory=list)
    attempted: set[Place] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    untested: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    missing: bool = False
    reports: list[StudyReport] = field(default_factory=list)
    closed: list[ClosedRequest] = field(default_factory=list)
    moves_sent: int = 0
    fruitless_moves: int = 0
    images_received: int = 0

    def counters(self) -> Counters:
        """What is counted for the metrics."""
        return Counters(
            failed_pulls=sum(one.pulled and one.error is not None for study in self.reports for one in study.series),
            images_received=self.images_received,
            moves_sent=self.moves_sent,
            fruitless_moves=self.fruitless_moves,
            failed_requests=sum(not one.finished for one in self.closed),
        )
