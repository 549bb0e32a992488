"""What lies in `docker/`, parsed, and the commands of our programs that stand in it."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.docker import dockerfile

TOP = Path(__file__).resolve().parents[2]
DOCKER = TOP / "docker"
VENV = "/opt/scanner-mover"
# The daemon, a project's daemon, and the timer's pass: they run the mover.
SERVICES = ("scanner-mover.service", "scanner-mover@.service", "scanner-mover-pass.service")
UNITS = (*SERVICES, "scanner-mover.timer", "scanner-mover-failed@.service")
PROJECT = "PCGC"


class Stage(NamedTuple):
    """One stage of the Dockerfile: its name, the image that it begins with, its instructions as (name, rest)."""

    name: str
    base: str
    instructions: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """What follows NAME, for each instruction of that name."""
        return [rest for one, rest in self.instructions if one == name]

    def one(self, name: str) -> str:
        """What follows NAME, of which there is one."""
        (rest,) = self.all(name)
        return rest


def stages() -> list[Stage]:
    """The stages of the Dockerfile."""
    found: list[Stage] = []
    for name, rest in dockerfile.parse((DOCKER / "Dockerfile").read_text()):
        if name == "FROM":
            base, *named = rest.split()
            found.append(Stage(named[1] if named else "", base, []))
        else:
            found[-1].instructions.append((name, rest))
    return found


def compose() -> dict[str, Any]:
    """`compose.yaml`, with its anchors resolved."""
    value = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert isinstance(value, dict)
    return value


def kubernetes(kind: str, text: str | None = None) -> dict[str, Any]:
    """The one object of that kind in `kubernetes.yaml`."""
    (found,) = [one for one in kubernetes_objects(text) if one["kind"] == kind]
    return found


def kubernetes_objects(text: str | None = None) -> list[dict[str, Any]]:
    """All objects in `kubernetes.yaml`, or in TEXT."""
    return list(yaml.safe_load_all(text or (DOCKER / "kubernetes.yaml").read_text()))


def pod(kind: str) -> dict[str, Any]:
    """The pod that the Deployment or the CronJob makes."""
    spec = kubernetes(kind)["spec"]
    spec = spec["jobTemplate"]["spec"] if kind == "CronJob" else spec
    value = spec["template"]["spec"]
    assert isinstance(value, dict)
    return value


def unit(name: str) -> dict[str, list[str]]:
    """A unit of systemd: the values of each key; those of all sections together, where no key is in two."""
    found: dict[str, list[str]] = {}
    for line in (DOCKER / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def exec_commands() -> list[tuple[str, list[str]]]:
    """Every command in exec form, of whatever program, and the place where it stands."""
    last = stages()[-1]
    found = [
        ("Dockerfile CMD", dockerfile.exec_form(last.one("CMD"))),
        ("Dockerfile HEALTHCHECK", dockerfile.exec_form(last.one("HEALTHCHECK").partition("CMD ")[2])),
    ]
    for name, service in compose()["services"].items():
        found.append((f"compose.yaml {name}", service["command"]))
        test = service.get("healthcheck", {}).get("test")
        if test is not None:
            assert test[0] == "CMD", f"{name}: {test}"
            found.append((f"compose.yaml {name} healthcheck", test[1:]))
    for kind in ("Deployment", "CronJob"):
        (container,) = pod(kind)["containers"]
        found.append((f"kubernetes.yaml {kind}", container["command"]))
        found += [
            (f"kubernetes.yaml {kind} {key}", value["exec"]["command"])
            for key, value in container.items()
            if key.endswith("Probe")
        ]
    for name in SERVICES:
        (line,) = unit(name)["ExecStart"]
        program, *arguments = shlex.split(line.replace("%i", PROJECT))
        found.append((name, [program.removeprefix(f"{VENV}/bin/"), *arguments]))
    return found


def our_commands() -> list[tuple[str, list[str]]]:
    """Those of our own program."""
    return [(where, command) for where, command in exec_commands() if command[0] == "scanner-mover"]


def option(command: Sequence[str], name: str) -> str:
    """What follows the option NAME in COMMAND."""
    return command[list(command).index(name) + 1]


def configuration(kind: str) -> dict[str, Any]:
    """The config.json of `compose` or `kubernetes`."""
    if kind == "compose":
        value = json.loads((DOCKER / "compose" / "config.json").read_text())
    else:
        value = json.loads(kubernetes("ConfigMap")["data"]["config.json"])
    assert isinstance(value, dict)
    return value
