"""`scanner-mover init`: from nothing to a site that `status --check` calls ready, and never over what is there."""

import json
import os
import pty
import pwd
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import dumped_series
from tests.support.ports import free_port
from tests.support.site import BIN, Site

STUDY = "1.2.826.0.1.3680043.10.1561.80"


class New:
    """A server that never had the script: nothing but a folder to put it in."""

    def __init__(self, folder: Path) -> None:
        self.data, self.server = folder / "data", folder / "server"
        self.config = self.data / "config" / "config.json"
        self.environment = {**os.environ, "HOME": str(folder)}
        for name in ("SCANNER_MOVER_CONFIG", "SERVERDIR"):
            self.environment.pop(name, None)
        self.folders = ["--data-dir", str(self.data), "--server-dir", str(self.server)]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(BIN / "scanner-mover"), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment,
        )

    def init(self, *arguments: str, scanner_port: int = 104) -> "subprocess.CompletedProcess[str]":
        return self.run(
            *("init", "--scanner-ip", "127.0.0.1", "--scanner-port", str(scanner_port)),
            *("--scanner-ae-title", "SCANNER", "--ae-title", "MOVER", *self.folders, *arguments),
        )


@pytest.fixture
def new(tmp_path) -> New:
    return New(tmp_path)


def test_what_it_makes_is_ready_and_moves_a_study(new, tmp_path):
    port = free_port()
    with Dcmqrscp(tmp_path / "scanner", {"MOVER": port}) as scanner:
        scanner.store(
            dumped_series(tmp_path / "i", study_instance_uid=STUDY, series_instance_uid=STUDY + ".1", images=2)
        )
        done = new.init("--receive-port", str(port), scanner_port=scanner.port)
        assert done.returncode == 0, done
        check = new.run("status", "--check", "--config", str(new.config), "--server-dir", str(new.server))
        assert check.returncode == 0, check.stdout
        assert "fix:" not in check.stdout and check.stdout.endswith("ready: nothing to fix\n")
        (command,) = re.findall(r"scanner-mover (status --check --config .*)", done.stdout)
        assert new.run(*command.split()).returncode == 0, "the line that it prints works as pasted"
        (new.data / "active-scans" / STUDY).touch()
        lines = re.search(r"(?:SCANNER_MOVER_CONFIG|SERVERDIR|\* \* \* \* \*).*", done.stdout, re.DOTALL)
        assert lines is not None
        crontab = lines[0].split("\n\n")[0].splitlines()
        passes = [line.removeprefix("* * * * * ") for line in crontab if line.startswith("* * * * * ")]
        assert [re.match(r"(?:sleep (\d+); )?/.*/moveFromScanner\.sh$", line)[1] for line in passes] == [
            *(None, "15", "30", "45")
        ]
        variables = dict(line.split("=", 1) for line in crontab if not line.startswith("*"))
        cron = subprocess.run(
            ["sh", "-c", passes[0]],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", **variables},
        )
        assert (cron.returncode, cron.stdout, cron.stderr) == (0, "", "")
    assert len(list((new.data / "site" / "raw" / STUDY / f"{STUDY}.1").iterdir())) == 2


def test_it_says_what_to_register_on_the_scanner_and_what_mailto_means(new):
    done = new.init()
    for text in ("AE title  MOVER", "address   127.0.0.1", "port      11112", "C-MOVE", 'MAILTO=""', "Then test"):
        assert text in done.stdout
    done = new.init("--no-receive", "--data-dir", str(new.data) + "2")
    assert "Another program must receive there" in done.stdout


def test_nothing_is_written_over(new):
    assert new.init().returncode == 0
    new.config.write_text(new.config.read_text().replace("MOVER", "OTHER"))
    (new.data / "config" / "enabled").write_text("000")
    before = {path: path.lstat().st_mtime_ns for path in new.data.rglob("*") if path.is_file()}
    done = new.init("--ae-title", "THIRD")
    assert done.returncode == 0
    assert "is there already and counts" in done.stderr
    assert "AE title  OTHER" in done.stdout and "made " not in done.stdout
    assert {path: path.lstat().st_mtime_ns for path in new.data.rglob("*") if path.is_file()} == before


def test_what_is_missing_of_a_site_is_made(new):
    assert new.init().returncode == 0
    (new.data / "finished-scans").rmdir()
    done = new.run("init", "--config", str(new.config), *new.folders)
    assert done.returncode == 0
    assert f"made   {new.data}/finished-scans" in done.stdout and f"there  {new.data}/scanner" in done.stdout


