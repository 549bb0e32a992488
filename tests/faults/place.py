"""A site at which there is a request of each kind, for what goes wrong in one pass after the other."""

import shutil
from collections.abc import Collection
from pathlib import Path
from subprocess import CompletedProcess

from tests.faults.limits import LONG
from tests.faults.table import Entry
from tests.integration import invariants
from tests.integration.scenario import Scenario, Study
from tests.support.ports import free_port
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site


class Place:
    """A site at which each kind of request is there: what a failing call must not close, lose or damage."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        port = free_port()
        self.scanner = ScriptedScanner({}, {"MOVER": port})
        self.site = Site(
            folder / "site",
            scanner_port=self.scanner.port,
            receive_port=port,
            receive=True,
            **LONG,
        )
        self.scenario = Scenario(folder, self.site, self.scanner, entry)
        # Their last images never come, or their procedures go on: they are never finished.
        self.open: list[Study] = []
        self.entry = entry
        self._log_read = 0

    def fill(self) -> list[Study]:
        """Make what a pass is to work on: studies that it can finish, and others that it must not."""
        scenario = self.scenario
        fresh = scenario.acquire(2, 1)
        here = scenario.acquire(2)
        scenario.have(here.paths)
        half = scenario.acquire(3)
        scenario.have(half.paths[:2])
        if not self.open:
            running = scenario.acquire(1, ended=False)
            scenario.have(running.paths)
            second_step = scenario.acquire(1)
            scenario.have(second_step.paths)
            self.site.mpps(second_step.uid, ended=False, name=f"{second_step.uid}.2.mpps")
            short = scenario.acquire(3)
            self.scanner.script.never_sends = {short.paths[0].name}
            self.open = [running, second_step, short]
        return [fresh, here, half]

    def clean_up(self, studies: list[Study]) -> None:
        """As a site does with what is finished."""
        for study in studies:
            del self.scanner.studies[study.uid]
            self.scenario.requested.remove(study.uid)
            (self.site.data / "finished-scans" / study.uid).unlink()
            (self.site.data / "scanner" / f"{study.uid}.mpps").unlink()
            shutil.rmtree(self.site.data / "site" / "raw" / study.uid)

    def a_pass(self, shim: Path, **variables: str) -> "CompletedProcess[str]":
        """A pass for which Python runs the `sitecustomize.py` in the folder `shim` first."""
        return self.site.move(env={"PYTHONPATH": str(shim), **variables})

    def trace(self, shim: Path, variable: str) -> list[str]:
        """The lines that the shim writes into the file named by `variable` in a pass here."""
        file = self.site.root / "trace"
        file.unlink(missing_ok=True)
        done = self.a_pass(shim, **{variable: str(file)})
        assert done.returncode in (0, 5), done
        return file.read_text(encoding="utf-8").splitlines()

    def check_at_once(self, done: "CompletedProcess[str]", statuses: Collection[int]) -> None:
        """What holds right after a pass in which something went wrong."""
        log = self.site.log()
        self._log_read, new = len(log), log[self._log_read :]
        assert done.returncode in statuses
        assert "Traceback" not in done.stderr + new, new[-2000:]
        invariants.assert_no_patient(done.stdout + done.stderr)
        for uid in self.scenario.requested:
            invariants.check_request(self.site, self.scanner, uid)
        invariants.check_images(self.site, self.scanner)
        assert invariants.processes_of(self.site) == []

    def settle(self, studies: list[Study]) -> None:
        """Nothing fails any more: what can be finished is, what cannot is not, and nothing is left behind."""
        for _ in range(4):
            done = self.site.move()
            # What could not be used waits for its next try, and its exit status holds until then.
            assert done.returncode in (0, 4, 5), (done, self.site.log())
            self.entry.count()
            if all(self.scenario.where(study) == "finished-scans" for study in studies):
                break
            self.scenario.every_pause_is_over()
        assert {self.scenario.where(study) for study in studies} == {"finished-scans"}, self.site.log()
        assert {self.scenario.where(study) for study in self.open} == {"active-scans"}
        invariants.check(self.site, self.scanner, self.scenario.requested)
        self.clean_up(studies)
