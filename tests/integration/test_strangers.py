"""Who may send while we receive: rules for the daemon `storescp` in /etc/hosts.allow and /etc/hosts.deny."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.scenario import Scenario
from tests.support.site import BIN

# In a chroot the kernel gives no mounts of one's own, and whose machine it is must not see these rules.
own_mounts = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0
pytestmark = [
    pytest.mark.parametrize("scanner", ["Dcmqrscp"], indirect=True),
    pytest.mark.skipif(not own_mounts, reason="no mounts of our own (not root, or in a chroot): see test_storescp"),
]


def a_pass_with_rules(scenario: Scenario, folder: Path, allow: str, deny: str, exit_status: int) -> None:
    """A pass on a machine whose /etc/hosts.allow and /etc/hosts.deny are these: in a mount namespace of its own."""
    unshare = shutil.which("unshare")
    assert unshare, "unshare is not installed"
    script = ["set -e"]
    for name, text in (("hosts.allow", allow), ("hosts.deny", deny)):
        (folder / name).write_text(text)
        script.append(f"mount --bind {shlex.quote(str(folder / name))} /etc/{name}")
    script.append('exec "$@"')
    move = [str(BIN / "scanner-mover"), "move", "--receive"]
    done = scenario.site.mover("-m", "sh", "-c", "\n".join(script), "sh", *move, program=unshare)
    scenario.check(done, exit_status)


def test_the_scanner_is_let_in_and_nobody_else(scenario: Scenario, tmp_path: Path) -> None:
    study = scenario.acquire(2)
    a_pass_with_rules(scenario, tmp_path, "storescp: 192.0.2.7\n", "storescp: ALL\n", 5)
    assert scenario.where(study) == "active-scans"
    assert scenario.said("a rule for storescp in /etc/hosts.allow or /etc/hosts.deny refuses it")
    a_pass_with_rules(scenario, tmp_path, "storescp: 127.0.0.1\n", "storescp: ALL\n", 0)
    assert scenario.where(study) == "finished-scans"


@pytest.mark.parametrize("deny", ["ALL: ALL\n", "# storescp: ALL\n", ""])
def test_without_a_rule_for_storescp_nobody_is_refused(scenario: Scenario, tmp_path: Path, deny: str) -> None:
    study = scenario.acquire(1)
    a_pass_with_rules(scenario, tmp_path, "", deny, 0)
    assert scenario.where(study) == "finished-scans"
