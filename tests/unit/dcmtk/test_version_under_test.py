"""With `--dcmtk` (`tests/versions`) the program really runs the tools of that folder, and they are of its version."""

import re

import pytest

from scanner_mover.dcmtk.tool import version
from tests.support import site
from tests.support.site import Site, real_tools

TOOLS = ("findscu", "movescu", "dump2dcm", "dcmdump", "echoscu")


pytestmark = pytest.mark.other_dcmtk


@pytest.fixture
def expected() -> str:
    assert site.dcmtk is not None
    return (site.dcmtk / "VERSION").read_text().strip()


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_that_the_tests_find_is_of_the_version(expected, name):
    tools = real_tools(name)
    assert tools.paths[name] == f"{site.dcmtk}/{name}"
    assert ".".join(map(str, version(tools, name))) == expected


def test_the_program_sees_the_version(expected, tmp_path):
    done = Site(tmp_path).mover("status", "--check")
    seen = dict(re.findall(r"^ok +(\S+) is DCMTK (\S+)$", done.stdout, re.MULTILINE))
    assert seen == {f"{site.dcmtk}/{name}": expected for name in TOOLS}
