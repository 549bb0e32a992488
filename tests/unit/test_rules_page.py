"""fixtures/reference/rules.md: each rule has a test of its number, and nothing cites a rule that is not there."""

import re
from pathlib import Path
from typing import NamedTuple

_TOP = Path(__file__).resolve().parents[2]
_PAGE = _TOP / "fixtures" / "reference" / "rules.md"
# `R22 a` and `r22b` in a name are rule 22.
_IN_NAME = re.compile(r"(?<=_)[rR](\d+)[ab]?(?=_)")
_TEST = re.compile(r"^ *def (test_\w+)\(", re.MULTILINE)
_CITED = re.compile(r"(?<![A-Za-z0-9])R(\d{1,3})[ab]?(?![A-Za-z0-9])")


class Rule(NamedTuple):
    """One section of the page: its number, the names of its lines, the test that it names (None: coming)."""

    number: int
    lines: tuple[str, ...]
    test: str | None


def _rules() -> list[Rule]:
    found = []
    for section in re.split(r"^### ", _PAGE.read_text(), flags=re.MULTILINE)[1:]:
        number = re.match(r"R(\d+) · \S", section)
        assert number, section.splitlines()[0]
        lines = dict(re.findall(r"^- (\w+): (.+)$", section, flags=re.MULTILINE))
        test = re.fullmatch(r"`(\w+)`|coming", lines.get("Test", ""))
        assert test, f"R{number[1]} says neither `test_…` nor coming"
        found.append(Rule(int(number[1]), tuple(lines), test[1]))
    return found


def _python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in (_TOP / folder).rglob("*.py") if path != Path(__file__)]


def _tests() -> set[str]:
    """The names of all test functions, methods included."""
    return {name for path in _python_files("tests") for name in _TEST.findall(path.read_text())}


_RULES = _rules()


def test_the_page_has_each_rule_once_and_in_order() -> None:
    assert [rule.number for rule in _RULES] == list(range(1, 45))


def test_a_rule_says_what_happens_what_we_do_why_and_what_tests_it() -> None:
    for rule in _RULES:
        assert rule.lines == ("Script" if rule.number <= 28 else "Site", "We", "Why", "Test"), f"R{rule.number}"


def test_a_rule_that_is_built_has_the_test_that_it_names() -> None:
    tests = _tests()
    built = [rule for rule in _RULES if rule.test is not None]
    assert {f"R{rule.number}: {rule.test}" for rule in built if rule.test not in tests} == set()
    numbers = {int(number) for test in tests for number in _IN_NAME.findall(test)}
    assert {f"R{rule.number}" for rule in built if rule.number not in numbers} == set()
    assert [rule.test for rule in built if str(rule.number) not in _IN_NAME.findall(str(rule.test))] == []


def test_code_tests_and_documents_cite_no_other_rule() -> None:
    there = {rule.number for rule in _RULES}
    cited = {
        f"{path.relative_to(_TOP)}: R{number}"
        for path in [*_python_files("scanner_mover", "tests", "fixtures"), *_TOP.glob("*.md"), *_TOP.glob("*/*.md")]
        for number in _CITED.findall(path.read_text())
        if int(number) not in there
    }
    assert cited == set()
