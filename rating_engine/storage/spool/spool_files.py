"""The files of a spool directory, one process a file: made, locked, appended to, read back, left behind and adopted.

    NAME.spool    records (see spool_records), locked (flock) by the process that has it; the lock ends with the process
    NAME.done     how far NAME.spool has been dealt with; without it everything is dealt with once more
    NAME.refused  records that cannot be charged, each with the reason: for a person
    NAME.posting  the same while a command tries them again
    NAME.corrupt  bytes that are no records: for a person

NAME is the time of making, so that names in order are files in order. Everything here blocks: call it from a thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import structlog

from rating_engine.storage.spool.spool_records import Scan, encode_record, scan

SPOOL: Final = ".spool"
DONE: Final = ".done"
REFUSED: Final = ".refused"
POSTING: Final = ".posting"
REWRITTEN: Final = ".rewritten"  # a .spool file that is about to take the place of a longer one
CORRUPT: Final = ".corrupt"
FILE_MODE: Final = 0o600  # who called whom, and when
DIRECTORY_MODE: Final = 0o700
NAME_TRIES: Final = 100  # each meets another process in the same nanosecond, or an adopter in the same instant

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class SpoolFile:
    """One locked file. `size`: where the next record goes. `done`: the end of what was dealt with; `records`: how many
    come after it."""

    path: Path
    descriptor: int
    size: int = 0
    records: int = 0
    done: int = 0

    @classmethod
    def create(cls, directory: Path) -> Self:
        """A new, empty, locked file whose name outlives a power cut. Raises OSError."""
        make_directory(directory)
        for _ in range(NAME_TRIES):
            path = directory / f"{time.time_ns():020d}-{os.getpid()}{SPOOL}"
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE)
            except FileExistsError:
                continue
            if _lock(descriptor, path):
                sync_directory(directory)
                return cls(path, descriptor)
            os.close(descriptor)  # an adopter was faster, and found it empty
        raise OSError(errno.EEXIST, "no free name in the spool directory", str(directory))

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The file of a process that has died, with its unfinished last line cut off; None if it is not ours to take.

        Raises OSError.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            if not _lock(descriptor, path):
                os.close(descriptor)
                return None
            file = cls(path, descriptor, size=os.fstat(descriptor).st_size)
            file.done = read_done(path, file.size)
            found = file.scan()
            if found.torn < file.size:
                _log.warning("spool_torn_record", file=str(path), bytes=file.size - found.torn)
                os.ftruncate(descriptor, found.torn)
                file.size = found.torn
            file.records = len(found.records)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
        return file

    def append(self, lines: list[bytes]) -> None:
        """Write records and make them durable; on OSError nothing of them counts, and the file is as before."""
        data = b"".join(lines)
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self.descriptor, data[written:], self.size + written)
            os.fdatasync(self.descriptor)
        except OSError:
            os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(data)
        self.records += len(lines)

    def scan(self) -> Scan:
        """What is left to deal with. Raises OSError."""
        return scan(self._read(), self.done)

    def quarantine(self) -> Path:
        """Write every damaged range of the file to its .corrupt; again, should that be there. Raises OSError."""
        data = self._read()
        return self.keep_aside(CORRUPT, b"\n".join(data[start:end] for start, end in scan(data).damaged), anew=True)

    def mark_done(self, end: int, records: int) -> None:
        """Everything before `end`, `records` of them since the last time, need never be looked at again.

        On a full disk that is known to this process alone, and its successor does the work once more.
        """
        self.done = end
        self.records -= records
        try:
            self._write_done(encode_record(b"%020d" % end))
        except OSError as error:
            _log.warning("spool_mark_failed", file=str(self.path), error=str(error))

    def keep_aside(self, suffix: str, data: bytes, *, anew: bool = False) -> Path:
        """Append durable bytes to this file's .refused, or write its .corrupt `anew`; returns where they are."""
        path = self.path.with_suffix(suffix)
        if not anew:
            append_durably(path, data)
            return path
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        try:
            _write_durably(descriptor, data)
        finally:
            os.close(descriptor)
        sync_directory(path.parent)
        return path

    def rewrite(self, lines: list[bytes]) -> None:
        """Let the file hold these records alone, which are what is left of it. Raises OSError, the file as it was."""
        path = self.path.with_suffix(REWRITTEN)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_durably(descriptor, b"".join(lines))
            self.path.with_suffix(DONE).unlink(missing_ok=True)  # what a crash here costs is repeated work
            path.rename(self.path)
            sync_directory(self.path.parent)
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        os.close(self.descriptor)
        self.descriptor, self.size, self.records, self.done = descriptor, sum(map(len, lines)), len(lines), 0

    def remove(self) -> None:
        """Everything in it has been dealt with: it goes."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(DONE).unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let it go; what is in it waits for whoever adopts it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _write_done(self, line: bytes) -> None:
        descriptor = os.open(self.path.with_suffix(DONE), os.O_WRONLY | os.O_CREAT, FILE_MODE)
        try:
            os.pwrite(descriptor, line, 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self) -> bytes:
        chunks: list[bytes] = []
        position = 0
        while position < self.size and (chunk := os.pread(self.descriptor, self.size - position, position)):
            chunks.append(chunk)
            position += len(chunk)
        return b"".join(chunks)


def append_durably(path: Path, data: bytes) -> None:
    """Append to a file that others append to, and that may be renamed at any moment. Raises OSError."""
    for _ in range(NAME_TRIES):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held by others for as long as a write takes
            if not _is_named(descriptor, path):
                continue
            _write_durably(descriptor, data)
        finally:
            os.close(descriptor)
        sync_directory(path.parent)
        return
    raise OSError(errno.EBUSY, "the file is renamed again and again", str(path))


def take_over(path: Path, renamed: Path) -> bool:
    """Rename a file that others append to, between two of their writes; False where it is not there. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not _is_named(descriptor, path):
            return False
        path.rename(renamed)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
    return True


def read_done(path: Path, size: int) -> int:
    """How far a spool file of `size` bytes has been dealt with, by its .done file.

    0 when that is not known for sure, which costs repeated work and nothing else. Raises OSError.
    """
    try:
        marks = scan(path.with_suffix(DONE).read_bytes()).records
    except FileNotFoundError:
        return 0
    end = int(marks[0].payload) if marks and marks[0].payload.isdigit() else 0
    return end if end <= size else 0


def make_directory(directory: Path) -> None:
    """Make the directory, with the ones above it; each survives a power cut. Raises OSError."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
    for path in missing:
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def names_with(directory: Path, suffix: str) -> list[Path]:
    """The files with a suffix, oldest first; none where there is no such directory. Raises OSError."""
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == suffix)
    except FileNotFoundError:
        return []


def remove_unheld(path: Path) -> None:
    """Remove a file that no process has locked. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            if _lock(descriptor, path):
                path.unlink()
        finally:
            os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock an open file, if nobody has it and it still is the file of that name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_named(descriptor, path)


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether an open file still is the one of that name."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _write_durably(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)
