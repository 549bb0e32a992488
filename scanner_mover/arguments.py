"""The options of `move` and `status`, which cron and monitoring call; `arguments_by_hand` has the others.

Each option is declared once. From these records come the typer program (`cli.py`), the man page, and `read_plain`,
which reads a command line without typer: to import typer takes longer than a pass with nothing to do. A plain module.
"""

from collections.abc import Sequence

from scanner_mover.options import Kind, Option, read
from scanner_mover.record import Annotated, Record

Project = Annotated[
    str | None,
    Option((), Kind.PROJECT, "The site in the configuration (SITES.PROJECT).", "PROJECT", "the keys at its top"),
]
Config = Annotated[
    str | None,
    Option(
        *(("--config",), Kind.FILE, "The configuration.", "FILE"),
        default="$SCANNER_MOVER_CONFIG, else /data/config/config.json",
    ),
]
ServerDir = Annotated[
    str | None,
    Option(
        *(("--server-dir",), Kind.FOLDER, "The folder of logs/ and .pids/.", "DIR"),
        default="$SERVERDIR, else where the called link leads to, else /var/www/html/server",
    ),
]


class MoveOptions(Record):
    """The options of `move`; None where the command line says nothing. Times are in seconds."""

    project: Project = None
    config: Config = None
    server_dir: ServerDir = None
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

    @property
    def is_by_hand(self) -> bool:
        """Whether somebody names studies and waits for the pass, which then waits for nothing (R29)."""
        return bool(self.studies) and self.every_seconds is None


class StatusOptions(Record):
    """The options of `status`; None where the command line says nothing. Times are in seconds."""

    project: Project = None
    config: Config = None
    server_dir: ServerDir = None
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
