"""A real dcmdump that never comes to the end of one file."""

from pathlib import Path

from scanner_mover.dcmtk import dcmdump
from scanner_mover.dcmtk.dcmdump import Unread, dump
from scanner_mover.dcmtk.dump2dcm import make_query_file, series_of_study
from scanner_mover.dcmtk.tool import Toolbox
from tests.support.site import fake_tool, real_tools

# The real one, but it stays at a file whose name has "endless" in it. What it printed of those before is in the
# buffer of its pipe, and lost.
ENDLESS_AT = """
import os, sys, time
if any("endless" in argument for argument in sys.argv):
    time.sleep(600)
os.execv({real!r}, sys.argv)
"""


def test_a_file_that_never_ends_does_not_hold_up_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(dcmdump, "_CALL_STALL_SECONDS", 4.0)
    monkeypatch.setattr(dcmdump, "_FILE_STALL_SECONDS", 4.0)
    real = real_tools("dcmdump", "dump2dcm")
    names = ["a", "b", "endless", "d", "e"]
    for name in names:
        Path(make_query_file(real, series_of_study("1.2.3"), str(tmp_path / f"made-{name}"))).rename(tmp_path / name)
    fake = fake_tool(tmp_path / "tools", "dcmdump", ENDLESS_AT.format(real=real.paths["dcmdump"]))
    tools = Toolbox({**real.paths, "dcmdump": str(fake)}, real.environment)
    found = dump(tools, str(tmp_path), names, ["0020,000d"])
    assert [(one.file, one.one("0020,000d"), one.error) for one in found] == [
        ("a", "1.2.3", None),
        ("b", "1.2.3", None),
        ("endless", None, Unread.TIMED_OUT),
        ("d", "1.2.3", None),
        ("e", "1.2.3", None),
    ]
