"""Calls allowed without the database: on disk before they start, found by any process, gone with their end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import CallDetails, OpenCall
from rating_engine.storage.spool import spool_files
from rating_engine.storage.spool.promises import Promise, Promises
from tests.support.world import CENT_A_SECOND

KEY = CallKey("10.0.0.1", "1763779024.1", 2)
DETAILS = CallDetails(7, "10.0.0.1", 2, "100", "4912345", "Somewhere", "49", 3, 4, CENT_A_SECOND.to_json(), "carrier1")
CALL = OpenCall(
    account_id=9,
    granted=Decimal("36.00"),
    quota=False,
    cap_seconds=3600,
    route_prefix="11#",
    details=DETAILS,
    currency="EUR",
)
PROMISE = Promise(KEY, "1001", datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), CALL)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def promises(directory: Path) -> Promises:
    return Promises(directory)


def test_a_promise_is_found_by_its_call_whoever_made_it(promises, directory):
    promises.keep(PROMISE)

    assert Promises(directory).find(KEY) == PROMISE
    assert list(promises.all()) == [PROMISE]


@pytest.mark.parametrize(
    "other", [KEY._replace(attempt=1), KEY._replace(uniqueid="x"), KEY._replace(exchange="10.0.0.1/1763779024.1")]
)
def test_another_call_was_promised_nothing(promises, other):
    promises.keep(PROMISE)

    assert promises.find(other) is None


@pytest.mark.parametrize("text", ["../../etc/passwd", "a\0b", "\udcff", "ü" * 100])
def test_whatever_an_exchange_calls_its_call_is_safe_as_a_file_name(promises, directory, text):
    promise = replace(PROMISE, call_key=CallKey(text, text, 1))
    promises.keep(promise)

    assert promises.find(promise.call_key) == promise
    assert [path.parent for path in directory.iterdir()] == [directory]


def test_a_promise_that_is_dropped_is_gone_and_may_be_dropped_again(promises, directory):
    promises.keep(PROMISE)
    promises.drop(KEY)
    promises.drop(KEY)

    assert promises.find(KEY) is None
    assert list(directory.iterdir()) == []


def test_nothing_was_promised_where_there_is_no_directory(promises):
    assert promises.find(KEY) is None
    assert list(promises.all()) == []


def test_a_promise_made_again_takes_the_place_of_the_first(promises):
    promises.keep(PROMISE)
    longer = replace(PROMISE, call=replace(CALL, cap_seconds=60))
    promises.keep(longer)

    assert list(promises.all()) == [longer]


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-5], lambda data: b"", lambda data: data.replace(b"1001", b"1002")]
)
def test_a_damaged_promise_is_none(promises, directory, spoil: Callable[[bytes], bytes]):
    promises.keep(PROMISE)
    (file,) = directory.iterdir()
    file.write_bytes(spoil(file.read_bytes()))

    assert promises.find(KEY) is None
    assert list(promises.all()) == []


def test_a_promise_that_cannot_be_written_is_said_and_leaves_nothing(promises, directory, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    directory.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(spool_files.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            promises.keep(PROMISE)

    assert list(directory.iterdir()) == []
