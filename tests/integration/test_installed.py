"""That the installed program starts, and all that a pass imports is loaded before the first one."""

import os
import subprocess
import sys
from pathlib import Path

import scanner_mover
from scanner_mover.commands import installed
from tests.support.site import Site

PACKAGE = Path(scanner_mover.__file__).parent


def test_what_is_installed_here_starts(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-m", "scanner_mover", "move", "--every", "5"])
    monkeypatch.setattr(sys, "argv", ["__main__.py", "move", "--every", "5"])
    assert installed.starts()


def test_what_is_not_there_does_not_start(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-m", "no_such_program", "move"])
    monkeypatch.setattr(sys, "argv", ["__main__.py", "move"])
    assert not installed.starts()


def test_a_pass_after_load_all_imports_nothing_of_ours_and_reads_no_template(tmp_path):
    """With a request that is asked for at a scanner that is off: the imports of a whole pass but for the retrieving."""
    site = Site(tmp_path)
    site.request("1.2.826.0.1.3680043.10.1561.90")
    code = (
        "import sys\n"
        "from scanner_mover import signals\n"
        "from scanner_mover.arguments import MoveOptions\n"
        "from scanner_mover.commands import installed, move\n"
        "installed.load_all(for_a_terminal=False)\n"
        "before = set(sys.modules)\n"
        "signals.install()\n"
        "assert move.run(MoveOptions(), 'scanner-mover') == 5\n"
        "late = {name for name in set(sys.modules) - before if not name.startswith('encodings')}\n"
        "print(sorted(late))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=site.environment
    )
    assert done.stdout == "[]\n"


def test_every_module_that_a_pass_may_need_is_loaded():
    packages = ("dcmtk", "site", "scanner", "transfer")
    needed = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for package in packages
        for path in (PACKAGE / package).glob("*.py")
        if path.name != "__init__.py"
    }
    code = (
        "import sys\n"
        "from scanner_mover.commands import installed\n"
        "installed.load_all(for_a_terminal=True)\n"
        "print('\\n'.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ})
    loaded = set(done.stdout.split())
    assert needed - loaded == set()
    assert {"sh", "pydicom", "tenacity", "rich", "scanner_mover.display.live_table"} <= loaded
