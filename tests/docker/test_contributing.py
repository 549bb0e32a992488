"""What a contributor's tools read: the workflow, the issue forms, the hooks of pre-commit, .ci/run."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.files import TOP
from tests.support.site import BIN

_GITHUB = TOP / ".github"
_FORMS = sorted(path for path in (_GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


def _read(path: Path) -> dict[str, Any]:
    value = yaml.safe_load(path.read_text())
    assert isinstance(value, dict)
    return value


def _check(schema: str, path: Path) -> None:
    """PATH is what GitHub's own schema of that name asks for."""
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", path],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _test_command() -> str:
    (command,) = re.findall(
        r"^<!-- the test command -->\n```sh\n(.*?)^```$",
        (TOP / "README.md").read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )
    return str(command)


def test_the_workflow_is_one_and_calls_what_the_readme_calls() -> None:
    (path,) = (_GITHUB / "workflows").iterdir()
    _check("github-workflows", path)
    assert [step["run"] for step in _read(path)["jobs"]["test"]["steps"] if "run" in step] == [".ci/run"]
    assert _read(path)["permissions"] == {"contents": "read"}
    assert (TOP / ".ci/run").stat().st_mode & 0o111


def test_ci_runs_the_readmes_test_command() -> None:
    run = (TOP / ".ci/run").read_text()
    program = re.findall(r"command=\$\((.*)\)$", run, flags=re.MULTILINE)
    done = subprocess.run(["bash", "-c", program[0]], cwd=TOP, check=True, capture_output=True, text=True)
    assert done.stdout == _test_command()


@pytest.mark.parametrize("path", _FORMS, ids=[path.stem for path in _FORMS])
def test_an_issue_asks_for_the_version_the_check_and_the_log(path: Path) -> None:
    _check("github-issue-forms", path)
    form = _read(path)
    fields = {field["id"]: field for field in form["body"] if "id" in field}
    assert fields.keys() >= {"version", "check", "log"}
    assert "scanner-mover --version" in fields["version"]["attributes"]["description"]
    assert fields["check"]["attributes"]["label"] == "scanner-mover status --check"


def test_there_is_no_issue_without_a_form() -> None:
    path = _GITHUB / "ISSUE_TEMPLATE" / "config.yml"
    _check("github-issue-config", path)
    assert _read(path) == {"blank_issues_enabled": False}


def test_a_commit_is_held_to_the_linters_of_the_test_command() -> None:
    (repository,) = _read(TOP / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local", "the versions are those of .venv"
    hooks = [hook["entry"] for hook in repository["hooks"]]
    assert hooks == re.findall(r"(?<!\S)\.venv/bin/(?!pip|pytest)[^&]*[^& \\\n]", _test_command())
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
