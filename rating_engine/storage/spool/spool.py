"""The durable local spool of one process: records appended by many at once, taken back in order by one, who may pass
over some and do what is behind them first.

Laws: an acknowledged record is on disk (fsync), and stays there until it is done with or kept aside for a person;
what waits together shares one fsync; the files never hold more than `max_bytes`; whatever goes wrong is said, and the
record refused. A process that dies leaves its files, and any other that uses the directory takes them over.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from rating_engine.domain.errors import Overloaded, RatingEngineError
from rating_engine.storage.postgres.batching import Batcher
from rating_engine.storage.spool.spool_files import (
    DONE,
    REFUSED,
    REWRITTEN,
    SPOOL,
    SpoolFile,
    names_with,
    remove_unheld,
)
from rating_engine.storage.spool.spool_records import Record, encode_record
from rating_engine.storage.spool.spool_survey import records_aside

BATCH_MAX: Final = 1_024  # records under one fsync: a megabyte, written in a few milliseconds
QUEUE_MAX: Final = 10_000  # records waiting for their fsync: more calls than can end in one
APPEND_SECONDS: Final = 5.0  # a disk that takes longer is failing; the exchange is told before its script is cut off
# A file is closed at this size, so that its space comes back while later ones still wait.
FILE_BYTES: Final = 4 * 1024 * 1024
FILES_AT_LEAST: Final = 4  # a small spool is cut in as many, for the same reason
SHRINK_BYTES: Final = 256 * 1024  # a shorter file is not worth the work
SPARSE: Final = 8  # a file is shrunk when what is left of it is less than one part in so many
SPARE_PART: Final = 8  # one part in so many of a spool is kept for calls in progress: no new one is allowed on it

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_log = structlog.get_logger(__name__)
T = TypeVar("T")
Place = tuple[str, int]  # a record's file by name, and where it starts there
NOTHING: Final[frozenset[Place]] = frozenset()


class SpoolRefusal(StrEnum):
    """Why a record was not taken."""

    FULL = "full"  # `max_bytes`, or the disk
    IO_ERROR = "io_error"
    SLOW = "slow"  # no fsync in APPEND_SECONDS, or too many waiting for one
    UNFIT = "unfit"  # longer than any record may be


class SpoolRefused(RatingEngineError):
    """The record is not in the spool, as far as its writer may rely on it."""

    code = "spool_refused"
    retryable = True

    def __init__(self, why: SpoolRefusal) -> None:
        super().__init__(f"the spool cannot take it: {why.value}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Window:
    """The oldest records, in order, all of one file."""

    file: SpoolFile
    records: Sequence[Record]

    def place(self, record: Record) -> Place:
        """What a record of it goes by, as long as this process has the file."""
        return self.file.path.name, record.start


class SpoolStore:
    """The files a process holds. Blocks, and is used by one thread at a time."""

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._file_bytes = min(FILE_BYTES, max_bytes // FILES_AT_LEAST)
        self._active: SpoolFile | None = None
        self._sealed: list[SpoolFile] = []  # oldest first; never appended to
        self._loaded: dict[Path, list[Record]] = {}  # what is left to deal with, of each file looked into

    @property
    def records(self) -> int:
        """How many wait."""
        return sum(file.records for file in self._held())

    @property
    def size(self) -> int:
        """How large the files are, in bytes."""
        return sum(file.size for file in self._held())

    @property
    def files(self) -> int:
        """How many files there are; one may have nothing left in it."""
        return len(self._held())

    def append(self, lines: Sequence[bytes]) -> list[SpoolRefusal | None]:
        """Make records durable by one fsync; for each, why it was refused, or None. Never raises for a bad disk."""
        room = self._max_bytes - self.size
        taken: list[bytes] = []
        answers: list[SpoolRefusal | None] = []
        for line in lines:
            fits = len(line) <= room
            answers.append(None if fits else SpoolRefusal.FULL)
            if fits:
                room -= len(line)
                taken.append(line)
        if taken:
            try:
                self._active = self._active or SpoolFile.create(self._directory)
                self._active.append(taken)
            except OSError as error:
                why = SpoolRefusal.FULL if error.errno in _NO_SPACE else SpoolRefusal.IO_ERROR
                _log.error("spool_write_failed", directory=str(self._directory), error=str(error), records=len(taken))
                self._abandon_active()
                return [why if answer is None else answer for answer in answers]
            if self._active.size >= self._file_bytes:
                self._seal()
        return answers

    def adopt(self) -> int:
        """Take over the files of dead processes; returns how many records that brings."""
        held = {file.path for file in self._held()}
        before = self.records
        for path in names_with(self._directory, SPOOL):
            if path in held:
                continue
            try:
                file = SpoolFile.adopt(path)
            except OSError as error:
                _log.error("spool_adopt_failed", file=str(path), error=str(error))
                continue
            if file is not None:
                _log.info("spool_adopted", file=str(path), records=file.records, bytes=file.size)
                self._sealed.append(file)
        self._sealed.sort(key=lambda file: file.path)
        for path in names_with(self._directory, REWRITTEN):
            remove_unheld(path)  # its process died before it took the place of the longer one
        for path in names_with(self._directory, DONE):
            if not path.with_suffix(SPOOL).exists():
                path.unlink(missing_ok=True)
        return self.records - before

    def window(
        self,
        limit: int,
        passed_over: frozenset[Place] = NOTHING,
        on_damage: Callable[[int], None] = lambda ranges: None,
    ) -> Window | None:
        """The oldest records but those `passed_over`, at most `limit`; None when none is left.

        Damaged ranges are written to .corrupt before anything behind them is handed out; `on_damage` hears of them.
        A file that cannot be read, or its damage not kept, is left for a later `adopt`, and the next one is taken.
        """
        while True:
            for file in list(self._sealed):
                try:
                    records = self._loaded.get(file.path)
                    if records is None:
                        records = self._loaded[file.path] = self._load(file, on_damage)
                    if not records:
                        self._remove(file)
                        continue
                except OSError as error:
                    _log.error("spool_unreadable", file=str(file.path), error=str(error))
                    self._sealed.remove(file)
                    self._loaded.pop(file.path, None)
                    file.close()
                    continue
                name = file.path.name
                left = (record for record in records if (name, record.start) not in passed_over)
                if found := list(islice(left, limit)):
                    return Window(file, found)
            if self._active is None or not self._active.records:
                return None
            self._seal()

    def done(self, window: Window, records: Sequence[Record]) -> None:
        """These records of a window are done with. Raises OSError.

        What is behind one that is not is done again by the next process: the mark of a file says how far all is done.
        """
        file, done = window.file, {record.start for record in records}
        left = [record for record in self._loaded[file.path] if record.start not in done]
        self._loaded[file.path] = left
        if not left:
            self._remove(file)
        elif done:
            file.mark_done(max(file.done, left[0].start), len(done))
            if file.size > SHRINK_BYTES and sum(len(record.payload) for record in left) * SPARSE < file.size:
                self._shrink(file, left)

    def _shrink(self, file: SpoolFile, left: list[Record]) -> None:
        """Give back the space of a file of which little is left; that little may stay for long."""
        try:
            file.rewrite([encode_record(record.payload) for record in left])
        except OSError as error:
            _log.warning("spool_not_shrunk", file=str(file.path), error=str(error))
            return
        self._loaded[file.path] = self._load(file, lambda ranges: None)

    def keep_refused(self, window: Window, payloads: Sequence[bytes]) -> None:
        """Write records that cannot be dealt with to .refused, durably. Raises OSError."""
        window.file.keep_aside(REFUSED, b"".join(map(encode_record, payloads)))

    def close(self) -> None:
        """Let go of every file; what waits in them waits for the next process."""
        if self._active is not None and not self._active.records:
            with contextlib.suppress(OSError):
                self._active.remove()
        for file in self._held():
            file.close()
        self._active, self._sealed, self._loaded = None, [], {}

    def _held(self) -> list[SpoolFile]:
        return self._sealed if self._active is None else [*self._sealed, self._active]

    def _seal(self) -> None:
        """Append no more to the active file."""
        if self._active is not None:
            self._sealed.append(self._active)
            self._active = None

    def _abandon_active(self) -> None:
        """After a failed write nothing more goes into that file: what the disk has of it is not known for sure."""
        if self._active is not None and not self._active.records:
            with contextlib.suppress(OSError):
                self._active.remove()
                self._active = None
        self._seal()

    def _load(self, file: SpoolFile, on_damage: Callable[[int], None]) -> list[Record]:
        found = file.scan()
        if found.damaged:
            path = file.quarantine()
            _log.error("spool_damaged", file=str(file.path), ranges=found.damaged[:20], kept=str(path))
            on_damage(len(found.damaged))
        file.records = len(found.records)
        return found.records

    def _remove(self, file: SpoolFile) -> None:
        file.remove()
        self._sealed.remove(file)
        self._loaded.pop(file.path, None)


class Spool:
    """A SpoolStore for a program with an event loop: one thread does its work, and appends that meet share an fsync."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        on_state: Callable[[int, int], None] = lambda records, size: None,
        on_damage: Callable[[int], None] = lambda ranges: None,
        append_seconds: float = APPEND_SECONDS,
    ) -> None:
        """`on_state` hears (records, bytes) after each change, `on_damage` the number of damaged ranges found."""
        self.directory = directory
        self.holds_files = True  # whether `window` has anything to look at; for all we know before the first look
        self.has_room = True  # for calls that have not started: the last part is for the ends of those that have
        self._room_below = max_bytes - max_bytes // SPARE_PART
        self._store = SpoolStore(directory, max_bytes=max_bytes)
        self._on_state = on_state
        self._on_damage = on_damage
        self._append_seconds = append_seconds
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "spool")
        self._writer = Batcher[bytes, SpoolRefusal | None](
            "spool", self._write, id, batch_max=BATCH_MAX, queue_max=QUEUE_MAX
        )

    async def append(self, payload: bytes) -> None:
        """Return when the record is durable. Raises SpoolRefused."""
        try:
            line = encode_record(payload)
        except ValueError as error:
            raise SpoolRefused(SpoolRefusal.UNFIT) from error
        try:
            async with asyncio.timeout(self._append_seconds):
                why = await self._writer.submit(line)
        except (TimeoutError, Overloaded):
            why = SpoolRefusal.SLOW
        if why is not None:
            raise SpoolRefused(why)

    async def adopt(self) -> int:
        """Take over the files of dead processes; returns how many records that brings. Raises OSError."""
        return await self._run(self._store.adopt)

    async def window(self, limit: int, passed_over: frozenset[Place] = NOTHING) -> Window | None:
        """The oldest records but those `passed_over`, at most `limit`; None when none is left."""
        damage: list[int] = []
        try:
            return await self._run(self._store.window, limit, passed_over, damage.append)
        finally:
            if damage:
                self._on_damage(sum(damage))

    async def done(self, window: Window, records: Sequence[Record]) -> None:
        """These records of the window are committed elsewhere: they need not be kept. Raises OSError."""
        await self._run(self._store.done, window, records)

    def count_aside(self) -> int:
        """How many records lie in the directory for a person. Blocks, for a moment."""
        return records_aside(self.directory)

    async def keep_refused(self, window: Window, payloads: Sequence[bytes]) -> None:
        """Keep these for a person, durably, before they are `done` with. Raises OSError."""
        await self._run(self._store.keep_refused, window, payloads)

    async def close(self) -> None:
        """Write what waits to be written, and let go of the files. Harmless when done before."""
        if self._closed:
            return
        self._closed = True
        await self._writer.drain()
        await self._run(self._store.close)
        self._thread.shutdown(wait=False)

    async def _write(self, lines: Sequence[bytes]) -> list[SpoolRefusal | None]:
        return await self._run(self._store.append, lines)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        """Do it in the spool's thread, after whatever was asked before."""

        def measured() -> tuple[T, int, int, int]:
            return work(*args), self._store.records, self._store.size, self._store.files

        loop = asyncio.get_running_loop()
        answer, records, size, files = await loop.run_in_executor(self._thread, measured)
        self.holds_files = files > 0
        self.has_room = size < self._room_below
        self._on_state(records, size)
        return answer
