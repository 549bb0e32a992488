"""`config.json` and the site in it, read into one Settings (R1 to R4, R43).

A plain module without dataclasses: every pass reads the configuration, also one that has nothing to do.
"""

from __future__ import annotations

import json
import os
import re

from scanner_mover import config_values as values
from scanner_mover.config_values import Place
from scanner_mover.config_values import Tls as Tls
from scanner_mover.errors import ConfigurationError, UnknownProjectError, UsageError, reason
from scanner_mover.files import read_regular
from scanner_mover.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from typing import Any

DEFAULT_FILE = "/data/config/config.json"
DEFAULT_PROJECT = "ABCD"
_MOST_BYTES = 16 << 20
DEFAULT_DATA_DIR = "/data"
KEYS = ("DATADIR", "SCANNERIP", "SCANNERPORT", "SCANNERAETITLE", "DICOMAETITLE", "DICOMPORT")

_PROJECT = r"(?!.*\.work\.)[^/\x00-\x1f\x7f.-][^/\x00-\x1f\x7f]*"
_PROJECTS_SHOWN = 10
# How alike two words must be for one to be a slip of the other: DATDIR is, another program's DICOMIP is not.
_ALIKE = 0.85


class Settings(Record):
    """What one pass needs to know; times are in seconds, sizes in bytes."""

    project: str
    file: str
    data_dir: str
    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str
    receive_port: int | None
    receive: bool = False
    settle_seconds: float = 5
    repull_after_seconds: float = 120
    repull_at_most_seconds: float = 3600
    quiet_seconds: float = 60
    give_up_after_seconds: float = 86400
    no_mpps_after_seconds: float | None = None
    retries: int = 2
    connect_timeout_seconds: float = 10
    response_timeout_seconds: float = 60
    retrieve_stall_seconds: float = 300
    associations: int = 1
    max_pdu: int | None = None
    reserve_bytes: int = 1 << 30
    modalities: tuple[str, ...] | None = None
    on_finished: tuple[str, ...] | None = None
    on_failed: tuple[str, ...] | None = None
    on_fault: tuple[str, ...] | None = None
    file_mode: int | None = None
    directory_mode: int | None = None
    group: int | None = None
    tls: Tls | None = None


def project_name(name: str | None) -> str:
    """The project that NAME means: none and the empty one are the default (R2).

    Raises UsageError for a name that could lead out of the folder in which a project's log and lock lie.
    """
    if not name:
        return DEFAULT_PROJECT
    if not re.fullmatch(_PROJECT, name):
        raise UsageError(f"PROJECT is the name of a site in the configuration, not {name!r}")
    return name


def load(
    file: str,
    project: str,
    *,
    receive: bool | None = None,
    settle_seconds: float | None = None,
    give_up_after_seconds: float | None = None,
) -> Settings:
    """Read FILE for PROJECT; the keyword arguments are those of the command line, which override FILE.

    Raises UnknownProjectError when FILE has no such project, and ConfigurationError for everything else that is wrong,
    with one line that names the file and the key.
    """
    where, keys, given = _keys(file, project)
    options: dict[str, Any] = {}
    for place, object_ in given:
        options |= values.options(place, object_)
    for name, value in (
        ("receive", receive),
        ("settle_seconds", settle_seconds),
        ("give_up_after_seconds", give_up_after_seconds),
    ):
        if value is not None:
            options[name] = value
    _check_for_slips(where, keys)
    settings = Settings(
        project=project,
        file=file,
        data_dir=values.data_dir(where, keys, default=None if where.prefix else DEFAULT_DATA_DIR),
        host=values.host(where, keys),
        port=values.port(where, keys, "SCANNERPORT"),
        called_ae_title=values.ae_title(where, keys, "SCANNERAETITLE"),
        calling_ae_title=values.ae_title(where, keys, "DICOMAETITLE"),
        receive_port=values.port(where, keys, "DICOMPORT") if options.get("receive", False) else None,
        **options,
    )
    _check_no_mpps_after(settings, given)
    return settings


def sources(file: str, project: str) -> dict[str, str]:
    """Where in FILE each value of `load` stands, for each key; a key that is not there is left out, it has its default.

    Raises ConfigurationError when FILE cannot be read.
    """
    where, keys, given = _keys(file, project)
    found = {key: f"{where.prefix}{key}" for key in KEYS if keys.get(key) is not None}
    for place, object_ in given:
        for option, value in (object_.get("SCANNER_MOVER") or {}).items():
            if value is not None:
                found[option] = f"{place.prefix}SCANNER_MOVER.{option}"
    return found


