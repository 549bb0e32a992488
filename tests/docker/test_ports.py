"""What the comments about ports below 1024 rest on: DCMTK's own check, which no right gets past."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.site import Site

_SOMEBODY = "65534"  # nobody


@pytest.mark.parametrize(
    "command",
    [["movescu", "--port", "104", "--key", "0008,0052=STUDY", "127.0.0.1", "1"], ["storescp", "104"]],
    ids=["movescu", "storescp"],
)
def test_dcmtk_refuses_a_port_below_1024_to_all_but_root(tmp_path: Path, command: list[str]) -> None:
    if os.geteuid() == 0:
        # With the right that would do for any other program, and into folders that only root may enter.
        rights = [f"--{which}-caps=+net_bind_service,+dac_override" for which in ("inh", "ambient")]
        command = ["setpriv", "--reuid", _SOMEBODY, "--regid", _SOMEBODY, "--clear-groups", *rights, *command]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
        # movescu wants to be able to write where it is started; pynetdicom's own is not on this PATH.
        cwd=tempfile.gettempdir(),
        env=Site(tmp_path).environment,
    )
    assert done.returncode != 0
    assert "cannot listen on port 104, insufficient privileges" in done.stdout + done.stderr
