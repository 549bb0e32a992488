"""What a pass is given to work on, and one study in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scanner_mover import rules
from scanner_mover.config import Settings
from scanner_mover.rules import Procedure, SeriesFacts
from scanner_mover.scanner.inventory import StudyAnswer
from scanner_mover.scanner.progress import Watcher
from scanner_mover.site import mpps
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.requests import Request
from scanner_mover.transfer.faults import Faults
from scanner_mover.transfer.history import StudyKnowledge


@dataclass(frozen=True)
class Work:
    """What a pass is to work on, and with what.

    `work` is a private, empty folder. `mpps_index` is where it is kept what MPPS files say, None where nothing may be
    kept. `closes` says whether requests may be moved between folders. `knowledge` is what earlier passes knew of each
    study, and is brought up to date. `new_among` gives which files of a kind were not told of by an earlier pass.
    """

    settings: Settings
    folders: DataFolders
    work: str
    mpps_index: str | None
    requests: Sequence[Request]
    closes: bool
    dry_run: bool
    scanner_was_down: bool
    knowledge: dict[str, StudyKnowledge]
    log: Callable[[str], None]
    new_among: Callable[[str, Sequence[str]], list[str]]
    faults: Faults
    watcher: Watcher


@dataclass
class Study:
    """One study in this pass."""

    request: Request
    knowledge: StudyKnowledge
    answer: StudyAnswer
    steps: tuple[mpps.Step, ...]
    series: dict[str, SeriesFacts] = field(default_factory=dict)
    quiet: bool = False
    pulling_since: float | None = None
    error: str | None = None

    @property
    def uid(self) -> str:
        """Its StudyInstanceUID."""
        return self.request.study_instance_uid

    @property
    def name(self) -> str:
        """How the log names the request: by its file."""
        return self.request.files[0] if self.request.files else self.uid

    @property
    def procedure(self) -> Procedure:
        """The state of its procedure, by its MPPS files."""
        return rules.procedure([step.end_time for step in self.steps])

    @property
    def may_finish(self) -> bool:
        """Whether it may be closed as finished, by what is known now."""
        answered = self.answer.failure is None
        return rules.may_finish(answered, list(self.series.values()), self.procedure, self.quiet)
