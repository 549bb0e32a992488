"""The checks of the values in `config.json`: each gives the value as the program uses it, or says what is wrong.

Blanks and line breaks around a value mean nothing (R43). A plain module: every pass reads the configuration.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable

from scanner_mover.errors import ConfigurationError
from scanner_mover.files import absolute
from scanner_mover.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from typing import Any

_BLANKS = " \t\r\n\f\v"
# DCMTK's tools take a word that begins with `-` for an option and one that begins with `@` for a file of options.
_HOST = r"[^\s\x00-\x1f\x7f@-][^\s\x00-\x1f\x7f]*"
_CODE_STRING = r"[A-Z0-9 _]{1,16}"
# DCMTK's names of its security profiles, without `aes` and `null`, which protect too little. Which of these a tool
# has depends on its version.
_PROFILES = ("bcp195", "bcp195-nd", "bcp195-ex", "8996", "8996-mod")


class Tls(Record):
    """TLS to the scanner: absolute paths of files in PEM format, and DCMTK's security profile (None: its default).

    `place` is the file and the key that it comes from, for the one line of an error.
    """

    place: str
    key: str
    certificate: str
    authorities: str
    profile: str | None = None


class Place(Record):
    """Where in which file a key stands, for the one line of an error."""

    file: str
    prefix: str = ""

    def error(self, key: str, what: str) -> ConfigurationError:
        """The error that KEY, at this place, WHAT: `is missing`."""
        return ConfigurationError(f"{self.file}: {self.prefix}{key} {what}")


def nearest(word: str, known: Iterable[str], likeness: float = 0) -> str | None:
    """The one of KNOWN that is most like WORD, in any case of letters; None when LIKENESS (0 to 1) is not reached."""
    import difflib  # only an error needs it

    by_small_letters = {one.lower(): one for one in known}
    found = difflib.get_close_matches(word.lower(), by_small_letters, n=1, cutoff=likeness)
    return by_small_letters[found[0]] if found else None


def text(where: Place, keys: dict[str, Any], key: str) -> str:
    """A value as the reference's `jq -r` gives it: a string, or a number's digits.

    Raises ConfigurationError.
    """
    value = keys.get(key)
    if isinstance(value, str):
        value = value.strip(_BLANKS)
    if value is None or value == "":
        raise where.error(key, "is missing" if value is None else "is empty")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise where.error(key, "must be a string or a number")
    if isinstance(value, str) and not _is_utf8(value):
        raise where.error(key, "is not valid text (UTF-8)")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return str(value)
    except ValueError:  # an integer of more digits than Python prints
        raise where.error(key, "is too long a number") from None


def data_dir(where: Place, keys: dict[str, Any], default: str | None) -> str:
    """The absolute path of DATADIR; DEFAULT where it is not set. Raises ConfigurationError."""
    if default is not None and keys.get("DATADIR") is None:
        return default
    path = text(where, keys, "DATADIR")
    if "\0" in path:
        raise where.error("DATADIR", "is not the name of a folder")
    return absolute(path)


def host(where: Place, keys: dict[str, Any]) -> str:
    """SCANNERIP, an address or the name of a host. Raises ConfigurationError."""
    name = text(where, keys, "SCANNERIP")
    if not re.fullmatch(_HOST, name):
        raise where.error("SCANNERIP", f"is not an address or the name of a host: {name!r}")
    return name


def port(where: Place, keys: dict[str, Any], key: str) -> int:
    """The TCP port in KEY; zeros in front mean nothing. Raises ConfigurationError."""
    digits = text(where, keys, key)
    if not re.fullmatch(r"0*[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise where.error(key, f"is not a port from 1 to 65535: {digits!r}")
    return int(digits)


def ae_title(where: Place, keys: dict[str, Any], key: str) -> str:
    """The application entity title in KEY (DICOM PS3.5 section 6.2, VR AE). Raises ConfigurationError."""
    title = text(where, keys, key)
    if len(title) > 16 or not all(" " <= c <= "~" and c != "\\" for c in title):
        raise where.error(
            key, f"is not an AE title (1 to 16 ASCII characters, no backslash, no control character): {title!r}"
        )
    if title[0] == "@":
        raise where.error(key, f"begins with @, which DCMTK's tools take for a file of options: {title!r}")
    return title


def options(where: Place, keys: dict[str, Any]) -> dict[str, Any]:
    """The checked options of the object SCANNER_MOVER in KEYS; one that is null counts as not set.

    Raises ConfigurationError.
    """
    value = keys.get("SCANNER_MOVER")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise where.error("SCANNER_MOVER", "is not an object")
    inside = Place(where.file, f"{where.prefix}SCANNER_MOVER.")
    for key in value:
        _check_known(inside, key, OPTIONS)
    return {key: OPTIONS[key](inside, key, given) for key, given in value.items() if given is not None}


def _check_known(where: Place, key: str, known: Iterable[str]) -> None:
    if key not in known:
        raise where.error(key, f"is not known; did you mean {nearest(key, known)}?")


def _is_utf8(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _boolean(where: Place, key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise where.error(key, "must be true or false")
    return value


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _seconds(where: Place, key: str, value: Any) -> float:
    if not _is_number(value) or not 0 <= value <= 1e9:
        raise where.error(key, "must be a number of seconds, 0 or more")
    return float(value)


def _time_limit(where: Place, key: str, value: Any) -> float:
    if not _is_number(value) or not 0 < value <= 1e6:
        raise where.error(key, "must be a number of seconds above 0")
    return float(value)


def _whole(lowest: int, highest: int | None = None) -> Callable[[Place, str, Any], int]:
    def check(where: Place, key: str, value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < lowest or (highest is not None and value > highest):
            span = f"from {lowest} to {highest}" if highest is not None else f"of at least {lowest}"
            raise where.error(key, f"must be a whole number {span}")
        return int(value)

    return check


def _mode(where: Place, key: str, value: Any) -> int:
    digits = value.strip(_BLANKS) if isinstance(value, str) else ""
    if not re.fullmatch(r"0?[0-7]{3,4}", digits):
        raise where.error(key, 'must be permissions as a string of octal digits, such as "0640"')
    return int(digits, 8)


def _group(where: Place, key: str, value: Any) -> int:
    import grp

    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return grp.getgrgid(value).gr_gid
        if isinstance(value, str):
            return grp.getgrnam(value.strip(_BLANKS)).gr_gid
    except (KeyError, OverflowError, ValueError):
        pass
    raise where.error(key, f"is not a group of this machine: {value!r}")


def _modalities(where: Place, key: str, value: Any) -> tuple[str, ...]:
    """Values of (0008,0060), VR CS (DICOM PS3.5 section 6.2), which has capital letters only."""
    names = [name.strip(_BLANKS).upper() for name in value if isinstance(name, str)] if isinstance(value, list) else []
    if not names or len(names) != len(value) or not all(re.fullmatch(_CODE_STRING, name) for name in names):
        raise where.error(key, 'must be a list of modalities, such as ["MR"]')
    return tuple(dict.fromkeys(names))


def _command(where: Place, key: str, value: Any) -> tuple[str, ...]:
    """A program and its arguments, which are taken as they stand; a program `./name` lies beside the configuration."""
    command = value if isinstance(value, list) else []
    if not command or not all(isinstance(word, str) and "\0" not in word and _is_utf8(word) for word in command):
        raise where.error(key, 'must be a list of strings, a program and its arguments, such as ["/usr/bin/logger"]')
    program = command[0].strip(_BLANKS)
    if not program:
        raise where.error(key, "names no program")
    if "/" in program:
        program = _beside(where.file, program)
    return (program, *command[1:])


def _tls(where: Place, key: str, value: Any) -> Tls:
    if not isinstance(value, dict):
        raise where.error(key, "is not an object")
    inside = Place(where.file, f"{where.prefix}{key}.")
    files = ("key", "certificate", "authorities")
    for name in value:
        _check_known(inside, name, (*files, "profile"))
    key_file, certificate, authorities = (_file(inside, value, name) for name in files)
    profile = value.get("profile")
    if isinstance(profile, str):
        profile = profile.strip(_BLANKS)
    if profile is not None and profile not in _PROFILES:
        raise inside.error("profile", f"must be one of {', '.join(_PROFILES)}")
    return Tls(f"{where.file}: {where.prefix}{key}", key_file, certificate, authorities, profile)


def _file(where: Place, keys: dict[str, Any], key: str) -> str:
    if isinstance(keys.get(key), int | float):
        raise where.error(key, "must be a string")
    path = text(where, keys, key)
    if "\0" in path:
        raise where.error(key, "is not the name of a file")
    return _beside(where.file, path)


def _beside(file: str, path: str) -> str:
    """The absolute path, which no tool takes for an option; a relative PATH begins at the folder of FILE."""
    return os.path.join(os.path.dirname(absolute(file)), path)


OPTIONS: dict[str, Callable[[Place, str, Any], Any]] = {
    "receive": _boolean,
    "settle_seconds": _seconds,
    "repull_after_seconds": _seconds,
    "repull_at_most_seconds": _seconds,
    "quiet_seconds": _seconds,
    "give_up_after_seconds": _seconds,
    "no_mpps_after_seconds": _seconds,
    "retries": _whole(0, 100),
    "connect_timeout_seconds": _time_limit,
    "response_timeout_seconds": _time_limit,
    "retrieve_stall_seconds": _time_limit,
    "associations": _whole(1, 16),
    "max_pdu": _whole(4096, 131072),
    "reserve_bytes": _whole(0),
    "modalities": _modalities,
    "on_finished": _command,
    "on_failed": _command,
    "on_fault": _command,
    "file_mode": _mode,
    "directory_mode": _mode,
    "group": _group,
    "tls": _tls,
}
