"""What lies in a spool directory, looked at from outside: nothing is locked, changed or waited for."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rating_engine.storage.spool.spool_files import CORRUPT, POSTING, REFUSED, SPOOL, names_with, read_done
from rating_engine.storage.spool.spool_records import Record, scan


@dataclass(frozen=True, slots=True)
class SpoolSurvey:
    """`waiting`: records not yet dealt with; `orphaned`: those of them in files that no process has.

    `refused` and `corrupt`: files for a person, with the number of records or bytes in each.
    """

    waiting: int = 0
    waiting_bytes: int = 0
    orphaned: int = 0
    refused: tuple[tuple[Path, int], ...] = ()
    corrupt: tuple[tuple[Path, int], ...] = ()


def survey(directory: Path) -> SpoolSurvey:
    """What lies in the directory now; nothing where there is no such directory. Raises OSError."""
    waiting = size = orphaned = 0
    for path in names_with(directory, SPOOL):
        with contextlib.suppress(FileNotFoundError):  # done with since it was listed
            records = waiting_records(path)
            waiting += len(records)
            size += path.stat().st_size
            orphaned += 0 if _is_held(path) else len(records)
    return SpoolSurvey(waiting, size, orphaned, tuple(_refused(directory)), tuple(_corrupt(directory)))


def waiting_records(path: Path) -> list[Record]:
    """The records of a spool file that have not been dealt with. Raises OSError."""
    data = path.read_bytes()
    return scan(data, read_done(path, len(data))).records


def unusable(directory: Path) -> str | None:
    """Why a spool could not be kept there, or None. Makes nothing: the first record will."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir():
        return f"{existing} is not a directory"
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        return f"{existing} may not be written to by this user"
    if not os.statvfs(existing).f_bavail:
        return f"the disk of {existing} is full"
    return None


def records_aside(directory: Path) -> int:
    """How many records wait for a person; 0 where that cannot be read, which others say."""
    try:
        return sum(count for _, count in _refused(directory))
    except OSError:
        return 0


def _refused(directory: Path) -> Iterator[tuple[Path, int]]:
    for path in (*names_with(directory, REFUSED), *names_with(directory, POSTING)):
        with contextlib.suppress(FileNotFoundError):
            yield path, len(scan(path.read_bytes()).records)


def _corrupt(directory: Path) -> Iterator[tuple[Path, int]]:
    for path in names_with(directory, CORRUPT):
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat().st_size


def _is_held(path: Path) -> bool:
    """Whether a living process has the file. Asked by a lock that is let go at once; an adopter tries again."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
