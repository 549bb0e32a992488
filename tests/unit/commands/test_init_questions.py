"""What `init` takes from its options, what it asks on a terminal, and what it does not take for an answer."""

import io
import sys

import pytest

from scanner_mover.arguments_by_hand import InitOptions
from scanner_mover.commands.init_questions import IN_CONFIGURATION, Answers, ask
from scanner_mover.errors import ExitStatus, UsageError

NEEDED = {"scanner_ip": "192.0.2.1", "scanner_port": 4006, "scanner_ae_title": "CONSOLE", "ae_title": "MOVER"}
SITE = Answers("192.0.2.1", 4006, "CONSOLE", "MOVER", "/data", True, 11112)
TYPED = ("192.0.2.1", "4006", "CONSOLE", "MOVER", "", "", "")


class Stream(io.StringIO):
    """A stream that is a terminal or not."""

    def __init__(self, text: str = "", terminal: bool = True) -> None:
        super().__init__(text)
        self.isatty = lambda: terminal


@pytest.fixture
def typed(monkeypatch, capsys):
    """The answers of somebody who types these lines and then ends the input."""

    def answers(*lines: str, stdin: bool = True, stdout: bool = True, **options: object) -> Answers:
        monkeypatch.setattr(sys, "stdin", Stream("".join(f"{line}\n" for line in lines), stdin))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: stdout)
        return ask(InitOptions(**options))

    return answers


def prompts(screen: str) -> list[str]:
    """The questions on the screen; nobody ended their lines."""
    return [part for part in screen.replace(": ", ":\n").splitlines() if part.endswith(":")]


def test_what_the_options_say_counts():
    options = InitOptions(**NEEDED, data_dir="/srv/images", receive=False, receive_port=104)
    assert ask(options) == Answers("192.0.2.1", 4006, "CONSOLE", "MOVER", "/srv/images", False, 104)


def test_nothing_is_asked_when_only_defaults_are_missing(typed, capsys):
    assert typed(**NEEDED) == SITE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("receive", [True, False])
def test_a_switch_is_taken_as_it_stands(receive):
    assert ask(InitOptions(**NEEDED, receive=receive)).receive is receive


def test_a_relative_folder_begins_where_the_user_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ask(InitOptions(**NEEDED, data_dir="images/../data")).data_dir == f"{tmp_path}/data"


def test_all_options_of_the_configuration_are_known():
    assert set(NEEDED) < set(IN_CONFIGURATION) < set(InitOptions._fields)


@pytest.mark.parametrize("name", list(NEEDED))
@pytest.mark.parametrize(("stdin", "stdout"), [(False, False), (True, False), (False, True)])
def test_what_is_missing_is_named_where_nobody_can_be_asked(typed, capsys, name, stdin, stdout):
    with pytest.raises(UsageError) as raised:
        typed(*TYPED, stdin=stdin, stdout=stdout, **{**NEEDED, name: None})
    option = "--" + name.replace("_", "-")
    assert str(raised.value) == f"{option} must be given, or call it on a terminal, where it asks"
    assert raised.value.exit_status == ExitStatus.USAGE
    assert capsys.readouterr().out == ""


def test_all_that_is_missing_is_named_at_once(typed):
    with pytest.raises(
        UsageError, match=r"^--scanner-ip, --scanner-port, --scanner-ae-title, --ae-title must be given"
    ):
        typed(stdin=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scanner_ip": "two words"}, "--scanner-ip: SCANNERIP is not an address"),
        ({"scanner_ip": ""}, "--scanner-ip: SCANNERIP is empty"),
        ({"scanner_port": 0}, "--scanner-port: SCANNERPORT is not a port"),
        ({"scanner_ae_title": "SEVENTEEN_LETTERS"}, "--scanner-ae-title: SCANNERAETITLE is not an AE title"),
        ({"ae_title": "@MOVER"}, "--ae-title: DICOMAETITLE begins with @"),
        ({"data_dir": ""}, "--data-dir: DATADIR is empty"),
        ({"data_dir": "/data\0"}, "--data-dir: DATADIR is not the name of a folder"),
        ({"receive_port": 65536}, "--receive-port: DICOMPORT is not a port"),
    ],
)
def test_an_option_that_cannot_be_used_is_a_mistake_of_the_command_line(options, words):
    with pytest.raises(UsageError) as raised:
        ask(InitOptions(**{**NEEDED, **options}))
    assert str(raised.value).startswith(words)


