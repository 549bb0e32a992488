"""The images of a series that are in `site/raw` (R13)."""

import os

from scanner_mover.errors import UnusableError, reason


def image_names(folder: str) -> list[str]:
    """The names of the images in FOLDER; no folder, no images.

    An image is a file of more than 0 bytes or a link that leads to one; hidden files, folders and dangling links are
    none. Raises UnusableError when FOLDER is there and cannot be read.
    """
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    if entry.is_file() and entry.stat().st_size > 0:
                        names.append(entry.name)
                except OSError:  # it went away, or leads nowhere
                    continue
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnusableError(f"the folder {folder} cannot be read: {reason(error)}") from error
    return names
