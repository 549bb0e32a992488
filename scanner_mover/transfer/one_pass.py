"""One pass, in the order configuration, lock, log, switch, work, and what is kept and reported at its end.

A plain module: a pass with nothing to do imports nothing that costs time.
"""

from scanner_mover import config, signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.config import Settings
from scanner_mover.errors import ConfigurationError, Ended, UnknownProjectError, UnusableError
from scanner_mover.transfer.ending import PassResult, end
from scanner_mover.transfer.frame import Frame, View, place_of
from scanner_mover.transfer.work import Work, work

__all__ = ["PassResult", "View", "place_of", "run_pass"]


def run_pass(options: MoveOptions, program: str, view: View) -> PassResult:
    """Make one pass.

    Raises LockHeldError when another pass holds the lock, UsageError and UnknownProjectError before anything is made.
    """
    frame = Frame(options, place_of(options, program), view)
    settings = _settings(frame)
    result: PassResult | None = None
    try:
        frame.take_lock(settings)
        kept = frame.state.events
        done, raised = _work(frame, settings)
        with signals.deferred():
            result = end(frame, settings, done, raised)
        frame.lock.release()
        if settings is not None and frame.may_write and raised is None and (kept or result.events):
            from scanner_mover.transfer import notify  # most passes have no event

            changes = notify.deliver(settings, frame.server, result.events, kept, frame.log)
            result = result._replace(new=(*result.new, *changes))
        return result
    except Ended as ended:  # in the last steps, or while a program of the site was running
        if result is None:
            raise
        return result._replace(raised=ended)
    finally:
        frame.close()


def _settings(frame: Frame) -> Settings | None:
    """The configuration; None when it cannot be used, which is a fault. Raises UnknownProjectError."""
    options = frame.options
    try:
        return config.load(
            config.file_to_use(options.config),
            frame.project,
            receive=options.receive,
            settle_seconds=options.settle_seconds,
            give_up_after_seconds=options.give_up_after_seconds,
        )
    except UnknownProjectError:
        raise
    except ConfigurationError as error:
        frame.blame(error)
        return None


def _work(frame: Frame, settings: Settings | None) -> tuple[Work, BaseException | None]:
    """What the work came to, and the signal or the error of ours that ended it."""
    if settings is None or frame.faults:
        return Work(), None
    try:
        return work(frame, settings), None
    except (ConfigurationError, UnusableError) as error:
        frame.blame(error)
    except Ended as ended:
        frame.log(f"ended by signal {ended.signal_number}; the next pass goes on")
        return Work(), ended
    except BaseException as error:  # an error of ours: the caller logs it
        return Work(), error
    return Work(), None
