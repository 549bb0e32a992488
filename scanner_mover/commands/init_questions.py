"""What `scanner-mover init` must know of a site: taken from its options, or asked on a terminal."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from scanner_mover import config_values as values
from scanner_mover import signals
from scanner_mover.arguments_by_hand import InitOptions
from scanner_mover.config import DEFAULT_DATA_DIR
from scanner_mover.config_values import Place
from scanner_mover.errors import ConfigurationError, UsageError
from scanner_mover.files import absolute

_DICOM_PORT = 104
_RECEIVE_PORT = 11112


class Answers(NamedTuple):
    """A site: its scanner, our own AE title, the data folder, and who receives on which port (None: not known)."""

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str
    data_dir: str
    receive: bool
    receive_port: int | None


class _Question(NamedTuple):
    """One value: its field in InitOptions, its key in the configuration, what is asked, and what counts by default."""

    field: str
    key: str
    text: str
    check: Callable[[Place, dict[str, Any], str], Any]
    default: Any = None

    @property
    def option(self) -> str:
        return "--" + self.field.replace("_", "-")


def _host(where: Place, keys: dict[str, Any], key: str) -> str:
    return values.host(where, keys)


def _data_dir(where: Place, keys: dict[str, Any], key: str) -> str:
    return values.data_dir(where, keys, None)


def _yes_or_no(where: Place, keys: dict[str, Any], key: str) -> bool:
    word = values.text(where, keys, key).lower()
    if word not in ("y", "yes", "n", "no"):
        raise where.error(key, "is neither yes nor no")
    return word.startswith("y")


_QUESTIONS = (
    _Question("scanner_ip", "SCANNERIP", "The scanner's address or host name", _host),
    _Question("scanner_port", "SCANNERPORT", "The port of its query/retrieve service", values.port),
    _Question("scanner_ae_title", "SCANNERAETITLE", "The AE title of that service", values.ae_title),
    _Question("ae_title", "DICOMAETITLE", "Our own AE title, which the scanner will know", values.ae_title),
    _Question("data_dir", "DATADIR", "The folder of requests and images", _data_dir, DEFAULT_DATA_DIR),
    _Question("receive", "RECEIVE", "Shall the passes receive the images themselves (yes or no)", _yes_or_no, "yes"),
    _Question("receive_port", "DICOMPORT", "The port on which this server receives images", values.port, _RECEIVE_PORT),
)
#: The options that go into the configuration.
IN_CONFIGURATION = tuple(question.field for question in _QUESTIONS)


def ask(options: InitOptions) -> Answers:
    """What OPTIONS say, what is asked on a terminal if something that has no default is missing, and the defaults.

    Raises UsageError when something is missing and there is no terminal, or cannot be used.
    """
    missing = [one.option for one in _QUESTIONS if one.default is None and getattr(options, one.field) is None]
    asking = bool(missing) and sys.stdin.isatty() and sys.stdout.isatty()
    if missing and not asking:
        raise UsageError(f"{', '.join(missing)} must be given, or call it on a terminal, where it asks")
    found = [_answer(question, getattr(options, question.field), asking) for question in _QUESTIONS]
    return Answers(*found)


def _answer(question: _Question, given: Any, asking: bool) -> Any:
    if isinstance(given, bool):
        return given
    if given is None and asking:
        return _answer_on_terminal(question)
    try:
        return _checked(question, question.default if given is None else given)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None


def _answer_on_terminal(question: _Question) -> Any:
    """Ask until the answer can be used; an empty one is the default."""
    proposal = _DICOM_PORT if question.field == "scanner_port" else question.default
    prompt = question.text + (f" [{proposal}]: " if proposal is not None else ": ")
    while True:
        sys.stdout.write(prompt)
        sys.stdout.flush()
        line = signals.waiting(sys.stdin.readline)
        if not line:
            raise UsageError("the questions were not answered; nothing was made")
        try:
            return _checked(question, line.strip() or proposal)
        except ConfigurationError as error:
            print(error)


def _checked(question: _Question, value: Any) -> Any:
    # A relative folder begins where the user stands, not at the configuration.
    if question.field == "data_dir" and isinstance(value, str) and value:
        value = absolute(value)
    return question.check(Place(question.option), {question.key: value}, question.key)
