"""The options of every subcommand, declared once.

From these records come the typer program (`cli.py`), the man page, and `read_plain`, which reads the command lines of
cron and monitoring without typer: to import typer takes longer than a pass with nothing to do. A plain module.
"""

import enum
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from scanner_mover.options import Kind, Option, read


class Level(enum.StrEnum):
    """The level of a C-FIND (DICOM PS3.4 section C.6.2.1), in the words of the command line."""

    STUDY = "study"
    SERIES = "series"


_Project = Annotated[
    str | None,
    Option((), Kind.PROJECT, "The site in the configuration (SITES.PROJECT).", "PROJECT", "the keys at its top"),
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
        Level,
        Option(("--level",), Kind.CHOICE, "Ask for studies, or for the series of one study.", "study|series", "study"),
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


def read_plain(arguments: Sequence[str]) -> MoveOptions | StatusOptions | None:
    """The options in ARGUMENTS, all that follows the program's name, as typer would read them.

    None when typer must read them: another subcommand, a call for help, a mistake, about which it knows what to say.
    """
    if arguments[:1] == ["move"]:
        given = read(MoveOptions, iter(arguments[1:]))
        return None if given is None else MoveOptions(**given)
    if arguments[:1] == ["status"]:
        given = read(StatusOptions, iter(arguments[1:]))
        return None if given is None else StatusOptions(**given)
    return None
