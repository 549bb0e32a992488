"""The commands that stand in `docker/`, run by the program that is installed here."""

import signal
from pathlib import Path

import pytest

from tests.docker.files import exec_commands, our_commands
from tests.support.site import Site, wait_until


def test_every_command_is_in_exec_form() -> None:
    commands = exec_commands()
    # The image's two, one of each service and four health checks, two pods and three probes, three units.
    assert len(commands) == 2 + 5 + 3 + 2 + 3 + 3
    for where, command in commands:
        assert isinstance(command, list), where
        assert all(isinstance(word, str) and word for word in command), where
        # A shell would be the one that gets SIGTERM.
        assert command[0] not in ("sh", "bash", "/bin/sh", "/bin/bash"), where


@pytest.mark.parametrize(("where", "command"), our_commands(), ids=[where for where, _ in our_commands()])
def test_the_program_does_what_the_command_says(where: str, command: list[str], tmp_path: Path) -> None:
    _, subcommand, *arguments = command
    project = arguments.pop(0) if arguments and not arguments[0].startswith("-") else None
    site = Site(tmp_path, project=project)
    if subcommand == "status":
        words = [*([project] if project else []), *arguments]
        assert site.mover("status", *words).returncode == 1, "a health check that is content before there was a pass"
        assert site.move().returncode == 0
        done = site.mover("status", *words)
        assert (done.returncode, done.stderr) == (0, "")
    elif "--every" in arguments:
        with site.moving(*arguments) as process:
            wait_until(lambda: site.state_file.exists())
            process.send_signal(signal.SIGTERM)
            assert process.wait(240) == 0
    else:
        assert subcommand == "move"
        assert site.move(*arguments).returncode == 0
        assert site.messages() == ["move enabled, start getScans"]
