"""The Dockerfile, .dockerignore, and the parser of both in `docker/rehearse`."""

import ast
import subprocess
import sys
import tomllib

import pytest

from tests.docker.files import DOCKER, TOP, VENV, Stage, rehearse, stages
from tests.support.site import BIN


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [BIN / "hadolint", "--no-color", "Dockerfile"], cwd=DOCKER, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_builds_the_environment_stays_behind() -> None:
    build, last = stages()
    assert build.name == "build"
    assert build.base == last.base == rehearse.BASE_IMAGE
    (run,) = last.all("RUN")
    assert set(_installed(run)) == {"dcmtk", "python3", "tzdata"}
    assert "pip" not in run
    assert rehearse.copied(last.one("COPY")) == ("build", [VENV], VENV)


@pytest.mark.parametrize("stage", stages(), ids=["build", "last"])
def test_packages_are_installed_without_recommendations_and_lists(stage: Stage) -> None:
    runs = [run for run in stage.all("RUN") if "apt-get" in run]
    assert runs
    for run in runs:
        steps = [step.strip() for step in run.split("&&")]
        assert steps[0] == "apt-get update"
        assert steps[1].startswith("apt-get install -y --no-install-recommends ")
        assert steps[2] == "rm -rf /var/lib/apt/lists/*"


def test_the_image_runs_as_a_user_that_owns_the_volumes() -> None:
    last = stages()[-1]
    uid, gid = last.one("USER").split(":")
    # By number, or Kubernetes' runAsNonRoot cannot tell.
    assert int(uid) >= 1000 and int(gid) >= 1000
    volumes = rehearse.exec_form(last.one("VOLUME"))
    assert volumes == ["/data", "/var/lib/scanner-mover"]
    assert f"install --directory --owner={uid} --group={gid} {' '.join(volumes)}" in last.one("RUN")
    names = [name for name, _ in last.instructions]
    assert names.index("RUN") < names.index("VOLUME"), "what RUN changes in a volume is lost"
    assert "SERVERDIR=/var/lib/scanner-mover" in last.one("ENV").split()
    assert last.one("ENV").split()[0].startswith(f"PATH={VENV}/bin:")


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    patterns = rehearse.ignore_patterns(TOP)
    copies = [rehearse.copied(rest) for stage in stages() for rest in stage.all("COPY")]
    sources = [source.rstrip("/") for stage, sources, _ in copies if stage is None for source in sources]
    assert sources == ["LICENSE", "README.md", "pyproject.toml", "scanner_mover"]
    for source in sources:
        assert (TOP / source).exists(), source
        assert not rehearse.ignored(source, patterns), source


def test_the_whole_package_and_nothing_else_goes_to_the_engine() -> None:
    patterns = rehearse.ignore_patterns(TOP)
    package = [path for path in (TOP / "scanner_mover").rglob("*") if path.is_file()]
    relative = {str(path.relative_to(TOP)) for path in package}
    kept = {path for path in relative if not rehearse.ignored(path, patterns)}
    assert kept == {path for path in relative if "__pycache__" not in path}
    assert "scanner_mover/templates/series_find.dump" in kept
    for path in (".git/HEAD", ".venv/bin/python", "tests/__init__.py", "docker/Dockerfile", "fixtures/inputs.py"):
        assert rehearse.ignored(path, patterns), path


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        (["*"], "README.md", True),
        (["*"], "scanner_mover/cli.py", True),
        (["*", "!scanner_mover"], "scanner_mover/cli.py", False),
        (["*", "!scanner_mover"], "tests/scanner_mover", True),
        (["!scanner_mover", "*"], "scanner_mover/cli.py", True),
        (["**/__pycache__"], "__pycache__/a.pyc", True),
        (["**/__pycache__"], "a/b/__pycache__/c.pyc", True),
        (["__pycache__"], "a/__pycache__/c.pyc", False),
        (["a/*"], "a/b/c", True),
        (["*/c"], "a/b/c", False),
        ([], "a", False),
    ],
)
def test_the_last_pattern_that_matches_a_path_or_a_folder_of_it_counts(
    patterns: list[str], path: str, ignored: bool
) -> None:
    assert rehearse.ignored(path, patterns) is ignored


def test_a_dockerfile_is_parsed_by_instructions() -> None:
    text = '# a comment\nFROM debian AS build\nRUN one \\\n    # between\n    && two\n\nCMD ["a", "b c"]\n'
    from_, run, cmd = rehearse.parse(text)
    assert from_ == ("FROM", "debian AS build")
    assert (run.name, run.rest.split()) == ("RUN", ["one", "&&", "two"])
    assert rehearse.exec_form(cmd.rest) == ["a", "b c"]


@pytest.mark.parametrize("rest", ["scanner-mover move", '"scanner-mover"', "[1]", '{"a": 1}'])
def test_what_is_not_in_exec_form_is_refused(rest: str) -> None:
    with pytest.raises(rehearse.RehearsalError, match="not in exec form"):
        rehearse.exec_form(rest)


def test_the_rehearsal_needs_nothing_but_python() -> None:
    tree = ast.parse((DOCKER / "rehearse").read_text())
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    } | {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    # yaml it installs itself, after it has copied the machine that it runs on.
    assert imported - sys.stdlib_module_names == {"yaml"}
    assert (DOCKER / "rehearse").stat().st_mode & 0o111


def test_the_readme_is_copied_because_the_package_needs_it() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    sources = [source for stage in stages() for rest in stage.all("COPY") for source in rehearse.copied(rest)[1]]
    assert project["readme"] in sources


def _installed(run: str) -> list[str]:
    (step,) = [step for step in run.split("&&") if "apt-get install" in step]
    return [word for word in step.split()[2:] if not word.startswith("-")]
