"""What a service of `Type=notify` tells systemd, on a socket of the test."""

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from scanner_mover.commands.systemd import Systemd


class Listening:
    """The socket that systemd has, under an abstract name that the kernel chose."""

    def __init__(self, socket_of_it: socket.socket) -> None:
        self._socket = socket_of_it
        self._socket.setblocking(False)

    @property
    def told(self) -> list[str]:
        """The messages since this was asked last."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(100).decode())
            except BlockingIOError:
                return found


@pytest.fixture(autouse=True)
def alarm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The alarm is that of pytest's own time limit afterwards."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
        monkeypatch.delenv(name, raising=False)
    handler, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, 600, 600)
    yield
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind("")
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + own.getsockname()[1:].decode())
        yield Listening(own)


def every() -> float:
    """How often the alarm comes; 600 seconds is what was set before."""
    return signal.getitimer(signal.ITIMER_REAL)[1]


def test_it_is_told_that_we_are_up_and_that_we_end(systemd):
    service = Systemd()
    assert systemd.told == []
    service.ready()
    assert systemd.told == ["READY=1"]
    service.stopping()
    assert systemd.told == ["STOPPING=1"] and every() == 0


def test_with_a_watchdog_it_is_told_three_times_in_its_time_that_we_are_alive(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "90000000")
    service = Systemd()
    assert every() == 600, "it is not yet up"
    service.ready()
    assert systemd.told == ["READY=1"]
    first, again = signal.getitimer(signal.ITIMER_REAL)
    assert again == 30 and 0 < first <= 30
    for _ in range(2):
        signal.raise_signal(signal.SIGALRM)
    assert systemd.told == ["WATCHDOG=1", "WATCHDOG=1"]


def test_before_an_exec_it_is_told_once_more_and_no_alarm_is_left(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "90000000")
    service = Systemd()
    service.ready()
    service.pause()
    assert systemd.told == ["READY=1", "WATCHDOG=1"] and every() == 0
    service.ready()
    assert systemd.told == ["READY=1"] and every() == 30


@pytest.mark.parametrize(
    "usec", [None, "", "0", "abc", "-90000000", "9e7", "９０００００００", "90000000.0", " 90000000"]
)
def test_without_a_watchdog_there_is_no_alarm_and_nothing_is_said_between(systemd, monkeypatch, usec):
    if usec is not None:
        monkeypatch.setenv("WATCHDOG_USEC", usec)
    service = Systemd()
    service.ready()
    assert every() == 600
    service.pause()
    assert systemd.told == ["READY=1"] and every() == 0


@pytest.mark.parametrize("address", [None, ""])
def test_what_systemd_did_not_start_tells_nobody_and_has_no_alarm(monkeypatch, address):
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "90000000")

    def made(*about: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", made)
    service = Systemd()
    service.ready()
    assert every() == 600
    service.pause()
    service.stopping()
    assert every() == 0


def test_a_socket_that_is_a_file_is_told_too_and_one_that_is_gone_ends_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    monkeypatch.setenv("NOTIFY_SOCKET", "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind("notify")
        service = Systemd()
        service.ready()
        assert Listening(own).told == ["READY=1"]
    service.pause()
    os.unlink("notify")
    service.stopping()
    assert every() == 0
