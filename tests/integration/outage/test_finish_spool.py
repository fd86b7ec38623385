"""Finishes while PostgreSQL is away: answered, kept on disk, and charged once when it is back. Real servers, killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agi.fastagi.client import agi_call
from rating_engine.domain.outcomes import DeclineReason, FinishCall, NotSaved, Saved, Spooled
from rating_engine.engine.engine import Engine
from rating_engine.process.engine_process import EngineProcess
from rating_engine.rating.rate import Rate
from rating_engine.services.outage import finish_spool
from rating_engine.services.outage.spool_report import spool_findings
from rating_engine.storage.spool.finish_record import SpooledFinish, finish_to_payload
from rating_engine.storage.spool.spool_records import encode_record, scan
from rating_engine.storage.spool.spool_survey import survey
from tests.support.calls import NUMBER, finish, prepare
from tests.support.outage import Outage, cdr, metric, money, outage_on
from tests.support.servers import SessionServers
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck

LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def outage(breakable: SessionServers, tmp_path: Path) -> AsyncIterator[Outage]:
    """A database with a deck that serves 49 at a cent a second, and account 1001 with 10 EUR."""
    async with outage_on(breakable, tmp_path / "spool") as outage:
        async with outage.database() as database:
            await publish_deck(database)
            await add_account(database, balance="10")
        yield outage


@pytest.fixture
async def engine(outage: Outage) -> AsyncIterator[Engine]:
    async with outage.engine() as engine:
        yield engine


def left_behind(outage: Outage, *records: bytes) -> Path:
    """A spool file of a process that has died."""
    outage.spool_dir.mkdir(parents=True, exist_ok=True)
    file = outage.spool_dir / "00000000000000000001-1.spool"
    file.write_bytes(b"".join(records))
    return file


def on_disk(outage: Outage) -> tuple[int, dict[str, bytes]]:
    """When the spool directory was last given or rid of a file, and what is in each."""
    return outage.spool_dir.stat().st_mtime_ns, {file.name: file.read_bytes() for file in outage.spool_dir.iterdir()}


def record(call: FinishCall) -> bytes:
    values = {name: getattr(call, name) for name in FinishCall.__slots__}
    return encode_record(finish_to_payload(SpooledFinish(FinishCall(**{**values, "ended_at": LONG_AGO}), None)))


# --- the answer, and the charge


async def test_a_finish_while_postgresql_is_away_is_answered_with_its_cost_and_charged_when_it_is_back(engine, outage):
    await engine.charging.prepare_call(prepare("1"))
    await outage.begin()

    outcome = await engine.charging.finish_call(finish("1", 61))

    assert isinstance(outcome, Spooled)
    assert (outcome.cost, outcome.currency, outcome.billed_seconds) == (Decimal("0.61"), "EUR", 61)
    await outage.end()
    await outage.all_charged(engine)
    assert await money(engine) == (Decimal("9.39"), 0)
    assert (await cdr(engine))["source"] == "finish"


async def test_the_exchange_hears_saved_and_the_reason_spooled(engine, outage):
    await engine.charging.prepare_call(prepare("1"))
    await outage.begin()

    said = await agi_call(
        "127.0.0.1", engine.fastagi.port, "callFinish", ["1001", NUMBER, "61", "16ANSWER"], uniqueid="other"
    )

    assert (said["RATING_STATUS"], said["RATING_REASON"], said["RATING_COST"]) == ("SAVED", "spooled", "")


async def test_a_login_that_cannot_be_looked_up_is_spooled_all_the_same(engine, outage):
    await engine.charging.prepare_call(prepare("1"))
    await outage.begin()
    async with outage.engine() as newcomer:
        outcome = await newcomer.charging.finish_call(finish("1", 61))
        assert isinstance(outcome, Spooled)
        assert (outcome.cost, outcome.currency) == (None, None)
        await outage.end()
        await outage.all_charged(newcomer)

    assert await money(engine) == (Decimal("9.39"), 0)


async def test_a_finish_whose_prepare_never_came_is_rated_when_the_database_is_back(engine, outage):
    await outage.begin()
    await engine.charging.finish_call(finish("1", 61))
    await outage.end()
    await outage.all_charged(engine)

    assert await money(engine) == (Decimal("9.39"), 0)
    assert (await cdr(engine))["source"] == "unreserved"


async def test_the_cdr_says_when_the_call_ended_and_not_when_it_was_charged(engine, outage):
    await engine.charging.prepare_call(prepare("1"))
    await outage.begin()
    before = datetime.now(UTC)
    await engine.charging.finish_call(finish("1", 61))
    after = datetime.now(UTC)
    await outage.end()
    await outage.all_charged(engine)

    found = await cdr(engine)
    assert before <= found["ended_at"] <= after
    assert found["answered_at"] == found["ended_at"] - timedelta(seconds=61)


async def test_a_finish_repeated_by_dialplan_and_spool_charges_once(engine, outage):
    await engine.charging.prepare_call(prepare("1"))
    await outage.begin()
    for _ in range(3):
        assert isinstance(await engine.charging.finish_call(finish("1", 61)), Spooled)
    await outage.end()

    async def answered() -> Any:
        outcome = await engine.charging.finish_call(finish("1", 61))
        return outcome if isinstance(outcome, Saved) else None

    assert (await until(answered)).cost == Decimal("0.61")
    await outage.all_charged(engine)
    assert await money(engine) == (Decimal("9.39"), 0)
    assert outage.files(".refused") == []


async def test_what_was_promised_is_charged_whatever_became_of_the_reservation_and_the_deck(outage):
    async with outage.engine() as engine:
        await engine.charging.prepare_call(prepare("1"))
        await outage.begin()
        await engine.charging.finish_call(finish("1", 61))
    await outage.end()
    async with outage.database() as database:  # as restored from a backup made before the call
        await database.fetch("DELETE FROM reservations")
        await database.fetch("UPDATE accounts SET reserved = 0, open_calls = 0")
        await publish_deck(database, rates={"49": Rate(price_1="6", price_unit="minute")})
    async with outage.engine() as engine:
        await outage.all_charged(engine)

        assert await money(engine) == (Decimal("9.39"), 0)


async def test_a_finish_that_waited_longer_than_its_reservation_is_charged_late(outage):
    async with outage.engine() as engine:
        await engine.charging.prepare_call(prepare("1"))
        await outage.begin()
        await engine.charging.finish_call(finish("1", 61))
    await outage.end()
    async with outage.database() as database:
        await database.fetch("UPDATE reservations SET expires_at = now()")
        assert await database.fetchval("SELECT expire_v2(0::smallint, 10)") == 1
    async with outage.engine() as engine:
        await outage.all_charged(engine)

        assert await money(engine) == (Decimal("9.39"), 0)
        assert (await cdr(engine))["source"] == "late"


async def test_a_ledger_that_is_overloaded_spools_what_it_cannot_take(outage):
    async with outage.engine(ledger_queue_max=20, ledger_batch_max=1) as engine, outage.database() as other:
        async with other.connection() as connection, connection.transaction():
            await connection.execute("LOCK TABLE open_calls")  # nothing leaves the queue, however fast the machine is
            finishes = [asyncio.create_task(engine.charging.finish_call(finish(str(n), 1))) for n in range(50)]
            await asyncio.wait(finishes, return_when=asyncio.FIRST_COMPLETED)
        outcomes = await asyncio.gather(*finishes)
        assert {type(outcome) for outcome in outcomes} == {Saved, Spooled}
        await outage.all_charged(engine)

        assert await money(engine) == (Decimal("9.50"), 0)


# --- processes come and go


async def test_a_restart_while_postgresql_is_away_forgets_nothing(outage):
    async with outage.engine() as engine:
        for name in "abc":
            await engine.charging.prepare_call(prepare(name, login="1001"))
            await engine.charging.finish_call(finish(name, 0))
        await outage.begin()
        for name in "def":
            await engine.charging.finish_call(finish(name, 10))
    async with outage.engine() as engine:
        assert survey(outage.spool_dir).waiting == 3
    await outage.end()
    async with outage.engine() as engine:
        await outage.all_charged(engine)

        assert await money(engine) == (Decimal("9.70"), 0)


async def test_kill_9_of_two_engines_forgets_no_finish_they_answered(outage, tmp_path):
    settings = {"database_url": outage.url, "spool_dir": str(outage.spool_dir)}
    engines = [EngineProcess(name, tmp_path, settings) for name in ("one", "two")]
    for process in engines:
        await process.start()
    await outage.begin()
    answers = asyncio.gather(
        *(
            agi_call(
                "127.0.0.1",
                engines[number % 2].fastagi_port,
                "callFinish",
                ["1001", NUMBER, "1", "16ANSWER"],
                uniqueid=str(number),
            )
            for number in range(400)
        ),
        return_exceptions=True,
    )
    await until(lambda: _some_wait(outage))
    for process in engines:
        os.kill(process.pid, signal.SIGKILL)
    saved = [said for said in await answers if isinstance(said, dict) and said["RATING_STATUS"] == "SAVED"]
    for process in engines:
        await process.stop()
    await outage.end()
    async with outage.engine() as engine:
        await outage.all_charged(engine)

        charged = await engine.office.fetchval("SELECT count(*) FROM cdrs")
        assert len(saved) <= charged <= 400
        assert await money(engine) == (10 - Decimal("0.01") * charged, 0)


async def _some_wait(outage: Outage) -> bool:
    return survey(outage.spool_dir).waiting > 0


async def test_a_living_engine_takes_over_what_a_dead_one_left(outage, monkeypatch):
    monkeypatch.setattr(finish_spool, "ADOPT_SECONDS", 0.0)
    async with outage.engine() as survivor:
        async with outage.engine() as engine:
            await outage.begin()
            await engine.charging.finish_call(finish("1", 10))
            await survivor.charging.finish_call(finish("2", 10))
        await outage.end()
        await outage.all_charged(survivor)

        assert await money(survivor) == (Decimal("9.80"), 0)


async def test_postgresql_killed_in_the_middle_of_a_replay_charges_everything_once(outage):
    left_behind(outage, *(record(finish(str(number), 1)) for number in range(900)))
    async with outage.engine() as engine:

        async def some_charged() -> Any:
            return await engine.office.fetchval("SELECT count(*) FROM cdrs")

        assert 0 < await until(some_charged) < 900  # or nothing is proved
        await outage.begin()
        assert survey(outage.spool_dir).waiting > 0
        await outage.end()
        await outage.all_charged(engine)

        assert await engine.office.fetchval("SELECT count(*) FROM cdrs") == 900
        assert await money(engine) == (Decimal("1.00"), 0)


async def test_a_file_replayed_twice_charges_once(outage):
    records = [record(finish(str(number), 1)) for number in range(5)]
    left_behind(outage, *records)
    async with outage.engine() as engine:
        await outage.all_charged(engine)
    left_behind(outage, *records)
    async with outage.engine() as engine:
        await outage.all_charged(engine)

        assert await money(engine) == (Decimal("9.95"), 0)
        assert metric(engine, "rating_spool_replayed_total") == 5


# --- what cannot be charged


async def test_refused_finishes_are_kept_with_the_reason_and_hold_nobody_up(outage):
    left_behind(
        outage,
        record(finish("1", 10)),
        record(finish("1", 11)),
        record(finish("2", 10, login="nobody")),
        record(finish("3", 10)),
    )
    async with outage.engine() as engine:
        await outage.all_charged(engine)
        assert await money(engine) == (Decimal("9.80"), 0)
        assert metric(engine, "rating_spool_refused_total") == 0  # there is none without a reason
        for reason in ("conflict", "unknown_login"):
            labels = {"reason": reason}
            assert engine.metrics.registry.get_sample_value("rating_spool_refused_total", labels) == 1
        (file,) = outage.files(".refused")
        kept = [found.payload for found in scan(file.read_bytes()).records]
        assert [b'"refused":"conflict"' in kept[0], b'"refused":"unknown_login"' in kept[1]] == [True, True]


async def test_a_refused_finish_is_charged_once_its_cause_is_mended_and_its_file_renamed(outage):
    left_behind(outage, record(finish("1", 10, login="1002")))
    async with outage.engine() as engine:
        await outage.all_charged(engine)
        await add_account(engine.office, "1002", balance="1")
    (file,) = outage.files(".refused")
    file.rename(file.with_suffix(".spool"))
    async with outage.engine() as engine:
        await outage.all_charged(engine)

        assert await money(engine, "1002") == (Decimal("0.90"), 0)
        assert (await cdr(engine))["ended_at"] == LONG_AGO


async def test_damage_is_kept_aside_and_what_is_around_it_is_charged(outage):
    damaged = record(finish("2", 10)).replace(b'"seconds":10', b'"seconds":99')
    left_behind(
        outage, record(finish("1", 10)), damaged, encode_record(b'{"v":99}'), record(finish("3", 10)), b"unfini"
    )
    async with outage.engine() as engine:
        await outage.all_charged(engine)

        assert await money(engine) == (Decimal("9.80"), 0)
        assert metric(engine, "rating_spool_damaged_total") == 1
    (corrupt,) = outage.files(".corrupt")
    (refused,) = outage.files(".refused")
    assert corrupt.read_bytes() == damaged
    assert refused.read_bytes() == encode_record(b'{"v":99}')


# --- what cannot be spooled


async def test_a_full_spool_refuses_loudly_and_what_it_took_is_charged(outage):
    async with outage.engine(spool_max_bytes=65_536) as engine:
        await outage.begin()
        outcomes = [await engine.charging.finish_call(finish(str(number), 1)) for number in range(400)]
        refused = outcomes.count(NotSaved(DeclineReason.UNAVAILABLE, "the spool cannot take it: full"))
        assert 0 < refused < 400
        assert engine.metrics.registry.get_sample_value("rating_spool_not_taken_total", {"reason": "full"}) == refused
        assert metric(engine, "rating_spool_records") == 400 - refused
        await outage.end()
        await outage.all_charged(engine)

        assert await engine.office.fetchval("SELECT count(*) FROM cdrs") == 400 - refused
        assert (metric(engine, "rating_spool_records"), metric(engine, "rating_spool_bytes")) == (0, 0)


async def test_a_spool_that_cannot_be_written_refuses(outage):
    outage.spool_dir.write_text("a file in the way")
    async with outage.engine() as engine:
        await outage.begin()

        outcome = await engine.charging.finish_call(finish("1", 1))

        assert outcome == NotSaved(DeclineReason.UNAVAILABLE, "the spool cannot take it: io_error")


async def test_a_finish_that_can_be_charged_never_touches_the_disk(engine, outage):
    await engine.charging.finish_call(finish("never prepared", 61))
    assert not outage.spool_dir.exists()

    await engine.charging.prepare_call(prepare("1"))  # its claim makes a file
    before = on_disk(outage)
    await engine.charging.finish_call(finish("1", 61))
    assert on_disk(outage) == before


# --- doctor


async def test_doctor_is_content_with_a_spool_that_was_emptied(engine, outage):
    await outage.begin()
    await engine.charging.finish_call(finish("1", 1))
    assert [finding.what for finding in spool_findings(outage.spool_dir, 1_000_000)] == [
        f"finishes that wait in {outage.spool_dir}: 1"
    ]
    await outage.end()
    await outage.all_charged(engine)

    assert spool_findings(outage.spool_dir, 1_000_000) == []


def test_doctor_names_what_needs_a_person(tmp_path):
    (tmp_path / "1.spool").write_bytes(record(finish("1", 1)))
    (tmp_path / "2.refused").write_bytes(record(finish("2", 1)) * 2)
    (tmp_path / "3.corrupt").write_bytes(b"abc")

    found = [finding.what for finding in spool_findings(tmp_path, 250)]

    assert found == [
        f"finishes that wait in {tmp_path}: 1, in files that no running engine has: 1",
        f"{tmp_path} has {len(record(finish('1', 1)))} bytes of 250",
        f"finishes that could not be charged, in {tmp_path / '2.refused'}: 2",
        f"damaged bytes of a spool, in {tmp_path / '3.corrupt'}: 3",
    ]


def test_doctor_says_when_the_directory_cannot_be_used(tmp_path):
    (tmp_path / "spool").touch()

    (finding,) = spool_findings(tmp_path / "spool", 1_000_000)

    assert "not a directory" in finding.what.lower()
