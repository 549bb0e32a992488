"""`config.json`: the site's keys, the options of SCANNER_MOVER, and every value that cannot be used (R1 to R4)."""

import grp
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.config import DEFAULT_FILE, DEFAULT_PROJECT, Settings, Tls, load, project_name
from scanner_mover.errors import ConfigurationError, UnknownProjectError, UsageError

KEYS: dict[str, Any] = {
    "DATADIR": "/somewhere",
    "SCANNERIP": "192.0.2.1",
    "SCANNERPORT": 104,
    "SCANNERAETITLE": "SCANNER",
    "DICOMAETITLE": "MOVER",
}
OTHER: dict[str, Any] = {
    "DATADIR": "/elsewhere",
    "SCANNERIP": "other.example",
    "SCANNERPORT": "11112",
    "SCANNERAETITLE": "SCANNER2",
    "DICOMAETITLE": "MOVER2",
}
TOO_LARGE = 10**400


def short(value: Any) -> str:
    return ascii(value)[:20]


@pytest.fixture
def write(tmp_path: Path):
    def write(value: Any) -> str:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(value))
        return str(path)

    return write


def refusal(file: str, project: str = DEFAULT_PROJECT, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        load(file, project, **options)
    return str(error.value)


def the_five(settings: Settings) -> dict[str, Any]:
    return {
        "DATADIR": settings.data_dir,
        "SCANNERIP": settings.host,
        "SCANNERPORT": settings.port,
        "SCANNERAETITLE": settings.called_ae_title,
        "DICOMAETITLE": settings.calling_ae_title,
    }


# R1


def test_R1_the_keys_at_the_top_are_read(write):
    assert the_five(load(write(KEYS), DEFAULT_PROJECT)) == KEYS


@pytest.mark.parametrize("port", [11112, "11112", 11112.0])
def test_R1_a_value_is_a_string_or_a_number(write, port):
    assert load(write({**KEYS, "SCANNERPORT": port}), DEFAULT_PROJECT).port == 11112


def test_R1_a_number_is_as_good_as_its_digits_for_a_text(write):
    settings = load(write({**KEYS, "SCANNERAETITLE": 7, "DATADIR": 12}), DEFAULT_PROJECT)
    assert (settings.called_ae_title, os.path.basename(settings.data_dir)) == ("7", "12")


def test_R1_the_reference_file_is_the_default():
    assert DEFAULT_FILE == "/data/config/config.json"


def test_R1_a_byte_order_mark_is_no_part_of_the_json(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(KEYS), encoding="utf-8-sig")
    assert load(str(tmp_path / "config.json"), DEFAULT_PROJECT).port == 104


def test_R1_blanks_around_an_ae_title_mean_nothing(write):
    assert load(write({**KEYS, "DICOMAETITLE": " MY MOVER "}), DEFAULT_PROJECT).calling_ae_title == "MY MOVER"


# R2


@pytest.mark.parametrize("name", [None, "", "ABCD"])
def test_R2_no_project_the_empty_one_and_ABCD_are_the_top(write, name):
    file = write({**KEYS, "SITES": {"ABCD": OTHER, "": OTHER}})
    assert load(file, project_name(name)).host == KEYS["SCANNERIP"]


def test_R2_any_other_name_is_a_site(write):
    file = write({**KEYS, "SITES": {"LAB": OTHER, "abcd": {**OTHER, "SCANNERIP": "third.example"}}})
    assert the_five(load(file, project_name("LAB"))) == {**OTHER, "SCANNERPORT": 11112}
    assert load(file, project_name("abcd")).host == "third.example"


@pytest.mark.parametrize("name", ["../LAB", "a/b", ".", "..", ".hidden", "-v", "a\nb", "a\0b"])
def test_R2_a_name_that_leads_out_of_the_folder_of_logs_is_refused(name):
    with pytest.raises(UsageError):
        project_name(name)


# R3


def test_R3_a_site_has_its_own_scanner_not_that_of_PCGC(write):
    decoy = {**KEYS, "SCANNERIP": "198.51.100.9", "SCANNERAETITLE": "PCGC"}
    file = write({**KEYS, "SITES": {"PCGC": decoy, "LAB": OTHER}})
    assert (load(file, "LAB").host, load(file, "LAB").called_ae_title) == ("other.example", "SCANNER2")
    assert load(file, "PCGC").host == "198.51.100.9"


# R4


def test_R4_DATADIR_at_the_top_may_be_missing(write):
    del (keys := dict(KEYS))["DATADIR"]
    assert load(write(keys), DEFAULT_PROJECT).data_dir == "/data"


@pytest.mark.parametrize("key", list(KEYS))
def test_R4_a_site_does_not_borrow_a_key_from_the_top(write, key):
    del (site := dict(OTHER))[key]
    file = write({**KEYS, "SITES": {"LAB": site}})
    assert refusal(file, "LAB") == f"{file}: SITES.LAB.{key} is missing"


@pytest.mark.parametrize("key", [key for key in KEYS if key != "DATADIR"])
@pytest.mark.parametrize("null", [False, True])
def test_R4_a_missing_key_is_named_with_its_file(write, key, null):
    keys = {**KEYS, key: None}
    if not null:
        del keys[key]
    file = write(keys)
    assert refusal(file) == f"{file}: {key} is missing"


@pytest.mark.parametrize("sites", [None, {}, [], "LAB", {"LAB": None}, {"LAB": "x"}, {"lab": OTHER}])
def test_R4_a_mistyped_site_never_works_for_the_main_site(write, sites):
    file = write({**KEYS, "SITES": sites})
    with pytest.raises(UnknownProjectError) as error:
        load(file, "LAB")
    assert str(error.value).startswith(f"{file}: SITES.LAB is missing; ") and str(error.value).isprintable()


@pytest.mark.parametrize(
    ("sites", "end"),
    [
        ({}, "; there are no projects in it: leave PROJECT out for the keys at its top"),
        ({"lab": OTHER}, "; did you mean lab? the projects are: lab"),
        ({"LAB1": OTHER, "PCGC": OTHER}, "; did you mean LAB1? the projects are: LAB1, PCGC"),
        ({"PCGC": OTHER}, "; the projects are: PCGC"),
        ({f"{n}": OTHER for n in range(12)}, "; the projects are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..."),
    ],
)
def test_R4_a_mistyped_site_is_told_with_those_that_there_are(write, sites, end):
    file = write({**KEYS, "SITES": sites})
    assert refusal(file, "LAB") == f"{file}: SITES.LAB is missing{end}"


@pytest.mark.parametrize(
    ("key", "slip"),
    [
        ("SCANNERIP", "SCANERIP"),
        ("SCANNERIP", "ScannerIP"),
        ("SCANNERPORT", "SCANNER_PORT"),
        ("SCANNERAETITLE", "SCANNERAETITEL"),
        ("DICOMAETITLE", "DICOMEATITLE"),
        ("DATADIR", "DATDIR"),
        ("DATADIR", "DataDir"),
        ("SCANNER_MOVER", "SCANNERMOVER"),
    ],
)
def test_R4_a_slip_of_the_pen_in_a_key_is_pointed_out(write, key, slip):
    keys: dict[str, Any] = {**KEYS, "SCANNER_MOVER": {}}
    keys[slip] = keys.pop(key)
    file = write(keys)
    assert refusal(file) == f"{file}: {key} is missing; did you mistype it as {slip}?"
    file = write({**KEYS, "SITES": {"LAB": keys}})
    assert refusal(file, "LAB") == f"{file}: SITES.LAB.{key} is missing; did you mistype it as {slip}?"


def test_R4_a_key_of_another_program_is_no_slip_while_ours_is_there(write):
    others = {"SCANNERIPS": 1, "DICOMIP": 1, "SCANNERTYPE": "x", "MPPSPORT": 1, "PROJECTNAME": "x", "SERVERUSER": "x"}
    assert load(write({**KEYS, "SCANNER_MOVER": {}, **others}), DEFAULT_PROJECT).host == KEYS["SCANNERIP"]
    assert load(write({**KEYS, **{key: 1 for key in others if key != "SCANNERIPS"}}), DEFAULT_PROJECT).port == 104


@pytest.mark.parametrize("special", ["fifo", "device", "folder"])
@pytest.mark.timeout(30)
def test_R4_what_is_no_regular_file_is_named_and_never_waited_for(tmp_path, special):
    file = tmp_path / "config.json"
    if special == "fifo":
        os.mkfifo(file)
    elif special == "device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()
    why = "Is a directory" if special == "folder" else "it is not a regular file"
    assert refusal(str(file)) == f"{file}: cannot be read: {why}"


# R43


@pytest.mark.parametrize("around", ["{}\n", " {}", "{} ", "\t{}\r\n"])
def test_R43_blanks_and_line_breaks_around_a_value_mean_nothing(write, around):
    padded = {key: around.format(value) for key, value in KEYS.items()}
    tls = {name: around.format(value) for name, value in {**TLS, "profile": "8996"}.items()}
    options = {"file_mode": around.format("0640"), "group": around.format("root"), "tls": tls}
    plain = write({**KEYS, "SCANNER_MOVER": {"file_mode": "0640", "group": "root", "tls": {**TLS, "profile": "8996"}}})
    expected = load(plain, DEFAULT_PROJECT)
    assert load(write({**padded, "SCANNER_MOVER": options}), DEFAULT_PROJECT) == expected
    modalities = write({**KEYS, "SCANNER_MOVER": {"modalities": [around.format("MR")]}})
    assert load(modalities, DEFAULT_PROJECT).modalities == ("MR",)


@pytest.mark.parametrize("port", ["0104", " 104", "104 ", "104\n", "00000104"])
def test_R43_a_port_as_text_may_have_zeros_and_blanks(write, port):
    assert load(write({**KEYS, "SCANNERPORT": port}), DEFAULT_PROJECT).port == 104


def test_R43_the_arguments_of_a_hook_are_taken_as_they_stand(write):
    file = write({**KEYS, "SCANNER_MOVER": {"on_fault": [" logger ", " -t ", "a b\n", ""]}})
    assert load(file, DEFAULT_PROJECT).on_fault == ("logger", " -t ", "a b\n", "")


def test_R4_DICOMPORT_is_needed_to_receive_only(write):
    file = write(KEYS)
    assert load(file, DEFAULT_PROJECT).receive_port is None
    assert refusal(file, receive=True) == f"{file}: DICOMPORT is missing"
    assert load(write({**KEYS, "DICOMPORT": 4006}), DEFAULT_PROJECT, receive=True).receive_port == 4006
    assert load(write({**KEYS, "DICOMPORT": "nonsense"}), DEFAULT_PROJECT).receive_port is None


UNUSABLE: dict[str, list[Any]] = {
    "DATADIR": ["", True, [], {}, "a\0b", "/\ud800"],
    "SCANNERIP": ["", " ", True, [], {}, "-aet", "@file", "a b", "a\nb", "a\0b", "a\x7fb", "\ud800"],
    "SCANNERPORT": [
        *["", "x", 0, -1, 65536, 1.5, "1 04", "+104", "0x68", "1e2", "１０４", "0", True, [], {}],
        *[float("nan"), float("inf"), TOO_LARGE],
    ],
    "SCANNERAETITLE": ["", "  ", "A" * 17, "A\\B", "A\nB", "A\tB", "A\0", "Ä", "\ud800", "@FILE", True, [], {}],
}
UNUSABLE["DICOMAETITLE"] = UNUSABLE["SCANNERAETITLE"]


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in UNUSABLE.items() for value in values], ids=short
)
def test_R4_an_unusable_value_is_named_in_one_line(write, key, value):
    file = write({**KEYS, key: value})
    line = refusal(file)
    assert line.startswith(f"{file}: {key} ") and line.isprintable()
    file = write({**KEYS, "SITES": {"LAB": {**OTHER, key: value}}})
    assert refusal(file, "LAB").startswith(f"{file}: SITES.LAB.{key} ")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"text"', b"{} {}", b"\xff\xfe{}", b'{"a": "\xe4"}', b"[" * 200_000, b"9" * 5000],
)
def test_R4_a_file_that_is_no_json_object_is_named(tmp_path, content):
    file = tmp_path / "config.json"
    file.write_bytes(content)
    line = refusal(str(file))
    assert line.startswith(f"{file}: is not ") and line.isprintable()


