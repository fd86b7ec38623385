"""A request with a key is done once however often it is said, and all of it or nothing of it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rating_engine.domain.errors import AlreadyExists, InvalidRequest
from rating_engine.domain.party import Level
from rating_engine.domain.principal import OPERATOR, Principal
from rating_engine.storage import audit_log
from rating_engine.storage.idempotency import KEPT, digest_of, forget_old, keep_answer, once
from rating_engine.storage.postgres.pool import Database

OTHER = Principal(party="reseller", level=Level.RESELLER, surface="test")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=30)
    await database.open()
    await database.fetch("CREATE TABLE done (what text)")
    yield database
    await database.close()


async def ask(database: Database, key: str, what: str, principal: Principal = OPERATOR) -> dict[str, Any]:
    """A request that changes something, says so in the audit log, and answers."""
    async with database.transaction(principal) as tx:
        told = await once(tx, key, digest_of("test", what))
        if told is None:
            number = await tx.fetchval("INSERT INTO done VALUES ($1) RETURNING (SELECT count(*) + 1 FROM done)", what)
            told = {"what": what, "number": number}
            await audit_log.record(tx, "test", what)
            await keep_answer(tx, key, told)
    return told


async def kept(database: Database) -> tuple[int, int, int]:
    """Changes, rows of the audit log, keys."""
    return tuple(
        [
            await database.fetchval(f"SELECT count(*) FROM {table}")
            for table in ("done", "audit_log", "idempotency_keys")
        ]
    )


async def test_a_request_that_is_repeated_is_answered_alike_and_changes_nothing(database):
    first = await ask(database, "k1", "a")

    assert [await ask(database, "k1", "a") for _ in range(2)] == [first, first]
    assert await kept(database) == (1, 1, 1)


async def test_a_key_that_comes_with_another_request_is_refused(database):
    await ask(database, "k1", "a")
    with pytest.raises(AlreadyExists, match="used for another request") as refused:
        await ask(database, "k1", "b")

    assert refused.value.field == "idempotency_key"
    assert await kept(database) == (1, 1, 1)


async def test_keys_of_two_parties_are_two_keys(database):
    await ask(database, "k1", "a")

    assert (await ask(database, "k1", "b", OTHER))["number"] == 2


async def test_the_same_request_said_many_times_at_once_is_done_once(database):
    told = await asyncio.gather(*(ask(database, "k1", "a") for _ in range(16)))

    assert told == [told[0]] * 16
    assert await kept(database) == (1, 1, 1)


async def test_a_request_that_fails_leaves_neither_change_nor_audit_row_nor_key(database):
    async def fail() -> None:
        async with database.transaction(OPERATOR) as tx:
            assert await once(tx, "k1", digest_of("test", "a")) is None
            await tx.execute("INSERT INTO done VALUES ('a')")
            await audit_log.record(tx, "test", "a")
            await keep_answer(tx, "k1", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await kept(database) == (0, 0, 0)
    assert (await ask(database, "k1", "a"))["number"] == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "\0"])
async def test_a_key_that_cannot_be_kept_is_refused(database, key):
    with pytest.raises(InvalidRequest, match="idempotency_key"):
        await ask(database, key, "a")


async def test_a_key_is_kept_for_as_long_as_is_said_and_then_forgotten(database):
    await ask(database, "young", "a")
    await ask(database, "old", "b")
    for key, age in (("young", KEPT - timedelta(hours=1)), ("old", KEPT + timedelta(hours=1))):
        await database.fetch("UPDATE idempotency_keys SET created_at = now() - $2::interval WHERE key = $1", key, age)

    assert await forget_old(database) == 1
    assert await database.fetchval("SELECT string_agg(key, ',') FROM idempotency_keys") == "young"


def test_requests_differ_by_name_amount_and_field() -> None:
    requests = [
        ("top_up", "1001", Decimal("1.50")),
        ("top_up", "1001", Decimal("1.51")),
        ("refund", "1001", Decimal("1.50")),
        ("top_up", "1002", Decimal("1.50")),
        ("top_up", {"login": "1001", "amount": Decimal("1.50")}),
    ]

    assert len({digest_of(*request) for request in requests}) == len(requests)
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
