"""Python runs this first when PYTHONPATH leads here: a signal reaches the mover at an instruction that is chosen.

Python looks for signals when a call has come back, when a function begins, and when a loop goes round. Each such place
in the code of a pass has a name: the file, the function, and the number of the instruction. With INTERRUPTION_TRACE the
names are written there, each once, in the order in which the main thread comes to them. With INTERRUPTION_AT (a name)
and INTERRUPTION_TIMES the main thread sends itself SIGTERM when it comes there that many times.
"""

import dis
import os
import signal
import sys
from functools import cache

_TRACE = os.environ.get("INTERRUPTION_TRACE")
_AT = os.environ.get("INTERRUPTION_AT")
_TIMES = int(os.environ.get("INTERRUPTION_TIMES", "1"))

_process = os.getpid()
_seen: set[str] = set()
_file, _function, _instruction = (_AT or "::").rsplit(":", 2)
_left = _TIMES


@cache
def _places(code) -> frozenset[int]:
    """The instructions of CODE before which Python looks for signals."""
    places, looks = set(), False
    targets = set()
    for one in dis.get_instructions(code):
        if looks:
            places.add(one.offset)
        looks = one.opname.startswith(("RESUME", "CALL", "SEND"))
        if one.opname.startswith("JUMP_BACKWARD"):
            targets.add(one.argval)
    return frozenset(places | targets)


def _begins(frame, event, argument):
    """What Python calls when a function begins."""
    code = frame.f_code
    if _AT is not None and (code.co_filename != _file or code.co_name != _function):
        return None
    frame.f_trace_opcodes, frame.f_trace_lines = True, False
    return _goes_on


def _goes_on(frame, event, argument):
    global _left
    if event != "opcode" or frame.f_lasti not in _places(frame.f_code) or os.getpid() != _process:
        return _goes_on
    code = frame.f_code
    if _AT is None:
        name = f"{code.co_filename}:{code.co_name}:{frame.f_lasti}"
        if name not in _seen:
            _seen.add(name)
            os.write(_descriptor, f"{name}\n".encode())
    elif frame.f_lasti == int(_instruction):
        _left -= 1
        if _left == 0:
            sys.settrace(None)
            os.write(2, b"interrupted outside\n" if _is_outside(frame) else b"interrupted here\n")
            signal.raise_signal(signal.SIGTERM)
    return _goes_on


def _is_outside(frame) -> bool:
    """Whether signals have no meaning: no handler is installed, or what was printed is brought out and all is over."""
    while frame is not None:
        if frame.f_code.co_name == "finish" and frame.f_code.co_filename.endswith("/display/output.py"):
            return True
        frame = frame.f_back
    return sys.modules["scanner_mover.signals"]._over


def _waits(frame, event, argument):
    """Nothing is of interest until the mover listens to signals."""
    code = frame.f_code
    if code.co_name == "install" and code.co_filename.endswith("scanner_mover/signals.py"):
        sys.settrace(_begins)
        above = frame
        while above is not None:
            above.f_trace = _begins(above, "call", None)
            above = above.f_back
        return frame.f_trace
    return None


if _TRACE is not None:
    _descriptor = os.open(_TRACE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
if _TRACE is not None or _AT is not None:
    sys.settrace(_waits)
