"""Points of `status --check` that need no server: the switch, the script's old place, folders, and their words."""

import os

import pytest

from scanner_mover import config
from scanner_mover.commands import check_server
from scanner_mover.commands.check_line import Verdict
from scanner_mover.site.folders import DataFolders, ServerFolders
from tests.support.site import BIN, Site


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


def verdicts(findings) -> list[Verdict]:
    return [finding.verdict for finding in findings]


def switch(site: Site, receive: bool = False):
    return list(check_server.switch(settings(site, receive), DataFolders(str(site.data))))


def settings(site: Site, receive: bool = False):
    return config.load(str(site.config_file), "ABCD", receive=receive)


@pytest.mark.parametrize(
    ("content", "fixes"), [(b"11", 0), (b"1", 0), (b"01\n", 1), (b"010\n", 1), (b"0", 0), (b"00", 1), (b"", 0)]
)
def test_R6_the_first_byte_is_named_where_another_program_receives(site, content, fixes):
    site.switch(content)
    assert verdicts(switch(site)).count(Verdict.FIX) == fixes
    assert verdicts(switch(site, receive=True)) == [Verdict.OK]


def test_R6_no_switch_is_off(site):
    site.switch(None)
    (finding,) = switch(site)
    assert finding.verdict is Verdict.OK
    assert finding.text.endswith("is off: nothing is retrieved")


def test_R42_nothing_in_the_old_place_is_no_line(site):
    assert list(check_server.script(str(site.server))) == []


@pytest.mark.parametrize("kind", ["link", "dangling", "script", "folder", "fifo", "wrapper"])
def test_R42_what_lies_in_the_old_place(site, kind):
    place = site.server / "bin" / "moveFromScanner.sh"
    place.parent.mkdir(parents=True)
    if kind == "link":
        place.symlink_to(BIN / "moveFromScanner.sh")
    elif kind == "dangling":
        place.symlink_to(site.root / "none")
    elif kind == "folder":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.write_text("#!/bin/sh\nexec scanner-mover move\n" if kind == "wrapper" else "#!/bin/bash\n")
    (finding,) = check_server.script(str(site.server))
    assert finding.verdict is (Verdict.OK if kind in ("link", "wrapper") else Verdict.FIX)
    assert str(place) in finding.text


def test_a_folder_in_the_way_is_named(site):
    (site.data / "failed-scans").write_text("a file")
    folders, server = DataFolders(str(site.data)), ServerFolders(str(site.server), "ABCD")
    fixes = [one.text for one in check_server.folders(settings(site), folders, server) if one.verdict is Verdict.FIX]
    assert fixes == [f"{site.data}/failed-scans is not a folder: move it out of the way"]


def test_a_full_disk_is_named_with_what_follows(site):
    site.config(reserve_bytes=1 << 62)
    (finding,) = check_server.disk(settings(site), DataFolders(str(site.data)))
    assert finding.verdict is Verdict.FIX
    assert "make room, or nothing is retrieved" in finding.text