def test_all_is_asked_on_a_terminal_and_empty_answers_are_the_defaults(typed, capsys):
    assert typed(*TYPED) == SITE
    assert prompts(capsys.readouterr().out) == [
        "The scanner's address or host name:",
        "The port of its query/retrieve service [104]:",
        "The AE title of that service:",
        "Our own AE title, which the scanner will know:",
        "The folder of requests and images [/data]:",
        "Shall the passes receive the images themselves (yes or no) [yes]:",
        "The port on which this server receives images [11112]:",
    ]


def test_the_port_of_the_scanner_is_only_proposed(typed):
    assert typed("192.0.2.1", "", *TYPED[2:]).port == 104
    with pytest.raises(UsageError, match="--scanner-port must be given"):
        typed(stdin=False, **{**NEEDED, "scanner_port": None})


def test_what_the_options_say_is_not_asked(typed, capsys):
    answers = typed(
        "MOVER",
        "no",
        scanner_ip="192.0.2.1",
        scanner_port=4006,
        scanner_ae_title="CONSOLE",
        data_dir="/d",
        receive_port=105,
    )
    assert answers == SITE._replace(data_dir="/d", receive=False, receive_port=105)
    assert [prompt.partition(" ")[0] for prompt in prompts(capsys.readouterr().out)] == ["Our", "Shall"]


def test_blanks_around_an_answer_mean_nothing(typed):
    assert typed("  192.0.2.1\t", " 4006 ", " CONSOLE", "MOVER ", "  ", " ", " 11112") == SITE


@pytest.mark.parametrize(
    ("word", "receive"), [("y", True), ("YES", True), ("Yes", True), ("n", False), ("No", False), ("", True)]
)
def test_yes_and_no(typed, word, receive):
    assert typed(*TYPED[:5], word, "").receive is receive


@pytest.mark.parametrize(
    ("place", "wrong", "complaint"),
    [
        (0, "", "--scanner-ip: SCANNERIP is missing"),
        (0, "-v", "--scanner-ip: SCANNERIP is not an address or the name of a host: '-v'"),
        (1, "many", "--scanner-port: SCANNERPORT is not a port from 1 to 65535: 'many'"),
        (2, "", "--scanner-ae-title: SCANNERAETITLE is missing"),
        (5, "maybe", "--receive: RECEIVE is neither yes nor no"),
        (6, "0", "--receive-port: DICOMPORT is not a port from 1 to 65535: '0'"),
    ],
)
def test_a_question_is_asked_until_its_answer_can_be_used(typed, capsys, place, wrong, complaint):
    assert typed(*TYPED[:place], wrong, wrong, *TYPED[place:]) == SITE
    assert capsys.readouterr().out.count(f": {complaint}\n") == 2


def test_a_relative_folder_that_is_typed_begins_where_the_user_stands(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert typed(*TYPED[:4], "images", "", "").data_dir == f"{tmp_path}/images"


@pytest.mark.parametrize("answered", [0, 3, 6])
def test_the_end_of_the_input_is_no_answer(typed, answered):
    with pytest.raises(UsageError, match=r"^the questions were not answered; nothing was made$"):
        typed(*TYPED[:answered])


def test_an_option_that_cannot_be_used_is_not_asked_again(typed):
    with pytest.raises(UsageError, match=r"^--receive-port: DICOMPORT is not a port"):
        typed(*TYPED, receive_port=70000)
