"""The command line, declared once: every subcommand with its options and what they mean.

From these declarations come the records that the subcommands get, the typer program (`cli.py`), the man page, and
`read_plain`, which reads the command lines of cron and monitoring without typer: to import typer takes longer than a
pass with nothing to do. A plain module.
"""

import enum
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from scanner_mover.errors import ExitStatus

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
# Nobody's project: what comes of `--dry-run true`.
VALUES_OF_FLAGS = ("true", "false")


class Kind(enum.Enum):
    """What an option takes."""

    PROJECT = enum.auto()  # the one argument without a name
    TEXT = enum.auto()
    FILTER = enum.auto()  # a text that must not be empty: an unset variable would match everything
    FILE = enum.auto()
    FOLDER = enum.auto()
    TEXTS = enum.auto()  # may be repeated
    SECONDS = enum.auto()
    COUNT = enum.auto()  # a whole number, 1 or more
    PORT = enum.auto()
    CHOICE = enum.auto()  # a member of an enumeration
    FLAG = enum.auto()  # there or not
    SWITCH = enum.auto()  # on, off, or not said


class Option(NamedTuple):
    """One option: its NAMES (of a switch the one that turns it on and the one that turns it off) and its help.

    `default` is what counts when nothing is given, where the record's own default does not say it.
    """

    names: tuple[str, ...]
    kind: Kind
    help: str
    metavar: str = ""
    default: str = ""


class Level(enum.StrEnum):
    """The level of a C-FIND (DICOM PS3.4 section C.6.2.1), in the words of the command line."""

    STUDY = "study"
    SERIES = "series"


_Project = Annotated[
    str | None, Option((), Kind.PROJECT, "The site in the configuration (SITES.PROJECT).", "PROJECT", "the top")
]
_Config = Annotated[
    str | None,
    Option(
        *(("--config",), Kind.FILE, "The configuration.", "FILE"),
        default="$SCANNER_MOVER_CONFIG, else /data/config/config.json",
    ),
]
_ServerDir = Annotated[
    str | None,
    Option(
        *(("--server-dir",), Kind.FOLDER, "The folder of logs/ and .pids/.", "DIR"),
        default="$SERVERDIR, else where the called link leads to, else /var/www/html/server",
    ),
]


class MoveOptions(NamedTuple):
    """The options of `move`; None where the command line says nothing. Times are in seconds."""

    project: _Project = None
    config: _Config = None
    server_dir: _ServerDir = None
    studies: Annotated[
        tuple[str, ...],
        Option(
            *(("--study",), Kind.TEXTS, "Only this study. May be repeated. The study need not be requested.", "UID"),
            default="all requests",
        ),
    ] = ()
    receive: Annotated[
        bool | None,
        Option(
            *(("--receive", "--no-receive"), Kind.SWITCH),
            "DCMTK's storescp receives the images on DICOMPORT while the pass retrieves.",
            default="--no-receive, or as in the configuration",
        ),
    ] = None
    settle_seconds: Annotated[
        float | None,
        Option(("--settle",), Kind.SECONDS, "Pause after each C-MOVE that was sent.", "SECONDS", default="5"),
    ] = None
    give_up_after_seconds: Annotated[
        float | None,
        Option(("--give-up-after",), Kind.SECONDS, "Age at which a request fails.", "SECONDS", default="86400"),
    ] = None
    dry_run: Annotated[
        bool,
        Option(("--dry-run",), Kind.FLAG, "Ask the scanner and say what would be done, but change nothing."),
    ] = False
    json: Annotated[bool, Option(("--json",), Kind.FLAG, "Print one JSON object for each pass.")] = False
    verbose: Annotated[
        bool,
        Option(("--verbose", "-v"), Kind.FLAG, "Print the messages of the log as they are written, and a summary."),
    ] = False
    every_seconds: Annotated[
        float | None,
        Option(
            *(("--every",), Kind.SECONDS),
            "Go on until SIGTERM or SIGINT: a pass every SECONDS.",
            *("SECONDS", "one pass"),
        ),
    ] = None


