"""What was wrong in a pass, as lines that say what to do, and the exit status that follows.

A plain module: a pass with nothing to do can have a fault too, such as a log that cannot be written.
"""

from scanner_mover.errors import ExitStatus

_MOST_TOLD = 3


class Faults:
    """The faults of one pass. A text holds nothing that changes from pass to pass while the fault is the same."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}

    def add(self, text: str, exit_status: int) -> None:
        """Note a fault; the same one is noted once."""
        self._texts.setdefault(text, exit_status)

    def unusable(self, text: str) -> None:
        """Note that a tool, a folder or a disk cannot be used."""
        self.add(text, ExitStatus.UNUSABLE)

    def scanner(self, text: str) -> None:
        """Note that the scanner could not be asked or a retrieve failed."""
        self.add(text, ExitStatus.SCANNER)

    @property
    def exit_status(self) -> int:
        """4 before 5: what is wrong here keeps us from telling what is wrong there."""
        return min(self._texts.values(), default=ExitStatus.OK)

    def line(self) -> str | None:
        """All faults in one line; None when there is none."""
        # In an order of their own: what was met first may change from pass to pass.
        texts = sorted(self._texts)
        if len(texts) > _MOST_TOLD:
            texts[_MOST_TOLD:] = [f"and {len(texts) - _MOST_TOLD} more in the log"]
        return "; ".join(texts) or None
