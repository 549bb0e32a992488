"""Makes the folders and files of a new site, never over what is there."""

import json
import os
from typing import NamedTuple

from scanner_mover.commands.init_questions import Answers
from scanner_mover.errors import UnusableError, reason

_PRIVATE = 0o750
_PUBLIC = 0o755


class Owner(NamedTuple):
    """The user whose crontab runs the passes, and the user's group."""

    name: str
    uid: int
    gid: int


class Maker:
    """Makes what is missing for OWNER; `lines` says of each thing whether it was made or was there.

    Each method raises UnusableError when its thing cannot be made.
    """

    def __init__(self, owner: Owner) -> None:
        self.lines: list[str] = []
        self._owner = owner
        self._named: set[str] = set()

    def folder(self, path: str, *, private: bool = False) -> None:
        """The folder PATH and those above it; one that is PRIVATE is closed for users outside the owner's group."""
        missing = []
        if path in self._named:
            return
        self._named.add(path)
        while not os.path.lexists(path):
            missing.append(path)
            path = os.path.dirname(path)
        if not missing:
            self.lines.append(f"there  {path}")
        if not os.path.isdir(path):
            raise UnusableError(f"{path} is not a folder: move it out of the way")
        for one in reversed(missing):
            try:
                os.mkdir(one, _PRIVATE if private else _PUBLIC)
                self._give(one, self._owner.uid)
            except OSError as error:
                raise UnusableError(f"the folder {one} cannot be made: {reason(error)}") from error
            self._named.add(one)
            self.lines.append(f"made   {one}")

    def configuration(self, path: str, answers: Answers) -> None:
        """The configuration: the owner's group may read it, only we may write it, so that its hooks are trusted."""
        keys = {
            "DATADIR": answers.data_dir,
            "SCANNERIP": answers.host,
            "SCANNERPORT": answers.port,
            "SCANNERAETITLE": answers.called_ae_title,
            "DICOMAETITLE": answers.calling_ae_title,
            "DICOMPORT": answers.receive_port,
            "SCANNER_MOVER": {"receive": answers.receive},
        }
        self.file(path, json.dumps(keys, indent=2) + "\n", 0o640, os.geteuid())

    def file(self, path: str, content: str, mode: int, uid: int | None = None) -> None:
        """The file PATH with CONTENT; it belongs to the owner, or to UID and the owner's group."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            self.lines.append(f"there  {path}")
            return
        except OSError as error:
            raise UnusableError(f"{path} cannot be made: {reason(error)}") from error
        try:
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
                os.fchmod(stream.fileno(), mode)
            self._give(path, self._owner.uid if uid is None else uid)
        except OSError as error:
            os.unlink(path)
            raise UnusableError(f"{path} cannot be written: {reason(error)}") from error
        self.lines.append(f"made   {path}")

    def _give(self, path: str, uid: int) -> None:
        if os.geteuid() == 0:
            os.chown(path, uid, self._owner.gid)
