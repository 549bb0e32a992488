"""`status --check`: each fault is set up for real and must be named, and a sound set-up has none."""

import json
import os
import pwd
import re
import shlex
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from pynetdicom import evt

from tests.support.objects import uid
from tests.support.ports import free_port
from tests.support.receiver import StorescpReceiver
from tests.support.scripted import Script, ScriptedScanner
from tests.support.site import BIN, Site, held_by_flock

TOOLS = ("findscu", "movescu", "dump2dcm", "dcmdump", "echoscu", "storescp", "dcmsend")
NOBODY = pwd.getpwnam("nobody")


class Found(NamedTuple):
    """What a check said: the lines that begin with ok, fix and not tested, without these words; its exit status."""

    ok: list[str]
    fix: list[str]
    not_tested: list[str]
    exit_status: int

    def only(self, pattern: str) -> None:
        """One thing is wrong, and it is this."""
        assert self.exit_status == 1
        assert len(self.fix) == 1, self.fix
        assert re.search(pattern, self.fix[0]), self.fix

    def named(self, pattern: str) -> str:
        """This is wrong, whatever else is."""
        assert self.exit_status == 1
        found = [line for line in self.fix if re.search(pattern, line)]
        assert len(found) == 1, self.fix
        return found[0]


def parse(done: "subprocess.CompletedProcess[str]") -> Found:
    assert done.stderr == "", done.stderr
    *lines, last = done.stdout.splitlines()
    assert lines
    for line in lines:
        assert re.match(r"ok {3}\S|fix: \S|not tested: \S", line), line
    found = Found(
        [line[5:] for line in lines if line.startswith("ok ")],
        [line[5:] for line in lines if line.startswith("fix: ")],
        [line.removeprefix("not tested: ") for line in lines if line.startswith("not tested: ")],
        done.returncode,
    )
    assert found.exit_status == (1 if found.fix else 0), found
    number = len(found.fix)
    is_busy = any("the scanner is busy" in line for line in found.not_tested)
    nothing = (
        "nothing to fix, but the scanner was too busy to be tested: try again" if is_busy else "ready: nothing to fix"
    )
    assert last == (f"{number} thing{'s' if number > 1 else ''} to fix" if number else nothing)
    return found


def check(site: Site, *arguments: str, env: Mapping[str, str | None] | None = None) -> Found:
    project = [site.project] if site.project else []
    return parse(site.mover("status", *project, "--check", *arguments, env=env))


@pytest.fixture
def scanner() -> Iterator[ScriptedScanner]:
    with ScriptedScanner() as scanner:
        yield scanner


@pytest.fixture
def site(tmp_path, scanner) -> Site:
    """A sound set-up that receives by itself; a pass was made just now."""
    site = Site(tmp_path, scanner_port=scanner.port)
    site.config(receive=True)
    assert site.move().returncode == 0
    return site


def contents(site: Site) -> dict[str, object]:
    """Everything that is there; the clock is tested with a file that is gone again, so folders have other times."""
    return {
        path: (mode, None if stat.S_ISDIR(mode) else when, what) for path, (mode, when, what) in site.tree().items()
    }