def test_the_configuration_is_private_and_trusted(new):
    assert new.init().returncode == 0
    status = new.config.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o640, os.geteuid())
    assert json.loads(new.config.read_text())["SCANNERPORT"] == 104
    assert stat.S_IMODE((new.data / "site" / "raw").stat().st_mode) & 0o007 == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--scanner-ip, --scanner-port, --scanner-ae-title, --ae-title must be given"),
        (["--scanner-ip", "x"], "--scanner-port, --scanner-ae-title, --ae-title must be given"),
    ],
)
def test_without_a_terminal_what_is_missing_is_named_and_nothing_is_made(new, arguments, words):
    done = new.run("init", *arguments, *new.folders)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert not new.data.exists() and not new.server.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scanner-ip", "a b"], "--scanner-ip: SCANNERIP is not an address"),
        (["--ae-title", "A" * 17], "--ae-title: DICOMAETITLE is not an AE title"),
        (["--ae-title", ""], "--ae-title: DICOMAETITLE is empty"),
        (["--user", "no such user"], "--user: this machine knows no user"),
    ],
)
def test_what_cannot_be_used_is_wrong_usage_and_nothing_is_made(new, arguments, words):
    done = new.init(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert not new.data.exists() and not new.server.exists()


def test_what_cannot_be_made_is_4(new, tmp_path):
    new.data.write_text("a file")
    done = new.init("--config", str(tmp_path / "config.json"))
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        *(4, f"scanner-mover: {new.data} is not a folder: move it out of the way"),
    )


def test_a_configuration_that_cannot_be_used_is_3(new):
    assert new.init().returncode == 0
    new.config.write_text("{}")
    done = new.init()
    assert (done.returncode, done.stdout) == (3, "") and "SCANNERIP is missing" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for another user")
def test_root_makes_it_for_the_user_whom_cron_runs(new, tmp_path):
    tmp_path.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    done = new.init("--user", "nobody")
    assert done.returncode == 0 and "you are root" not in done.stderr
    assert "the crontab of nobody" in done.stdout
    for path in (new.data / "active-scans", new.data / "site" / "raw", new.server / ".pids", new.server / "logs"):
        assert path.stat().st_uid == nobody.pw_uid
    assert (new.config.stat().st_uid, new.config.stat().st_gid) == (0, nobody.pw_gid)
    assert "you are root, so all of it belongs to root" in new.init().stderr


def answer(arguments: list[str], answers: list[tuple[str, str]], environment: dict[str, str]) -> tuple[int, str]:
    """Run the program on a terminal and give each answer when its question is there; its exit status and its screen."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(BIN / "scanner-mover"), *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    screen, seen = "", 0
    try:
        while True:
            if answers and answers[0][0] in screen[seen:]:
                seen = len(screen)
                os.write(master, (answers.pop(0)[1] + "\n").encode())
            try:
                screen += os.read(master, 4096).decode()
            except OSError:  # the program has ended
                return process.wait(60), screen
    finally:
        process.kill()
        os.close(master)


def test_it_asks_on_a_terminal_until_it_has_an_answer(new):
    questions = [
        ("address or host name: ", "a b"),
        ("is not an address", "127.0.0.1"),
        ("query/retrieve service [104]: ", ""),
        ("AE title of that service: ", "SCANNER"),
        ("which the scanner will know: ", "MOVER"),
        ("The folder of requests and images [/data]: ", str(new.data)),
        ("(yes or no) [yes]: ", "perhaps"),
        ("is neither yes nor no", "no"),
        ("receives images [11112]: ", "4006"),
    ]
    status, screen = answer(["init", "--server-dir", str(new.server)], questions, new.environment)
    assert status == 0, screen
    assert questions == [], screen
    keys = json.loads(new.config.read_text())
    assert (keys["SCANNERPORT"], keys["DICOMPORT"], keys["SCANNER_MOVER"]) == (104, 4006, {"receive": False})


def test_the_end_of_the_answers_makes_nothing(new):
    status, screen = answer(["init", *new.folders], [("host name: ", "\x04")], new.environment)
    assert status == 2 and "the questions were not answered; nothing was made" in screen
    assert not new.data.exists()


def test_it_leaves_an_existing_site_of_the_script_as_it_is(tmp_path):
    site = Site(tmp_path / "site")
    site.request(STUDY)
    before = site.config_file.read_bytes()
    done = site.mover("init")
    assert done.returncode == 0, done
    assert site.config_file.read_bytes() == before
    assert site.requests_in("active-scans") == [STUDY]
    assert site.messages() == [], "and makes no pass over its requests"


@pytest.mark.parametrize("arguments", [["init"], ["move"], ["status"]], ids=" ".join)
def test_a_working_folder_that_was_removed_is_one_line(new, tmp_path, arguments):
    assert new.init().returncode == 0
    keys = json.loads(new.config.read_text())
    relative = tmp_path / "relative.json"
    relative.write_text(json.dumps({**keys, "DATADIR": "data"}))
    options = ["--data-dir", "data", "--config", str(tmp_path / "new.json")] if "init" in arguments else []
    options = options or ["--config", str(relative)]
    more = ["--scanner-ip", "h", "--scanner-port", "1", "--scanner-ae-title", "S", "--ae-title", "M"]
    command = [str(BIN / "scanner-mover"), *arguments, *options, *(more if "init" in arguments else [])]
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(gone), *command, "--server-dir", str(new.server)],
        check=False,
        capture_output=True,
        text=True,
        env=new.environment,
        timeout=240,
    )
    assert (done.returncode, done.stderr.count("\n")) == (4, 1), done
    assert "relative to a working folder that was removed" in done.stderr