def test_R4_a_file_that_cannot_be_read_is_named(tmp_path):
    missing = tmp_path / "none.json"
    assert refusal(str(missing)) == (f"{missing}: is not there; scanner-mover init makes it, --config names another")
    assert refusal(str(tmp_path)) == f"{tmp_path}: cannot be read: Is a directory"


def test_R4_a_file_of_another_user_is_named_with_what_to_do(tmp_path, monkeypatch):
    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("scanner_mover.config.read_regular", refuse)
    line = f"{tmp_path}: cannot be read: Permission denied; let the user that runs this program read it"
    assert refusal(str(tmp_path)) == line


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just(TOO_LARGE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names_of_keys = st.sampled_from([*KEYS, "DICOMPORT", *sorted(Settings._field_defaults)])


@given(name=names_of_keys, value=json_values)
def test_R4_whatever_the_file_says_it_is_usable_or_refused(tmp_path_factory, name, value):
    file = tmp_path_factory.getbasetemp() / "any.json"
    keys = {**KEYS, "DICOMPORT": 4006}
    file.write_text(json.dumps({**keys, name: value} if name in keys else {**keys, "SCANNER_MOVER": {name: value}}))
    try:
        settings = load(str(file), DEFAULT_PROJECT)
    except ConfigurationError as error:
        assert str(error).startswith(f"{file}: ")
    else:
        for text in (settings.data_dir, settings.host, settings.called_ae_title, settings.calling_ae_title):
            assert os.fsencode(text)


# The options of SCANNER_MOVER


DEFAULTS: dict[str, Any] = {
    "receive": False,
    "settle_seconds": 5,
    "repull_after_seconds": 120,
    "repull_at_most_seconds": 3600,
    "quiet_seconds": 60,
    "give_up_after_seconds": 86400,
    "no_mpps_after_seconds": None,
    "retries": 2,
    "connect_timeout_seconds": 10,
    "response_timeout_seconds": 60,
    "retrieve_stall_seconds": 300,
    "associations": 1,
    "max_pdu": None,
    "reserve_bytes": 1024**3,
    "modalities": None,
    "on_finished": None,
    "on_failed": None,
    "on_fault": None,
    "file_mode": None,
    "directory_mode": None,
    "group": None,
    "tls": None,
}


@pytest.mark.parametrize("value", [{}, {"SCANNER_MOVER": {}}, {"SCANNER_MOVER": None}])
def test_an_option_that_is_not_set_has_its_default(write, value):
    settings = load(write({**KEYS, **value}), DEFAULT_PROJECT)
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("name", list(DEFAULTS))
def test_an_option_that_is_null_has_its_default(write, name):
    settings = load(write({**KEYS, "SCANNER_MOVER": {name: None}}), DEFAULT_PROJECT)
    assert getattr(settings, name) == DEFAULTS[name]


USABLE = [
    ("receive", True, True),
    *[("settle_seconds", seconds, seconds) for seconds in (0, 0.5, 60)],
    *[("repull_after_seconds", seconds, seconds) for seconds in (0, 0.5, 600)],
    *[("repull_at_most_seconds", seconds, seconds) for seconds in (0, 0.5, 600)],
    *[("quiet_seconds", seconds, seconds) for seconds in (0, 0.5, 600)],
    *[("no_mpps_after_seconds", seconds, seconds) for seconds in (0, 0.5, 86399)],
    *[("modalities", *pair) for pair in ((["MR"], ("MR",)), (["mr", "PT", "MR"], ("MR", "PT")))],
    *[("on_finished", *pair) for pair in ((["/bin/true"], ("/bin/true",)), (["curl", "-s"], ("curl", "-s")))],
    *[("give_up_after_seconds", seconds, seconds) for seconds in (0, 0.5, 604800)],
    *[("retries", number, number) for number in (0, 5)],
    *[("connect_timeout_seconds", seconds, seconds) for seconds in (0.5, 30)],
    *[("response_timeout_seconds", seconds, seconds) for seconds in (0.5, 30)],
    *[("retrieve_stall_seconds", seconds, seconds) for seconds in (0.5, 3600)],
    *[("associations", number, number) for number in (1, 4)],
    *[("max_pdu", size, size) for size in (4096, 131072)],
    *[("reserve_bytes", size, size) for size in (0, 1 << 40)],
    *[("file_mode", text, mode) for text, mode in (("640", 0o640), ("0640", 0o640), ("2775", 0o2775))],
    ("directory_mode", "0750", 0o750),
    ("group", 0, 0),
    ("group", grp.getgrgid(0).gr_name, 0),
]


@pytest.mark.parametrize(("name", "value", "meaning"), USABLE)
def test_an_option_is_read(write, name, value, meaning):
    settings = load(write({**KEYS, "DICOMPORT": 4006, "SCANNER_MOVER": {name: value}}), DEFAULT_PROJECT)
    assert getattr(settings, name) == meaning


TLS = {"key": "k.pem", "certificate": "/etc/c.pem", "authorities": "-a.pem"}
NO_NUMBER: list[Any] = ["5", True, [], {}, float("nan"), float("inf")]
UNUSABLE_OPTIONS: dict[str, list[Any]] = {
    "receive": ["true", 1, 0, [], {}],
    **{name: [*NO_NUMBER, -1, TOO_LARGE] for name in DEFAULTS if name.endswith("_seconds") and "_timeout" not in name},
    **{name: [*NO_NUMBER, -1, 0, TOO_LARGE] for name in DEFAULTS if "_timeout" in name or "_stall" in name},
    "retries": [*NO_NUMBER, -1, 1.5, TOO_LARGE],
    "associations": [*NO_NUMBER, 0, -1, 1.5, TOO_LARGE],
    "max_pdu": [*NO_NUMBER, 4095, 131073, TOO_LARGE],
    "reserve_bytes": [*NO_NUMBER, -1, 1.5],
    "file_mode": ["", "rw", "8", "0999", 640, True, [], "6 40"],
    "directory_mode": ["", "u+x", "778", 750, False, {}],
    "group": ["no such group", "", "a\0b", "\ud800", -1, 2**40, TOO_LARGE, 1.5, True, [], {}],
    "modalities": ["MR", [], [1], ["MR", 1], [""], ["A" * 17], ["M/R"], ["Ä"], {}, True, 1],
    **{
        name: ["/bin/true", [], [""], [" "], ["a\0b"], ["/bin/true", 1], ["/bin/true", "\ud800"], {}, True, 1]
        for name in ("on_finished", "on_failed", "on_fault")
    },
    "tls": [
        "file.pem",
        True,
        [],
        {},
        {"key": "k"},
        {**TLS, "key": 1},
        {**TLS, "key": True},
        {**TLS, "certificate": []},
        {**TLS, "authorities": None},
        {**TLS, "authorities": ""},
        {**TLS, "certificate": "a\0b"},
        *[{**TLS, "profile": profile} for profile in ("", "null", "aes", "+py", "BCP195", 8996, [], {})],
    ],
}


@pytest.mark.parametrize("name", list(UNUSABLE_OPTIONS))
def test_R4_an_unusable_option_is_named_in_one_line(write, name):
    for value in UNUSABLE_OPTIONS[name]:
        file = write({**KEYS, "SCANNER_MOVER": {name: value}})
        line = refusal(file)
        begins = (f"{file}: SCANNER_MOVER.{name} ", f"{file}: SCANNER_MOVER.{name}.")
        assert line.startswith(begins) and line.isprintable(), short(value)


@pytest.mark.parametrize("value", ["x", [], 1, True])
def test_R4_SCANNER_MOVER_is_an_object(write, value):
    file = write({**KEYS, "SCANNER_MOVER": value})
    assert refusal(file) == f"{file}: SCANNER_MOVER is not an object"


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("setle_seconds", "settle_seconds"),
        ("settle_second", "settle_seconds"),
        ("SETTLE_SECONDS", "settle_seconds"),
        ("recieve", "receive"),
        ("retry", "retries"),
        ("quiet-seconds", "quiet_seconds"),
        ("stall_seconds", "settle_seconds"),
        ("max_pdu_size", "max_pdu"),
        ("filemode", "file_mode"),
        ("give_up_after", "give_up_after_seconds"),
    ],
)
def test_an_unknown_option_is_an_error_that_names_the_nearest(write, key, nearest):
    file = write({**KEYS, "SCANNER_MOVER": {key: 1}})
    assert refusal(file) == f"{file}: SCANNER_MOVER.{key} is not known; did you mean {nearest}?"