def projects(file: str) -> list[str]:
    """The projects in FILE: the one at its top, and each of its sites.

    Raises ConfigurationError when FILE cannot be read.
    """
    return [DEFAULT_PROJECT, *_sites(_read(file))]


def site_keys(file: str, name: str) -> dict[str, Any]:
    """The keys of the site NAME as they stand in FILE; none when it is not there.

    Raises ConfigurationError when FILE cannot be read.
    """
    return _sites(_read(file)).get(name, {})


def file_to_use(given: str | None) -> str:
    """The configuration: GIVEN on the command line, else `$SCANNER_MOVER_CONFIG`, else the reference's."""
    return given or os.environ.get("SCANNER_MOVER_CONFIG") or DEFAULT_FILE


def _keys(file: str, project: str) -> tuple[Place, dict[str, Any], list[tuple[Place, dict[str, Any]]]]:
    """The object that holds the keys of PROJECT, where it stands, and the objects whose SCANNER_MOVER counts."""
    top = _read(file)
    if project == DEFAULT_PROJECT:
        return Place(file), top, [(Place(file), top)]
    sites = _sites(top)
    if project not in sites:
        raise UnknownProjectError(f"{file}: SITES.{project} is missing{_meant(project, list(sites))}")
    site = Place(file, f"SITES.{project}.")
    return site, sites[project], [(Place(file), top), (site, sites[project])]


def _sites(top: dict[str, Any]) -> dict[str, dict[str, Any]]:
    sites = top.get("SITES")
    return {name: keys for name, keys in sites.items() if isinstance(keys, dict)} if isinstance(sites, dict) else {}


def _meant(project: str, names: list[str]) -> str:
    """The end of the line about an unknown PROJECT: the one that was meant, and those that there are."""
    if not names:
        return "; there are no projects in it: leave PROJECT out for the keys at its top"
    likely = values.nearest(project, names, 0.5)
    shown = ", ".join(names[:_PROJECTS_SHOWN]) + (", ..." if len(names) > _PROJECTS_SHOWN else "")
    return f"; {f'did you mean {likely}? ' if likely else ''}the projects are: {shown}"


def _check_for_slips(where: Place, keys: dict[str, Any]) -> None:
    """A key of ours that is missing while a similar one is there is a slip of the pen, and says so.

    Also where it may be missing: with DATDIR for DATADIR a pass would work on the wrong folder. Raises
    ConfigurationError.
    """
    missing = [key for key in KEYS[:-1] if keys.get(key) is None]
    # It is missing at most sites. Only a key with much of its name is worth a look, which takes time.
    if keys.get("SCANNER_MOVER") is None and any("MOVE" in key.upper() for key in keys if key != "SCANNER_MOVER"):
        missing.append("SCANNER_MOVER")
    others = [key for key in keys if key not in (*KEYS, "SITES", "SCANNER_MOVER")]
    for key in missing if others else ():
        slip = values.nearest(key, others, _ALIKE)
        if slip is not None:
            raise where.error(key, f"is missing; did you mistype it as {slip}?")


def _check_no_mpps_after(settings: Settings, given: list[tuple[Place, dict[str, Any]]]) -> None:
    """A request must not fail before it may close without MPPS (R32). Raises ConfigurationError."""
    seconds = settings.no_mpps_after_seconds
    if seconds is None or seconds < settings.give_up_after_seconds:
        return
    name = "no_mpps_after_seconds"
    place = next(place for place, keys in reversed(given) if (keys.get("SCANNER_MOVER") or {}).get(name) is not None)
    limit = f"{settings.give_up_after_seconds:g}"
    raise place.error(f"SCANNER_MOVER.{name}", f"must be below give_up_after_seconds, which is {limit}")


def _read(file: str) -> dict[str, Any]:
    try:
        value = json.loads(read_regular(file, _MOST_BYTES).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{file}: is not there; scanner-mover init makes it, --config names another"
        ) from error
    except PermissionError as error:
        raise ConfigurationError(
            f"{file}: cannot be read: {reason(error)}; let the user that runs this program read it"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {reason(error)}") from error
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{file}: is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{file}: is not a JSON object")
    return value
