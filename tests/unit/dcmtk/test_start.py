"""How a tool is started, and that nothing is left of one whose start fails half-way."""

import contextlib
import errno
import os
import resource
import signal
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from scanner_mover.dcmtk import start
from scanner_mover.dcmtk.child import Limits
from scanner_mover.errors import UnusableError
from tests.support.site import shell_tool

SURROGATE = r"'utf-8' codec can't encode character '\ud800' in position 0: why"


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def refusal(path: str = "/usr/bin/findscu") -> str:
    """Why the program does not start; no descriptor stays open."""
    before = descriptors()
    with pytest.raises(UnusableError) as raised:
        start.start(path, [], None, {}, lambda line, is_error: None, Limits())
    assert descriptors() == before
    return str(raised.value)


class TestWhatDoesNotStart:
    @pytest.mark.parametrize("has_file", [False, True])
    def test_a_program_that_is_not_there_or_may_not_run_is_named_with_what_to_install(self, tmp_path, has_file):
        path = tmp_path / "findscu"
        if has_file:
            path.touch(0o644)
        line = refusal(str(path))
        assert line.startswith(f"{path} cannot be started: ") and line.endswith(f"; {start.INSTALL}")

    @pytest.mark.parametrize(
        ("error", "why"),
        [
            (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "Resource temporarily unavailable"),
            (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
            (RuntimeError("can't start new thread"), "can't start new thread"),
            (RuntimeError("\n first\n the last\x1b one \n"), "the last\\x1b one"),
            (RuntimeError(), "RuntimeError"),
            (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "why"), f"{SURROGATE}; {start.INSTALL}"),
            (start.sh.ForkException("traceback\nOSError: no folder"), f"OSError: no folder; {start.INSTALL}"),
        ],
    )
    def test_whatever_fails_is_told_in_one_line_and_what_was_opened_is_closed(self, monkeypatch, error, why):
        def fail(*arguments: object, **options: object) -> None:
            raise error

        monkeypatch.setattr(start.sh, "Command", lambda path: fail)
        assert refusal() == f"/usr/bin/findscu cannot be started: {why}"

    @pytest.mark.parametrize("fails_at", [1, 2])
    def test_without_descriptors_for_both_pipes_nothing_starts(self, monkeypatch, fails_at):
        pipe, made = os.pipe, []

        def limited() -> tuple[int, int]:
            made.append(1)
            if len(made) == fails_at:
                raise OSError(errno.EMFILE, "Too many open files")
            return pipe()

        started: list[str] = []
        monkeypatch.setattr(os, "pipe", limited)
        monkeypatch.setattr(start.sh, "Command", started.append)
        assert refusal() == "/usr/bin/findscu cannot be started: Too many open files"
        assert started == []

    def test_one_that_runs_already_is_killed_when_nobody_can_read_what_it_prints(self, tmp_path, monkeypatch):
        started: list[Any] = []

        def fail(process: Any, *more: object) -> None:
            started.append(process)
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(start, "Child", fail)
        path = shell_tool(tmp_path, "findscu", "exec sleep 20")
        with pytest.raises(UnusableError, match=f"^{path} cannot be started: can't start new thread$"):
            start.start(str(path), [], None, dict(os.environ), lambda line, is_error: None, Limits())
        assert started[0].exit_code == -signal.SIGKILL


def test_a_tool_gets_its_arguments_its_folder_and_no_more_memory_than_allowed(tmp_path):
    """The program waits for a line from `go`, so that its limit can be set while it runs."""
    os.mkfifo(tmp_path / "go")
    path = shell_tool(tmp_path, "findscu", 'read line <go; echo "$line $1 $X"; ulimit -v >&2')
    lines: list[tuple[str, bool]] = []
    child = start.start(
        str(path),
        ["a b"],
        str(tmp_path),
        {"X": "y"},
        lambda line, is_error: lines.append((line, is_error)),
        Limits(most_memory_bytes=1 << 30),
    )
    go = os.open(tmp_path / "go", os.O_RDWR)  # which waits for no reader
    try:
        os.write(go, b"told\n")
        child.wait()
    finally:
        child.end()
        os.close(go)
    assert sorted(lines) == [("1048576", True), ("told a b y", False)] and child.exit_status == 0


def test_one_that_has_ended_needs_no_limit_of_memory_and_cannot_be_killed():
    done = subprocess.Popen(["/bin/true"], start_new_session=True)
    done.wait()
    start._limit_memory(done.pid, 1 << 30)
    start._kill_group(done.pid)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 1 << 30


def test_the_ends_of_a_pipe_are_closed_with_whom_they_belong_to():
    before = descriptors()
    with contextlib.ExitStack() as ours:
        with contextlib.ExitStack() as childs:
            read, write = start.pipe(ours, childs)
            os.write(write, b"x")
        assert os.read(read, 9) == b"x" and os.read(read, 9) == b"", "nobody else can write"
    assert descriptors() == before


@pytest.mark.parametrize(("parent", "ended"), [(os.getppid(), []), (os.getppid() + 1, [1])])
def test_R27_the_kernel_kills_a_tool_when_we_die_and_one_whose_parent_is_gone_already_does_not_begin(
    monkeypatch, parent, ended
):
    asked: list[tuple[int, ...]] = []
    exits: list[int] = []
    monkeypatch.setattr(start, "_libc", SimpleNamespace(prctl=lambda *given: asked.append(given)))
    monkeypatch.setattr(os, "_exit", exits.append)
    start._die_with_parent(parent)()
    assert asked == [(1, signal.SIGKILL, 0, 0, 0)], "PR_SET_PDEATHSIG"
    assert exits == ended