class FindOptions(NamedTuple):
    """The options of `find`; empty where the command line says nothing."""

    project: _Project = None
    config: _Config = None
    level: Annotated[
        Level, Option(("--level",), Kind.CHOICE, "Ask for studies, or for the series of one study.", "study|series")
    ] = Level.STUDY
    study: Annotated[str, Option(("--study",), Kind.FILTER, "Only this study.", "UID")] = ""
    patient_id: Annotated[
        str, Option(("--patient-id",), Kind.FILTER, "Only this PatientID; * and ? are wildcards.", "ID")
    ] = ""
    patient_name: Annotated[
        str, Option(("--patient-name",), Kind.FILTER, "Only this name, as Family^Given; * and ? are wildcards.", "NAME")
    ] = ""
    date: Annotated[
        str,
        Option(
            *(("--date",), Kind.FILTER),
            "Only studies of these days: today, yesterday, 7d, 2026-01-31, 20260131 or 20260101-20260131.",
            "DATE",
        ),
    ] = ""
    modality: Annotated[str, Option(("--modality",), Kind.FILTER, "Only this modality, such as MR.", "MODALITY")] = ""
    description: Annotated[
        str,
        Option(
            *(("--description",), Kind.FILTER),
            "Only this description of the study (with --level series: of the series); * and ? are wildcards.",
            "TEXT",
        ),
    ] = ""
    limit: Annotated[int | None, Option(("--limit",), Kind.COUNT, "Show at most N results.", "N", "all")] = None
    json: Annotated[
        bool, Option(("--json",), Kind.FLAG, "Print a JSON list of objects with DICOM's keywords as keys.")
    ] = False
    csv: Annotated[bool, Option(("--csv",), Kind.FLAG, "Print comma-separated values.")] = False
    request: Annotated[
        bool,
        Option(("--request",), Kind.FLAG, "Also request every study that is shown. Needs a filter, or --all."),
    ] = False
    all: Annotated[bool, Option(("--all",), Kind.FLAG, "With --request: every study that the scanner has.")] = False


class StatusOptions(NamedTuple):
    """The options of `status`; None where the command line says nothing. Times are in seconds."""

    project: _Project = None
    config: _Config = None
    server_dir: _ServerDir = None
    json: Annotated[bool, Option(("--json",), Kind.FLAG, "Print one JSON object (with --audit: a list).")] = False
    prometheus: Annotated[
        bool, Option(("--prometheus",), Kind.FLAG, "Print metrics for a node exporter's textfile collector.")
    ] = False
    html: Annotated[bool, Option(("--html",), Kind.FLAG, "Print one page for a browser, with no patient in it.")] = (
        False
    )
    output: Annotated[
        str | None,
        Option(
            ("--output",), Kind.FILE, "Write to FILE, in one step, what would be printed.", "FILE", "standard output"
        ),
    ] = None
    max_age_seconds: Annotated[
        float | None,
        Option(("--max-age",), Kind.SECONDS, "Exit with 1 when the last pass is older than this.", "SECONDS"),
    ] = None
    check: Annotated[
        bool, Option(("--check",), Kind.FLAG, "Test the set-up; each line says ok, or fix: and what to do.")
    ] = False
    audit: Annotated[
        bool,
        Option(
            ("--audit",), Kind.FLAG, "Ask the scanner about the closed studies, and list those that lack images here."
        ),
    ] = False
    since: Annotated[
        str | None,
        Option(
            *(("--since",), Kind.TEXT),
            "With --audit: only studies that were closed in the last days (60 or 60d) or since a date (2026-01-31).",
            *("DAYS|DATE", "all"),
        ),
    ] = None
    request: Annotated[
        bool, Option(("--request",), Kind.FLAG, "With --audit: request again the studies that lack images.")
    ] = False


class InitOptions(NamedTuple):
    """The options of `init`; None where the command line says nothing."""

    config: _Config = None
    scanner_ip: Annotated[
        str | None, Option(("--scanner-ip",), Kind.TEXT, "The scanner's address or host name.", "HOST")
    ] = None
    scanner_port: Annotated[
        int | None,
        Option(("--scanner-port",), Kind.PORT, "The port of the scanner's query/retrieve service.", "PORT"),
    ] = None
    scanner_ae_title: Annotated[
        str | None, Option(("--scanner-ae-title",), Kind.TEXT, "The AE title of that service.", "AET")
    ] = None
    ae_title: Annotated[
        str | None,
        Option(("--ae-title",), Kind.TEXT, "Our own AE title, under which the scanner knows this server.", "AET"),
    ] = None
    data_dir: Annotated[
        str | None, Option(("--data-dir",), Kind.FOLDER, "The folder of requests and images.", "DIR", "/data")
    ] = None
    server_dir: Annotated[
        str | None,
        Option(
            ("--server-dir",), Kind.FOLDER, "The folder of logs/ and .pids/.", "DIR", "$SERVERDIR, else as for move"
        ),
    ] = None
    receive: Annotated[
        bool | None,
        Option(
            ("--receive", "--no-receive"),
            Kind.SWITCH,
            "Passes receive the images themselves, with DCMTK's storescp; or another program of this server does.",
            default="--receive",
        ),
    ] = None
    receive_port: Annotated[
        int | None,
        Option(("--receive-port",), Kind.PORT, "The port on which this server receives images.", "PORT", "11112"),
    ] = None
    user: Annotated[
        str | None,
        Option(("--user",), Kind.TEXT, "The user whose crontab runs the passes; new files are theirs.", "USER", "you"),
    ] = None


class DemoOptions(NamedTuple):
    """The options of `demo`."""

    keep: Annotated[
        str | None,
        Option(("--keep",), Kind.FOLDER, "Leave the demo's folders in DIR, which must be new or empty.", "DIR"),
    ] = None


