"""What a person sees: `move`, `status` and `find` on real pseudo terminals, plain lines in a pipe, help, completion."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte
import pytest

from tests.support.objects import by_study, mr_series, uid
from tests.support.ports import free_port
from tests.support.scripted import Script, ScriptedScanner
from tests.support.site import BIN, Site

# Colours: SGR 30 to 37, 38, 40 to 47, 48, 90 to 97 and 100 to 107 (ECMA-48 8.3.117 and what terminals added).
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_COLOURS = {*range(30, 39), *range(40, 49), *range(90, 98), *range(100, 108)}


class Terminal:
    """`scanner-mover ARGUMENTS` on a pseudo terminal of its own, with a screen that is emulated by pyte.

    Standard input, output and error are the terminal. `text` is everything that was written to it, `frames` the
    screen after each piece of it. For use in a `with`; at its end the process is killed if it is still there.
    """

    def __init__(
        self,
        site: Site,
        *arguments: str,
        columns: int = 80,
        lines: int = 50,
        env: Mapping[str, str | None] | None = None,
        program: Path = BIN / "scanner-mover",
    ) -> None:
        self.text = ""
        self.frames: list[str] = []
        self._arguments = [str(program), *arguments]
        variables = {**site.environment, "TERM": "xterm-256color", "COLUMNS": None, "LINES": None, "NO_COLOR": None}
        variables.update(env or {})
        self._environment = {name: value for name, value in variables.items() if value is not None}
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._size = struct.pack("HHHH", lines, columns, 0, 0)
        self._raw = b""
        self._master = -1
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, self._size)
        self.process = subprocess.Popen(
            self._arguments, stdin=slave, stdout=slave, stderr=slave, env=self._environment, start_new_session=True
        )
        os.close(slave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)

    def wait(self, seconds: float = 60) -> int:
        """Read until the end of the process; its exit status."""
        self.until(lambda screen: False, seconds, ends=True)
        return self.process.wait()

    def until(self, condition: Callable[[str], bool], seconds: float = 60, *, ends: bool = False) -> None:
        """Read until `condition` holds for the screen; with `ends` also until nothing more can come."""
        end = time.monotonic() + seconds
        while True:
            assert time.monotonic() < end, f"not so after {seconds} s:\n{self.screen}"
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # EIO: nobody has the other end any more
                piece = b""
            if not piece:
                assert ends, f"it ended first:\n{self.screen}"
                return
            self._raw += piece
            self.text = self._raw.decode(errors="backslashreplace")
            self._stream.feed(piece)
            self.frames.append(self.screen)
            if condition(self.screen):
                return

    @property
    def screen(self) -> str:
        """The lines of the screen, without blanks at their ends."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def colours(self) -> set[int]:
        """The colour codes of everything that was written."""
        codes = {int(code) for found in _SGR.findall(self.text) for code in found.split(";") if code}
        return codes & _COLOURS


@pytest.fixture
def slow(tmp_path) -> Iterator[tuple[Site, str]]:
    """A site that receives from a slow scanner, and the study that is requested there: 6 and 2 images."""
    port = free_port()
    study = uid()
    paths = [
        path
        for number, images in ((1, 6), (2, 2))
        for path in mr_series(
            tmp_path / f"{number}",
            study_instance_uid=study,
            series_instance_uid=f"{study}.{number}",
            images=images,
            # Every column of `find` has something in it, as with a real scanner.
            attributes={
                "StudyDescription": "HEAD MRI",
                "SeriesNumber": number,
                "SeriesDescription": "t1_mprage_sag",
                "AccessionNumber": "A12345",
                "ModalitiesInStudy": "MR",
            },
        )
    ]
    script = Script(seconds_between_images=0.4)
    with ScriptedScanner(by_study(paths), {"MOVER": port}, script=script) as scanner:
        site = Site(tmp_path / "site", scanner_port=scanner.port, receive_port=port, receive=True)
        site.request(study)
        site.mpps(study)
        yield site, study


# move


