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
    project: Annotated[
        Optional[str],  # noqa: UP045 - what typer's help shows best
        typer.Argument(help="The site in the configuration (SITES.PROJECT); none: the keys at its top."),
    ] = None,
    config: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="FILE", help="The configuration; $SCANNER_MOVER_CONFIG, else /data/config/config.json."),
    ] = None,
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
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object for the pass.")] = False,
) -> None:
    """One pass over the requests: pull what is missing, close what is complete."""
    from scanner_mover.commands.move import Options, run

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


def main() -> None:
    """The console script `scanner-mover`."""
    app(prog_name="scanner-mover")
