"""Ending a pass at a moment that nobody chose, and what must hold at once."""

import signal
import time
from pathlib import Path

from tests.integration import invariants
from tests.integration.scenario import Scenario
from tests.support.site import Site, wait_until


def kill(scenario: Scenario, sent: signal.Signals, moment: float) -> None:
    """Begin a pass and send it the signal after `moment` seconds; all that must hold then does."""
    site = scenario.site
    # A pass may be ended before it made the folder, and then nobody could try the lock.
    site.lock_file.parent.mkdir(parents=True, exist_ok=True)
    before, left = len(site.log()), _left(site)
    with site.moving() as process:
        time.sleep(moment)
        process.send_signal(sent)
        _, error = process.communicate(timeout=240)
    new = site.log()[before:]
    assert "Traceback" not in new, new
    # While Python itself starts it says so of SIGINT, and nobody can keep it from that; nor from an exit status of 1.
    at_start = sent == signal.SIGINT and not new
    interrupted = at_start and error.rstrip().endswith("KeyboardInterrupt")
    assert "Traceback" not in error or interrupted, error
    # 4 and 5: it was faster. A signal that comes before Python runs our code ends the process all the same.
    told_by_python = error.startswith(("Fatal Python error: init_", "python: failed to set __main__.__loader__"))
    python_could_not_start = at_start and process.returncode == 1 and told_by_python
    assert process.returncode in (0, 4, 5, -sent, 128 + sent) or python_could_not_start, error
    if sent == signal.SIGKILL:
        # The kernel ends the children a moment later. What they were at stays behind.
        wait_until(lambda: not invariants.processes_of(site))
    invariants.check_nothing_runs(site)
    for uid in scenario.requested:
        invariants.check_request(site, scenario.scanner, uid)
    invariants.check_images(site, scenario.scanner)
    if sent != signal.SIGKILL:
        # What a pass left that was killed by SIGKILL may still be there: this one may not have come to it.
        assert _left(site) <= left


def _left(site: Site) -> set[Path]:
    """The files and folders of a pass that are there while it runs."""
    return {*invariants.work_folders(site), *Path(site.environment["TMPDIR"]).iterdir()}
