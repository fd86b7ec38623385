"""rating_engine.telemetry.line_writer: a stream that hangs holds up nobody, and is told what it missed."""

from __future__ import annotations

import threading

import pytest

from rating_engine.telemetry import line_writer
from rating_engine.telemetry.line_writer import LineWriter


class Stream:
    """A stream that takes writes only while it is open for them."""

    def __init__(self) -> None:
        self.takes = threading.Event()
        self.takes.set()
        self.hangs = threading.Event()  # a write waits
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self.takes.is_set():
            self.hangs.set()
        self.takes.wait()
        self.writes.append(data)

    @property
    def lines(self) -> list[bytes]:
        return b"".join(self.writes).splitlines()


def dropped_line(count: int) -> bytes:
    return b"%d dropped\n" % count


def writer_on(stream: Stream, queue_bytes: int = 1_000) -> LineWriter:
    return LineWriter(stream.write, dropped_line, queue_bytes=queue_bytes)


@pytest.mark.parametrize("looks", [0, 1, line_writer.QUIET_PORTIONS])
def test_lines_leave_in_their_order(looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_writer, "QUIET_PORTIONS", looks)  # the thread is woken for each line, or looks by itself
    stream = Stream()
    writer = writer_on(stream, 100_000)
    for number in range(1_000):
        writer.put(b"%d\n" % number)
        if number % 100 == 0:
            assert writer.flush(30.0)
    assert writer.close(30.0)
    assert stream.lines == [b"%d" % number for number in range(1_000)]


def test_a_write_holds_whole_lines_and_no_more_than_a_pipe_takes_at_once() -> None:
    stream = Stream()
    writer = writer_on(stream, 1_000_000)
    for _ in range(1_000):
        writer.put(b"x" * 300 + b"\n")
    assert writer.close(30.0)
    assert all(len(data) <= 4_096 and data.endswith(b"\n") for data in stream.writes)
    assert len(stream.writes) < 200


def test_while_the_stream_hangs_lines_are_kept_up_to_the_limit_then_dropped_and_counted() -> None:
    stream = Stream()
    stream.takes.clear()
    writer = writer_on(stream, queue_bytes=1_000)
    for _ in range(15):
        writer.put(b"x" * 99 + b"\n")
    assert stream.hangs.wait(30.0)
    assert writer.lines_dropped == 5
    assert not writer.flush(0.0)
    stream.takes.set()
    assert writer.flush(30.0)
    writer.put(b"after\n")
    assert writer.close(30.0)
    assert stream.lines == [*[b"x" * 99] * 10, b"5 dropped", b"after"]


def test_the_end_waits_for_a_stream_that_hangs_no_longer_than_it_is_told() -> None:
    stream = Stream()
    stream.takes.clear()
    writer = writer_on(stream)
    writer.put(b"x\n")
    assert not writer.close(0.0)
    stream.takes.set()


def test_a_line_after_the_end_is_counted() -> None:
    writer = writer_on(Stream())
    assert writer.close(0.0)
    writer.put(b"x\n")
    assert writer.lines_dropped == 1


def test_a_stream_that_is_gone_costs_lines_and_the_writer_goes_on() -> None:
    class Gone(Stream):
        def write(self, data: bytes) -> None:
            if data == b"first\n":
                raise BrokenPipeError
            super().write(data)

    stream = Gone()
    writer = writer_on(stream)
    writer.put(b"first\n")
    assert writer.flush(30.0)
    writer.put(b"second\n")
    assert writer.close(30.0)
    assert (writer.lines_lost, stream.lines) == (1, [b"second"])
