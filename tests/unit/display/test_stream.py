"""A stream that never raises: full disks, readers that are gone or do not read, and what is written after that."""

import contextlib
import fcntl
import io
import os
import threading
import time

import pytest

from scanner_mover import signals
from scanner_mover.display import stream as module
from scanner_mover.display.stream import Stream
from scanner_mover.errors import Ended

F_SETPIPE_SZ = 1031
SIZE = 65536


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, SIZE)
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def text(stream: Stream) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(stream), encoding="utf-8")


def test_what_is_written_arrives_whole(tmp_path):
    path = tmp_path / "out"
    with path.open("wb") as file:
        stream = Stream(file.fileno(), is_closed=False)
        writer = text(stream)
        writer.write("x" * 100_000 + "\n")
        writer.flush()
        assert stream.failure is None
        os.fstat(file.fileno())
    assert path.read_text() == "x" * 100_000 + "\n"


def test_a_full_disk_is_a_failure_and_no_exception():
    with open("/dev/full", "wb") as full:
        stream = Stream(full.fileno(), is_closed=False)
        writer = text(stream)
        for _ in range(3):
            writer.write("x" * 100_000)
            writer.flush()
        assert stream.failure == "No space left on device"


def test_a_reader_that_is_gone_is_a_failure_and_no_exception(pipe):
    reading, writing = pipe
    os.close(reading)
    stream = Stream(writing, is_closed=False)
    writer = text(stream)
    writer.write("x")
    writer.flush()
    assert stream.failure == "Broken pipe"


def test_a_closed_stream_fails_only_when_something_is_written(pipe):
    stream = Stream(pipe[1], is_closed=True)
    writer = text(stream)
    writer.flush()
    assert stream.failure is None
    writer.write("x")
    writer.flush()
    assert stream.failure == "it is closed"


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_reader_that_does_not_read_is_waited_for_no_longer_than_was_said(pipe, is_blocking):
    os.set_blocking(pipe[1], is_blocking)
    stream = Stream(pipe[1], is_closed=False)
    stream.most_seconds = 0.1
    writer = text(stream)
    began = time.monotonic()
    writer.write("x" * 1_000_000)
    writer.flush()
    assert time.monotonic() - began >= 0.1
    assert stream.failure == "nobody read it for 0.1 s"


@pytest.mark.parametrize("most_seconds", [None, 60.0])
@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_slow_reader_gets_everything(pipe, most_seconds, is_blocking):
    reading, writing = pipe
    os.set_blocking(writing, is_blocking)
    stream = Stream(writing, is_closed=False)
    stream.most_seconds = most_seconds
    got = bytearray()

    def read() -> None:
        while chunk := os.read(reading, 10_000):
            got.extend(chunk)
            time.sleep(0.001)

    reader = threading.Thread(target=read)
    reader.start()
    writer = text(stream)
    writer.write("y" * 300_000)
    writer.flush()
    os.close(writing)
    reader.join()
    assert (bytes(got), stream.failure) == (b"y" * 300_000, None)


def test_after_a_failure_the_next_text_begins_a_line(pipe):
    reading, writing = pipe
    stream = Stream(writing, is_closed=False)
    stream.most_seconds = 0.1
    writer = text(stream)
    writer.write("cut" * SIZE)
    writer.flush()
    assert stream.failure is not None
    assert len(os.read(reading, 2 * SIZE)) == SIZE
    stream.renew()
    writer.write("whole\n")
    writer.flush()
    assert os.read(reading, 100_000) == b"\nwhole\n"
    stream.renew()
    writer.write("next\n")
    writer.flush()
    assert os.read(reading, 100_000) == b"next\n", "nothing was cut: no empty line"


def test_what_is_given_up_is_no_failure(pipe):
    stream = Stream(pipe[1], is_closed=False)
    stream.given_up = True
    writer = text(stream)
    writer.write("x" * 1_000_000)
    writer.flush()
    assert stream.failure is None


def test_R27_no_signal_ends_a_write(pipe, sigterm):
    """A line in the log, which is shown, must not keep a pass from noting what it has just done."""
    stream = Stream(pipe[1], is_closed=False)
    sigterm()
    writer = text(stream)
    writer.write("whole\n")
    writer.flush()
    assert (os.read(pipe[0], 100), stream.failure) == (b"whole\n", None)
    with pytest.raises(Ended):
        signals.check()


@pytest.mark.parametrize("most_seconds", [None, 600.0])
def test_R27_after_a_signal_nobody_is_waited_for_for_long(pipe, monkeypatch, sigterm, most_seconds):
    monkeypatch.setattr(module, "_LONGEST_WAIT_AT_AN_END_SECONDS", 0.1)
    stream = Stream(pipe[1], is_closed=False)
    stream.most_seconds = most_seconds
    timer = threading.Timer(0.1, sigterm)
    timer.start()
    writer = text(stream)
    writer.write("x" * 1_000_000)
    writer.flush()
    timer.join()
    assert stream.failure == "nobody read it for 0.1 s"
