"""What dcmdump prints, as four versions print it, and reading many files with the real one (R19, R21)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from scanner_mover.dcmtk.dcmdump import Dump, Element, Unread, _read_all, dump, parse, parse_element, unquote
from scanner_mover.dcmtk.dump2dcm import make_query_file, series_of_study
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from tests.support.objects import dumped_series
from tests.support.site import fake_tool, real_tools
from tests.unit.dcmtk import NEEDED, VERSIONS, sample

STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, END_TIME = "0020,000d", "0020,000e", "0040,0251"
SCHEDULED = ("0040,0270",)
MODALITY, STUDY_DESCRIPTION, SERIES_DESCRIPTION = "0008,0060", "0008,1030", "0008,103e"

versions = pytest.mark.parametrize("version", VERSIONS)


def test_all_four_versions_were_recorded():
    assert set(NEEDED) <= set(VERSIONS)


def parsed(version: str, name: str) -> list[Dump]:
    recorded = sample(version, name)
    return parse(recorded.out, recorded.err)


def texts(version: str, name: str) -> dict[str, str | None]:
    """The elements at the top of a sample of one file."""
    [one] = parsed(version, name)
    return {element.tag: element.text for element in one.elements if not element.path}


# Values


@versions
def test_brackets_and_imitated_lines_are_part_of_a_value(version):
    assert texts(version, "dump-brackets") == {
        "0008,0080": "[x]",
        "0008,1010": "x]  #   1, 1",
        STUDY_DESCRIPTION: "a]b[c",
        SERIES_DESCRIPTION: "]",
        "0008,1040": "# dcmdump (2/2): no.dcm",
        "0008,1070": "[",
    }


@versions
def test_an_empty_value_is_none_and_its_words_as_a_value_are_a_value(version):
    [one] = parsed(version, "dump-empty")
    assert {element.tag: element.text for element in one.elements} == {
        MODALITY: "MR",
        STUDY_DESCRIPTION: None,
        SERIES_DESCRIPTION: "(no value available)",
        SERIES_INSTANCE_UID: None,
    }
    assert (one.one(STUDY_DESCRIPTION), one.one(SERIES_DESCRIPTION)) == (None, "(no value available)")
    has_value = [one.has_value(tag) for tag in (MODALITY, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID)]
    assert has_value == [True, False, False]


@versions
def test_several_values_are_several_and_not_one(version):
    [one] = parsed(version, "dump-several-values")
    assert one.all("0008,0018") == ("1.2.3.1", "1.2.3.22")
    assert one.all("0008,0008") == ("ORIGINAL", "PRIMARY", "M", "")
    assert one.all("0020,0032") == ("-1.5", "0", "2e3")
    assert (one.one("0008,0018"), one.one("0008,0008")) == (None, None)
    assert (one.one("0018,0082"), one.one("0028,0010"), one.one("0040,9224")) == ("12.5", "16", "0.1")


@versions
def test_a_value_that_is_cut_is_none(version):
    [one] = parsed(version, "dump-long-values")
    assert [(element.tag, element.cut) for element in one.elements] == [("0008,0018", True), ("0020,4000", True)]
    assert (one.one("0008,0018"), one.one("0020,4000")) == (None, None)
    [whole] = parsed(version, "dump-long-values-whole")
    assert not any(element.cut for element in whole.elements)
    assert len(whole.all("0008,0018")) == 30


@versions
def test_the_padding_of_an_odd_length_is_no_part_of_a_uid(version):
    for one in parsed(version, "dump-padded"):
        assert (one.one(STUDY_INSTANCE_UID), one.one(SERIES_INSTANCE_UID)) == ("1.2.3.4", "1.2.3.4.1")
        assert one.error is None, "it is only warned of"


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        ("UI [1.2.3&#0;]", ("1.2.3",)),
        ("UI [1.2.3 ]", ("1.2.3",)),
        ("IS [ 12 ]", ("12",)),
        ("IS [ 1 \\ 2]", ("1", "2")),
        ("LO [  ]", ("",)),
        ("UI (no value available)", ()),
    ],
)
def test_blanks_and_NULs_around_a_value_are_padding(printed, values):
    element = parse_element(f"(0020,000d) {printed}  #   8, 1 StudyInstanceUID")
    assert element is not None and element.values == values


@versions
def test_a_value_cannot_forge_a_line(version):
    [one] = parsed(version, "dump-control-whole")
    assert [element.tag for element in one.elements] == [
        *["0008,0080", "0008,1010", STUDY_DESCRIPTION, SERIES_DESCRIPTION, "0020,4000"]
    ]
    assert one.one(END_TIME) is None
    assert one.one(SERIES_DESCRIPTION) == "first\n# dcmdump (9/9): forged.dcm\n(0040,0251) TM [101010]"
    assert one.one(STUDY_DESCRIPTION) == 'it\'s "quoted" & <tag> &amp; &#10; %s $x'
    assert one.one("0008,1010") == "esc\x1b[31mred"
    assert one.elements[-1].text == "one\r\ntwo\nthree\ttab\x0c"


@versions
def test_each_character_stands_for_a_byte_of_the_value(version):
    names = ["latin1", "utf8", "japanese", "undeclared"]
    values = {}
    for name, one in zip(names, parsed(version, "dump-charsets-whole"), strict=True):
        values[name] = str(one.one(SERIES_DESCRIPTION)).encode("latin-1")
    assert values["latin1"].decode("latin-1") == "Schädel ½"
    assert values["utf8"].decode("utf-8") == "Schädel 頭部 ✓"
    assert values["japanese"].decode("iso2022_jp_2") == "頭部 MRI"
    assert values["undeclared"] == b"Sch\xe4del"
    # Cut in the middle of a quoted byte.
    assert parsed(version, "dump-charsets")[1].one(SERIES_DESCRIPTION) is None


@versions
def test_pixel_data_is_there_whether_it_was_loaded_or_not(version):
    for name in ("dump-pixels", "dump-pixels-not-loaded"):
        [one] = parsed(version, name)
        assert one.has_value("7fe0,0010") and one.one("7fe0,0010") is None


# Places


@versions
def test_R19_a_sequence_is_told_from_the_top_and_from_others(version):
    [one] = parsed(version, "mpps-elsewhere")
    assert one.all(STUDY_INSTANCE_UID) == ("1.2.3.60",)
    assert one.all(STUDY_INSTANCE_UID, SCHEDULED) == ("1.2.3.40",)
    assert one.all(STUDY_INSTANCE_UID, ("0008,1200",)) == ("1.2.3.50",)
    assert one.all(STUDY_INSTANCE_UID, ("0040,0340", "0040,0275")) == ("1.2.3.8",)
    assert one.one(STUDY_INSTANCE_UID) == "1.2.3.60"


@versions
def test_R19_every_item_of_the_sequence_counts(version):
    [one] = parsed(version, "mpps-two-studies")
    assert one.all(STUDY_INSTANCE_UID, SCHEDULED) == ("1.2.3.40", "1.2.3.50")


@versions
@pytest.mark.parametrize(
    ("name", "end"), [("mpps-ended", "103000.5"), ("mpps-running", None), ("mpps-no-end-time", None)]
)
def test_R21_the_end_time(version, name, end):
    [one] = parsed(version, name)
    assert one.one(END_TIME) == end
    assert one.all(STUDY_INSTANCE_UID, SCHEDULED) == ("1.2.3.40",)
    assert one.error is None


@versions
def test_the_encoding_makes_no_difference(version):
    for one in parsed(version, "mpps-encodings"):
        assert (one.one(END_TIME), one.all(STUDY_INSTANCE_UID, SCHEDULED)) == ("103000.5", ("1.2.3.40",))


# Files


@versions
def test_each_file_is_told_by_its_name(version):
    files = [one.file for one in parsed(version, "mpps-file-names")]
    assert files[:4] == [f"WORK/named/{name}" for name in ("with space.dcm", "it's.dcm", "a]#b.dcm", "é.dcm")]
    assert files[5:] == ["WORK/named/# dcmdump (1"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("zero", True),
        ("text", True),
        ("cut-in-meta", True),
        ("cut-in-element", True),
        ("cut-in-pixel-header", True),
        ("cut-in-pixels", True),
        ("missing", True),
        ("unloaded", True),
        ("cut-between-elements", False),
        ("cut-before-pixels", False),
    ],
)
def test_R21_a_file_that_cannot_be_read_to_its_end_has_an_error(name, error):
    for version in VERSIONS:
        [one] = parsed(version, f"damage-{name}")
        assert (one.error is not None) is error, version
        assert one.error is None or (one.text and "WORK" not in one.text), version


@versions
def test_R21_in_one_call_each_error_belongs_to_its_own_file(version):
    files = {Path(one.file).stem: one for one in parsed(version, "damage-several")}
    assert len(files) == 12
    broken = {name for name, one in files.items() if one.error is not None}
    assert broken == {
        *["zero", "text", "cut-in-meta", "cut-in-element", "cut-in-pixel-header", "cut-in-pixels", "missing"]
    }
    assert files["image"].one("0008,0018") == "1.2.3.40.1.1"
    assert files["mpps-ended"].one("0008,0018") == "1.2.3.7"


# Any text


def test_what_is_no_element_is_none():
    for line in ("", "# Dicom-Data-Set", "(fffe,e000) na (Item with explicit length #=3)          #  32, 1 Item", "x"):
        assert parse_element(line) is None


@pytest.mark.parametrize(
    ("quoted", "text"),
    [
        ("&#10;", "\n"),
        ("&#228;", "\xe4"),
        ("&amp;#10;", "&#10;"),
        ("&amp;amp;", "&amp;"),
        ("&lt;&gt;&quot;&apos;", "<>\"'"),
        ("&#15...", "&#15..."),
        ("& &; &# &nosuch;", "& &; &# &nosuch;"),
    ],
)
def test_what_was_quoted_is_as_before(quoted, text):
    assert unquote(quoted) == text


@pytest.mark.parametrize("number", ["300", "99999999999", "9" * 5000])
def test_a_number_that_is_no_byte_is_no_crash(number):
    assert len(unquote(f"&#{number};")) in (1, len(number) + 3)


lines_of_dcmdump = st.sampled_from(
    sorted(
        {
            line
            for name in ("mpps-elsewhere", "dump-control", "dump-several-values", "damage-several")
            for line in sample(VERSIONS[0], name).lines
        }
    )
)
any_lines = st.lists(
    st.text(st.characters()) | st.text("()[]#,.0123456789abcdef &;SQUI\\", max_size=60) | lines_of_dcmdump
)


@given(out=any_lines, err=any_lines)
def test_any_text_is_read_without_a_crash(out, err):
    for one in parse(out, err):
        assert f": {one.file}" in "\n".join(out)
        for element in one.elements:
            assert isinstance(element, Element)
            one.all(element.tag, element.path)
            one.one(element.tag)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("filling", ["x", " ", "#", "# 1, 1 ", "[", "(0020,000d).", "&#1;", "&", "\\"])
def test_a_very_long_value_takes_no_time_to_speak_of(filling):
    """A scanner may send one; hours are what the limit is there for."""
    value = filling * (100_000 // len(filling)) + "x"
    element = parse_element(f"(0008,103e) LO [{value}] # 100000, 1 SeriesDescription")
    assert element is not None and element.text == unquote(value)


# The real one


def write(path: Path, study_instance_uid: str = "1.2.3", description: str = "x") -> Path:
    data_set = Dataset()
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    data_set.SOPInstanceUID = "1.2.3.4"
    data_set.StudyInstanceUID = study_instance_uid
    data_set.SeriesDescription = description
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="module")
def tools() -> Toolbox:
    return real_tools("dcmdump")


def test_the_answers_come_in_the_order_of_the_names(tools, tmp_path):
    names = ["c", "a", "b"]
    for number, name in enumerate(names):
        write(tmp_path / name, f"1.2.{number}")
    found = dump(tools, str(tmp_path), names, [STUDY_INSTANCE_UID])
    assert [(one.file, one.one(STUDY_INSTANCE_UID)) for one in found] == [
        ("c", "1.2.0"),
        ("a", "1.2.1"),
        ("b", "1.2.2"),
    ]
    assert dump(tools, str(tmp_path), [], [STUDY_INSTANCE_UID]) == []


def test_R21_every_name_gets_an_answer_also_what_cannot_be_read(tools, tmp_path):
    write(tmp_path / "good")
    (tmp_path / "bad").write_bytes(b"no DICOM")
    (tmp_path / "folder").mkdir()
    names = ["bad", "folder", "good", "line\nbreak", "missing", "\udcff"]
    found = dump(tools, str(tmp_path), names, [STUDY_INSTANCE_UID])
    assert [one.file for one in found] == names
    assert [one.file for one in found if one.error is None] == ["good"]
    assert all(one.elements == [] for one in found if one.error)


def test_only_what_was_asked_for_is_read(tools, tmp_path):
    write(tmp_path / "file")
    [one] = dump(tools, str(tmp_path), ["file"], [STUDY_INSTANCE_UID])
    assert [element.tag for element in one.elements] == [STUDY_INSTANCE_UID]


@pytest.mark.parametrize("load_all", [True, False])
def test_pixel_data_can_be_left_where_it_is(tools, tmp_path, load_all):
    [path] = dumped_series(tmp_path, study_instance_uid="1.2", series_instance_uid="1.2.3", images=1)
    [one] = dump(tools, str(tmp_path), [path.name], ["0008,0018", "7fe0,0010"], load_all=load_all)
    assert (one.one("0008,0018"), one.has_value("7fe0,0010"), one.error) == ("1.2.3.1", True, None)


printable = st.text(st.characters(codec="latin-1", exclude_characters="\\"), min_size=1, max_size=20)


values = st.lists(printable.map(str.strip).filter(lambda text: text.strip(" \0")), min_size=10, max_size=40)


@settings(max_examples=5, deadline=None)
@given(descriptions=values)
def test_any_value_comes_back_from_the_real_one(tools, tmp_path_factory, descriptions):
    folder = tmp_path_factory.getbasetemp()
    content = write(folder / "any.dcm", description="x").read_bytes()
    old = b"\x08\x00\x3e\x10LO\x02\x00x "
    assert content.count(old) == 1
    for number, description in enumerate(descriptions):
        # pydicom would not write some of these.
        value = description.encode("latin-1")
        value += b" " * (len(value) % 2)
        new = content.replace(old, old[:6] + len(value).to_bytes(2, "little") + value)
        (folder / f"any{number}.dcm").write_bytes(new)
    found = dump(tools, str(folder), [f"any{number}.dcm" for number in range(len(descriptions))], [SERIES_DESCRIPTION])
    assert [one.error for one in found] == [None] * len(descriptions)
    for one, description in zip(found, descriptions, strict=True):
        [element] = one.elements
        assert (element.cut, one.one(SERIES_DESCRIPTION)) == (False, description.strip(" \0"))


def test_a_dcmdump_that_never_answers_leaves_every_file_unread(tmp_path):
    fake = fake_tool(tmp_path / "tools", "dcmdump", "import sys; sys.exit(1)")
    [one] = dump(Toolbox({"dcmdump": str(fake)}, {}), str(tmp_path), ["file"], [STUDY_INSTANCE_UID])
    assert (one.file, one.elements) == ("file", []) and one.error


# A dcmdump that crashes, or never ends


class Calls:
    """Plays dcmdump for `_read_all`: stops at some names, and lost the last LOST files that it had read by then."""

    def __init__(self, stops: dict[str, Unread], lost: int = 40, seconds: float = 0.0) -> None:
        self.stops = stops
        self.lost = lost
        self.seconds = seconds
        self.now = 0.0
        self.calls: list[tuple[int, float]] = []

    def __call__(self, names: Sequence[str], seconds: float) -> tuple[list[Dump], Unread | None]:
        self.calls.append((len(names), seconds))
        for number, name in enumerate(names):
            if name in self.stops:
                self.now += seconds if self.stops[name] is Unread.TIMED_OUT else 0
                return [Dump(one) for one in names[: max(0, number - self.lost)]], self.stops[name]
        return [Dump(name) for name in names], None


@pytest.fixture
def reads_all(monkeypatch) -> Callable[[Calls, Sequence[str]], dict[str, Dump]]:
    """`_read_all`, on the clock of the calls."""

    def reads_all(calls: Calls, names: Sequence[str]) -> dict[str, Dump]:
        monkeypatch.setattr("scanner_mover.dcmtk.dcmdump.time", SimpleNamespace(monotonic=lambda: calls.now))
        return _read_all(calls, names)

    return reads_all


NAMES = [f"f{number}" for number in range(2500)]


def test_many_files_are_read_in_calls_of_a_thousand(reads_all):
    calls = Calls({})
    assert list(reads_all(calls, NAMES)) == NAMES
    assert [number for number, _ in calls.calls] == [1000, 1000, 500]


@pytest.mark.parametrize("why", [Unread.TIMED_OUT, Unread.CRASHED])
@pytest.mark.parametrize("bad", [[0], [500], [999], [2499], [3, 4], [1, 700, 2000]])
@pytest.mark.parametrize("lost", [0, 40])
def test_one_file_does_not_hold_up_the_others(reads_all, why, bad, lost):
    calls = Calls({f"f{number}": why for number in bad}, lost)
    found = reads_all(calls, NAMES)
    assert {name for name, one in found.items() if one.error is why} == set(calls.stops)
    assert {name for name, one in found.items() if one.error is None} == set(NAMES) - set(calls.stops)
    assert calls.now < 120


def test_a_pass_is_not_held_up_for_two_minutes_by_many_that_never_end(reads_all):
    calls = Calls({f"f{number}": Unread.TIMED_OUT for number in range(0, 2500, 5)})
    found = reads_all(calls, NAMES)
    assert calls.now <= 110
    assert sum(one.error is Unread.TIMED_OUT for one in found.values()) >= 8, "these can be remembered"
    assert sum(one.error is None for one in found.values()) >= 20


def test_a_buffer_that_is_larger_than_we_think_costs_time_alone(reads_all):
    calls = Calls({"f1700": Unread.TIMED_OUT}, lost=300)
    found = reads_all(calls, NAMES)
    assert [name for name, one in found.items() if one.error is not None] == ["f1700"]
    assert len(found) == len(NAMES)


CRASHES_AT = """
import os, subprocess, sys
names = [argument for argument in sys.argv if argument.startswith("./")]
bad = [name for name in names if "bad" in name]
if bad:
    good = names[: names.index(bad[0])]
    if good:
        subprocess.run([{real!r}, *(one for one in sys.argv[1:] if not one.startswith("./")), *good])
    print(f"# dcmdump (1/1): {{bad[0]}}", flush=True)
    os.kill(os.getpid(), 11)
