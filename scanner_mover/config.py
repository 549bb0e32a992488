"""`config.json` and the site in it: one frozen Settings (R1 to R4, and the table of options in the README).

A plain module without dataclasses: every pass reads the configuration, also the one that has nothing to do.
"""

import json
import math
import os
import re
from typing import Any, NamedTuple

from scanner_mover.errors import ConfigurationError, UsageError, reason

DEFAULT_FILE = "/data/config/config.json"
DEFAULT_PROJECT = "ABCD"
KEYS = ("DATADIR", "SCANNERIP", "SCANNERPORT", "SCANNERAETITLE", "DICOMAETITLE", "DICOMPORT")

# A host that DCMTK takes for an option (`-`) or for a file of options (`@`) is none.
_HOST = re.compile(r"[^\s\x00-\x1f\x7f@-][^\s\x00-\x1f\x7f]*")
_PROJECT = re.compile(r"(?!.*\.work\.)[^/\x00-\x1f\x7f.-][^/\x00-\x1f\x7f]*")


# DCMTK's names of its security profiles, but for `aes` and `null`, which protect too little. Which of these a tool has
# depends on its version.
_PROFILES = ("bcp195", "bcp195-nd", "bcp195-ex", "8996", "8996-mod")


class Tls(NamedTuple):
    """TLS to the scanner: absolute paths of files in PEM format, and DCMTK's security profile (None: its default).

    `place` is the file and the key that it comes from, for the one line of an error.
    """

    place: str
    key: str
    certificate: str
    authorities: str
    profile: str | None = None


class Settings(NamedTuple):
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
    quiet_seconds: float = 60
    give_up_after_seconds: float = 86400
    retries: int = 2
    connect_timeout_seconds: float = 10
    response_timeout_seconds: float = 60
    retrieve_stall_seconds: float = 120
    associations: int = 1
    max_pdu: int | None = None
    reserve_bytes: int = 1 << 30
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
    if not _PROJECT.fullmatch(name):
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
    """Read FILE for PROJECT; the keyword arguments are the command line's and win over it.

    Raises ConfigurationError with one line that names the file and the key.
    """
    where, keys, given = _keys(file, project)
    options: dict[str, Any] = {}
    for place, object_ in given:
        options |= _options(place, object_)
    for name, value in (
        ("receive", receive),
        ("settle_seconds", settle_seconds),
        ("give_up_after_seconds", give_up_after_seconds),
    ):
        if value is not None:
            options[name] = value
    receives = options.get("receive", False)
    return Settings(
        project=project,
        file=file,
        data_dir=_data_dir(where, keys, default=None if where.prefix else "/data"),
        host=_host(where, keys),
        port=_port(where, keys, "SCANNERPORT"),
        called_ae_title=_ae_title(where, keys, "SCANNERAETITLE"),
        calling_ae_title=_ae_title(where, keys, "DICOMAETITLE"),
        receive_port=_port(where, keys, "DICOMPORT") if receives else None,
        **options,
    )


def _keys(file: str, project: str) -> tuple["_Place", dict[str, Any], list[tuple["_Place", dict[str, Any]]]]:
    """The object that holds the keys of PROJECT, where it stands, and the objects whose SCANNER_MOVER counts."""
    top = _read(file)
    if project == DEFAULT_PROJECT:
        return _Place(file), top, [(_Place(file), top)]
    sites = top.get("SITES")
    if not isinstance(sites, dict) or not isinstance(sites.get(project), dict):
        raise _Place(file).error(f"SITES.{project}", "is missing")
    site = _Place(file, f"SITES.{project}.")
    return site, sites[project], [(_Place(file), top), (site, sites[project])]


def sources(file: str, project: str) -> dict[str, str]:
    """Where each value of `load` comes from: for each key the name of the key in FILE; one that is not there is left
    out, it has its default.

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
    sites = _read(file).get("SITES")
    named = [name for name, keys in sites.items() if isinstance(keys, dict)] if isinstance(sites, dict) else []
    return [DEFAULT_PROJECT, *named]


def site_keys(file: str, name: str) -> dict[str, Any]:
    """The keys of the site NAME as they stand in FILE; none when it is not there.

    Raises ConfigurationError when FILE cannot be read.
    """
    sites = _read(file).get("SITES")
    keys = sites.get(name) if isinstance(sites, dict) else None
    return keys if isinstance(keys, dict) else {}


def file_to_use(given: str | None) -> str:
    """The configuration: what the command line GIVES, else `$SCANNER_MOVER_CONFIG`, else the reference's."""
    return given or os.environ.get("SCANNER_MOVER_CONFIG") or DEFAULT_FILE


class _Place(NamedTuple):
    """Where in which file a key stands, for the one line of an error."""

    file: str
    prefix: str = ""

    def error(self, key: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self.file}: {self.prefix}{key} {what}")


def _read(file: str) -> dict[str, Any]:
    try:
        with open(file, encoding="utf-8-sig") as stream:
            value = json.load(stream)
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


def _text(where: _Place, keys: dict[str, Any], key: str) -> str:
    """A value as the reference's `jq -r` gives it: a string, or a number's digits."""
    value = keys.get(key)
    if value is None or value == "":
        raise where.error(key, "is missing" if value is None else "is empty")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise where.error(key, "must be a string or a number")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise where.error(key, "holds half a character") from None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return str(value)
    except ValueError:  # an integer of more digits than Python prints
        raise where.error(key, "is too long a number") from None