@pytest.mark.parametrize("more", [{}, {"profile": None}, *[{"profile": name} for name in ("bcp195-nd", "8996")]])
def test_the_files_of_tls_are_absolute_so_that_no_tool_takes_one_for_an_option(write, more):
    file = write({**KEYS, "SCANNER_MOVER": {"tls": {**TLS, **more}}})
    folder = os.path.dirname(file)
    assert load(file, DEFAULT_PROJECT).tls == Tls(
        f"{file}: SCANNER_MOVER.tls", f"{folder}/k.pem", "/etc/c.pem", f"{folder}/-a.pem", more.get("profile")
    )


def test_tls_of_a_site_wins_whole_and_says_where_it_stands(write):
    own = {**TLS, "key": "/own.pem"}
    top = {"tls": {**TLS, "profile": "bcp195"}}
    file = write({**KEYS, "SCANNER_MOVER": top, "SITES": {"LAB": {**OTHER, "SCANNER_MOVER": {"tls": own}}}})
    tls = load(file, "LAB").tls
    assert tls is not None
    assert (tls.place, tls.key, tls.profile) == (f"{file}: SITES.LAB.SCANNER_MOVER.tls", "/own.pem", None)


def test_an_unknown_option_of_a_site_and_of_tls_is_named_with_its_place(write):
    file = write({**KEYS, "SITES": {"LAB": {**OTHER, "SCANNER_MOVER": {"recieve": True}}}})
    assert refusal(file, "LAB") == f"{file}: SITES.LAB.SCANNER_MOVER.recieve is not known; did you mean receive?"
    file = write({**KEYS, "SCANNER_MOVER": {"tls": {"cert": "x"}}})
    assert refusal(file).startswith(f"{file}: SCANNER_MOVER.tls.cert is not known; did you mean ")


