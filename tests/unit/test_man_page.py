"""The man page is the one that the program makes, says what the program takes, and is clean for man(7)."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scanner_mover.options import declared
from scanner_mover.subcommands import SUBCOMMANDS

FOLDER = Path(__file__).parents[2] / "fixtures" / "man"
PAGE = FOLDER / "scanner-mover.1"
COMMAND = "python fixtures/man/make.py > fixtures/man/scanner-mover.1"


def test_the_page_is_made_from_the_program_as_it_is():
    made = subprocess.run(
        [sys.executable, str(FOLDER / "make.py")], check=True, capture_output=True, encoding="utf-8"
    ).stdout
    assert PAGE.read_text("utf-8") == made, f"make it anew: {COMMAND}"
    assert COMMAND in (FOLDER / "make.py").read_text("utf-8")


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_man_shows_it_without_a_warning():
    done = subprocess.run(
        ["groff", "-ww", "-man", "-Tutf8", "-P-c", str(PAGE)], check=True, capture_output=True, encoding="utf-8"
    )
    assert done.stderr == ""
    # Bold is each letter twice, with a step back in between.
    text = " ".join(re.sub(".\x08", "", done.stdout).split()).replace("−", "-")
    for subcommand in SUBCOMMANDS:
        assert f"scanner-mover {subcommand.name}" in text
        for option in declared(subcommand.options).values():
            for name in option.names:
                assert name in text
    for section in ("Exit status", "FILES", "ENVIRONMENT", "SEE ALSO", "moveFromScanner.log", "128 + n"):
        assert section in text
