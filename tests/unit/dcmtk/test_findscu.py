"""What findscu says, as four versions say it, and what a C-FIND makes of it (R11, R12, R14)."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.config import Settings
from scanner_mover.dcmtk import findscu
from scanner_mover.dcmtk.dump2dcm import make_query_file, series_of_study
from scanner_mover.dcmtk.findscu import MOST_ANSWERS, MOST_BYTES, Asked, Found, find, parse
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Kind, Service
from tests.support.ports import LOOPBACK
from tests.support.site import fake_tool, real_tools, shell_tool
from tests.unit.dcmtk import NEEDED, VERSIONS, sample

STUDY = "1.2.826.0.1.3680043.10.1561.11"
SUCCESS = "Success"
RSP = "rsp{:04}.dcm".format

versions = pytest.mark.parametrize("version", VERSIONS)


def test_all_four_versions_were_recorded():
    assert set(NEEDED) <= set(VERSIONS)


# The text


def asked(*files: int, status: str | None = SUCCESS) -> Asked:
    return Asked(len(files), [RSP(number) for number in files], status)


@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("find-two-answers", [asked(1, 2)]),
        ("find-several-queries", [asked(1, 2), asked(), asked(5)]),
        ("find-nothing", [asked()]),
        ("find-hostile", [asked(1)]),
        ("find-latin1", [asked(1)]),
        ("find-odd-uid", [asked(1)]),
        ("find-pending-warning", [asked(1, 2)]),
        ("find-status-a700", [asked(status="Refused: OutOfResources")]),
        ("find-status-c001", [asked(status="Failed: UnableToProcess")]),
        ("find-status-after-answers", [asked(1, 2, status="Refused: OutOfResources")]),
        ("find-status-then-more", [asked(status="Refused: OutOfResources"), asked(2, 3), asked(5)]),
        ("find-abort", [asked(1), asked(3, status=None)]),
        ("find-hang-up", [asked(1), asked(3, status=None)]),
        ("find-silence", [asked(1), asked(3, status=None)]),
        ("find-response-too-many", [asked(status="Unknown Status: 0x107"), asked(status=None)]),
        ("find-bad-query", [asked(1)]),
        ("find-no-dictionary", [asked(status=None)]),
        ("find-missing-query", []),
        ("find-missing-folder", []),
        ("find-quiet", []),
        ("find-no-context", []),
        ("find-refused", []),
        ("find-rejected-called", []),
        ("find-rejected-busy", []),
        ("find-closed-at-once", []),
        ("find-no-association", []),
    ],
)
def test_R12_every_version_is_understood(name, queries):
    assert {version: parse(sample(version, name).lines) for version in VERSIONS} == dict.fromkeys(VERSIONS, queries)


@versions
def test_R12_one_final_status_for_each_query(version):
    recorded = sample(version, "find-every-status")
    sent = re.findall(r"0x[0-9A-F]{4}", recorded.index["shows"])
    found = parse(recorded.lines)
    assert len(found) == len(sent) > 20
    assert [number for number, one in zip(sent, found, strict=True) if one.status == SUCCESS] == ["0x0000"]
    assert all(one.status for one in found)


def test_R12_the_words_of_3_6_0_tell_of_no_query():
    lines = ["W: Find Response: 1 (Pending)", "W: (0020,000e) UI [1.2.3] #  6, 1 SeriesInstanceUID", "W: ---------"]
    assert parse(lines) == []


lines_of_findscu = st.sampled_from(
    sorted(
        {
            line
            for version in VERSIONS
            for name in ("find-several-queries", "find-abort")
            for line in sample(version, name).lines
        }
    )
)


@given(lines=st.lists(st.text(st.characters()) | lines_of_findscu))
def test_any_text_is_read_without_a_crash(lines):
    assert len(parse(lines)) == sum(line.startswith("I: Sending Find Request") and "\n" not in line for line in lines)


# A C-FIND

TAGS = ["0020,000d", "0020,000e"]
# Prints the file TEXT beside it, and copies the answers beside it to the folder of -od.
PLAYS_A_TEXT = """
here=${0%/*}
[ "$1" != --version ] || exec head -n 1 "$here/text"
printf '%s\\n' "$@" > "$here/arguments"
while [ "$1" != -od ]; do shift; done
for answer in "$here/answers"/*; do
    [ ! -e "$answer" ] || cp "$answer" "$2"
done
cat "$here/text" >&2
"""


def settings(port: int = 104, **more: object) -> Settings:
    basis = Settings("ABCD", "config.json", "data", LOOPBACK, port, "SCANNER", "MOVER", None)
    return basis._replace(connect_timeout_seconds=5, response_timeout_seconds=5, **more)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(scope="module")
def one_answer(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a scanner answers about the study, in a file."""
    made = make_query_file(
        real_tools("dump2dcm"), series_of_study(STUDY), str(tmp_path_factory.mktemp("answer") / "answer")
    )
    return Path(made).read_bytes()


@pytest.fixture
def plays(tmp_path, folder, one_answer) -> Callable[..., list[Found]]:
    """`find` of `queries` queries with a findscu that prints `text`; `good` and `bad` answers come with it."""
    tools = real_tools("dcmdump")
    fake = shell_tool(tmp_path / "tools", "findscu", PLAYS_A_TEXT)
    answers = fake.parent / "answers"
    answers.mkdir()

    def plays(text: str, *, queries: int = 1, good: tuple[int, ...] = (), bad: tuple[int, ...] = ()) -> list[Found]:
        (fake.parent / "text").write_text(text)
        for number in good:
            (answers / RSP(number)).write_bytes(one_answer)
        for number in bad:
            (answers / RSP(number)).write_bytes(b"no DICOM")
        both = Toolbox({**tools.paths, "findscu": str(fake)}, tools.environment)
        return find(both, settings(), ["query"] * queries, str(folder), TAGS)

    return plays


SENDING = "I: Sending Find Request (MsgID 1)\n"
FINAL = "I: Received Final Find Response (Success)\n"


def answer(number: int, folder: str = "somewhere") -> str:
    return (
        f"I: Received Find Response {number} (Pending)\nI: Writing response dataset to file: {folder}/{RSP(number)}\n"
    )


def test_R11_its_answers_are_read(plays):
    [found] = plays(SENDING + answer(1) + answer(2) + FINAL, good=(1, 2))
    assert found.failure is None
    assert [one.one("0020,000d") for one in found.answers] == [STUDY, STUDY]


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (SENDING + answer(1) + FINAL, {}),
        (SENDING + answer(1) + answer(2) + FINAL, {"good": (1,), "bad": (2,)}),
        (SENDING + answer(1) + "I: Received Find Response 2 (Pending)\n" + FINAL, {"good": (1,)}),
    ],
    ids=["no file", "unreadable file", "file not named"],
)
def test_R14_an_answer_that_cannot_be_read_is_a_failure(plays, text, files):
    [found] = plays(text, **files)
    assert found.failure is not None and found.failure.kind is Kind.INTERRUPTED


def test_a_full_disk_is_not_taken_for_a_fault_of_the_scanner(plays, folder, monkeypatch):
    monkeypatch.setattr(findscu, "_free_bytes", lambda path: 0)
    with pytest.raises(UnusableError, match=f"there is no room for the scanner's answers in {folder}"):
        plays(SENDING + answer(1) + FINAL, bad=(1,))


def test_R14_a_silent_findscu_is_a_failure_for_every_query(plays):
    found = plays("$dcmtk: findscu v3.6.7 2022-04-22 $", queries=3)
    assert [one.answers for one in found] == [[], [], []]
    assert all(one.failure is not None for one in found)


@pytest.mark.parametrize(
    ("says", "named"),
    [("$dcmtk: findscu v3.6.0 2011-01-06 $", "is DCMTK 3.6.0: 3.6.1 or newer"), ("", "which version")],
)
def test_R12_one_that_is_too_old_is_named_once_nothing_is_understood(plays, says, named):
    with pytest.raises(UnusableError, match=named):
        plays(says)


@versions
@pytest.mark.parametrize("name", ["find-abort", "find-hang-up", "find-silence"])
def test_R14_what_a_broken_association_left_unanswered_is_a_failure(plays, version, name):
    found = plays("\n".join(sample(version, name).err), queries=3, good=(1, 3))
    assert [one.failure and one.failure.kind for one in found] == [None, Kind.INTERRUPTED, Kind.INTERRUPTED]
    assert [len(one.answers) for one in found] == [1, 1, 0]


@versions
def test_R12_a_refused_query_does_not_spoil_the_others(plays, version):
    found = plays("\n".join(sample(version, "find-status-then-more").err), queries=3, good=(2, 3, 5))
    assert [one.failure and one.failure.text for one in found] == ["Refused: OutOfResources", None, None]
    assert [len(one.answers) for one in found] == [0, 2, 1]


@versions
def test_R8_without_a_dictionary_it_is_unusable(plays, version):
    with pytest.raises(UnusableError, match="DCMTK finds no DICOM data dictionary"):
        plays("\n".join(sample(version, "find-no-dictionary").err))


def test_an_answer_is_looked_for_in_its_own_folder_only(plays, tmp_path):
    [found] = plays(SENDING + answer(1, "../../elsewhere") + FINAL, good=(1,))
    assert (len(found.answers), found.failure) == (1, None)


def test_R11_the_arguments(plays, tmp_path, folder):
    plays(SENDING + FINAL, queries=2)
    arguments = (tmp_path / "tools" / "arguments").read_text().splitlines()
    assert arguments[-4:] == [LOOPBACK, "104", "query", "query"]
    pairs = list(pairwise(arguments))
    for pair in (
        ("-aet", "MOVER"),
        ("-aec", "SCANNER"),
        ("-to", "5"),
        ("-ta", "5"),
        ("-td", "5"),
        ("-od", str(folder / "0")),
    ):
        assert pair in pairs
    assert {"-v", "--study", "-X"} <= set(arguments)


def test_a_findscu_that_crashes_says_so(tmp_path, folder):
    crashes = 'import os, sys\nprint("$dcmtk: findscu v3.6.7 $") if "--version" in sys.argv else os.abort()'
    fake = fake_tool(tmp_path / "tools", "findscu", crashes)
    [found] = find(Toolbox({"findscu": str(fake)}, {}), settings(), ["query"], str(folder), TAGS)
    assert found.failure is not None
    assert (found.failure.kind, found.failure.text) == (Kind.KILLED, "a DCMTK tool was ended by signal 6")


# Answers without end

# For each query file whose name has ANSWERS-BYTES in it: ANSWERS answers, the last in a file of BYTES bytes (0: in
# no file). Then it waits, or ends the query with Success when the name has "good" in it.
ANSWERS_AS_ASKED = """
import os, re, sys, time
output = sys.argv[sys.argv.index("-od") + 1]
with open(os.path.join(os.path.dirname(sys.argv[0]), "calls"), "a") as file:
    file.write(" ".join(name for name in sys.argv if "query" in name) + "\\n")
total = 0
for name in sys.argv:
    found = re.search(r"query-(\\d+)-(\\d+)", name)
    if not found:
        continue
    print("I: Sending Find Request (MsgID 1)")
    answers, size = map(int, found.groups())
    for number in range(answers):
        total += 1
        print(f"I: Received Find Response {total} (Pending)")
        if size:
            print(f"I: Writing response dataset to file: {output}/rsp{total:04}.dcm")
    if answers and size:
        with open(f"{output}/rsp{total:04}.dcm", "wb") as file:
            file.truncate(size)
    sys.stdout.flush()
    if "good" not in name:
        time.sleep(600)
    print("I: Received Final Find Response (Success)")
"""
MIB = 1024 * 1024
FEWER = 300


@pytest.fixture(autouse=True)
def fewer_answers(monkeypatch):
    """A limit that is reached at once."""
    monkeypatch.setattr(findscu, "MOST_ANSWERS", FEWER)


@pytest.fixture
def asks(tmp_path, folder) -> Callable[..., list[Found]]:
    """`find` of queries with the names that are given, with a findscu that answers as they say."""
    fake = fake_tool(tmp_path / "tools", "findscu", ANSWERS_AS_ASKED)
    dcmdump = real_tools("dcmdump")

    def asks(*names: str, most_read: int | None = None, **more: object) -> list[Found]:
        both = Toolbox({**dcmdump.paths, "findscu": str(fake)}, dcmdump.environment)
        patient = settings(**more)._replace(response_timeout_seconds=60)
        return find(both, patient, names, str(folder), TAGS, most_read=most_read)

    return asks


def kinds(found: list[Found]) -> list[Kind | None]:
    return [one.failure and one.failure.kind for one in found]


@pytest.mark.parametrize(
    ("endless", "words"),
    [
        (f"query-{FEWER + 1}-0", f"more than {FEWER} answers"),
        (f"query-1-{MOST_BYTES + 1}", f"more than {MOST_BYTES} bytes"),
    ],
    ids=["number", "bytes"],
)
def test_answers_without_end_are_a_failure_of_their_query_that_names_the_limit(asks, tmp_path, endless, words):
    found = asks("query-0-0-good-first", endless, "query-0-0-good-last")
    assert kinds(found) == [None, Kind.LIMIT, None]
    assert found[1].failure is not None and words in found[1].failure.text
    assert found[1].failure.detail.service is Service.FIND
    calls = (tmp_path / "tools" / "calls").read_text().splitlines()
    assert calls == [f"query-0-0-good-first {endless} query-0-0-good-last", "query-0-0-good-last"]


def test_the_limits_are_those_of_the_promise():
    assert (MOST_ANSWERS, MOST_BYTES) == (100_000, 64 * MIB)


def test_what_stays_below_the_limits_is_taken(asks):
    found = asks(f"query-{FEWER}-9-good", f"query-1-{MOST_BYTES}-good", "query-2-9-good", most_read=0)
    assert kinds(found) == [None] * 3


def test_many_queries_without_end_end_the_call(asks, tmp_path):
    endless = f"query-1-{MOST_BYTES + 1}"
    found = asks(*[endless] * 4, "query-0-0-good")
    assert kinds(found) == [Kind.LIMIT] * 3 + [Kind.INTERRUPTED] * 2
    assert len((tmp_path / "tools" / "calls").read_text().splitlines()) == 3


def test_answers_that_trickle_in_are_no_answers(asks, monkeypatch, tmp_path):
    """The scanner sends one now and then, and no end: nothing more of this call is asked."""
    monkeypatch.setattr(findscu, "_MOST_LIMITS", 0.02)
    found = asks("query-3-9", "query-0-0-good")
    assert kinds(found) == [Kind.ENDLESS, Kind.ENDLESS]
    assert found[0].failure is not None and found[0].failure.text == "ended: its answers did not end"
    assert found[0].answers == []
    assert len((tmp_path / "tools" / "calls").read_text().splitlines()) == 1


def test_who_wants_few_answers_gets_them_of_a_query_without_end(asks):
    [found] = asks(f"query-{FEWER + 1}-9", most_read=2)
    assert (found.failure, len(found.answers)) == (None, 2)


def test_answers_end_where_the_reserve_of_the_disk_begins(asks, folder):
    with pytest.raises(UnusableError, match=rf"less than {1 << 60} bytes \(reserve_bytes\) are free .* in {folder}"):
        asks(f"query-3-{2 * MIB}", reserve_bytes=1 << 60)


def test_a_few_answers_are_taken_on_a_full_disk_too(asks):
    assert kinds(asks("query-3-1000-good", reserve_bytes=1 << 60, most_read=0)) == [None]


def test_a_folder_for_answers_that_cannot_be_made_is_one_line(asks, folder):
    folder.rmdir()
    with pytest.raises(UnusableError, match="cannot be made: No such file or directory"):
        asks("query-0-0-good")
