"""Processes and sockets below /proc: our own ones and a `cat` that waits, and how processes are ended, played."""

import contextlib
import io
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from scanner_mover.dcmtk import processes
from scanner_mover.dcmtk.processes import (
    Process,
    end,
    hold_socket,
    listening_sockets,
    members,
    open_below,
    reap,
    with_argument,
)
from tests.support.ports import LOOPBACK

SELF = os.getpid()


@contextlib.contextmanager
def waiting_cat(
    arguments: Sequence[str] = ("cat",), program: str = "/bin/cat", into: Path | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a group of its own that waits for its input, called by these ARGUMENTS; ended with the block.

    It has the file INTO open for its errors.
    """
    with contextlib.ExitStack() as stack:
        err = subprocess.DEVNULL if into is None else stack.enter_context(into.open("wb"))
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            arguments, executable=program, stdin=pipe, stdout=pipe, stderr=err, start_new_session=True
        )
        stack.callback(process.communicate)
        stack.callback(process.kill)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        # Before it reads, the kernel may not show its arguments yet.
        assert process.stdout.read(1) == b"x"
        yield process


def pids(found: Sequence[Process]) -> list[int]:
    return [one.pid for one in found]


class TestMembers:
    def test_those_of_the_group_and_no_others(self):
        with waiting_cat() as cat, waiting_cat():
            ((pid, state, group),) = members(cat.pid)
        assert (pid, group) == (cat.pid, cat.pid) and state in "SRD"
        assert SELF in pids(members(os.getpgid(0)))

    def test_one_whose_name_looks_like_what_follows_it(self, tmp_path):
        program = tmp_path / "a) Z 1 2 (b"
        program.symlink_to("/bin/cat")
        with waiting_cat(program=str(program)) as cat:
            assert Path(f"/proc/{cat.pid}/comm").read_text() == "a) Z 1 2 (b\n"
            (found,) = members(cat.pid)
        assert found.state in "SRD"

    def test_where_the_kernel_shows_no_process_there_is_none(self, monkeypatch):
        def refuse(folder):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "listdir", refuse)
        assert members(os.getpgid(0)) == with_argument("storescp", bool) == []

    def test_one_that_went_while_we_looked_is_left_out(self, monkeypatch):
        monkeypatch.setattr(os, "listdir", lambda folder: ["99999999", "self", str(SELF)])
        assert pids(members(os.getpgid(0))) == [SELF]


class TestWithArgument:
    @pytest.mark.parametrize(
        ("arguments", "is_found"),
        [
            (["storescp", "-", "FOLDER"], True),
            (["/usr/bin/storescp", "-", "FOLDER"], True),
            (["wrapper", "-", "/opt/storescp", "FOLDER"], True),
            (["storescp2", "-", "FOLDER"], False),
            (["storescp", "-", "FOLDER2"], False),
            (["cat", "-", "storescp/sub", "FOLDER"], False),
        ],
    )
    def test_it_runs_the_program_or_a_wrapper_of_it_with_the_argument(self, tmp_path, arguments, is_found):
        with waiting_cat([one.replace("FOLDER", str(tmp_path)) for one in arguments]) as cat:
            found = with_argument("storescp", lambda argument: argument == str(tmp_path))
        assert pids(found) == ([cat.pid] if is_found else [])

    def test_one_of_another_user_is_none_of_our_business(self, tmp_path, monkeypatch):
        with waiting_cat(["storescp", "-", str(tmp_path)]):
            monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
            assert with_argument("storescp", lambda argument: argument == str(tmp_path)) == []


class TestOpenFiles:
    def test_those_of_the_folder_by_their_names(self, tmp_path):
        folder = tmp_path / "received"
        for place in (folder, tmp_path / "received2"):
            place.mkdir()
            (place / "closed").touch()
        (tmp_path / "link").symlink_to(folder)
        with (folder / "open").open("w"), (tmp_path / "received2" / "other").open("w"):
            assert open_below([SELF], str(folder)) == open_below([SELF], str(tmp_path / "link")) == {"open"}
            assert open_below([], str(folder)) == open_below([99999999], str(folder)) == frozenset()
            assert open_below([99999999, SELF], str(folder)) == {"open"}

    def test_one_that_is_closed_while_we_look_is_left_out(self, tmp_path, monkeypatch):
        listed = os.listdir
        with (tmp_path / "open").open("w"):
            monkeypatch.setattr(os, "listdir", lambda folder: ["99999", *listed(folder)])
            assert open_below([SELF], str(tmp_path)) == {"open"}


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = (
    "   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  0  0 {inode} 1 0 100 0\n"
)


def row(port: int, inode: int, state: str = "0A", address: str = "0100007F") -> str:
    return ROW.format(port=port, inode=inode, state=state, address=address)


class TestSockets:
    def test_one_that_listens_is_found_and_whose_it_is(self):
        with socket.create_server((LOOPBACK, 0)) as server, socket.create_connection(server.getsockname()) as client:
            port, inode = server.getsockname()[1], os.fstat(server.fileno()).st_ino
            assert listening_sockets(port) == {inode}
            assert listening_sockets(client.getsockname()[1]) == frozenset(), "it is connected, and does not listen"
            assert hold_socket([99999999, SELF], [1, inode])
            assert not hold_socket([SELF], [1]) and not hold_socket([SELF], []) and not hold_socket([], [inode])

    @pytest.mark.parametrize(
        ("tcp", "tcp6", "expected"),
        [
            (None, None, None),
            ("", "", set()),
            (HEAD, None, set()),
            (HEAD + row(104, 7) + row(105, 8), HEAD + row(104, 9, address="0" * 32), {7, 9}),
            (None, HEAD + row(104, 9), {9}),
            (HEAD + row(104, 7, "01") + row(104, 8, "06"), HEAD, set()),
            (HEAD + row(0x1068, 7), HEAD, set()),
        ],
    )
    def test_what_the_kernel_shows_of_IPv4_and_IPv6_is_read(self, monkeypatch, tcp, tcp6, expected):
        texts = {"/proc/net/tcp": tcp, "/proc/net/tcp6": tcp6}

        def opened(path, encoding):
            if texts[path] is None:
                raise FileNotFoundError(2, "No such file or directory")
            return io.StringIO(texts[path])

        monkeypatch.setattr(processes, "open", opened, raising=False)
        assert listening_sockets(104) == expected


class World:
    """Processes, a kernel that takes the signals, and a clock. `did` says which signal went to whom, in that order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **states: str) -> None:
        self.states = {int(name.strip("p")): state for name, state in states.items()}
        self.did: list[str] = []
        self.now = 100.0
        self.on_signal: Callable[[int, int], None] = lambda pid, number: None
        monkeypatch.setattr(os, "kill", self._kill)
        monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep))

    def find(self) -> list[Process]:
        return [Process(pid, state, 7) for pid, state in self.states.items()]

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _kill(self, pid: int, number: int) -> None:
        self.did.append(f"{signal.Signals(number).name} {pid}")
        self.on_signal(pid, number)
        if self.states[pid] != "D":
            self.states[pid] = "T" if number == signal.SIGSTOP else "Z"


