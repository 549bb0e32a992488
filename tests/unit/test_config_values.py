"""The checks of single values: the last one that is allowed, and what only a direct call reaches."""

import os
from typing import Any

import pytest

from scanner_mover import config_values
from scanner_mover.config_values import OPTIONS, Place, nearest
from scanner_mover.errors import ConfigurationError

WHERE = Place("/etc/mover/config.json", "SITES.LAB.")
HERE = os.getcwd()


def refusal(check: Any, *given: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        check(WHERE, *given)
    return str(raised.value).removeprefix("/etc/mover/config.json: SITES.LAB.")


def test_an_error_names_the_file_and_the_key_in_its_place():
    assert str(WHERE.error("X", "is missing")) == "/etc/mover/config.json: SITES.LAB.X is missing"
    assert str(Place("f").error("X", "is empty")) == "f: X is empty"


@pytest.mark.parametrize(
    ("word", "likeness", "expected"),
    [
        ("settle", 0, "settle_seconds"),
        ("RETRIES", 0.9, "Retries"),
        ("nothing like it", 0, "Retries"),
        ("nothing like it", 0.9, None),
    ],
)
def test_the_nearest_word_is_as_it_is_spelt_and_none_when_nothing_is_like_it(word, likeness, expected):
    assert nearest(word, ["settle_seconds", "Retries"], likeness) == expected


def test_without_words_none_is_the_nearest():
    assert nearest("x", []) is None


@pytest.mark.parametrize(
    ("value", "expected"), [("a", "a"), (" a b\n", "a b"), (7, "7"), (7.0, "7"), (1.5, "1.5"), (-0.0, "0"), (0, "0")]
)
def test_a_text_is_what_jq_prints_of_it(value, expected):
    assert config_values.text(WHERE, {"K": value}, "K") == expected


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({}, "K is missing"),
        ({"K": None}, "K is missing"),
        ({"K": ""}, "K is empty"),
        ({"K": " \t\r\n\f\v"}, "K is empty"),
        ({"K": True}, "K must be a string or a number"),
        ({"K": []}, "K must be a string or a number"),
        ({"K": "\ud800"}, "K is not valid text (UTF-8)"),
        ({"K": 10**5000}, "K is too long a number"),
    ],
)
def test_what_is_no_text_is_told_word_for_word(keys, what):
    assert refusal(config_values.text, keys, "K") == what


@pytest.mark.parametrize(
    ("keys", "default", "expected"),
    [
        ({}, "/data", "/data"),
        ({"DATADIR": None}, "/data", "/data"),
        ({"DATADIR": "/else"}, "/data", "/else"),
        ({"DATADIR": "/else/"}, None, "/else/"),
        ({"DATADIR": "-data"}, "/data", os.path.join(HERE, "-data")),
    ],
)
def test_the_folder_of_data_is_absolute_and_has_a_default_where_one_is_given(keys, default, expected):
    assert os.path.normpath(config_values.data_dir(WHERE, keys, default)) == os.path.normpath(expected)


def test_without_a_default_the_folder_of_data_must_be_set():
    assert refusal(config_values.data_dir, {"DATADIR": None}, None) == "DATADIR is missing"
    assert refusal(config_values.data_dir, {"DATADIR": ""}, "/data") == "DATADIR is empty"
    assert refusal(config_values.data_dir, {"DATADIR": "a\0"}, None) == "DATADIR is not the name of a folder"


@pytest.mark.parametrize("name", ["192.0.2.1", "fe80::1", "a", "scanner-1.example", "a@b", "_x"])
def test_a_host_is_an_address_or_a_name(name):
    assert config_values.host(WHERE, {"SCANNERIP": name}) == name


@pytest.mark.parametrize(("digits", "number"), [("1", 1), (65535, 65535), ("00065535", 65535), ("0" * 50 + "7", 7)])
def test_the_first_and_the_last_port(digits, number):
    assert config_values.port(WHERE, {"P": digits}, "P") == number


