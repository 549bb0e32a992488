"""The wheel and the source distribution: what is in them, and that an index would take them."""

import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from scanner_mover import __version__
from tests.docker.files import TOP

_NAME = f"scanner_mover-{__version__}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both, built from a clone: what is not committed gets into neither."""
    clone, built = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("built")
    subprocess.run(["cp", "-r", *_committed(), clone], cwd=TOP, check=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", built, clone], check=True, capture_output=True
    )
    return built


def _committed() -> list[str]:
    """The entries of the top folder that are no product of a tool."""
    ignored = {line.strip("/") for line in (TOP / ".gitignore").read_text().splitlines()}
    return sorted(path.name for path in TOP.iterdir() if path.name not in ignored | {".git"})


def _package_files() -> set[str]:
    paths = (TOP / "scanner_mover").rglob("*")
    return {str(path.relative_to(TOP)) for path in paths if path.is_file() and path.suffix != ".pyc"}


def _metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(wheel.read(f"{_NAME}.dist-info/METADATA").decode())


def test_the_wheel_holds_the_package_and_nothing_of_the_tests(folder: Path) -> None:
    with zipfile.ZipFile(folder / f"{_NAME}-py3-none-any.whl") as wheel:
        names = {name for name in wheel.namelist() if not name.startswith((f"{_NAME}.dist-info/", f"{_NAME}.data/"))}
        assert names == _package_files()
        page = wheel.read(f"{_NAME}.data/data/share/man/man1/scanner-mover.1")
        assert page == (TOP / "fixtures/man/scanner-mover.1").read_bytes()
        metadata = _metadata(wheel)
    assert metadata["Author"] == "scanner-mover developers"
    assert metadata["License-File"] == "LICENSE"
    needed = {str(value).split(">")[0] for value in metadata.get_all("Requires-Dist", []) if "extra ==" not in value}
    assert needed == {"pydicom", "rich", "sh", "tenacity", "typer"}


def test_the_source_distribution_holds_what_builds_and_tests_it(folder: Path) -> None:
    with tarfile.open(folder / f"{_NAME}.tar.gz") as archive:
        names = {name.removeprefix(f"{_NAME}/") for name in archive.getnames()}
    assert names >= _package_files() | {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO"}
    tops = {name.split("/")[0] for name in names if "/" in name}
    assert tops == {"scanner_mover", "tests", "fixtures", "docker", ".ci", ".github"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_an_index_would_take_both(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *folder.iterdir()],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 2), done.stdout + done.stderr
