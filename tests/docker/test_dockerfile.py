"""The Dockerfile, .dockerignore, the requirements, and the parser of the first two."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from scanner_mover import __version__
from tests.docker import dockerfile
from tests.docker.files import DOCKER, TOP, VENV, Stage, stages
from tests.support.site import BIN


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [BIN / "hadolint", "--no-color", "Dockerfile"], cwd=DOCKER, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_builds_the_environment_stays_behind() -> None:
    build, last = stages()
    assert build.name == "build"
    assert build.base == last.base == "debian:bookworm-slim"
    (run,) = last.all("RUN")
    assert set(_installed(run)) == {"dcmtk", "python3", "tzdata"}
    assert "pip" not in run
    assert dockerfile.copied(last.one("COPY")) == ("build", [VENV], VENV)


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
    volumes = dockerfile.exec_form(last.one("VOLUME"))
    assert volumes == ["/data", "/var/lib/scanner-mover"]
    assert f"install --directory --owner={uid} --group={gid} {' '.join(volumes)}" in last.one("RUN")
    names = [name for name, _ in last.instructions]
    assert names.index("RUN") < names.index("VOLUME"), "what RUN changes in a volume is lost"
    assert "SERVERDIR=/var/lib/scanner-mover" in last.one("ENV").split()
    assert last.one("ENV").split()[0].startswith(f"PATH={VENV}/bin:")


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    patterns = dockerfile.ignore_patterns(TOP)
    copies = [dockerfile.copied(rest) for stage in stages() for rest in stage.all("COPY")]
    sources = [source.rstrip("/") for stage, sources, _ in copies if stage is None for source in sources]
    assert sources == [
        *("docker/requirements.txt", "docker/requirements-build.txt"),
        *("LICENSE", "README.md", "pyproject.toml", "fixtures/man/scanner-mover.1", "scanner_mover"),
    ]
    for source in sources:
        assert (TOP / source).exists(), source
        assert not dockerfile.ignored(source, patterns), source


def test_the_whole_package_and_nothing_else_goes_to_the_engine() -> None:
    patterns = dockerfile.ignore_patterns(TOP)
    package = [path for path in (TOP / "scanner_mover").rglob("*") if path.is_file()]
    relative = {str(path.relative_to(TOP)) for path in package}
    kept = {path for path in relative if not dockerfile.ignored(path, patterns)}
    assert kept == {path for path in relative if "__pycache__" not in path}
    assert "scanner_mover/templates/series_find.dump" in kept
    for path in (
        ".git/HEAD",
        ".venv/bin/python",
        "tests/__init__.py",
        "docker/Dockerfile",
        "fixtures/inputs.py",
        "fixtures/man/make.py",
    ):
        assert dockerfile.ignored(path, patterns), path


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
    assert dockerfile.ignored(path, patterns) is ignored


def test_a_dockerfile_is_parsed_by_instructions() -> None:
    text = '# a comment\nFROM debian AS build\nRUN one \\\n    # between\n    && two\n\nCMD ["a", "b c"]\n'
    from_, run, cmd = dockerfile.parse(text)
    assert from_ == ("FROM", "debian AS build")
    assert (run.name, run.rest.split()) == ("RUN", ["one", "&&", "two"])
    assert dockerfile.exec_form(cmd.rest) == ["a", "b c"]


@pytest.mark.parametrize("rest", ["scanner-mover move", '"scanner-mover"', "[1]", '{"a": 1}'])
def test_what_is_not_in_exec_form_is_refused(rest: str) -> None:
    with pytest.raises(ValueError, match="not in exec form"):
        dockerfile.exec_form(rest)


def test_each_package_has_a_version_and_a_hash() -> None:
    for name in ("requirements.txt", "requirements-build.txt"):
        text = (DOCKER / name).read_text().replace("\\\n", " ")
        packages = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert packages
        for line in packages:
            assert re.fullmatch(r"[\w.-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+", line), line


def test_the_requirements_are_those_of_the_project() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    pinned = {name: Version(version) for name, version in _pinned("requirements.txt")}
    for text in project["project"]["dependencies"]:
        requirement = Requirement(text)
        assert pinned[requirement.name] in requirement.specifier
    build = {name for name, _ in _pinned("requirements-build.txt")}
    assert build >= {Requirement(text).name for text in project["build-system"]["requires"]}


def test_the_image_installs_nothing_without_a_hash() -> None:
    installs = [
        step.strip()
        for rest in stages()[0].all("RUN")
        for step in rest.split("&&")
        if re.search(r"pip (install|wheel)", step)
    ]
    assert len(installs) == 4
    for step in installs:
        words = step.split()
        offline = {"--no-deps"} <= set(words) and ({"--no-index"} & set(words) or {"--no-build-isolation"} & set(words))
        assert "--require-hashes" in words or offline, step


def test_the_labels_say_what_it_is() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', stages()[-1].one("LABEL")))
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert labels["title"] == project["name"]
    assert labels["version"] == __version__
    assert labels["licenses"] == project["license"]
    assert labels["authors"] == project["authors"][0]["name"]
    assert labels["base.name"].endswith(f"/{stages()[-1].base}")


def test_the_rehearsal_can_be_started() -> None:
    path = DOCKER / "rehearse"
    assert path.stat().st_mode & 0o111
    assert len(path.read_text().splitlines()) < 240
    compile(path.read_text(), str(path), "exec")


def test_the_readme_is_copied_because_the_package_needs_it() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    sources = [source for stage in stages() for rest in stage.all("COPY") for source in dockerfile.copied(rest)[1]]
    assert project["readme"] in sources


def _pinned(name: str) -> list[tuple[str, str]]:
    return re.findall(r"^([\w.-]+)==(\S+)", (DOCKER / name).read_text(), flags=re.MULTILINE)


def _installed(run: str) -> list[str]:
    (step,) = [step for step in run.split("&&") if "apt-get install" in step]
    return [word for word in step.split()[2:] if not word.startswith("-")]
