"""Whether a folder is empty since its disk is not mounted. A plain module: every pass looks.

The folder that a disk is mounted on is there without the disk too, and empty. Then no study would seem to be requested,
images that are here would be retrieved once more, and what is retrieved would lie hidden below the disk.
"""

import os

from scanner_mover.errors import UnusableError
from scanner_mover.site.folders import DataFolders, is_empty


def check(folders: DataFolders, known: list[str]) -> list[str]:
    """See that each of FOLDERS that was on a disk of its own, by KNOWN, still is; gives which are so now.

    Raises UnusableError for one that is not and that is empty or missing.
    """
    others = {os.stat(os.sep).st_dev, os.stat(folders.data_dir).st_dev}
    now = []
    for folder in folders.all():
        try:
            is_own = os.stat(folder).st_dev not in others
        except (FileNotFoundError, NotADirectoryError):
            is_own = False
        except OSError:  # whoever needs the folder says what is wrong with it
            is_own = folder in known
        if is_own:
            now.append(folder)
        elif folder in known and (not os.path.exists(folder) or is_empty(folder)):
            raise UnusableError(
                f"{folder} was on a disk of its own and is on none now: is that disk mounted? If there is none any "
                f"more: mkdir -p {os.path.join(folder, '.here')}"
            )
    return now
