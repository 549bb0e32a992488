"""The images of a series that are in `site/raw` (R13)."""

import os
from dataclasses import dataclass, field

from scanner_mover.errors import UnusableError, reason


@dataclass(frozen=True)
class Images:
    """What is in the folder of one series.

    `names` are the images. `empty` are the files of 0 bytes, which are no images, with the time in seconds of the epoch
    since which each of them is so.
    """

    names: frozenset[str] = frozenset()
    empty: dict[str, float] = field(default_factory=dict)


def images_in(folder: str) -> Images:
    """The images in FOLDER; no folder, no images.

    An image is a file of more than 0 bytes or a link that leads to one. Hidden files, folders and links that lead
    nowhere are no images. Raises UnusableError when FOLDER is there and cannot be read.
    """
    names: set[str] = set()
    empty: dict[str, float] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    if not entry.is_file():
                        continue
                    status = entry.stat()
                except OSError:  # it went away, or leads to what we cannot see: it is no image that is here
                    continue
                if status.st_size > 0:
                    names.add(entry.name)
                else:
                    empty[entry.name] = status.st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return Images()
    except OSError as error:
        raise UnusableError(f"the folder {folder} cannot be read: {reason(error)}") from error
    return Images(frozenset(names), empty)
