"""The enums of the contract: what became of a request, what it waits for, and the state of its procedure.

A plain module: `status` needs them where nothing is requested too.
"""

import enum


class Procedure(enum.Enum):
    """The state of a study's procedure, by the MPPS files that are here (R20, R21)."""

    ENDED = "ended"
    IN_PROGRESS = "in progress"
    UNKNOWN = "unknown"


class Outcome(enum.Enum):
    """What a pass did with a request."""

    FINISHED = "finished"
    FAILED = "failed"
    WAITING = "waiting"
    ERROR = "error"


class WaitsFor(enum.Enum):
    """What a request waits for; the words are those of `status --json`."""

    RETRIEVE = "retrieve"
    QUIET = "quiet"
    PROCEDURE = "procedure"
    MPPS = "mpps"
    IMAGES = "images"
    SCANNER = "scanner"
    NOTHING = "nothing"
