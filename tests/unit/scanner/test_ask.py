"""Asking the scanner many queries: in few associations, and again what was left unanswered (R11, R17)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scanner_mover.config import Settings
from scanner_mover.dcmtk.dump2dcm import series_of_study
from scanner_mover.dcmtk.findscu import Found
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Kind, Level, Service
from scanner_mover.scanner import ask as ask_module
from scanner_mover.scanner import retry
from scanner_mover.scanner.ask import ask, ending
from scanner_mover.scanner.query_files import QueryFiles
from tests.support.ports import LOOPBACK
from tests.support.site import fake_tool, real_tools

STUDY = "1.2.826.0.1.3680043.10.1561.12"
TAGS = ["0020,000d"]

# Answers each query with itself; the n-th call prints line n of "script" in the place of the k-th query ("k LINE"), and
# ends there when the line is an error.
FINDSCU = """
import os, shutil, sys
here = os.path.dirname(sys.argv[0])
output = sys.argv[sys.argv.index("-od") + 1]
queries = [name for name in sys.argv if name.endswith(".dcm")]
with open(os.path.join(here, "calls"), "a") as file:
    file.write(" ".join(os.path.basename(name) for name in queries) + "\\n")
call = len(open(os.path.join(here, "calls")).readlines())
script = open(os.path.join(here, "script")).read().split("\\n")
place, _, words = (script[call - 1] if call <= len(script) else "").partition(" ")
for number, name in enumerate(queries):
    print("I: Sending Find Request (MsgID 1)")
    if str(number) == place:
        print(words)
        if words.startswith("E: "):
            sys.exit()
        continue
    print(f"I: Received Find Response {number} (Pending)")
    print(f"I: Writing response dataset to file: {output}/rsp{number}.dcm")
    shutil.copy(name, f"{output}/rsp{number}.dcm")
    print("I: Received Final Find Response (Success)")
"""
BROKEN = "E: Find Failed, file: query1.dcm"
REJECTED = "E: Association Rejected: Result: Rejected Permanent, Source: Service User"
REFUSED = "I: Received Final Find Response (Failed: UnableToProcess)"
BUSY = "I: Received Final Find Response (Refused: OutOfResources)"


class Asking:
    """`ask` with a findscu that plays a script; `calls` are the queries that each call of it was given."""

    def __init__(self, folder: Path, tools: Toolbox, fake: Path) -> None:
        self.folder = folder
        self._tools = tools
        self._fake = fake
        self.log: list[str] = []

    def __call__(self, *script: str, studies: int = 3, retries: int = 2) -> list[Found]:
        (self._fake.parent / "script").write_text("\n".join(script))
        settings = Settings("ABCD", "config.json", "data", LOOPBACK, 104, "SCANNER", "MOVER", None)
        queries = [series_of_study(f"{STUDY}.{number}") for number in range(studies)]
        files = QueryFiles(self._tools, str(self.folder))
        return ask(self._tools, settings, files, queries, TAGS, retries=retries, log=self.log.append)

    @property
    def calls(self) -> list[list[str]]:
        return [line.split() for line in (self._fake.parent / "calls").read_text().splitlines()]


@pytest.fixture
def asking(tmp_path, monkeypatch) -> Asking:
    for name in ("_FIRST_PAUSE_SECONDS", "_MOST_JITTER_SECONDS"):
        monkeypatch.setattr(retry, name, 0.001)
    (tmp_path / "folder").mkdir()
    tools = real_tools("dump2dcm", "dcmdump")
    fake = fake_tool(tmp_path / "tools", "findscu", FINDSCU)
    return Asking(tmp_path / "folder", Toolbox({**tools.paths, "findscu": str(fake)}, tools.environment), fake)


def studies(found: list[Found]) -> list[list[str | None]]:
    return [[answer.one("0020,000d") for answer in one.answers] for one in found]


def kinds(found: list[Found]) -> list[Kind | None]:
    return [one.failure and one.failure.kind for one in found]


def test_R11_many_queries_are_asked_in_one_association(asking):
    found = asking()
    assert studies(found) == [[f"{STUDY}.0"], [f"{STUDY}.1"], [f"{STUDY}.2"]]
    assert (kinds(found), len(asking.calls), asking.log) == ([None] * 3, 1, [])


def test_R17_only_what_was_left_unanswered_is_asked_again_the_one_where_it_broke_off_last(asking):
    found = asking(f"1 {BROKEN}")
    assert (studies(found)[1:], kinds(found)) == ([[f"{STUDY}.1"], [f"{STUDY}.2"]], [None] * 3)
    first, second = asking.calls
    assert second == [first[2], first[1]]
    [line] = asking.log
    assert line == "C-FIND failed: Find Failed; next try in 0.0 s"


def test_R17_a_query_that_is_refused_is_not_asked_again(asking):
    found = asking(f"1 {REFUSED}")
    assert (kinds(found), len(asking.calls), asking.log) == ([None, Kind.REFUSED, None], 1, [])


def test_R17_no_more_than_the_retries(asking):
    found = asking(*[f"0 {BUSY}"] * 9, studies=1, retries=2)
    assert (kinds(found), len(asking.calls), len(asking.log)) == ([Kind.OUT_OF_RESOURCES], 3, 2)


def test_a_failure_says_that_it_is_of_a_C_FIND_and_at_which_level(asking):
    [found] = asking(f"0 {REFUSED}", studies=1)
    assert found.failure is not None
    assert (found.failure.detail.service, found.failure.detail.level) == (Service.FIND, Level.SERIES)


def test_a_thousand_go_into_one_association():
    assert ask_module._QUERIES_AN_ASSOCIATION == 1000


@pytest.fixture
def ten(monkeypatch):
    """Ten go into one association, in the place of a thousand."""
    monkeypatch.setattr(ask_module, "_QUERIES_AN_ASSOCIATION", 10)


@pytest.mark.usefixtures("ten")
def test_no_more_go_into_one_association_and_a_failure_for_good_ends_it(asking):
    found = asking(f"0 {REJECTED}", studies=11)
    assert [len(call) for call in asking.calls] == [10]
    assert kinds(found) == [Kind.REJECTED] * 11
    assert ending(found) == found[0].failure
    assert ending([one for one in found if one.failure is None]) is None


@pytest.mark.usefixtures("ten")
def test_more_need_two_associations(asking):
    found = asking(studies=11)
    assert [len(call) for call in asking.calls] == [10, 1]
    assert studies(found) == [[f"{STUDY}.{number}"] for number in range(11)]


@pytest.mark.parametrize("script", ["", f"0 {BROKEN}"])
def test_no_answers_are_left_behind(asking, script):
    asking(script)
    assert [path for path in asking.folder.iterdir() if path.is_dir()] == []


def test_a_folder_for_answers_that_cannot_be_made_is_one_line(asking, monkeypatch):
    def no_inodes(**_: Callable[..., str]) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", no_inodes)
    with pytest.raises(UnusableError, match=r"no folder can be made in .*: No space left on device"):
        asking()
