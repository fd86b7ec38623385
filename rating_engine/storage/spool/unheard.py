"""Claims whose answer nobody has heard yet, in a file of this process that outlives its being killed.

    NAME.unheard  PLACES records of PLACE_BYTES bytes; one that begins with a NUL is free. Locked (flock) by its process

Laws: a claim is there before the ledger is asked, and gone before its answer is told; so what a dead process leaves is
what nobody was told. It need not outlive the machine, since its exchanges' calls would not be told either: nothing is
fsynced, and a claim costs a microsecond or two. The file's blocks are there from the beginning, so that a full disk
cannot kill who writes into its memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from rating_engine.domain.outcomes import CallKey, Claim
from rating_engine.storage.spool.spool_files import FILE_MODE, make_directory, names_with
from rating_engine.storage.spool.spool_records import encode_record, scan

UNHEARD: Final = ".unheard"
PLACES: Final = 4_096  # requests on their way at once, with those of an outage; what is beyond is freed by its expiry
PLACE_BYTES: Final = 512  # a call key has 200 characters at the most
ADOPTED_TRIES: Final = 20  # processes adopt when they start: two in a row would be chance, more an error of ours

_FREE: Final = b"\0"
_EMPTY: Final = bytes(PLACE_BYTES)
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Own:
    """This process's file. `free`: places, the one used last coming last."""

    path: Path
    descriptor: int
    memory: mmap.mmap
    free: deque[int]


class UnheardFile:
    """The book of one process. Made without I/O; the first claim makes the file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._own: _Own | None = None
        self._is_unusable = False

    def note(self, claim: Claim) -> int | None:
        """Write it down; None: there is no room, or no file can be made, which is said once."""
        own = self._own or self._make()
        if own is None or not own.free:
            return None
        key = claim.call_key
        values = [key.exchange, key.uniqueid, key.attempt, claim.bucket, claim.account_id, claim.number]
        try:
            line = encode_record(orjson.dumps(values))
        except orjson.JSONEncodeError:  # half a surrogate pair, which the ledger does not take either
            return None
        if len(line) > PLACE_BYTES:  # a key of characters that take four bytes each
            return None
        place = own.free.popleft()
        start = place * PLACE_BYTES
        own.memory[start : start + len(line)] = line
        return place

    def clear(self, place: int) -> None:
        """Told, or given back."""
        own = self._own
        if own is not None:
            start = place * PLACE_BYTES
            own.memory[start : start + PLACE_BYTES] = _EMPTY
            own.free.append(place)

    def adopt(self) -> Sequence[Claim]:
        """What dead processes left; their files go. A claim that is adopted is on its way again, and so noted again.

        Blocks. Raises OSError.
        """
        left: list[Claim] = []
        for path in names_with(self._directory, UNHEARD):
            if self._own is not None and path == self._own.path:
                continue
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    found = _claims(path.read_bytes())
                    path.unlink()  # FileNotFoundError: another process has adopted it meanwhile
                    left += found
                except BlockingIOError:
                    continue  # its process lives
                finally:
                    os.close(descriptor)
        return left

    def close(self) -> None:
        """Leave what is in it to the next process; an empty file goes."""
        own, self._own = self._own, None
        if own is None:
            return
        if len(own.free) == PLACES:
            with contextlib.suppress(OSError):  # the directory is gone, or no directory any more: nothing is in it
                own.path.unlink()
        own.memory.close()
        os.close(own.descriptor)
        self._is_unusable = True  # a file made from here on would have nobody to close it

    def _make(self) -> _Own | None:
        if self._is_unusable:
            return None
        try:
            make_directory(self._directory)
            path, descriptor = self._locked_file()
            try:
                os.posix_fallocate(descriptor, 0, PLACES * PLACE_BYTES)
                memory = mmap.mmap(descriptor, PLACES * PLACE_BYTES)
            except BaseException:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                raise
        except OSError as error:
            self._is_unusable = True  # until the next start: each call would try in vain
            _log.error("unheard_unusable", directory=str(self._directory), error=str(error))
            return None
        self._own = _Own(path, descriptor, memory, deque(range(PLACES)))
        return self._own

    def _locked_file(self) -> tuple[Path, int]:
        """A new file that is ours and still there. Raises OSError.

        Between its making and its lock it looks like a dead process's: who adopts it then removes it, and what is
        noted in it would be nobody's. So it is locked (whoever has it reads an empty file, and is done at once), and
        made anew where it is gone.
        """
        for _ in range(ADOPTED_TRIES):
            path = self._directory / f"{time.time_ns():020d}-{os.getpid()}{UNHEARD}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:
                    return path, descriptor
            except BaseException:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                raise
            os.close(descriptor)
        raise OSError("other processes take every new file for a dead one's")


def _claims(data: bytes) -> list[Claim]:
    """Every whole claim of a file; a half written one was never asked for."""
    claims = []
    for start in range(0, len(data), PLACE_BYTES):
        if data[start : start + 1] == _FREE:
            continue
        for record in scan(data[start : start + PLACE_BYTES]).records[:1]:
            with contextlib.suppress(ValueError, TypeError):
                values: Any = json.loads(record.payload)
                exchange, uniqueid, attempt, bucket, account_id, number = values
                claims.append(Claim(CallKey(exchange, uniqueid, attempt), bucket, account_id, number))
    return claims
