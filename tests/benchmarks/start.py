"""A pass with nothing to do: no request, and switched off."""

import sys

from tests.benchmarks.data import Lab, a_pass
from tests.benchmarks.harness import Ran, Row, cpu, in_turn, milliseconds, must, run
from tests.support.site import Site

# Whole processes of a few ms: many cost nothing, and few say nothing.
_LEAST_ROUNDS = 20


def rows(lab: Lab) -> list[Row]:
    site = Site(lab.folder("site"))
    python = f"python -c pass ({sys.version_info.major}.{sys.version_info.minor})"

    def pass_of(program: str, switch: bytes, message: str) -> Ran:
        site.switch(switch)
        ran = a_pass(site, program=program)
        must(site.messages()[-1] == message, f"{program} did something else: {site.messages()[-3:]}")
        return ran

    def nothing() -> Ran:
        return run([sys.executable, "-c", "pass"], site.environment)

    rows = []
    for program, mark in (("moveFromScanner.sh", 3.5), ("scanner-mover", 8)):
        sides = {
            "no request": lambda: pass_of(program, b"010\n", "move enabled, start getScans"),  # noqa: B023
            "python": nothing,
            "switched off": lambda: pass_of(program, b"000\n", "move disabled, start clearScans"),  # noqa: B023
        }
        in_turn(1, sides)  # bytecode
        ran = in_turn(max(lab.rounds, _LEAST_ROUNDS), sides)
        for name in ("no request", "switched off"):
            what = f"nothing to do, {name}: {program}{' move' if program == 'scanner-mover' else ''}"
            rows.append(Row("start", what, milliseconds(ran[name]), python, milliseconds(ran["python"]), mark))
        # What else the machine does changes this less.
        ours, theirs = cpu(ran["no request"]), cpu(ran["python"])
        rows.append(Row("start", f"nothing to do, no request: {program}: CPU", ours, python, theirs))
    return rows
