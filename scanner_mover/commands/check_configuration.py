"""`status --check`: the values of the configuration, and what the projects in it have in common."""

import json
import shlex
import shutil
from typing import Any

from scanner_mover import config
from scanner_mover.commands.check_line import Findings, fix, ok
from scanner_mover.config import Settings
from scanner_mover.errors import ConfigurationError
from scanner_mover.transfer.hooks import distrust

_SCANNER_KEYS = ("SCANNERIP", "SCANNERPORT", "SCANNERAETITLE", "DICOMAETITLE")
_HOOKS = ("on_finished", "on_failed", "on_fault")


def values(settings: Settings) -> Findings:
    """Each value that is used, and where it comes from."""
    sources = config.sources(settings.file, settings.project)
    found: dict[str, Any] = {
        "DATADIR": settings.data_dir,
        "SCANNERIP": settings.host,
        "SCANNERPORT": settings.port,
        "SCANNERAETITLE": settings.called_ae_title,
        "DICOMAETITLE": settings.calling_ae_title,
    }
    if settings.receive:
        found["DICOMPORT"] = settings.receive_port
    options = settings._asdict()
    if settings.tls is not None:
        given = (f"{name} {value}" for name, value in settings.tls._asdict().items() if name != "place" and value)
        options["tls"] = ", ".join(given)
    found |= {option: _shown(options[option]) for option in sources if option in options}
    yield ok(f"configuration {settings.file}, project {settings.project}")
    for key, value in found.items():
        yield ok(f"{key} is {value} ({sources.get(key, 'default')})")


def _shown(value: Any) -> Any:
    """A list as somebody would type it."""
    return shlex.join(value) if isinstance(value, tuple) else value


def hooks(settings: Settings) -> Findings:
    """Whether the hooks may run: who may write the configuration decides what they run."""
    programs = {name: getattr(settings, name) for name in _HOOKS if getattr(settings, name)}
    if not programs:
        return
    for name, command in programs.items():
        if shutil.which(command[0]) is None:
            yield fix(f"{name}: {command[0]} is no program that can be run: give its full path, or chmod +x it")
    why_not = distrust(settings.file)
    yield ok(f"the hooks {', '.join(programs)} may run") if why_not is None else fix(why_not)


def only_in_pcgc(file: str, project: str) -> Findings:
    """A site that lived on the script's habit to take every project's scanner from `SITES.PCGC` (R3)."""
    try:
        own, pcgc = config.site_keys(file, project), config.site_keys(file, "PCGC")
    except ConfigurationError:
        return
    lines = [
        f"{json.dumps(key)}: {json.dumps(pcgc[key])}" for key in _SCANNER_KEYS if key in pcgc and own.get(key) is None
    ]
    if project not in (config.DEFAULT_PROJECT, "PCGC") and lines:
        yield fix(
            f"the script took the scanner of every project from SITES.PCGC; copy into SITES.{project} of {file}: "
            + ", ".join(lines)
        )


def other_projects(settings: Settings) -> Findings:
    """Two projects cannot both receive on one port, nor share it for two data folders."""
    sources = config.sources(settings.file, settings.project)
    if "DICOMPORT" not in sources:
        return
    own = receiving(settings.file, settings.project)
    for project in config.projects(settings.file):
        if project == settings.project:
            continue
        other = receiving(settings.file, project)
        if own is None or other is None or own.receive_port != other.receive_port:
            continue
        if own.data_dir != other.data_dir or settings.receive or config.load(settings.file, project).receive:
            yield fix(
                f"the projects {settings.project} and {project} have one DICOMPORT, {own.receive_port}: "
                "give each its own, and tell the scanner"
            )


def receiving(file: str, project: str) -> Settings | None:
    """The settings of PROJECT in FILE as if it received by itself; None when they cannot be used so."""
    try:
        return config.load(file, project, receive=True)
    except ConfigurationError:
        return None
