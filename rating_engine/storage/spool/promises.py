"""Calls that were allowed without the database, one small file each beside the spool.

Laws: a promise is on disk before the call is allowed, so that whichever process of this machine hears of its end, also
after a restart, charges what was promised; it goes when the end is safe elsewhere. Files are few and read rarely.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import structlog

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import OpenCall
from rating_engine.storage.spool.details_json import details_from_values, details_to_values
from rating_engine.storage.spool.spool_files import FILE_MODE, make_directory, names_with, sync_directory
from rating_engine.storage.spool.spool_records import encode_record, scan

PROMISE: Final = ".promise"
NAME_HEX: Final = 32  # of the call key's hash: 128 bits, and safe as a file name whatever the key holds

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Promise:
    """A call allowed without a reservation: `call.granted` is what it may cost, and holds no money."""

    call_key: CallKey
    login: str
    allowed_at: datetime
    call: OpenCall


class Promises:
    """The promises of a spool directory, of all its processes. Blocks for a small file's time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, promise: Promise) -> None:
        """Make a promise durable. Raises OSError."""
        make_directory(self._directory)
        path = Path(self._path(promise.call_key))
        unfinished = path.with_suffix(f".{os.getpid()}.new")
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
            try:
                os.write(descriptor, _render(promise))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            unfinished.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise
        sync_directory(self._directory)

    def find(self, call_key: CallKey) -> Promise | None:
        """The promise made for a call, or None; asked at the end of every call that another process allowed."""
        path = self._path(call_key)
        if not os.path.exists(path):  # nearly always, and a third of the time that pathlib takes
            return None
        promise = _read(Path(path))
        return promise if promise is not None and promise.call_key == call_key else None

    def drop(self, call_key: CallKey) -> None:
        """The call's end is safe elsewhere. What comes back after a power cut is dropped by the repeated end."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(call_key))

    def all(self) -> Iterator[Promise]:
        """Every promise there is. Raises OSError."""
        for path in names_with(self._directory, PROMISE):
            promise = _read(path)
            if promise is not None:
                yield promise

    def _path(self, call_key: CallKey) -> str:
        parts = f"{call_key.exchange}\0{call_key.uniqueid}\0{call_key.attempt}"
        name = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:NAME_HEX]
        return f"{self._directory}/{name}{PROMISE}"


def _render(promise: Promise) -> bytes:
    held = promise.call
    call = {**asdict(held), "granted": str(held.granted), "details": details_to_values(held.details)}
    call["resellers_granted"] = [str(granted) for granted in held.resellers_granted]
    values = {
        "call_key": promise.call_key._asdict(),
        "login": promise.login,
        "allowed_at": promise.allowed_at.isoformat(),
        "call": call,
    }
    return encode_record(json.dumps(values).encode("ascii"))


def _read(path: Path) -> Promise | None:
    """The promise in a file; None where there is none that can be read, which is said."""
    try:
        record = scan(path.read_bytes()).records[0]
        values = json.loads(record.payload)
        call = values["call"]
        call.pop("claim", None)  # kept until version 0.1
        granted, details = Decimal(call.pop("granted")), details_from_values(call.pop("details"))
        call["resellers_granted"] = tuple(map(Decimal, call.get("resellers_granted", ())))
        return Promise(
            call_key=CallKey(**values["call_key"]),
            login=values["login"],
            allowed_at=datetime.fromisoformat(values["allowed_at"]),
            call=OpenCall(granted=granted, details=details, **call),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        _log.error("promise_unreadable", file=str(path), error=f"{type(error).__name__}: {error}")
        return None