@pytest.mark.parametrize("columns", [80, 160])
def test_move_shows_progress_while_images_arrive_and_a_summary_at_the_end(slow, columns):
    site, study = slow
    with Terminal(site, "move", "--receive", columns=columns) as terminal:
        terminal.until(lambda screen: bool(re.search(r"[1-5] of 6", screen)))
        shown = terminal.screen
        _assert_shows(shown, study)
        _assert_shows(shown, f"{study}.1")
        assert "retrieving" in shown
        terminal.until(lambda screen: "1 of 2" in screen and "6 of 6" in screen)
        assert "complete" in terminal.screen
        assert terminal.wait() == 0
    # The numbers went up one by one, and the table is gone.
    counts = [int(found[1]) for frame in terminal.frames if (found := re.search(r"(\d) of 6", frame))]
    assert counts == sorted(counts)
    assert len(set(counts)) >= 4, counts
    assert "retrieving" not in terminal.screen
    # The summary.
    assert "what became of each request" in terminal.screen
    _assert_shows(terminal.screen, study)
    assert "8 of 8" in terminal.screen
    assert "ended" in terminal.screen
    assert "finished" in terminal.screen
    assert terminal.colours, "there was no colour at all"
    assert all(len(line) <= columns for frame in terminal.frames for line in frame.splitlines())
    # The cursor is there again.
    assert terminal.text.rfind("\x1b[?25h") > terminal.text.rfind("\x1b[?25l") >= 0


