"""Each system call of a pass fails once: EIO, ESTALE, a full disk, no more descriptors, no rights.

A first pass writes down which calls it makes (`shim`), a line of the program and a number each. Then a pass like it is
made for each of them, in which it fails. The invariants hold at once, no traceback is seen, and the passes after it
finish what can be finished and nothing else. In CI a seeded sample; with `--full` each call that there is, the first
times that a line makes it, and with each error that fits.
"""

import random
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults import shim
from tests.faults.limits import short_limits
from tests.faults.place import Place

SCENARIO = "a system call fails"
SHIM = Path(shim.__file__).parent
# What a line does more often than this it does for more of the same.
MOST_OF_A_LINE = 3
ERRORS = ("EIO", "ESTALE", "EACCES")
OF_CHANGES = ("ENOSPC", "EROFS")
CHANGES = {"chmod", "chown", "fchmod", "fchown", "file.write", "link", "mkdir", "rename", "replace", "rmdir", "symlink"}
MORE_CHANGES = {"unlink", "utime", "write"}
OF_DESCRIPTORS = ("EMFILE", "ENFILE")
SAMPLE_IN_CI = 12
SHARES, SHARES_IN_CI = 16, 2
SEED = 11

# 0, or one line and 4 or 5; 3 when the configuration could not be read.
STATUSES = (0, 3, 4, 5)


class Failing(NamedTuple):
    """A call, as the shim names it, and the error that it ends with."""

    call: str
    error: str


def choose(calls: list[str], full: bool) -> list[Failing]:
    """Which of the calls fail, and how."""
    numbers = random.Random(SEED)
    chosen = [call for call in calls if int(call.rsplit(" ", 1)[1]) <= MOST_OF_A_LINE]
    failing = []
    for call in chosen:
        errors = errors_of(call.split()[0])
        failing += [Failing(call, error) for error in (errors if full else [numbers.choice(errors)])]
    # One of each line before a second of any.
    numbers.shuffle(failing)
    return failing if full else list({one.call.rpartition(" ")[0]: one for one in failing}.values())


def errors_of(name: str) -> list[str]:
    """What the call may end with."""
    if name == "pipe":
        return [*OF_DESCRIPTORS]
    more = OF_CHANGES if name in CHANGES | MORE_CHANGES else OF_DESCRIPTORS if name in ("open", "scandir") else ()
    return [*ERRORS, *more]


@pytest.mark.timeout(6 * 3600)
def test_each_system_call_fails_once(place: Place, share: int, full: bool) -> None:
    studies = place.fill()
    calls = place.trace(SHIM, "SYSTEM_CALLS_TRACE")
    place.settle(studies)
    failing = choose(calls, full)[share::SHARES] if full else choose(calls, full)[:SAMPLE_IN_CI][share::SHARES_IN_CI]
    print(f"{len(failing)} failing calls of {len(set(calls))} calls")
    broken = []
    for one in failing:
        studies = place.fill()
        with short_limits(place.site):
            done = place.a_pass(SHIM, SYSTEM_CALLS_FAULT=one.call, SYSTEM_CALLS_ERRNO=one.error)
        place.entry.count()
        try:
            place.check_at_once(done, STATUSES)
        except AssertionError as error:
            said = "\n".join(done.stderr.splitlines()[-2:])
            broken.append(f"{one.call}, {one.error}: ended with {done.returncode}: {error}\n{said}")
        place.settle(studies)
    assert not broken, "\n\n".join(broken)
