"""A reading of the monotonic clock, for rules that compare two of them. A plain module."""

from scanner_mover.record import Record


class Moment(Record):
    """A reading of the monotonic clock: which boot it counts from, and the seconds since."""

    boot: str
    seconds: float

    def since(self, earlier: "Moment | None") -> float | None:
        """Seconds from EARLIER to this moment; None when they cannot be compared (no reading, another boot)."""
        if earlier is None or earlier.boot != self.boot or earlier.seconds > self.seconds:
            return None
        return self.seconds - earlier.seconds

    def turn(self, boot: str) -> tuple[bool, float]:
        """What moments are sorted by during BOOT: those of an earlier one come first, however long it lasted."""
        return self.boot == boot, self.seconds
