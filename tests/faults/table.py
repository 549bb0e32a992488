"""The table at the end of a run: each scenario, how often it ran, after how many passes the invariants were checked."""

from collections import Counter
from collections.abc import Iterable

import pytest

_SCENARIO = "fault scenario"


class Entry:
    """One run of a scenario in the table: after how many passes the invariants were checked.

    A test may run several: when it fails, those that have `held` until then are not the broken ones, and when one
    `broke` no other is.
    """

    def __init__(self, request: pytest.FixtureRequest, name: str) -> None:
        # As text: these travel from the workers of pytest-xdist to the run that prints the table.
        self._properties = request.node.user_properties
        self._name = name
        self._passes = 0
        self._state = "begun"
        self._properties.append(self._property())

    def count(self) -> None:
        """The invariants are about to be checked after one more pass."""
        self._properties.remove(self._property())
        self._passes += 1
        self._properties.append(self._property())

    def held(self) -> None:
        """Nothing that comes now can break it."""
        self._properties.remove(self._property())
        self._state = "held"
        self._properties.append(self._property())

    def broke(self) -> None:
        """It is what the test is about to fail for."""
        self._properties.remove(self._property())
        self._state = "broke"
        self._properties.append(self._property())

    def _property(self) -> tuple[str, str]:
        return _SCENARIO, f"{self._passes} {self._state} {self._name}"


def lines(reports: Iterable[pytest.TestReport]) -> list[str]:
    """The table of what the reports of a run hold; empty without a scenario."""
    runs: Counter[str] = Counter()
    passes: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for report in reports:
        if report.when != "call":
            continue
        entries = [str(value).split(" ", 2) for key, value in report.user_properties if key == _SCENARIO]
        blamed = {"broke"} if any(state == "broke" for _, state, _ in entries) else {"begun"}
        for number, state, name in entries:
            runs[name] += 1
            passes[name] += int(number)
            broken[name] += report.failed and state in blamed
    width = max(map(len, runs), default=0)
    table = [f"{name:{width}}  {runs[name]:6}  {passes[name]:6}  {broken[name]:6}" for name in sorted(runs)]
    if table:
        table.insert(0, f"{'scenario':{width}}  {'runs':>6}  {'passes':>6}  {'broken':>6}")
        table.append(f"{'in all':{width}}  {runs.total():6}  {passes.total():6}  {broken.total():6}")
    return table
