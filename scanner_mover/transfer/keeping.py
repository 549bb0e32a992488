"""What a pass finds, put into the state, also while the pass goes on: a kill must not make it ask again (R29)."""

import time
from collections.abc import Collection

from scanner_mover import clock
from scanner_mover.errors import UnusableError
from scanner_mover.transfer import history
from scanner_mover.transfer.frame import Frame
from scanner_mover.transfer.job import Findings

# Writing the state takes at most this part of the time of a pass.
_PART_OF_THE_TIME = 0.05


class Keeper:
    """Puts what a pass finds of the REQUESTED studies into the state of FRAME.

    `findings` begin with what the state holds; `forgotten` are the studies of which it could not be read.
    """

    def __init__(self, frame: Frame, requested: Collection[str]) -> None:
        self._frame = frame
        self._requested = frozenset(requested)
        self._before = frame.state.counters()
        self._next_save = 0.0
        known, self._broken = history.studies_from_json(frame.state.requests)
        self.findings = Findings(known, silence=history.silence_from_json(frame.state.silence))
        self.forgotten = frozenset(self._broken) if frame.state_problem is None else self._requested

    def begin(self) -> UnusableError | None:
        """Note in the state file that a pass with work to do has begun; gives why that failed, which is a fault."""
        frame = self._frame
        for uid in self._broken:
            frame.log(f"the state file {frame.server.state} is broken for {uid}; going on without it")
        if not frame.may_write:
            return None
        frame.state.running_since = clock.iso(frame.started)
        problem = self._save()
        if problem is not None:
            frame.blame(problem)
            frame.log(f"{problem}: nothing is retrieved")
        return problem

    def now_and_then(self) -> None:
        """Write what was found so far, unless that would cost more than its part of the time."""
        if self._frame.may_write and time.monotonic() >= self._next_save:
            self.take()
            self._save()  # what is wrong with it the end of the pass says

    def take(self) -> None:
        """Take what was found so far into the state; may be called again."""
        kept, findings = self._frame.state, self.findings
        memory = findings.memory
        wanted = memory if self._frame.options.studies else self._requested & set(memory)
        kept.requests = {uid: history.to_json(memory[uid]) for uid in wanted}
        kept.scanner_down = findings.scanner_down
        kept.silence = None if findings.silence is None else history.to_json(findings.silence)
        kept.count(self._before, findings.counters())

    def end(self) -> None:
        """Take what was found into the frame and the state, whatever ended the work."""
        frame, findings = self._frame, self.findings
        # Whatever it is: a pass without a request to work on does not test it.
        frame.faults += (one._replace(needs_requests=True) for one in findings.faults)
        frame.closed += findings.closed
        self.take()

    def _save(self) -> UnusableError | None:
        began = time.monotonic()
        problem = self._frame.save_state()
        now = time.monotonic()
        self._next_save = now + (now - began) / _PART_OF_THE_TIME
        return problem
