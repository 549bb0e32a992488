"""What the comments about ports below 1024 rest on: DCMTK's own check, which no right gets past."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.site import Site

_SOMEBODY = "65534"  # nobody


@pytest.mark.parametrize(
    "command",
    [["movescu", "--port", "104", "127.0.0.1", "1", "query"], ["storescp", "104"]],
    ids=["movescu", "storescp"],
)
def test_dcmtk_refuses_a_port_below_1024_to_all_but_root(tmp_path: Path, command: list[str]) -> None:
    if os.geteuid() == 0:
        # With the right that would do for any other program, and into folders that only root may enter.
        rights = [f"--{which}-caps=+net_bind_service,+dac_override" for which in ("inh", "ambient")]
        command = ["setpriv", "--reuid", _SOMEBODY, "--regid", _SOMEBODY, "--clear-groups", *rights, *command]
    # What movescu must be able to read and write before it looks at the port, in the folder that it is started in:
    # a fresh machine's root may be closed to nobody.
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "query").touch()
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env=Site(tmp_path).environment,  # with DCMTK's movescu on its PATH, not pynetdicom's
    )
    assert done.returncode != 0
    assert "cannot listen on port 104, insufficient privileges" in done.stdout + done.stderr
