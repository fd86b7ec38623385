"""The engine or the exchange dies at the worst moment: never a call without a limit, never money lost for ever."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.reported_end import PostOutcome
from rating_engine.services.cdrs.posting import CallPosting, PostOptions
from tests.asterisk import pbx as numbers
from tests.asterisk.engine import started
from tests.asterisk.pbx import Pbx, until

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]


async def test_without_an_engine_there_is_no_call(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    await asyncio.to_thread(pbx.engine.kill)
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    assert (await call.ended())["Cause"] == "34"
    assert call.apps("Dial") == []
    assert call.value("RATING_MAX_MS") == "0"
    assert call.value("AGISTATUS") == "FAILURE"


@contextlib.asynccontextmanager
async def database_gone(pbx: Pbx) -> AsyncIterator[None]:
    """Take away what every money transition needs, for every connection at once."""
    await pbx.database.fetch("ALTER TABLE accounts RENAME TO accounts_gone")
    try:
        yield
    finally:
        await pbx.database.fetch("ALTER TABLE accounts_gone RENAME TO accounts")


async def test_without_a_database_there_is_no_call(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    async with database_gone(pbx):
        call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
        assert (await call.ended())["Cause"] == "34"
    assert call.apps("Dial") == []


async def test_a_call_that_ends_without_a_database_is_charged_when_it_is_back(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "1", alice)
    await call.answered()
    async with database_gone(pbx):
        await call.ended()
    assert (call.value("RATING_STATUS"), call.value("RATING_REASON")) == ("SAVED", "spooled")
    await until(lambda: pbx.no_open_call(alice))
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["state"], cdr["seconds"]) == ("settled", int(call.value("RATING_SECONDS")))
    assert await pbx.money(alice) == (10 - cdr["cost"], 0)


async def test_a_call_goes_on_to_its_limit_when_the_engine_dies_and_is_charged_by_the_log(
    pbx: Pbx, tmp_path: Path
) -> None:
    alice = await pbx.account("0.02")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    await asyncio.to_thread(pbx.engine.kill)
    await call.ended()
    assert call.value("RATING_SECONDS") == "2"
    (line,) = (line for line in pbx.exchange.log().splitlines() if f"NOT SAVED: callFinish of {call.uniqueid}" in line)
    said = re.search(
        r"callFinish of (\S+) login=(\S+) destination=(\S+) seconds=(\d+) status=(\S+) attempt=(\d+) \((.*)\)", line
    )
    assert said is not None
    assert said.groups() == (call.uniqueid, alice, numbers.ANSWERED + "0", "2", "16ANSWER", "1", "FAILURE unavailable")
    assert len(await pbx.open_calls(alice)) == 1
    assert await pbx.money(alice) == (Decimal("0.02"), Decimal("0.02"))
    (tmp_path / "full").write_text(line + "\n")
    posting = CallPosting(pbx.database, OPERATOR, buckets=1, international_prefix="00")
    for outcome in (PostOutcome.CHARGED, PostOutcome.KNOWN):
        [posted] = (await posting.post(tmp_path / "full", PostOptions(time_zone="UTC"))).listed
        assert posted.outcome is outcome, posted
        assert await pbx.money(alice) == (0, 0)


async def test_money_held_for_a_call_whose_finish_was_lost_is_freed_when_it_expires_and_its_record_charges_it(
    pbx: Pbx, tmp_path: Path
) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "1", alice)
    await call.answered()
    await asyncio.to_thread(pbx.engine.kill)
    await call.ended()
    await started(pbx.engine)
    await pbx.expire_now(alice)
    await until(lambda: pbx.no_open_call(alice))
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["state"] == "expired"
    assert await pbx.money(alice) == (10, 0)
    rows = tmp_path / "Master.csv"
    uniqueid = f'"{call.uniqueid}"'
    await until(lambda: is_written(pbx.exchange.call_records, uniqueid))
    rows.write_text("".join(row for row in lines_of(pbx.exchange.call_records) if uniqueid in row))
    posting = CallPosting(pbx.database, OPERATOR, buckets=1, international_prefix="00")
    [posted] = (await posting.post(rows, PostOptions(time_zone="UTC"))).listed
    assert (posted.outcome, posted.login) == (PostOutcome.CHARGED, alice), posted
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["source"], cdr["cost"]) == ("late", cdr["seconds"] * numbers.PRICE)
    assert await pbx.money(alice) == (10 - cdr["cost"], 0)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True) if path.exists() else []


async def is_written(path: Path, uniqueid: str) -> bool:
    return any(uniqueid in row for row in lines_of(path))


async def test_a_caller_who_gives_up_while_the_engine_thinks_leaves_no_reservation(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    pbx.engine.freeze()
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.reached(lambda event: event.get("Application") == "AGI")
    await call.hang_up()
    await pbx.exchange.ami.wait_event(
        lambda event: event.get("Event") == "Hangup" and event["Uniqueid"] == call.caller_uniqueid
    )
    pbx.engine.thaw()
    await call.ended()
    assert call.apps("Dial") == []
    assert await pbx.open_calls(alice) == []
    assert await pbx.money(alice) == (10, 0)


async def test_an_exchange_killed_in_mid_call_leaves_the_money_held_until_it_expires(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    await pbx.exchange.kill()
    assert len(await pbx.open_calls(alice)) == 1
    assert (await pbx.money(alice))[1] > 0
    await pbx.expire_now(alice)
    await until(lambda: pbx.no_open_call(alice))
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["state"] == "expired"
    assert await pbx.money(alice) == (10, 0)


async def test_an_exchange_started_again_after_a_crash_calls_again(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    bob = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.RINGS, alice)
    await call.reached(lambda event: event.get("Application") == "Dial")
    await pbx.exchange.kill()
    await pbx.exchange.start()
    call = await pbx.exchange.originate(numbers.ANSWERED + "1", bob)
    await call.ended()
    (cdr,) = await pbx.cdrs(bob)
    assert (cdr["state"], cdr["seconds"]) == ("settled", int(call.value("RATING_SECONDS")))
