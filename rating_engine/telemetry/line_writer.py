"""Log lines out of the process by a thread: whoever reads them, or does not, never holds up a call.

Laws: `put` never waits for the stream. What a stream that does not take more cannot be given is kept up to a limit in
bytes; beyond it lines are dropped and counted, and one line says how many once the stream takes them again. The end of
the process waits for the last lines for a bounded time, and never for longer.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

QUEUE_BYTES_MAX: Final = 4_194_304  # some 10,000 lines: 5 s of 1,000 calls/s while a log shipper is restarted
PORTION_SECONDS: Final = 0.01  # lines of so long are written at once: a write a line costs more than the line
# The thread looks by itself, for so many portions after the last line, before it has to be woken by the next: it takes
# the core from who wakes it, which on full cores held up each of 128 calls at a time by 5 to 20 us.
QUIET_PORTIONS: Final = 100
CLOSE_SECONDS: Final = (
    0.5  # for the last lines, beyond what the engine's own stop takes; a pipe that is read needs 1 ms
)
BLOCKED_POLL_SECONDS: Final = 1.0  # how soon a stream in non-blocking mode is looked at anew, if it says nothing


class LineWriter:
    """Takes finished lines from any thread; one of its own writes them, in portions."""

    def __init__(
        self,
        write: Callable[[bytes], object],
        dropped_line: Callable[[int], bytes],
        *,
        queue_bytes: int = QUEUE_BYTES_MAX,
    ) -> None:
        """`write` may block, and raises OSError or ValueError where the stream is gone; `dropped_line` makes the line
        that says how many were dropped."""
        self.lines_dropped = 0  # because the stream took no more
        self.lines_lost = 0  # because it is gone
        self._write = write
        self._dropped_line = dropped_line
        self._queue_bytes = queue_bytes
        self._lock = threading.Lock()  # taken by itself for a line: a Condition's own way in is Python, 0.1 us a line
        self._changed = threading.Condition(self._lock)
        self._lines: list[bytes] = []
        self._bytes = 0  # of the queue, and of the portion that is being written
        self._unsaid = 0  # dropped, and not told yet
        self._idle = False  # the thread waits for a first line
        self._hurry = False  # somebody waits for the queue to be empty
        self._closing = False
        self._thread: threading.Thread | None = None

    def put(self, line: bytes) -> None:
        """Queue one line, its end included."""
        with self._lock:
            size = self._bytes + len(line)
            if self._closing or size > self._queue_bytes:
                self.lines_dropped += 1
                self._unsaid += 1
                return
            self._lines.append(line)
            self._bytes = size
            if self._idle:
                self._idle = False
                self._changed.notify_all()
            elif self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait until all is written, for so many seconds at most; whether it is."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            written = self._changed.wait_for(lambda: not self._bytes, seconds)
            self._hurry = False
        return written

    def close(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Take no more lines, and `flush`."""
        with self._changed:
            self._closing = True
        return self.flush(seconds)

    def _run(self) -> None:
        while portion := self._next_portion():
            size = sum(map(len, portion))
            if self._unsaid:
                with self._changed:  # they came after all that was queued
                    dropped, self._unsaid = self._unsaid, 0
                portion.append(self._dropped_line(dropped))
            for lines in _writes(portion):
                try:
                    self._write(b"".join(lines))
                except (OSError, ValueError):  # ValueError: the stream is closed
                    self.lines_lost += len(lines)
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()

    def _next_portion(self) -> list[bytes]:
        """What has gathered in a moment; empty when the writer is closed."""
        with self._changed:
            for _ in range(QUIET_PORTIONS):
                if not self._hurry:
                    self._changed.wait(PORTION_SECONDS)
                if self._lines:
                    return self._taken()
                if self._closing:
                    return []
            while not self._lines:
                if self._closing:
                    return []
                self._idle = True
                self._changed.wait()
            self._idle = False
            if not self._hurry:
                self._changed.wait(PORTION_SECONDS)
            return self._taken()

    def _taken(self) -> list[bytes]:
        portion, self._lines = self._lines, []
        return portion


def _writes(portion: list[bytes]) -> Iterator[list[bytes]]:
    """The lines in writes of at most PIPE_BUF: a pipe takes that whole, so those of several workers never mix."""
    lines: list[bytes] = []
    size = 0
    for line in portion:
        if lines and size + len(line) > select.PIPE_BUF:
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield lines


def writer_of(stream: BinaryIO) -> Callable[[bytes], object]:
    """How to write to a stream: by its descriptor where it has one.

    Python's own buffer has a lock, which a thread that hangs in a write would hold when the process wants to end.
    """
    try:
        descriptor = stream.fileno()
    except OSError:  # a stream in memory

        def write_stream(data: bytes) -> None:
            stream.write(data)
            stream.flush()

        return write_stream

    def write_descriptor(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # whoever shares the pipe has set it so
                select.select([], [descriptor], [], BLOCKED_POLL_SECONDS)

    return write_descriptor
