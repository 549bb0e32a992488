"""The typer program: options in, exit status out, nothing else."""

import sys
from typing import Annotated, Optional

import typer

from scanner_mover import __version__

app = typer.Typer(
    help="Moves requested studies from an MRI scanner's console to this server, with DCMTK.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Project = Annotated[
    Optional[str],  # noqa: UP045 - what typer's help shows best
    typer.Argument(help="The site in the configuration (SITES.PROJECT); none: the keys at its top."),
]
_Config = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="FILE", help="The configuration; $SCANNER_MOVER_CONFIG, else /data/config/config.json."),
]


def _not_empty(value: str | None) -> str | None:
    """A filter that is empty, as an unset variable makes it, would match everything."""
    if value == "":
        raise typer.BadParameter("is empty, which would match everything: leave the option out for that")
    return value


_Study = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="UID", help="Only this study.", callback=_not_empty),
]
_PatientId = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="ID", help="With wildcards * and ?.", callback=_not_empty),
]
_PatientName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="NAME", help="As Family^Given.", callback=_not_empty),
]
_Date = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="DATE", help="today, yesterday, 7d, 2026-01-31, 20260131 or 20260101-20260131.", callback=_not_empty
    ),
]
_Modality = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="CS", help="Such as MR.", callback=_not_empty),
]
_Description = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="TEXT", help="Of the study, or series.", callback=_not_empty),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"scanner-mover {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Moves requested studies from an MRI scanner's console to this server, with DCMTK."""


@app.command(epilog="Example: scanner-mover move --dry-run")
def move(
    project: _Project = None,
    config: _Config = None,
    server_dir: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="DIR",
            help="Where logs/ and .pids/ are; $SERVERDIR, else found from the link that we were called by, "
            "else /var/www/html/server.",
        ),
    ] = None,
    study: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="UID", help="Only this study; may be repeated, and need not be requested."),
    ] = None,
    receive: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--receive/--no-receive", help="movescu itself receives the images, on DICOMPORT."),
    ] = None,
    settle: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="SECONDS", min=0, help="Pause after each C-MOVE that was sent. [default: 5]"),
    ] = None,
    give_up_after: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="SECONDS", min=0, help="Age at which a request fails. [default: 86400]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the scanner and say what would be done, but change nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each pass.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the messages of the log as they come, and a summary.")
    ] = False,
    every: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="SECONDS", help="Go on: a pass every so many seconds until SIGTERM or SIGINT."),
    ] = None,
) -> None:
    """One pass over the requests: pull what is missing, close what is complete."""
    from scanner_mover.commands.move import run
    from scanner_mover.transfer.one_pass import Options

    options = Options(
        project=project,
        config=config,
        server_dir=server_dir,
        studies=tuple(study or ()),
        receive=receive,
        settle_seconds=settle,
        give_up_after_seconds=give_up_after,
        dry_run=dry_run,
        json=json,
        verbose=verbose,
        every_seconds=every,
    )
    raise typer.Exit(run(options, sys.argv[0]))


@app.command(epilog="Example: scanner-mover find --date 7d --modality MR --request")
def find(
    project: _Project = None,
    config: _Config = None,
    level: Annotated[str, typer.Option(metavar="study|series", help="Studies, or the series of one study.")] = "study",
    study: _Study = None,
    patient_id: _PatientId = None,
    patient_name: _PatientName = None,
    date: _Date = None,
    modality: _Modality = None,
    description: _Description = None,
    limit: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", min=1, help="Show so many answers, and say if there are more."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON list, with the standard's keywords as keys.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    request: Annotated[bool, typer.Option("--request", help="Also request every study that is shown.")] = False,
) -> None:
    """Ask the scanner which studies, or which series of a study, there are."""
    from scanner_mover.commands.find import Options, run

    options = Options(
        project=project,
        config=config,
        level=level,
        study=study or "",
        patient_id=patient_id or "",
        patient_name=patient_name or "",
        date=date or "",
        modality=modality or "",
        description=description or "",
        limit=limit,
        json=json,
        csv=csv,
        request=request,
    )
    raise typer.Exit(run(options))


@app.command(epilog="Example: scanner-mover status --check")
def status(
    project: _Project = None,
    config: _Config = None,
    server_dir: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DIR", help="Where logs/ and .pids/ are; as for move."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Metrics in the text format of a node exporter.")
    ] = False,
    max_age: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="SECONDS", min=0, help="Exit with 1 when the last pass is older than that."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Test the set-up; each line says ok or what to do.")] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Ask the scanner what is missing of the studies that were closed.")
    ] = False,
    since: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DAYS", help="With --audit: only what was closed since, such as 30d."),
    ] = None,
    request: Annotated[
        bool, typer.Option("--request", help="With --audit: put those of which images are missing back.")
    ] = False,
) -> None:
    """Where everything stands."""
    from scanner_mover.commands.status import Options, run

    options = Options(
        project=project,
        config=config,
        server_dir=server_dir,
        json=json,
        prometheus=prometheus,
        max_age_seconds=max_age,
        check=check,
        audit=audit,
        since=since,
        request=request,
    )
    raise typer.Exit(run(options, sys.argv[0]))


@app.command(epilog="Example: scanner-mover demo --keep /tmp/demo")
def demo(
    keep: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DIR", help="Leave the demo's folders in DIR, which must be new or empty."),
    ] = None,
) -> None:
    """The whole job on this machine, with a real DICOM server as the scanner."""
    from scanner_mover.commands.demo import run

    raise typer.Exit(run(keep))
