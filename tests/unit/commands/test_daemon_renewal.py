"""What `--every` says and remembers between its passes, and how another version takes over."""

import errno
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scanner_mover import signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.commands import daemon, installed
from scanner_mover.display import output
from scanner_mover.errors import Ended, ExitStatus, LockHeldError, ScannerMoverError, UnusableError, UsageError

NO_TOOLS = UnusableError("findscu is not on the PATH")
TAKES_OVER = "the installed program has changed: it takes over"
STAYS = "the installed program has changed and does not start: the old one goes on"


class Told:
    """A daemon whose passes end as a test says, and what it was told to do (`did`), in that order."""

    def __init__(self, patch: pytest.MonkeyPatch, root: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.did: list[str] = []
        self.now = 1000.0
        self.there = "old"
        self.starts = True
        self.on_start: Callable[[], None] = lambda: None
        self.on_exec: BaseException = Ended(signal.SIGTERM)
        self._capsys = capsys
        self._root = root
        patch.setattr(installed, "fingerprint", lambda: self.there)
        patch.setattr(installed, "starts", self._starts)
        patch.setattr(installed, "execute_anew", self._execute)
        patch.setattr(installed, "load_all", lambda **given: self.did.append(f"load {given['for_a_terminal']}"))
        patch.setattr(signals, "install", self._install)
        patch.setattr(signals, "before_exec", lambda: self.did.append("signals of an exec"))
        patch.setattr(daemon, "Systemd", lambda: self)
        patch.setattr(daemon.time, "monotonic", lambda: self.now)
        patch.setattr(signals, "sleep", lambda seconds: None)
        self.hangup: Callable[[], None] = lambda: None
        self.daemon = self.made()

    def made(self, **options: Any) -> Any:
        server, config = str(self._root / "server"), str(self._root / "config.json")
        return daemon._Daemon(MoveOptions(server_dir=server, config=config, **options), "scanner-mover")

    @property
    def said(self) -> list[str]:
        return [line.removeprefix("scanner-mover: ") for line in self._capsys.readouterr().err.splitlines()]

    @property
    def log(self) -> list[str]:
        path = self._root / "server" / "logs" / "moveFromScanner.log"
        return [line.split(": ", 1)[1] for line in path.read_text().splitlines()] if path.exists() else []

    def ready(self) -> None:
        self.did.append("ready")

    def pause(self) -> None:
        self.did.append("pause")

    def stopping(self) -> None:
        self.did.append("stopping")

    def _install(self, on_hangup: Callable[[], None]) -> None:
        self.did.append("signals")
        self.hangup = on_hangup

    def _starts(self) -> bool:
        self.did.append("try")
        self.on_start()
        return self.starts

    def _execute(self) -> None:
        self.did.append("exec")
        raise self.on_exec


@pytest.fixture
def told(monkeypatch, tmp_path, capsys) -> Iterator[Told]:
    yield Told(monkeypatch, tmp_path, capsys)


@pytest.mark.parametrize("seconds", [0, -1, -0.5])
def test_a_time_between_passes_is_above_0(seconds):
    with pytest.raises(UsageError, match=r"^--every takes seconds above 0$"):
        daemon.keep_running(MoveOptions(), "scanner-mover", seconds)


def test_options_that_cannot_be_are_refused_before_the_first_pass(told):
    with pytest.raises(UsageError, match="is not a UID"):
        told.made(studies=("no",))
    assert told.did == []


@pytest.mark.parametrize(
    ("is_terminal", "options", "shows"),
    [(False, {}, False), (True, {}, True), (False, {"verbose": True}, True), (False, {"dry_run": True}, True)],
)
def test_all_is_loaded_before_systemd_is_told_and_the_first_pass_begins(told, monkeypatch, is_terminal, options, shows):
    def end(*about: object) -> None:
        told.did.append("pass")
        raise Ended(signal.SIGTERM)

    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(daemon, "make_pass", end)
    assert told.made(**options).run(15) == ExitStatus.OK
    assert told.did == [f"load {shows}", "signals", "ready", "pass", "stopping"]


# What is said of passes


@pytest.fixture
def passes(told, monkeypatch):
    """What is said of passes that end like this, of each."""

    def passes(*ends: Exception | int) -> list[list[str]]:
        said = []
        for end in ends:

            def make_pass(*about: object, end: Exception | int = end) -> int:
                if isinstance(end, Exception):
                    raise end
                return end

            monkeypatch.setattr(daemon, "make_pass", make_pass)
            told.daemon._make_pass()
            said.append(told.said)
        return said

    return passes


def test_a_pass_of_cron_that_has_the_lock_is_no_news(passes):
    assert passes(LockHeldError("held"), 0, 5, LockHeldError("held")) == [[], [], [], []]


def test_what_is_wrong_in_each_pass_is_said_when_it_begins_and_again_after_its_end(passes):
    other = ScannerMoverError("another")
    one = str(NO_TOOLS)
    assert passes(NO_TOOLS, UnusableError(one), other, NO_TOOLS, 0, NO_TOOLS) == [
        *([one], [], ["another"], [one], [], [one]),
    ]


def test_an_error_of_ours_does_not_end_it_and_is_said_once(passes):
    first, second, other = passes(KeyError("x"), KeyError("x"), KeyError("y"))
    assert first[0].startswith("Traceback") and "KeyError: 'x'" in first
    assert first[-1].startswith("an error of scanner-mover itself (KeyError); nothing is lost; ")
    assert second == [] and "KeyError: 'y'" in other


def test_a_signal_during_a_pass_ends_it(told, monkeypatch):
    def make_pass(*about: object) -> None:
        raise Ended(signal.SIGTERM)

    monkeypatch.setattr(daemon, "make_pass", make_pass)
    with pytest.raises(Ended):
        told.daemon._make_pass()


def test_standard_output_that_cannot_be_written_is_said_beside_what_else_is_wrong(passes, monkeypatch):
    lost = "standard output cannot be written: No space left on device"
    monkeypatch.setattr(output, "bring_out", lambda: output.say(lost))
    assert passes(0, NO_TOOLS) == [[lost], [lost, str(NO_TOOLS)]]


def test_SIGHUP_reopens_the_log_of_the_pass_that_goes_on_and_of_none_before(told, monkeypatch):
    reopened: list[str] = []

    class Opened:
        def __init__(self, name: str) -> None:
            self.name = name

        def reopen(self) -> None:
            reopened.append(self.name)

    def make_pass(options: object, program: object, log_opened: Callable[[Any], None]) -> int:
        log_opened(Opened(names.pop(0)))
        told.hangup()
        return 0

    names = ["first", "second"]
    monkeypatch.setattr(daemon, "make_pass", make_pass)
    told.daemon._listen()
    for _ in range(2):
        told.daemon._make_pass()
    assert reopened == ["first", "second"]


# Another version


def test_while_nothing_was_installed_nothing_is_tried(told):
    told.daemon._renew()
    assert told.did == [] and told.log == []


def test_another_version_that_starts_takes_over_with_no_alarm_and_no_handler_of_ours(told):
    told.there = "new"
    with pytest.raises(Ended):
        told.daemon._renew()
    assert told.did == ["try", "pause", "signals of an exec", "exec"]
    assert told.log == [TAKES_OVER]


def test_where_it_cannot_take_over_the_old_one_listens_again_and_goes_on(told):
    told.there, told.on_exec = "new", OSError(errno.ENOENT, "No such file or directory")
    told.daemon._renew()
    assert told.did == ["try", "pause", "signals of an exec", "exec", "signals", "ready"]
    assert told.log == [TAKES_OVER, STAYS]


def test_one_that_does_not_start_is_told_once_and_tried_again_after_a_minute(told):
    told.there, told.starts = "new", False
    for seconds in (0, 1, 58, 1, 59):
        told.now += seconds
        told.daemon._renew()
    assert told.did == ["try", "try"] and told.log == [STAYS]
    told.now, told.starts = told.now + 60, True
    with pytest.raises(Ended):
        told.daemon._renew()
    assert told.log == [STAYS, TAKES_OVER]


def test_a_third_version_is_tried_at_once(told):
    told.there, told.starts = "half", False
    told.daemon._renew()
    told.there, told.starts = "whole", True
    with pytest.raises(Ended):
        told.daemon._renew()
    assert told.log == [STAYS, TAKES_OVER]


def test_one_that_pip_is_still_at_work_on_does_not_take_over(told):
    def go_on() -> None:
        told.there = "whole"

    told.there, told.on_start = "half", go_on
    told.daemon._renew()
    assert "exec" not in told.did


def test_the_old_version_put_back_is_not_another_one(told):
    told.there, told.starts = "new", False
    told.daemon._renew()
    told.there = "old"
    told.daemon._renew()
    assert told.did == ["try"]


def test_without_a_log_a_change_of_version_is_said_nowhere_and_ends_nothing(told):
    (told._root / "server").write_text("no folder")
    told.there, told.starts = "new", False
    told.daemon._renew()
    assert told.did == ["try"] and told.said == []