def test_keys_of_other_programs_and_of_other_sites_are_none_of_our_business(write):
    broken = {"SCANNER_MOVER": {"nonsense": 1}, "SCANNERPORT": "x"}
    file = write({**KEYS, "LOCATION": {}, "settle_seconds": "x", "SITES": {"BROKEN": broken, "LAB": OTHER}})
    assert load(file, DEFAULT_PROJECT).settle_seconds == 5
    assert load(file, "LAB").settle_seconds == 5


def test_the_options_of_a_site_win_one_by_one(write):
    top = {"settle_seconds": 1, "retries": 7, "file_mode": "0640"}
    file = write({**KEYS, "SCANNER_MOVER": top, "SITES": {"LAB": {**OTHER, "SCANNER_MOVER": {"retries": 0}}}})
    lab, main = load(file, "LAB"), load(file, DEFAULT_PROJECT)
    assert (lab.settle_seconds, lab.retries, lab.file_mode) == (1, 0, 0o640)
    assert (main.settle_seconds, main.retries, main.file_mode) == (1, 7, 0o640)


def test_the_command_line_wins(write):
    options = {"receive": True, "settle_seconds": 1, "give_up_after_seconds": 1}
    file = write({**KEYS, "SCANNER_MOVER": options, "SITES": {"LAB": {**OTHER, "SCANNER_MOVER": options}}})
    for project in (DEFAULT_PROJECT, "LAB"):
        settings = load(file, project, receive=False, settle_seconds=0, give_up_after_seconds=0)
        assert (settings.receive, settings.settle_seconds, settings.give_up_after_seconds) == (False, 0, 0)