def test_a_port_that_is_none_is_told_word_for_word():
    assert refusal(config_values.port, {"P": "65536"}, "P") == "P is not a port from 1 to 65535: '65536'"
    assert refusal(config_values.port, {"P": 0}, "P") == "P is not a port from 1 to 65535: '0'"


@pytest.mark.parametrize("title", ["A", "A" * 16, "a b", "~!@#-+", "-aet"])
def test_what_an_AE_title_may_be(title):
    assert config_values.ae_title(WHERE, {"T": title}, "T") == title


def test_an_AE_title_that_a_tool_takes_for_a_file_is_told_so():
    assert refusal(config_values.ae_title, {"T": "@F"}, "T") == (
        "T begins with @, which DCMTK's tools take for a file of options: '@F'"
    )
    assert refusal(config_values.ae_title, {"T": "A" * 17}, "T").startswith("T is not an AE title (1 to 16 ASCII")


@pytest.mark.parametrize(
    ("name", "last", "beyond"),
    [
        *[(name, 1e9, 1e9 + 1) for name in ("settle_seconds", "quiet_seconds", "give_up_after_seconds")],
        *[(name, 1e6, 1e6 + 1) for name in ("connect_timeout_seconds", "response_timeout_seconds")],
        ("retrieve_stall_seconds", 1e6, 1e6 + 1),
        ("retries", 100, 101),
        ("associations", 16, 17),
        ("max_pdu", 131072, 131073),
        ("file_mode", "7777", "77777"),
        ("directory_mode", "07777", "007777"),
        ("file_mode", "000", "00"),
        ("modalities", ["A B_1" + "C" * 11], ["A B_1" + "C" * 12]),
    ],
)
def test_the_last_value_that_is_allowed_and_the_first_that_is_not(name, last, beyond):
    OPTIONS[name](WHERE, name, last)
    assert refusal(OPTIONS[name], name, beyond).startswith(f"{name} must be ")


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("receive", 1, "must be true or false"),
        ("settle_seconds", -1, "must be a number of seconds, 0 or more"),
        ("connect_timeout_seconds", 0, "must be a number of seconds above 0"),
        ("retries", 101, "must be a whole number from 0 to 100"),
        ("reserve_bytes", -1, "must be a whole number of at least 0"),
        ("file_mode", 640, 'must be permissions as a string of octal digits, such as "0640"'),
        ("group", "no such group", "is not a group of this machine: 'no such group'"),
        ("modalities", "MR", 'must be a list of modalities, such as ["MR"]'),
        ("on_fault", [" "], "names no program"),
        ("tls", True, "is not an object"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_word_for_word(name, value, what):
    assert refusal(OPTIONS[name], name, value) == f"{name} {what}"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"key": 1}, "key must be a string"),
        ({"key": None}, "key is missing"),
        ({"authorities": "a\0b"}, "authorities is not the name of a file"),
        ({"profile": "none"}, "profile must be one of bcp195, "),
        ({"cert": "x"}, "cert is not known; did you mean certificate?"),
    ],
)
def test_what_is_wrong_in_tls_is_told_with_its_place(change, what):
    tls = {"key": "k.pem", "certificate": "c.pem", "authorities": "a.pem", **change}
    assert refusal(OPTIONS["tls"], "tls", tls).startswith(f"tls.{what}")


def test_what_a_hook_is_beside_its_program_is_taken_as_it_is():
    """A program without a slash is found on the PATH, and a relative one lies beside the configuration."""
    check = OPTIONS["on_fault"]
    assert check(WHERE, "on_fault", ["logger", "./x", " "]) == ("logger", "./x", " ")
    assert check(WHERE, "on_fault", ["./x"]) == ("/etc/mover/./x",)
    assert check(WHERE, "on_fault", [" /bin/x "]) == ("/bin/x",)
