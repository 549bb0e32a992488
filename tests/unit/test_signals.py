"""Signals end a pass in order: where it waits and between its steps, never in the middle of one (R27)."""

import signal
import subprocess
import sys

import pytest

ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]

# Raises a real signal in itself at the places that the test names, and prints what happens.
SCRIPT = """
import os, signal, sys, threading, time
from scanner_mover import signals
from scanner_mover.errors import Ended

def send(name):
    os.kill(os.getpid(), getattr(signal, name))

signals.install()
try:
    {body}
    signals.check()
except Ended as ended:
    print("ended", ended.exit_status, type(ended).__mro__[1].__name__)
else:
    print("not ended")
"""


def run(body: str, *before: str) -> list[str]:
    done = subprocess.run(
        [*before, sys.executable, "-c", SCRIPT.format(body=body.strip().replace("\n", "\n    "))],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


@pytest.mark.parametrize("number", ENDING)
def test_R27_a_signal_ends_what_goes_on_between_two_steps_with_128_and_its_number(number):
    body = f"""
send({number.name!r})
print("whole")
signals.check()
print("after")
"""
    assert run(body) == ["whole", f"ended {128 + number} BaseException"]


@pytest.mark.parametrize(
    "wait",
    [
        "signals.sleep(600)",
        "signals.waiting(time.sleep, 600)",
        "signals.waiting(os.read, os.pipe()[0], 1)",
    ],
)
def test_R27_a_wait_is_ended_at_once(wait):
    body = f"""
threading.Timer(0.1, send, ["SIGTERM"]).start()
{wait}
print("after")
"""
    assert run(body) == ["ended 143 BaseException"]


def test_R27_a_signal_that_came_before_ends_the_wait_too():
    assert run("send('SIGTERM'); signals.sleep(600)") == ["ended 143 BaseException"]


def test_R27_a_wait_gives_what_it_waited_for():
    assert run("print(signals.waiting(max, 3, 7)); signals.sleep(-1)") == ["7", "not ended"]


def test_R27_what_waits_in_another_thread_is_not_ended_and_ends_nothing():
    """Python runs handlers in the main thread: a wait elsewhere says nothing about what that one is at."""
    body = """
begun = threading.Event()
def other():
    signals.waiting(begun.set)
    signals.waiting(time.sleep, 0.3)
    print("whole")
thread = threading.Thread(target=other)
thread.start()
begun.wait()
send("SIGTERM")
thread.join()
"""
    assert run(body) == ["whole", "ended 143 BaseException"]


def test_R27_a_wait_within_a_wait_leaves_the_outer_one_as_it_is():
    body = """
def outer():
    signals.waiting(time.sleep, 0)
    send("SIGTERM")
    print("after")
signals.waiting(outer)
"""
    assert run(body) == ["ended 143 BaseException"]


def test_R27_it_is_raised_once():
    body = """
try:
    send("SIGTERM")
    signals.check()
except Ended:
    print("ended")
signals.check()
signals.sleep(0)
with signals.deferred():
    print("cleaned up")
"""
    assert run(body) == ["ended", "cleaned up", "not ended"]


def test_R27_when_only_the_exit_status_is_left_nothing_raises_it():
    assert run("send('SIGTERM'); signals.over(); signals.check(); signals.sleep(0)") == ["not ended"]


def test_R27_no_signal_tears_what_waits_for_a_thread():
    """A handler that raises between any two instructions has `Thread.start` end with a RuntimeError now and then."""
    body = """
def sender():
    for _ in range(200):
        send("SIGTERM")
thread = threading.Thread(target=sender)
thread.start()
for _ in range(100):
    one = threading.Thread(target=int)
    one.start()
    one.join()
thread.join()
print("whole")
"""
    assert run(body) == ["whole", "ended 143 BaseException"]


@pytest.mark.parametrize("number", ENDING)
def test_R27_within_deferred_it_waits_for_the_end_of_it(number):
    body = f"""
with signals.deferred():
    send({number.name!r})
    print("whole")
print("after")
"""
    assert run(body) == ["whole", f"ended {128 + number} BaseException"]


def test_R27_within_two_it_waits_for_the_end_of_the_outer():
    body = """
with signals.deferred():
    with signals.deferred():
        send("SIGTERM")
    print("whole")
print("after")
"""
    assert run(body) == ["whole", "ended 143 BaseException"]


def test_R27_the_first_of_several_counts_and_counts_once():
    body = """
try:
    with signals.deferred():
        send("SIGHUP")
        send("SIGTERM")
        send("SIGTERM")
        print("whole")
except Ended as ended:
    print(ended.exit_status)
with signals.deferred():
    print("a second time")
"""
    assert run(body) == ["whole", "129", "a second time", "not ended"]


def test_R27_an_error_within_does_not_swallow_it():
    body = """
with signals.deferred():
    send("SIGTERM")
    raise OSError("no room")
"""
    assert run(body) == ["ended 143 BaseException"]


def test_R27_without_a_signal_an_error_within_is_itself():
    body = """
try:
    with signals.deferred():
        raise OSError("no room")
except OSError as error:
    print(error)
send("SIGTERM")
"""
    assert run(body) == ["no room", "ended 143 BaseException"]


def test_R27_what_handles_errors_does_not_handle_it():
    body = """
try:
    send("SIGTERM")
    signals.check()
except Exception:
    print("swallowed")
"""
    assert run(body) == ["ended 143 BaseException"]


def test_R27_under_nohup_a_hangup_ends_nothing():
    body = 'send("SIGHUP"); signals.check(); print("after"); send("SIGTERM")'
    assert run(body, "nohup") == ["after", "ended 143 BaseException"]


def test_R27_a_hangup_can_be_for_something_else():
    body = """
signals.install(lambda: print("hung up"))
send("SIGHUP")
with signals.deferred():
    send("SIGHUP")
print("after")
send("SIGTERM")
"""
    assert run(body) == ["hung up", "hung up", "after", "ended 143 BaseException"]


def test_R27_what_python_swallows_of_a_signal_in_a_callback_is_not_printed_and_not_lost():
    body = """
signals.waiting(type("Gone", (), {"__del__": lambda self: send("SIGTERM")}))
print("goes on")
signals.check()
print("after")
"""
    assert run(body) == ["goes on", "ended 143 BaseException"]


def test_R27_it_is_not_lost_either_when_a_daemon_gets_ready_after_it():
    body = """
signals.waiting(type("Gone", (), {"__del__": lambda self: send("SIGTERM")}))
signals.install(lambda: None)
print("after")
"""
    assert run(body) == ["ended 143 BaseException"]


def test_R27_before_another_program_takes_our_place_a_signal_that_came_is_raised():
    assert run("send('SIGTERM'); signals.before_exec(); print('after')") == ["ended 143 BaseException"]


def test_R27_while_another_program_takes_our_place_a_signal_ends_us():
    body = """
signals.before_exec()
if (child := os.fork()) == 0:
    send("SIGHUP")
    send("SIGTERM")
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(body) == ["-15", "not ended"]