def as_nobody_special(site: Site, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `scanner-mover` as a user whom permissions stop: root without the capabilities that pass them by."""
    command = [str(BIN / "scanner-mover"), *arguments]
    if os.geteuid() != 0:
        return site.mover(*arguments)
    setpriv = shutil.which("setpriv")
    assert setpriv, "setpriv is not installed"
    stopped = "-dac_override,-dac_read_search,-fowner"
    return site.mover("--bounding-set", stopped, "--inh-caps", stopped, "--", *command, program=setpriv)


# What passes say


def test_what_the_last_pass_reported_is_repeated(site):
    state = site.state()
    text = "the ledger cannot be written: Is a directory"
    state["faults"] = [{"group": text, "content": text, "text": text, "since": 1.0}]
    site.state_file.write_text(json.dumps(state))
    check(site).only(f"^the last pass reported: {text}$")


def test_what_is_met_here_too_is_not_repeated(site, scanner):
    scanner.stop()
    site.request(uid())
    reported = site.move()
    assert reported.returncode == 5
    check(site).only("cannot be reached")


# Sound


def test_a_sound_set_up_has_nothing_to_fix(site):
    before = contents(site)
    found = check(site)
    assert found.fix == []
    assert found.exit_status == 0
    assert contents(site) == before
    text = "\n".join(found.ok)
    for tool in TOOLS:
        assert re.search(rf"/{tool} is DCMTK \d+\.\d+\.\d+", text), tool
    for part in (
        str(site.config_file),
        f"SCANNERPORT is {site.scanner_port} (SCANNERPORT)",
        f"DICOMPORT is {site.receive_port} (DICOMPORT)",
        "receive is True (SCANNER_MOVER.receive)",
        "data dictionary",
        "the switch",
        "active-scans can be written",
        "MiB are free",
        "clock",
        f"the lock {site.lock_file}: free",
        "the last pass began",
        f"DICOMPORT {site.receive_port} is free",
        "answers a C-ECHO",
        "answers a C-FIND",
    ):
        assert part in text, part


def test_a_sound_set_up_with_a_receiver_beside_it(tmp_path, scanner):
    site = Site(tmp_path / "site", scanner_port=scanner.port)
    site.switch(b"110\n")
    assert site.move().returncode == 0
    with StorescpReceiver(tmp_path, site.data, port=site.receive_port):
        found = check(site)
    assert found.fix == []
    assert f"a program listens on DICOMPORT {site.receive_port}" in found.ok


def test_each_value_says_where_it_comes_from(tmp_path, scanner):
    site = Site(tmp_path, scanner_port=scanner.port, project="PCGC")
    whole = json.loads(site.config_file.read_text())
    whole["SCANNER_MOVER"] = {"retries": 1, "settle_seconds": 9}
    whole["SITES"]["PCGC"]["SCANNER_MOVER"] = {"settle_seconds": 0, "reserve_bytes": 0}
    site.config_file.write_text(json.dumps(whole))
    found = check(site)
    assert f"SCANNERPORT is {site.scanner_port} (SITES.PCGC.SCANNERPORT)" in found.ok
    assert "retries is 1 (SCANNER_MOVER.retries)" in found.ok
    assert any(
        re.fullmatch(r"settle_seconds is 0(\.0)? \(SITES\.PCGC\.SCANNER_MOVER\.settle_seconds\)", line)
        for line in found.ok
    )


# Configuration


def test_a_configuration_that_cannot_be_used_is_named(site):
    site.config(SCANNERPORT="no port")
    check(site).only(r"SCANNERPORT is not a port")
    site.config_file.write_text("{")
    check(site).only(r"is not JSON: line 1")
    site.config_file.unlink()
    check(site).only(r"is not there; scanner-mover init makes it")


def test_a_project_that_lived_on_the_keys_of_pcgc_gets_the_lines_to_copy(tmp_path, scanner):
    site = Site(tmp_path, scanner_port=scanner.port)
    keys = {**site.keys, "SCANNER_MOVER": {"reserve_bytes": 0}}
    own = {"DATADIR": keys["DATADIR"]}
    sites = {"PCGC": {**keys, "DATADIR": str(tmp_path / "other")}, "MYSITE": own}
    site.config_file.write_text(json.dumps({"SITES": sites}))
    site.project = "MYSITE"
    line = check(site).named(r"SITES\.PCGC")
    assert "SITES.MYSITE" in line
    lines = line.partition(f"of {site.config_file}: ")[2]
    copied = json.loads("{" + lines + "}")
    assert copied == {name: keys[name] for name in ("SCANNERIP", "SCANNERPORT", "SCANNERAETITLE", "DICOMAETITLE")}
    # Copied as they stand, they mend it.
    own.update(copied)
    site.config_file.write_text(json.dumps({"SITES": sites}))
    found = check(site)
    assert not [line for line in found.fix if "SITES" in line], found.fix
    assert "the scanner answers a C-FIND" in found.ok


@pytest.mark.parametrize("receive", [True, False])
def test_two_projects_on_one_port_are_named(site, receive):
    site.config(receive=receive)
    value = json.loads(site.config_file.read_text())
    other = {**site.keys, "DATADIR": str(site.root / "another")}
    value["SITES"] = {"PCGC": other}
    site.config_file.write_text(json.dumps(value))
    line = check(site).named("one DICOMPORT")
    assert "ABCD" in line
    assert "PCGC" in line
    assert str(site.receive_port) in line
    other["DICOMPORT"] = free_port()
    site.config_file.write_text(json.dumps(value))
    assert not [line for line in check(site).fix if "one DICOMPORT" in line]


# DCMTK


@pytest.mark.parametrize("missing", ["movescu", "dcmdump", "echoscu", "storescp"])
def test_a_missing_tool_is_named_with_what_to_install(site, missing, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool, path=site.environment["PATH"])
        assert found, f"{tool} is not installed"
        if tool != missing:
            (folder / tool).symlink_to(found)
    found = check(site, env={"PATH": str(folder)})
    assert found.exit_status == 1
    named = [line for line in found.fix if line.startswith(f"{missing} is not on the PATH")]
    assert named
    assert "apt-get install dcmtk" in named[0]
    assert not [line for line in found.fix if "PATH" in line and missing not in line]


@pytest.mark.parametrize("tool", ["findscu", "movescu"])
def test_a_tool_that_is_too_old_is_named_with_its_version(site, tool):
    path = site.tool(tool, f"print('$dcmtk: {tool} v3.6.0 2011-01-06 $')\n")
    line = check(site).named(r"3\.6\.0")
    assert str(path) in line
    assert "3.6.1 or newer" in line


def test_a_tool_that_says_no_version_is_named(site):
    path = site.tool("movescu", "print('hello')\n")
    assert str(path) in check(site).named("does not say which version")


def test_a_missing_dictionary_is_named(site, tmp_path):
    empty = tmp_path / "empty.dic"
    empty.touch()
    line = check(site, env={"DCMDICTPATH": str(empty)}).named("dictionary")
    assert "DCMDICTPATH" in line


def test_a_dictionary_that_is_not_there_is_passed_over(site, tmp_path):
    found = check(site, env={"DCMDICTPATH": str(tmp_path / "none.dic")})
    assert found.fix == []
    assert [line for line in found.ok if "DCMDICTPATH" in line and str(tmp_path / "none.dic") in line]


# Folders


def test_a_data_folder_that_is_missing_is_named(site):
    site.data.rename(site.root / "unmounted")
    found = check(site)
    assert found.exit_status == 1
    assert [line for line in found.fix if str(site.data) in line and "disk mounted" in line]


def test_a_folder_that_another_program_writes_is_missing(site):
    (site.data / "scanner").rmdir()
    check(site).only(f"{site.data}/scanner is not there")


@pytest.mark.parametrize(
    "folder", ["data/active-scans", "data/finished-scans", "data/site/raw", "server/.pids", "server/logs"]
)
def test_a_folder_that_cannot_be_written_is_named(site, folder):
    path = site.root / folder
    path.mkdir(exist_ok=True)
    path.chmod(0o555)
    try:
        found = parse(as_nobody_special(site, "status", "--check"))
    finally:
        path.chmod(0o755)
    found.named(rf"^{re.escape(str(path))} cannot be written")


def test_a_folder_that_cannot_be_read_is_named(site):
    path = site.data / "scanner"
    path.chmod(0)
    try:
        found = parse(as_nobody_special(site, "status", "--check"))
    finally:
        path.chmod(0o755)
    found.named(rf"^{re.escape(str(path))} cannot be read")


def test_a_folder_that_cannot_be_made_is_named(site):
    (site.data / "active-scans").rmdir()
    site.data.chmod(0o555)
    try:
        found = parse(as_nobody_special(site, "status", "--check"))
    finally:
        site.data.chmod(0o755)
    found.named(r"active-scans is not there and cannot be made")


def test_a_file_of_another_user_comes_with_the_chown_that_mends_it(site):
    log = site.server / "logs" / "moveFromScanner.log"
    assert log.exists()
    if os.geteuid() == 0:
        os.chown(log, NOBODY.pw_uid, -1)
        owner = "nobody"
    else:
        log.unlink()
        log.symlink_to("/etc/passwd")
        owner = "root"
    line = check(site).named(f"belongs to {owner}")
    assert line.startswith(f"{log} ")
    command = shlex.split(line.partition(f"belongs to {owner}: ")[2])
    assert command == ["chown", pwd.getpwuid(os.geteuid()).pw_name, str(log)]
    if os.geteuid() == 0:
        subprocess.run(command, check=True)
        assert check(site).fix == []


def test_a_disk_with_less_than_the_reserve_is_named(site):
    site.config(reserve_bytes=1 << 60)
    check(site).only(r"bytes are free for .*raw, below reserve_bytes")


@pytest.mark.parametrize("clock", ["+1h", "-1h"])
def test_a_clock_that_differs_from_that_of_the_log_folder_is_named(site, clock):
    """As with a file server whose time is another: our clock is faked, the times of files are not."""
    faketime = shutil.which("faketime")
    assert faketime, "faketime is not installed"
    program = str(BIN / "scanner-mover")
    done = site.mover(
        "--exclude-monotonic",
        "-f",
        clock,
        program,
        "status",
        "--check",
        program=faketime,
        env={"NO_FAKE_STAT": "1"},
    )
    line = parse(done).named("clock")
    assert str(site.server / "logs") in line
    assert re.search(r"by -?3(59|60)\d seconds", line)


# What the site's other programs, and updates, leave behind


def test_R42_a_script_in_the_old_place_is_named_and_a_link_to_us_is_not(site):
    place = site.server / "bin" / "moveFromScanner.sh"
    place.parent.mkdir()
    place.write_text("#!/bin/bash\n# the old script\n")
    line = check(site).named(r"bin/moveFromScanner\.sh is not a link to this program")
    command = shlex.split(line.rpartition(": ")[2])
    assert command == ["ln", "-sf", str(BIN / "moveFromScanner.sh"), str(place)]
    subprocess.run(command, check=True)
    found = check(site)
    assert found.fix == []
    assert f"{place} is this program" in found.ok


def test_R42_a_link_that_leads_nowhere_is_named(site):
    place = site.server / "bin" / "moveFromScanner.sh"
    place.parent.mkdir()
    place.symlink_to(site.root / "uninstalled")
    check(site).only("is not a link to this program")


def test_R6_only_the_old_switch_is_there(site):
    (site.data / "config" / "enabled").rename(site.data / "enabled")
    line = check(site).named("only the old one is there")
    subprocess.run(shlex.split(line.rpartition(": ")[2]), check=True)
    assert check(site).fix == []


@pytest.mark.parametrize(("content", "wrong"), [(b"01", True), (b"010\n", True), (b"11", False), (b"1", False)])
def test_R6_a_receiver_that_is_switched_off_is_named_where_another_program_receives(site, content, wrong):
    site.switch(content)
    assert check(site).fix == []
    site.config(receive=False)
    assert bool([line for line in check(site).fix if "the first byte of" in line]) == wrong


def test_hooks_run_only_if_nobody_else_may_write_the_configuration(site):
    site.config(on_failed=["true", "a b"])
    found = check(site)
    assert found.fix == []
    assert "the hooks on_failed may run" in found.ok
    assert "on_failed is true 'a b' (SCANNER_MOVER.on_failed)" in found.ok
    site.config_file.chmod(0o666)
    check(site).only(r"config\.json can be written by everybody: chmod o-w it")
    site.config_file.chmod(0o664)
    assert check(site).fix == []
    if os.geteuid() == 0:
        os.chown(site.config_file, NOBODY.pw_uid, -1)
        check(site).only(r"config\.json belongs to another user: chown it to root")


def test_a_hook_that_is_no_program_is_named(site):
    site.config(on_fault=["/no/such/hook"])
    check(site).only(r"^on_fault: /no/such/hook is no program")


# Passes


def test_a_lock_that_is_held_is_told(site):
    with held_by_flock(site.lock_file) as holder:
        found = check(site)
        assert holder.poll() is None
    assert f"the lock {site.lock_file}: a pass holds it now" in found.ok


def test_cron_that_never_ran_us_is_named(tmp_path, scanner):
    site = Site(tmp_path, scanner_port=scanner.port)
    site.config(receive=True)
    check(site).only("there was no pass yet: .*cron")


def test_cron_that_runs_us_no_more_is_named(site):
    state = site.state()
    state["last_pass"]["started"] = "2026-01-31T10:15:00+01:00"
    site.state_file.write_text(json.dumps(state))
    check(site).only(r"the last pass began \d+ seconds ago: .*cron")


# The network


def test_a_wrong_called_ae_title_is_named(site):
    site.config(SCANNERAETITLE="WRONG")
    found = check(site)
    line = found.named("C-ECHO")
    assert "SCANNERAETITLE" in line
    assert "WRONG" in line


def test_a_scanner_that_is_off_is_named_once(site, scanner):
    scanner.stop()
    check(site).only(r"C-ECHO: scanner .* cannot be reached")


def test_a_scanner_that_refuses_a_query_is_named(site, scanner):
    scanner.script.find_status["SERIES"] = 0xA900
    found = check(site)
    found.only("C-FIND")
    assert "the scanner answers a C-ECHO" in found.ok


def test_a_silent_scanner_is_named(site, scanner):
    scanner.script = Script(find_silence=600)
    site.config(response_timeout_seconds=1)
    check(site).only("C-FIND")


class OneAtATime(ScriptedScanner):
    """Rejects each second association, as one that has not closed the one before it yet (PS3.8 table 9-21)."""

    def _on_request(self, event: evt.Event) -> None:
        self.script.reject = (2, 3, 2) if self.associations % 2 == 0 else False
        super()._on_request(event)


def test_a_scanner_that_stays_busy_is_no_fault_and_said(site, scanner):
    scanner.script.reject = (2, 3, 2)
    found = check(site)
    assert found.fix == []
    busy = [line for line in found.not_tested if "busy" in line]
    assert [line.partition(":")[0] for line in busy] == ["C-ECHO", "C-FIND"]


def test_a_scanner_that_takes_one_association_at_a_time_is_asked_again(site, scanner):
    """It still holds the first one when the second comes: busy for now, and then it answers."""
    scanner.stop()
    with OneAtATime(port=scanner.port):
        found = check(site)
    assert found.fix == []
    assert "the scanner answers a C-ECHO" in found.ok
    assert "the scanner answers a C-FIND" in found.ok


def test_what_only_a_retrieve_can_show_is_said(site):
    assert check(site).not_tested == ["whether the scanner sends to us; try move --study UID"]


def test_a_port_that_another_program_has_is_named(site):
    with socket.create_server(("0.0.0.0", site.receive_port)):
        check(site).only(rf"^port {site.receive_port} \(DICOMPORT\) cannot be opened .*: another program, perhaps")


def test_a_port_on_which_nobody_listens_is_named(site):
    site.config(receive=False)
    site.switch(b"110\n")
    check(site).only(f"nothing listens on DICOMPORT {site.receive_port}")


# All at once


def test_each_fault_is_named_although_there_are_others(tmp_path):
    """Nothing that is wrong first hides what is wrong after it."""
    site = Site(tmp_path)
    site.config(receive=True, reserve_bytes=1 << 60)
    (site.data / "scanner").rmdir()
    site.tool("movescu", "print('$dcmtk: movescu v3.6.0 2011-01-06 $')\n")
    with socket.create_server(("0.0.0.0", site.receive_port)):
        found = check(site)
    patterns = [r"DCMTK 3\.6\.0:", "scanner is not there", "reserve_bytes", "no pass yet", "another program", "C-ECHO"]
    for pattern in patterns:
        found.named(pattern)
    assert len(found.fix) == len(patterns)


def test_a_missing_data_folder_hides_nothing_of_the_network(site):
    site.data.rename(site.root / "unmounted")
    found = check(site)
    assert "the scanner answers a C-FIND" in found.ok


def test_it_takes_no_lock_and_asks_for_no_study(site, scanner):
    study = uid()
    site.request(study)
    asked: Callable[[], list[tuple[str, str, str]]] = lambda: list(scanner.asked)  # noqa: E731
    before = asked()
    check(site)
    assert study not in [one[1] for one in asked()[len(before) :]]
    assert scanner.moves == []
    assert site.requests_in("active-scans") == [study]


def test_the_lines_are_whole_however_narrow_the_pipe(site):
    found = check(site, env={"COLUMNS": "20"})
    assert found.fix == []
    assert len(found.ok) > 15
    assert Path(found.ok[0].split(",")[0].removeprefix("configuration ")) == site.config_file
