"""The typer program, made from the declared options: options in, exit status out, nothing else."""

import inspect
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from scanner_mover import __version__, commands, config
from scanner_mover.errors import ConfigurationError
from scanner_mover.options import VALUES_OF_FLAGS, Kind, Option, declared
from scanner_mover.subcommands import BY_SIGNAL, SUBCOMMANDS, Subcommand

_HELP = "Moves requested studies from an MRI scanner's console to this server, with DCMTK."

# Without rich's markup: it takes `[default: 5]` in a help text for a style, and shows a value `<bool>` for each flag.
app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
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
    """What stands before a subcommand."""


program.__doc__ = _HELP


def _add(subcommand: Subcommand) -> None:
    """Give `app` the SUBCOMMAND; typer reads its parameters from the signature of a function, so it gets one."""

    record: Any = subcommand.options

    def run(**given: Any) -> None:
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
            if value is not None
        }
        raise typer.Exit(commands.run(record(**values), sys.argv[0]))

    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=record._field_defaults[name] if option.kind in (Kind.FLAG, Kind.CHOICE) else None,
            annotation=_annotation(option, record._field_defaults[name]),
        )
        for name, option in declared(subcommand.options).items()
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app.command(subcommand.name, help=subcommand.help, epilog=_epilog(subcommand))(run)


def _epilog(subcommand: Subcommand) -> str:
    statuses = [f"  {status:<3} {meaning}" for status, meaning in subcommand.exit_statuses.items()]
    lines = ["\b", f"Example: {subcommand.example}", "", "\b", "Exit status:", *statuses, f"  {BY_SIGNAL}"]
    return "\n".join(lines)


def _annotation(option: Option, default: Any) -> Any:
    """The type of a parameter, as typer documents it: `Annotated` with what typer has to know."""
    text = option.help + (f" [default: {option.default}]" if option.default else "")
    if option.kind is Kind.PROJECT:
        return Annotated[
            Optional[str],  # noqa: UP045 - as typer's documentation writes it
            typer.Argument(metavar=option.metavar, help=text, callback=_no_value, autocompletion=_projects),
        ]
    if option.kind is Kind.FLAG:
        return Annotated[bool, typer.Option(*option.names, help=text)]
    if option.kind is Kind.SWITCH:
        return Annotated[Optional[bool], typer.Option("/".join(option.names), help=text)]  # noqa: UP045
    if option.kind is Kind.CHOICE:
        return Annotated[
            type(default), typer.Option(*option.names, metavar=option.metavar, help=text, show_default=False)
        ]
    of_type, more = _TYPES[option.kind]
    return Annotated[
        Optional[of_type],  # noqa: UP045
        typer.Option(*option.names, metavar=option.metavar, help=text, show_default=False, **more),
    ]


def _not_empty(value: str | None) -> str | None:
    if value == "":
        raise typer.BadParameter("is empty, which would match everything: leave the option out for that")
    return value


def _no_value(value: str | None) -> str | None:
    if value is not None and value.lower() in VALUES_OF_FLAGS:
        raise typer.BadParameter(f"{value!r} is no project; options such as --dry-run take no value")
    return value


def _projects(context: typer.Context, incomplete: str) -> list[str]:
    """What the shell completes a project to: the sites in the configuration; none while it cannot be read."""
    try:
        names = config.projects(config.file_to_use(context.params.get("config")))
    except ConfigurationError:
        return []
    return [name for name in names if name.startswith(incomplete)]


_TYPES: dict[Kind, tuple[Any, dict[str, Any]]] = {
    Kind.TEXT: (str, {}),
    Kind.FILTER: (str, {"callback": _not_empty}),
    Kind.TEXTS: (list[str], {}),
    Kind.FILE: (Path, {"path_type": str}),
    Kind.FOLDER: (Path, {"path_type": str}),
    Kind.SECONDS: (float, {"min": 0}),
    Kind.COUNT: (int, {"min": 1}),
    Kind.PORT: (int, {"min": 1, "max": 65535}),
}

for _subcommand in SUBCOMMANDS:
    _add(_subcommand)