def test_no_color_gives_no_colour(slow):
    site, study = slow
    with Terminal(site, "move", "--receive", env={"NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0
    assert any(re.search(r"[1-6] of 6", frame) for frame in terminal.frames)
    assert "8 of 8" in terminal.screen
    assert terminal.colours == set()
    for arguments in (["status"], ["status", "--check"], ["find"], ["find", "--level", "series", "--study", study]):
        with Terminal(site, *arguments, env={"NO_COLOR": "1"}) as terminal:
            terminal.wait()
        assert terminal.screen
        assert terminal.colours == set(), arguments


def test_a_signal_leaves_the_terminal_as_it_was(slow):
    site, _ = slow
    with Terminal(site, "move", "--receive") as terminal:
        terminal.until(lambda screen: bool(re.search(r"[1-5] of 6", screen)))
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait(240) == 128 + signal.SIGINT
    assert "Traceback" not in terminal.text
    assert terminal.text.rfind("\x1b[?25h") > terminal.text.rfind("\x1b[?25l") >= 0


def test_the_screen_of_a_very_narrow_terminal_is_still_one(slow):
    site, study = slow
    with Terminal(site, "move", "--receive", columns=40, lines=60) as terminal:
        assert terminal.wait() == 0
    _assert_shows(terminal.screen, "finished")
    _assert_shows(terminal.screen, study)
    for arguments in (["status"], ["find"]):
        with Terminal(site, *arguments, columns=40, lines=60) as terminal:
            assert terminal.wait() == 0
        assert "Traceback" not in terminal.text


def test_nothing_to_do_and_switched_off_are_said_on_a_terminal(tmp_path):
    site = Site(tmp_path)
    with Terminal(site, "move") as terminal:
        assert terminal.wait() == 0
    assert "nothing to do" in terminal.screen
    site.switch(b"000\n")
    with Terminal(site, "move") as terminal:
        assert terminal.wait() == 0
    assert "switched off" in terminal.screen


def test_in_a_pipe_verbose_prints_the_log_in_plain_lines(slow):
    site, study = slow
    done = site.move("-v")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    lines = done.stdout.splitlines()
    messages = site.messages()
    assert len(messages) > 5
    assert lines[: len(messages)] == messages
    assert f"C-MOVE {study} {study}.1: Success" in done.stdout
    assert "8 of 8" in done.stdout


def test_in_a_pipe_without_verbose_nothing_is_printed(slow):
    site, study = slow
    done = site.move()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert site.requests_in("finished-scans") == [study]


def test_forced_colour_does_not_colour_what_scripts_read(slow):
    site, _ = slow
    for arguments in (
        ["find"],
        ["find", "--json"],
        ["find", "--csv"],
        ["status", "--json"],
        ["status", "--prometheus"],
    ):
        done = site.mover(*arguments, env={"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"})
        assert done.returncode == 0
        assert "\x1b" not in done.stdout, arguments


# find and status


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_no_character_of_a_uid_is_lost_in_the_tables_of_find(slow, columns):
    """Folded it may be; a UID of which the edge of the terminal takes a character leads somebody to another study."""
    site, study = slow
    with Terminal(site, "find", columns=columns, lines=200) as terminal:
        assert terminal.wait() == 0
    assert "1 found" in terminal.screen
    assert "…" not in terminal.screen
    _assert_shows(terminal.screen, study)
    with Terminal(site, "find", "--level", "series", "--study", study, columns=columns, lines=200) as terminal:
        assert terminal.wait() == 0
    assert "2 found" in terminal.screen
    assert "…" not in terminal.screen
    for number in (1, 2):
        _assert_shows(terminal.screen, f"{study}.{number}")


@pytest.mark.parametrize(("columns", "headings"), [(80, ()), (160, ("date", "time"))])
def test_find_shows_a_date_and_a_time_as_people_read_them(slow, columns, headings):
    site, _ = slow
    with Terminal(site, "find", columns=columns) as terminal:
        assert terminal.wait() == 0
    for text in ("2026-01-31", "10:15", "series", "images", *headings):
        assert text in terminal.screen, terminal.screen
    for text in ("PHANTOM-1", "Test^Phantom", "HEAD"):
        _assert_shows(terminal.screen, text)


def test_find_says_on_a_terminal_that_there_is_nothing(slow):
    site, _ = slow
    with Terminal(site, "find", "--study", uid()) as terminal:
        assert terminal.wait() == 0
    assert "nothing found" in terminal.screen


def _assert_shows(screen: str, value: str) -> None:
    """The value stands in one column of the table, in one line or folded over several."""
    lines = re.sub("[│┃]", " ", screen).splitlines()
    for column in {match.start() for line in lines for match in re.finditer(r"\S+", line)}:
        cells = [re.match(r"\S*", line[column:])[0] for line in lines]
        if value in "".join(cells):
            return
    raise AssertionError(f"{value} is not in\n{screen}")


@pytest.mark.parametrize("columns", [80, 160])
def test_status_is_one_screen_with_a_bar_for_each_request(slow, columns):
    site, study = slow
    first = site.move()
    assert first.returncode == 0
    again = site.request(study)
    other = uid()
    site.request(other, age_seconds=7500)
    site.switch(b"010\n")
    (site.data / "scanner" / f"{study}.mpps").unlink()
    site.mpps(study, ended=False)
    assert site.move().returncode == 0
    assert again.exists()
    with Terminal(site, "status", columns=columns, lines=24) as terminal:
        assert terminal.wait() == 0
    screen = terminal.screen
    assert "ABCD: switched on" in screen
    assert re.search(r"last pass \d+ s ago, took \d+\.\d s, exit status 0", screen)
    assert "finished: 1 today, 1 in all" in screen
    assert "failed: 0 today, 0 in all" in screen
    for one in (study, other):
        _assert_shows(screen, one)
    assert "8 of 8" in screen
    assert "━" in screen
    assert "2 h 5 min" in screen
    assert "in progress" in screen
    assert "unknown" in screen
    assert screen.count("waiting") == 2
    assert len(screen.splitlines()) < 24
    if columns == 160:
        assert "2 of 2" in screen


@pytest.mark.parametrize("columns", [60, 120])
def test_status_tears_no_word_and_no_uid(slow, columns):
    site, study = slow
    site.mpps(study, ended=False)
    assert site.move().returncode == 0
    with Terminal(site, "status", columns=columns, lines=24) as terminal:
        assert terminal.wait() == 0
    words = terminal.screen.split()
    for word in (study, "switched", "finished:", "8", "step"):
        assert word in words, terminal.screen
    lines = terminal.screen.splitlines()
    (first,) = (number for number, line in enumerate(lines) if study in line.split())
    # One line at 120 columns; at 60 the words have a line of their own, which is folded.
    assert (len(lines) - first == 1) == (columns == 120), terminal.screen


def test_the_last_screen_of_the_demo_has_what_came_out_and_what_to_do_next(tmp_path):
    site = Site(tmp_path)
    with Terminal(site, "demo", columns=80, lines=24) as terminal:
        assert terminal.wait(120) == 0
    lines = terminal.screen.splitlines()
    assert len(lines) < 24
    (came_out,) = (number for number, line in enumerate(lines) if "what came out" in line)
    below = "\n".join(lines[came_out:])
    for part in ("data/", "8 files", "finished-scans/1.2.826", "active-scans/1.2.826", "what to do next"):
        assert part in below
    assert "scanner-mover init" in lines[-3]
    assert "scanner-mover status --check" in lines[-2]


# Help and completion


def _help(site: Site, *arguments: str) -> str:
    done = site.mover(*arguments, "--help", env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("subcommand", ["move", "find", "status", "demo"])
def test_the_example_in_each_help_works(slow, tmp_path, subcommand):
    site, study = slow
    text = _help(site, subcommand)
    (example,) = re.findall(r"Example: (scanner-mover .*\S)", text)
    program, named, *arguments = example.split()
    assert (program, named) == ("scanner-mover", subcommand)
    options = {word for word in arguments if word.startswith("-")}
    assert options, "an example without any option shows nothing"
    for option in options:
        assert re.search(rf"(^|\s){re.escape(option)}\b", text.replace(example, "")), option
    if subcommand == "demo":
        # Into a folder of our own.
        arguments[arguments.index("--keep") + 1] = str(tmp_path / "demo")
    done = site.mover(subcommand, *arguments)
    # `status --check` tells the truth about this site, on which no receiver listens and cron does not run.
    assert done.returncode in ((0, 1) if subcommand == "status" else (0,)), done
    assert "Traceback" not in done.stderr
    assert done.stdout.strip()
    if subcommand == "move":
        assert study in done.stdout
        assert site.requests_in("active-scans") == [study]


def test_h_is_help_and_no_arguments_are_help_too(tmp_path):
    site = Site(tmp_path)
    text = _help(site)
    for subcommand in ("move", "find", "status", "init", "demo"):
        assert subcommand in text
    for arguments in (["-h"], ["move", "-h"]):
        assert site.mover(*arguments).returncode == 0
    done = site.mover()
    assert "move" in done.stdout + done.stderr


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete "), ("zsh", "compdef"), ("fish", "complete --command")])
def test_each_shell_gets_its_completion_script(tmp_path, shell, mark):
    site = Site(tmp_path)
    done = site.mover(env={"_SCANNER_MOVER_COMPLETE": f"source_{shell}"})
    assert done.returncode == 0, done
    assert mark in done.stdout
    assert "scanner-mover" in done.stdout
    assert "_SCANNER_MOVER_COMPLETE" in done.stdout


def test_show_completion_as_readme_says(tmp_path):
    """`--show-completion` finds out which shell called it: here bash does, which execs nothing else."""
    bash = Path("/bin/bash")
    assert bash.exists()
    site = Site(tmp_path)
    # With a second command bash does not replace itself by the first.
    script = tmp_path / "show"
    script.write_text(f"{BIN / 'scanner-mover'} --show-completion\nexit $?\n")
    done = site.mover(str(script), program=bash)
    assert done.returncode == 0, done
    assert "_SCANNER_MOVER_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("scanner-mover st", {"status"}),
        ("scanner-mover ", {"move", "find", "status", "init", "demo"}),
        ("scanner-mover move --dry", {"--dry-run"}),
        ("scanner-mover find --pat", {"--patient-id", "--patient-name"}),
    ],
)
def test_completion_completes(tmp_path, typed, offered):
    words = typed.split(" ")
    variables = {
        "_SCANNER_MOVER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = Site(tmp_path).mover(env=variables)
    assert done.returncode == 0, done
    assert set(done.stdout.split()) == offered


def test_what_a_state_file_holds_is_no_markup(slow):
    site, study = slow
    site.move()
    site.request(study)
    site.mpps(study, ended=False)
    site.move()
    state = site.state()
    state["requests"][study]["waits_text"] = "[/red]"
    site.state_file.write_text(json.dumps(state))
    with Terminal(site, "status", columns=160, lines=24) as terminal:
        assert terminal.wait() == 0
    assert "[/red]" in terminal.screen
