"""What a pass finds, put into the state (R29)."""

from collections.abc import Collection

from scanner_mover import clock
from scanner_mover.transfer import history
from scanner_mover.transfer.frame import Frame
from scanner_mover.transfer.job import Findings


class Keeper:
    """Puts what a pass finds of the REQUESTED studies into the state of FRAME; `findings` begin with what it holds."""

    def __init__(self, frame: Frame, requested: Collection[str]) -> None:
        self._frame = frame
        self._requested = requested
        known, self._broken = history.studies_from_json(frame.state.requests)
        self.findings = Findings(known, sick=history.sickness_from_json(frame.state.sick))

    def begin(self) -> None:
        """Note in the state file that a pass with work to do has begun."""
        frame = self._frame
        for uid in self._broken:
            frame.log(f"the state file {frame.server.state} is broken for {uid}; going on without it")
        if not frame.options.dry_run:
            frame.state.running_since = clock.iso(frame.started)
            frame.save_state()

    def take(self) -> None:
        """Take what was found into the state."""
        kept, findings = self._frame.state, self.findings
        memory = findings.memory
        wanted = memory if self._frame.options.studies else set(self._requested) & set(memory)
        kept.requests = {uid: history.to_json(memory[uid]) for uid in wanted}
        kept.scanner_down = findings.scanner_down
        kept.sick = None if findings.sick is None else history.to_json(findings.sick)
        kept.images_received += findings.images_received
        kept.moves_sent += findings.moves_sent
        kept.fruitless_moves += findings.fruitless_moves
        kept.failed_requests += sum(not one.finished for one in findings.closed)
        kept.failed_pulls += sum(
            series.pulled and series.error is not None for report in findings.reports for series in report.series
        )