def _data_dir(where: _Place, keys: dict[str, Any], default: str | None) -> str:
    if default is not None and keys.get("DATADIR") is None:
        return default
    path = _text(where, keys, "DATADIR")
    if "\0" in path:
        raise where.error("DATADIR", "is not the name of a folder")
    return os.path.abspath(path)


def _host(where: _Place, keys: dict[str, Any]) -> str:
    host = _text(where, keys, "SCANNERIP")
    if not _HOST.fullmatch(host):
        raise where.error("SCANNERIP", f"is not an address or a host name: {host!r}")
    return host


def _port(where: _Place, keys: dict[str, Any], key: str) -> int:
    text = _text(where, keys, key)
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise where.error(key, f"is not a port from 1 to 65535: {text!r}")
    return int(text)


def _ae_title(where: _Place, keys: dict[str, Any], key: str) -> str:
    """An application entity title: DICOM PS3.5 section 6.2, VR AE; blanks around it mean nothing."""
    title = _text(where, keys, key).strip(" ")
    if not 1 <= len(title) <= 16 or not all(" " <= c <= "~" and c != "\\" for c in title):
        raise where.error(
            key, f"is not an AE title (1 to 16 ASCII characters, no backslash, no control character): {title!r}"
        )
    if title[0] == "@":
        raise where.error(key, f"begins with @, which DCMTK's tools take for a file of options: {title!r}")
    return title


def _options(where: _Place, keys: dict[str, Any]) -> dict[str, Any]:
    """The checked options of the object SCANNER_MOVER; those that are null are as if they were not there."""
    value = keys.get("SCANNER_MOVER")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise where.error("SCANNER_MOVER", "is not an object")
    inside = _Place(where.file, f"{where.prefix}SCANNER_MOVER.")
    for key in value:
        _known(inside, key, _OPTIONS)
    return {key: _OPTIONS[key](inside, key, given) for key, given in value.items() if given is not None}


def _known(where: _Place, key: str, known: Any) -> None:
    if key not in known:
        import difflib  # only an error needs it

        nearest = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0)
        raise where.error(key, f"is not known; did you mean {nearest[0]}?")


def _boolean(where: _Place, key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise where.error(key, "must be true or false")
    return value


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _seconds(where: _Place, key: str, value: Any) -> float:
    if not _is_number(value) or not 0 <= value <= 1e9:
        raise where.error(key, "must be a number of seconds, 0 or more")
    return float(value)


def _time_limit(where: _Place, key: str, value: Any) -> float:
    if not _is_number(value) or not 0 < value <= 1e6:
        raise where.error(key, "must be a number of seconds above 0")
    return float(value)


def _whole(lowest: int, highest: int | None = None) -> Any:
    def check(where: _Place, key: str, value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < lowest or (highest is not None and value > highest):
            span = f"from {lowest} to {highest}" if highest is not None else f"of at least {lowest}"
            raise where.error(key, f"must be a whole number {span}")
        return int(value)

    return check


def _mode(where: _Place, key: str, value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3,4}", value):
        raise where.error(key, 'must be permissions as a string of octal digits, such as "0640"')
    return int(value, 8)


def _group(where: _Place, key: str, value: Any) -> int:
    import grp

    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return grp.getgrgid(value).gr_gid
        if isinstance(value, str):
            return grp.getgrnam(value).gr_gid
    except (KeyError, OverflowError, ValueError):
        pass
    raise where.error(key, f"is not a group of this machine: {value!r}")


def _tls(where: _Place, key: str, value: Any) -> Tls:
    if not isinstance(value, dict):
        raise where.error(key, "is not an object")
    inside = _Place(where.file, f"{where.prefix}{key}.")
    files = ("key", "certificate", "authorities")
    for name in value:
        _known(inside, name, (*files, "profile"))
    key_file, certificate, authorities = (_file(inside, value, name) for name in files)
    profile = value.get("profile")
    if profile is not None and profile not in _PROFILES:
        raise inside.error("profile", f"must be one of {', '.join(_PROFILES)}")
    return Tls(f"{where.file}: {where.prefix}{key}", key_file, certificate, authorities, profile)


def _file(where: _Place, keys: dict[str, Any], key: str) -> str:
    """The absolute path of a file, which no tool can take for an option; a relative one begins at the configuration."""
    if isinstance(keys.get(key), int | float):
        raise where.error(key, "must be a string")
    path = _text(where, keys, key)
    if "\0" in path:
        raise where.error(key, "is not the name of a file")
    return os.path.join(os.path.dirname(os.path.abspath(where.file)), path)


_OPTIONS = {
    "receive": _boolean,
    "settle_seconds": _seconds,
    "repull_after_seconds": _seconds,
    "quiet_seconds": _seconds,
    "give_up_after_seconds": _seconds,
    "retries": _whole(0, 100),
    "connect_timeout_seconds": _time_limit,
    "response_timeout_seconds": _time_limit,
    "retrieve_stall_seconds": _time_limit,
    "associations": _whole(1, 16),
    "max_pdu": _whole(4096, 131072),
    "reserve_bytes": _whole(0),
    "file_mode": _mode,
    "directory_mode": _mode,
    "group": _group,
    "tls": _tls,
}