def test_two_sites_in_one_file_have_nothing_in_common(write):
    one = {**OTHER, "DICOMPORT": 4006, "SCANNER_MOVER": {"receive": True, "quiet_seconds": 0}}
    two = {**KEYS, "DATADIR": "/third", "SCANNER_MOVER": {"settle_seconds": 0}}
    file = write({**KEYS, "SITES": {"ONE": one, "TWO": two}})
    assert (load(file, "ONE").data_dir, load(file, "TWO").data_dir) == ("/elsewhere", "/third")
    assert (load(file, "ONE").receive, load(file, "TWO").receive) == (True, False)
    assert (load(file, "ONE").quiet_seconds, load(file, "TWO").quiet_seconds) == (0, 60)
    assert (load(file, "ONE").settle_seconds, load(file, "TWO").settle_seconds) == (5, 0)


@pytest.mark.parametrize(("no_mpps", "give_up", "usable"), [(99, 100, True), (100, 100, False), (101, 100, False)])
def test_R32_no_mpps_after_seconds_must_be_below_give_up_after_seconds(write, no_mpps, give_up, usable):
    file = write({**KEYS, "SCANNER_MOVER": {"no_mpps_after_seconds": no_mpps, "give_up_after_seconds": give_up}})
    wrong = "SCANNER_MOVER.no_mpps_after_seconds must be below give_up_after_seconds, which is 100"
    if usable:
        assert load(file, DEFAULT_PROJECT).no_mpps_after_seconds == no_mpps
    else:
        assert refusal(file) == f"{file}: {wrong}"
    top = {"no_mpps_after_seconds": no_mpps}
    lab = {**OTHER, "SCANNER_MOVER": {"give_up_after_seconds": give_up}}
    file = write({**KEYS, "SCANNER_MOVER": top, "SITES": {"LAB": lab}})
    if not usable:
        assert refusal(file, "LAB") == f"{file}: {wrong}", "it names the place of the key that is too large"
    assert load(file, DEFAULT_PROJECT).no_mpps_after_seconds == no_mpps


def test_a_program_of_a_hook_with_a_relative_path_lies_beside_the_configuration(write):
    file = write({**KEYS, "SCANNER_MOVER": {"on_failed": ["hooks/mail.sh", "x"]}})
    assert load(file, DEFAULT_PROJECT).on_failed == (f"{os.path.dirname(file)}/hooks/mail.sh", "x")