os.execv({real!r}, sys.argv)
"""


def test_a_crash_at_one_file_says_nothing_of_the_others(tmp_path):
    real = real_tools("dcmdump", "dump2dcm")
    for name in ("a", "bad", "c", "d"):
        made = make_query_file(real, series_of_study("1.2.3"), str(tmp_path / f"made-{name}"))
        Path(made).rename(tmp_path / name)
    fake = fake_tool(tmp_path / "tools", "dcmdump", CRASHES_AT.format(real=real.paths["dcmdump"]))
    tools = Toolbox({**real.paths, "dcmdump": str(fake)}, real.environment)
    found = dump(tools, str(tmp_path), ["a", "bad", "c", "d"], ["0020,000d"])
    assert [(one.file, one.one("0020,000d")) for one in found if one.error is None] == [
        ("a", "1.2.3"),
        ("c", "1.2.3"),
        ("d", "1.2.3"),
    ]
    assert [one.error for one in found if one.file == "bad"] == [Unread.CRASHED]


def test_R8_without_a_dictionary_nothing_is_believed(tmp_path):
    write(tmp_path / "file")
    (tmp_path / "empty.dic").touch()
    real = real_tools("dcmdump")
    tools = Toolbox(real.paths, {**real.environment, "DCMDICTPATH": str(tmp_path / "empty.dic")})
    with pytest.raises(UnusableError, match="DCMTK finds no DICOM data dictionary"):
        dump(tools, str(tmp_path), ["file"], [STUDY_INSTANCE_UID])
    [one] = dump(tools, str(tmp_path), ["file"], [STUDY_INSTANCE_UID], small_dictionary=True)
    assert one.one(STUDY_INSTANCE_UID)


def test_a_file_of_nothing_but_zeros_prints_no_flood(tmp_path):
    (tmp_path / "zeros").write_bytes(bytes(4 * 1024 * 1024))
    write(tmp_path / "file")
    zeros, one = dump(real_tools("dcmdump"), str(tmp_path), ["zeros", "file"], [STUDY_INSTANCE_UID])
    assert (zeros.elements, one.error) == ([], None)
    assert one.one(STUDY_INSTANCE_UID)