class TestEnd:
    @pytest.mark.parametrize("states", [{}, {"p1": "Z"}, {"p1": "Z", "p2": "X"}])
    def test_what_has_ended_gets_no_signal(self, monkeypatch, states):
        world = World(monkeypatch, **states)
        assert end(world.find, ["."]) == frozenset() and world.did == []

    def test_all_are_stopped_before_the_first_is_killed_a_new_one_too(self, monkeypatch):
        world = World(monkeypatch, p1="S", p2="R", p3="Z", p4="T")
        world.on_signal = lambda pid, number: world.states.setdefault(5, "R")
        end(world.find, [])
        stops, kills = world.did[:3], world.did[3:]
        assert stops == ["SIGSTOP 1", "SIGSTOP 2", "SIGSTOP 5"]
        assert sorted(kills) == ["SIGKILL 1", "SIGKILL 2", "SIGKILL 4", "SIGKILL 5"]

    def test_the_open_files_are_those_between_the_stop_and_the_end(self, monkeypatch, tmp_path):
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        with contextlib.ExitStack() as files:

            def write(pid: int, number: int) -> None:
                """It goes on writing until it is stopped, and has nothing open once it was killed."""
                if number == signal.SIGSTOP:
                    for name in ("a/1", "b/2"):
                        files.enter_context((tmp_path / name).open("w"))
                else:
                    files.close()

            world = World(monkeypatch, **{f"p{SELF}": "S"})
            world.on_signal = write
            assert end(world.find, [str(tmp_path / "a"), str(tmp_path / "b")]) == {"1", "2"}

    def test_one_that_the_kernel_does_not_let_go_is_waited_for_during_some_seconds(self, monkeypatch):
        world = World(monkeypatch, p1="D")
        assert end(world.find, []) == frozenset()
        assert 6.0 <= world.now - 100 < 6.1
        assert set(world.did) == {"SIGSTOP 1", "SIGKILL 1"}

    @pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
    def test_one_that_cannot_be_told_does_not_keep_the_others(self, monkeypatch, error):
        def refuse(pid: int, number: int) -> None:
            if pid == 1:
                world.states[1] = "Z"
                raise error

        world = World(monkeypatch, p1="S", p2="S")
        world.on_signal = refuse
        end(world.find, [])
        assert world.states == {1: "Z", 2: "Z"} and world.did == ["SIGSTOP 1", "SIGSTOP 2", "SIGKILL 2"]

    def test_R27_a_real_one_is_ended_and_named_what_it_had_open_then_noted(self, tmp_path):
        with waiting_cat(into=tmp_path / "half") as cat:
            assert end(lambda: members(cat.pid), [str(tmp_path)]) == {"half"}
            assert [one.state for one in members(cat.pid)] == ["Z"], "nobody has noted its end"
            reap(members(cat.pid))
            assert members(cat.pid) == []


def test_only_the_end_of_our_own_children_is_noted_and_nobody_is_waited_for():
    with waiting_cat() as cat:
        reap([Process(SELF, "R", 0), Process(cat.pid, "S", cat.pid)])
        assert cat.poll() is None
