"""TLS to the scanner: what is checked before a tool is started with it, and what the tools print of it.

What cannot be used is an error of the configuration: nothing is sent in plain text instead, and nobody is asked for a
passphrase. DCMTK itself only warns of authorities that it cannot read, so they are looked at here.
"""

import os
import re
from collections.abc import Iterable, Sequence

from scanner_mover.config import Settings, Tls
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import ConfigurationError, reason

_LONGEST_FILE = 1 << 20  # a bundle of all the authorities that there are has a quarter of it
_UNUSABLE = re.compile(
    r"F: (?:[0-9a-f]{4}:[0-9a-f]{4} )?(Private key .* do not match|[Uu]nable to .*)"
    r"|W: (unable to load certificate file .*), ignoring"
)
_SINCE = {"movescu": "3.7.0"}


def options(tls: Tls) -> list[str]:
    """The options for TLS that all tools have. With `-pw` a key that has a passphrase is refused: nobody is asked."""
    arguments = ["+tls", tls.key, tls.certificate, "-pw", "+cf", tls.authorities]
    return arguments if tls.profile is None else [*arguments, _option(tls.profile)]


def check(tools: Toolbox, settings: Settings, names: Sequence[str]) -> None:
    """Raise ConfigurationError when a file that `tls` names, or one of the tools NAMES, cannot be used for it."""
    check_files(settings)
    check_tools(tools, settings, names)


def check_files(settings: Settings) -> None:
    """Raise ConfigurationError when a file that `tls` names cannot be used."""
    tls = settings.tls
    if tls is None:
        return
    for name, path in (("key", tls.key), ("certificate", tls.certificate), ("authorities", tls.authorities)):
        try:
            # A pipe would be waited for.
            if not os.path.isfile(path):
                os.stat(path)
                raise ConfigurationError(f"{tls.place}.{name} is not a file: {path}")
            with open(path, "rb") as file:
                content = file.read(_LONGEST_FILE)
        except OSError as error:
            raise ConfigurationError(f"{tls.place}.{name} cannot be read: {path}: {reason(error)}") from error
        if name == "key" and b"ENCRYPTED" in content:
            raise ConfigurationError(
                f"{tls.place}.{name} has a passphrase that nobody is there to type: {path}: store the key without one, "
                "readable for our user alone"
            )
        what = b"PRIVATE KEY-----" if name == "key" else b"CERTIFICATE-----"
        if what not in content:
            kind = "private key" if name == "key" else "certificate"
            raise ConfigurationError(f"{tls.place}.{name} holds no {kind} in PEM format: {path}")


def check_tools(tools: Toolbox, settings: Settings, names: Sequence[str]) -> None:
    """Raise ConfigurationError when one of the tools NAMES lacks TLS or the profile.

    Their help is read, not their version: a tool of any version may have been built without OpenSSL.
    """
    tls = settings.tls
    if tls is None:
        return
    for name in names:
        known = set(re.findall(r"(?<=\s)--[a-z0-9-]+", "\n".join(tools.run(name, ["--help"], stall_seconds=10).out)))
        if "--enable-tls" not in known:
            since = f"from DCMTK {_SINCE[name]} on and built" if name in _SINCE else "of a DCMTK that was built"
            raise ConfigurationError(
                f"{tls.place} cannot be used, and plain text is not sent instead: {tools.paths[name]} has no TLS; "
                f"{name} has it {since} with OpenSSL"
            )
        if tls.profile is not None and _option(tls.profile) not in known:
            raise ConfigurationError(
                f"{tls.place}.profile cannot be used: {tools.paths[name]} does not know {tls.profile}; "
                "another profile, or a newer DCMTK, is needed"
            )


def check_output(settings: Settings, lines: Iterable[str]) -> None:
    """Raise ConfigurationError when a tool says in LINES that it cannot use what `tls` names."""
    if settings.tls is None:
        return
    for line in lines:
        if found := _UNUSABLE.fullmatch(line):
            raise ConfigurationError(f"{settings.tls.place} cannot be used: {found[1] or found[2]}")


def _option(profile: str) -> str:
    return f"--profile-{profile}"
