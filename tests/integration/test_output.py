"""Standard output fails: on a full disk, when its reader goes away, when it is closed. The pass notices nothing."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.site import BIN, Site, wait_until

STUDY = "1.2.826.0.1.3680043.10.1561.60"
FULL = "scanner-mover: standard output cannot be written: No space left on device\n"
GONE = "scanner-mover: standard output cannot be written: Broken pipe\n"
CLOSED = "scanner-mover: standard output cannot be written: it is closed\n"
# What is called for its output.
COMMANDS = [
    ["--help"],
    ["--version"],
    ["move", "--help"],
    ["--show-completion", "bash"],
    ["status"],
    ["status", "--json"],
    ["status", "--prometheus"],
    ["status", "--check"],
    ["move", "--json"],
]


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path / "site")


def run(
    site: Site,
    arguments: list[str],
    stdout: object,
    program: str = "scanner-mover",
    stderr: object = subprocess.PIPE,
) -> tuple[int, str]:
    # typer looks for a shell among the processes above it, and a service that runs the tests has none.
    shell = ["bash", "-c", '"$@"; exit', "-"] if "--show-completion" in arguments else []
    done = subprocess.run(
        [*shell, str(BIN / program), *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        env=site.environment,
    )
    return done.returncode, done.stderr


def with_a_full_disk(site: Site, arguments: list[str], program: str = "scanner-mover") -> tuple[int, str]:
    with Path("/dev/full").open("wb") as full:
        return run(site, arguments, full, program)


def with_a_reader_that_is_gone(site: Site, arguments: list[str]) -> tuple[int, str]:
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        return run(site, arguments, theirs)
    finally:
        os.close(theirs)


def with_a_closed_output(site: Site, arguments: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-; exit', "-", str(BIN / "scanner-mover"), *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=site.environment,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_where_output_is_the_job_its_failure_is_4_and_one_line(site, arguments):
    site.move()
    check = arguments == ["status", "--check"]
    for (status, errors), line in (
        (with_a_full_disk(site, arguments), FULL),
        (with_a_reader_that_is_gone(site, arguments), GONE),
        (with_a_closed_output(site, arguments), CLOSED),
    ):
        assert (status, errors) == (4, line), check


def test_a_help_of_the_other_program_that_cannot_be_written_is_4(site):
    assert with_a_full_disk(site, ["--help"], "moveFromScanner.sh") == (4, FULL)


def test_wrong_usage_stays_wrong_usage_where_its_line_cannot_be_written(site):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([str(BIN / "scanner-mover"), "nonsense"], check=False, stderr=full, env=site.environment)
    assert done.returncode == 2


@pytest.mark.parametrize("fail", [with_a_full_disk, with_a_reader_that_is_gone])
@pytest.mark.parametrize("arguments", [["-v"], ["--dry-run"]])
def test_where_it_is_not_the_pass_goes_on_and_says_so(site, fail, arguments):
    site.request(STUDY)
    status, errors = fail(site, ["move", *arguments])
    assert status == 5, "the scanner is off, and that is all that is wrong"
    assert errors.count("\n") == 2 and "standard output cannot be written" in errors
    if arguments == ["-v"]:
        assert site.messages()[-1].startswith("pass over 1 request") or "cannot be reached" in site.messages()[-1]
        assert site.state()["last_pass"]["exit_status"] == 5


def test_a_pass_that_prints_nothing_does_not_mind(site):
    assert with_a_full_disk(site, ["move"]) == (0, "")
    assert with_a_closed_output(site, ["move"]) == (0, "")


def test_a_line_that_standard_error_does_not_take_is_said_by_the_next_pass(site):
    """`>> /var/log/mover 2>&1` in a crontab, and that disk is full."""
    site.request(STUDY)
    with Path("/dev/full").open("wb") as full:
        for _ in range(2):
            status, _ = run(site, ["move"], subprocess.DEVNULL, stderr=full)
            assert status == 5
    status, errors = run(site, ["move"], subprocess.DEVNULL)
    assert status == 5 and errors.count("\n") == 1 and "cannot be reached" in errors
    assert run(site, ["move"], subprocess.DEVNULL) == (5, "")


def test_the_reader_of_a_daemon_goes_away_and_the_daemon_goes_on(site):
    process = subprocess.Popen(
        [str(BIN / "scanner-mover"), "move", "--every", "0.2", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=site.environment,
    )
    try:
        assert json.loads(process.stdout.readline())["studies"] == []
        process.stdout.close()
        passes = len(site.messages())
        wait_until(lambda: len(site.messages()) > passes + 4)
        process.terminate()
        assert process.stderr.read() == GONE, "it is said once, not in each pass"
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()


def test_what_a_daemon_prints_after_the_disk_was_full_begins_a_line(site, tmp_path):
    """On a disk of its own that is full for a while; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    site.move()
    script = f"""
log_lines=$(wc -l < {site.server}/logs/moveFromScanner.log)
mount -t tmpfs -o size=64k none {disk} || exit 77
head -c 60k /dev/zero > {disk}/fill; cat /dev/zero > {disk}/more 2> /dev/null
{BIN}/scanner-mover move --every 0.2 --json > {disk}/out & mover=$!
wait_for() {{ n=0; until [ $(wc -l < $1) -ge $2 ] || [ $n -ge 600 ]; do sleep 0.1; n=$((n+1)); done; }}
wait_for {site.server}/logs/moveFromScanner.log $((log_lines + 3))
rm {disk}/fill {disk}/more
wait_for {disk}/out 4
kill $mover; wait $mover; echo "status $?" >&2
cat {disk}/out
"""
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], check=False, capture_output=True, text=True, env=site.environment
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no right to mount here")
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert done.stderr.endswith("status 0\n")
    whole = [line for line in done.stdout.splitlines() if line.startswith("{") and line.endswith("}")]
    assert len(whole) >= 3
    assert all(json.loads(line)["project"] == "ABCD" for line in whole)