Options = MoveOptions | FindOptions | StatusOptions | InitOptions | DemoOptions


class Subcommand(NamedTuple):
    """A subcommand: its name, the record of its options, its help, and its exit statuses with their meaning."""

    name: str
    options: type[Options]
    help: str
    example: str
    exit_statuses: dict[int, str]


_OTHER_STATUSES = {
    int(ExitStatus.USAGE): "wrong usage",
    int(ExitStatus.CONFIGURATION): "the configuration cannot be used; the line names the file and the key",
    int(ExitStatus.UNUSABLE): "a tool, a folder or a disk cannot be used; the line says what to do",
}
_SCANNER_STATUS = {int(ExitStatus.SCANNER): "the scanner could not be asked"}
_LAST_STATUSES = {int(ExitStatus.INTERNAL): "an error of scanner-mover itself; the line says where its traceback is"}
SUBCOMMANDS = (
    Subcommand(
        "move",
        MoveOptions,
        "Make one pass: retrieve what is missing, close what is complete.",
        "scanner-mover move --dry-run",
        {
            int(ExitStatus.OK): "the pass was made; or it is switched off, or nothing is requested",
            int(ExitStatus.LOCK_HELD): "another pass holds the lock",
            **_OTHER_STATUSES,
            int(ExitStatus.SCANNER): "the scanner could not be asked, a retrieve failed, or a series is stuck",
            int(ExitStatus.REQUEST_FAILED): "a request failed: it lies in failed-scans",
            **_LAST_STATUSES,
        },
    ),
    Subcommand(
        "find",
        FindOptions,
        "Ask the scanner which studies, or which series of a study, it has.",
        "scanner-mover find --date 7d --modality MR --request",
        {int(ExitStatus.OK): "the scanner answered", **_OTHER_STATUSES, **_SCANNER_STATUS, **_LAST_STATUSES},
    ),
    Subcommand(
        "status",
        StatusOptions,
        "Show where everything stands.",
        "scanner-mover status --check",
        {
            int(ExitStatus.OK): "it was shown",
            int(ExitStatus.ATTENTION): "--max-age: the last pass is older; --check: something needs attention",
            **_OTHER_STATUSES,
            **_SCANNER_STATUS,
            **_LAST_STATUSES,
        },
    ),
    Subcommand(
        "init",
        InitOptions,
        "Set up a new site; nothing that is there is overwritten.",
        "scanner-mover init --scanner-ip 192.0.2.1 --scanner-port 104 --scanner-ae-title MRC1 --ae-title MOVER",
        {int(ExitStatus.OK): "the site is set up", **_OTHER_STATUSES, **_LAST_STATUSES},
    ),
    Subcommand(
        "demo",
        DemoOptions,
        "Play the whole job on this machine, with a real DICOM server.",
        "scanner-mover demo --keep /tmp/demo",
        {int(ExitStatus.OK): "it worked", **_OTHER_STATUSES, **_LAST_STATUSES},
    ),
)
BY_SIGNAL = "128 + n: ended by signal n"


def declared(options: type[Options]) -> dict[str, Option]:
    """The options of a record, by the names of its fields."""
    return {name: annotation.__metadata__[0] for name, annotation in options.__annotations__.items()}


def read_plain(arguments: Sequence[str]) -> MoveOptions | StatusOptions | None:
    """The options in ARGUMENTS, all that follows the program's name, as typer would read them.

    None when typer must read them: another subcommand, a call for help, a mistake, about which it knows what to say.
    """
    if arguments[:1] == ["move"]:
        given = _read(MoveOptions, iter(arguments[1:]))
        return None if given is None else MoveOptions(**given)
    if arguments[:1] == ["status"]:
        given = _read(StatusOptions, iter(arguments[1:]))
        return None if given is None else StatusOptions(**given)
    return None


def _read(options: type[Options], words: Iterator[str]) -> dict[str, Any] | None:
    fields = declared(options)
    by_name = {name: field for field, option in fields.items() for name in option.names}
    given: dict[str, Any] = {}
    for word in words:
        field = by_name.get(word)
        if field is None:
            if word.startswith("-") or "project" in given or word.lower() in VALUES_OF_FLAGS:
                return None
            given["project"] = word
        elif fields[field].kind in (Kind.FLAG, Kind.SWITCH):
            given[field] = fields[field].kind is Kind.FLAG or word == fields[field].names[0]
        else:
            value = _value(fields[field].kind, next(words, "-"))
            if value is None:
                return None
            given[field] = (*given.get(field, ()), value) if fields[field].kind is Kind.TEXTS else value
    return given


def _value(kind: Kind, word: str) -> str | float | None:
    """The value that WORD is for an option of KIND; None when typer must look at it."""
    if word.startswith("-"):
        return None
    if kind is Kind.SECONDS:
        return float(word) if _NUMBER.fullmatch(word) else None
    return word
