"""config/asterisk/inbound.conf as shipped, on a real Asterisk: every action of a rule, and the session of
docs/narayana.md in which a number is ordered, called, forwarded and invoiced."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from rating_engine.domain.account import NewAccount
from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.call_rules import Action, CallRule, Condition, Source
from rating_engine.domain.did import NewDid
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.domain.principal import ENGINE, OPERATOR
from rating_engine.engine.services import make_services
from rating_engine.services.catalogue import UseCases
from rating_engine.services.finance.monthly import MonthlyInvoices
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import Call, Exchange
from tests.asterisk.pbx import until
from tests.integration.cli.test_tenant_page import BIN, run
from tests.support.servers import SessionServers, breaches, free_port
from tests.support.world import CENT_A_SECOND, publish_deck

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]

PAGE = Path(__file__).parents[2] / "docs" / "narayana.md"
HEADING = "## A number, ordered, called, forwarded and invoiced"
MODULES = (
    "app_playback app_read app_voicemail app_senddtmf func_lock func_sha1 func_db func_callerid format_wav format_pcm"
)
DIALPLAN = """
[globals](+)
RATING_ENGINE=127.0.0.1:{port}
RATING_TECH=Local
RATING_OWN_LEG=never
#include rating-inbound.conf
#include rating-balance.conf
#include rating-calling-card.conf
[globals](+)
RATING_CARD_SECRET=change-me

[from-trunk]
include => rating-inbound

; the phone of 10000 is busy, that of 10001 answers and talks for a second
[default]
exten => 10000,1,Hangup(17)
exten => 10001,1,Answer()
 same => n,Wait(1)
 same => n,Hangup(16)

[carrier]
exten => _X.,1,Answer()
 same => n,Wait(2)
 same => n,Hangup(16)
"""
VOICEMAIL = "[general]\nformat=wav\nminsecs=0\nmaxsilence=0\n[default]\n1001 => ,Anna\n"


@dataclass
class Trunk:
    """A running exchange whose trunk calls come in by, and whoever manages the engine beside it."""

    use: UseCases
    database: Database
    exchange: Exchange
    url: str
    http: str
    key: str

    async def call(self, number: str) -> Call:
        """Somebody from outside calls a number."""
        return await self.exchange.originate(number, "", context="from-trunk", callerid="4915112345")

    async def press(self, call: Call, digit: str) -> None:
        """The caller presses a key."""
        channels = await self.exchange.channels()
        (name,) = [each["Channel"] for each in channels if each["Uniqueid"] == call.caller_uniqueid]
        await self.exchange.ami.action("PlayDTMF", Channel=name, Digit=digit)

    async def cdr(self, number: str) -> tuple[int, Decimal, str]:
        """Seconds, cost and how the call to a number ended."""
        row = await self.database.fetchrow(
            "SELECT seconds, cost, disposition FROM cdrs WHERE destination = $1 ORDER BY ended_at DESC LIMIT 1", number
        )
        assert row is not None, number
        return row["seconds"], row["cost"], row["disposition"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def trunk(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Trunk]:
    with session_servers.database() as url:
        database = Database(url)
        await database.open()
        use = make_services(Settings(database_url=url), database).of(OPERATOR)
        await publish_deck(database, rates={"7901": CENT_A_SECOND})
        await publish_deck(database, "inbound", {"49301": CENT_A_SECOND})
        await database.fetch("INSERT INTO routes (name, position) VALUES ('carrier', 1)")
        await use.parties.create(NewParty("boss", PartyKind.ADMIN))
        await use.parties.create(NewParty("north", PartyKind.RESELLER, tariff="retail"))
        await use.parties.create(NewParty("anna", owner="north"))
        for login in ("10000", "10001"):
            await use.accounts.create(NewAccount(login, "retail", balance=Decimal(1_000), owner="anna"))
        key = (await use.keys.add(NewKey("pbx", KeyKind.SERVER, Level.SERVER, owner="boss"))).secret
        port = free_port()
        engine = engine_for(url, "", tmp_path_factory.mktemp("inbound-engine"), port=port)
        exchange = Exchange(
            asterisk_root, DIALPLAN.format(port=port), modules=MODULES, files={"voicemail.conf": VOICEMAIL},
            short_sounds=True,
        )  # fmt: skip
        async with engine, exchange:
            await started(engine)
            yield Trunk(use, database, exchange, url, f"127.0.0.1:{engine.http_port}", key)
            await until(exchange.idle)
        assert await breaches(url) == []
        await database.close()


async def test_a_number_is_ordered_called_forwarded_and_invoiced_as_the_page_says(trunk: Trunk, tmp_path: Path) -> None:
    _, section = PAGE.read_text(encoding="utf-8").split(HEADING)
    before, after = re.findall(r"^```\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[:2]
    variables = {"RATING_DATABASE_URL": trunk.url, "RATING_REDIS_URL": "", "ENGINE": trunk.http, "KEY": trunk.key,
                 "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "200"}  # fmt: skip

    async def typed(block: str) -> list[str]:
        answers = [await run(line, tmp_path, variables) for line in block.splitlines()]
        assert [text for text in answers if text.startswith("{") and '"result":true' not in text] == []
        return answers

    await typed(before)
    call = await trunk.call("4930123456")
    await call.ended()
    log, numbers, *_ = await typed(after)

    assert (await trunk.cdr("4930123456"))[1:] == (0, "ANSWER")
    seconds, cost, _ = await trunk.cdr("79010000003")
    assert 1 <= seconds <= 4
    assert cost == seconds * Decimal("0.01")
    assert (await trunk.use.accounts.show("10000")).balance == Decimal(1_000) - Decimal("3.50") - cost
    assert "79010000003" in log
    assert "4930123456" in numbers

    then = (datetime.now(UTC).replace(day=1) + timedelta(days=40)).replace(day=3)
    await MonthlyInvoices(trunk.database, ENGINE, lambda: then, days=14).turn()
    rows = await trunk.database.fetch(
        "SELECT l.amount FROM invoice_lines l JOIN invoices i USING (bucket, invoice_id) "
        "JOIN subscribers s USING (bucket, account_id) WHERE s.login = '10000'"
    )
    assert {Decimal("3.50"), cost} <= {row["amount"] for row in rows}


async def test_every_action_of_a_rule_is_done(trunk: Trunk) -> None:
    """One number each; the calls run side by side, and what is answered is paid from then on."""
    await trunk.use.dids.set_inbound_price("retail", "inbound")
    rules = {
        "493010": [CallRule(action=Action.CALL, destination="10001", timeout=5)],
        "493011": [CallRule(action=Action.PLAYFILE, destination="beep&beep"),
                   CallRule(action=Action.HANGUP, destination="21")],
        "493012": [CallRule(action=Action.MENU, destination="beep", timeout=2),
                   CallRule(source=Source.INPUT, condition=Condition.INPUT, input="5", action=Action.NUMBER,
                            destination="493011")],
        "493013": [CallRule(action=Action.VOICEMAIL, destination="1001@default")],
        "493014": [CallRule(action=Action.DISA)],
        "493015": [CallRule(action=Action.HANGUP, destination="17")],
    }  # fmt: skip
    for number, each in rules.items():
        await trunk.use.dids.add(NewDid(number, "anna"))
        for rule in each:
            await trunk.use.call_rules.add(number, rule)
    calls = {number: await trunk.call(number) for number in rules}

    async def asked(number: str, app: str) -> None:
        await calls[number].reached(lambda event: event.get("Application") == app)

    await asked("493012", "Read")
    await trunk.press(calls["493012"], "5")
    await asked("493014", "Read")
    await calls["493014"].hang_up()
    await asked("493013", "TryExec")
    box = trunk.exchange.spool / "voicemail/default/1001"

    async def kept() -> bool:
        """Whether something of a message is there."""
        return any(box.rglob("*.wav"))

    await until(kept)
    await calls["493013"].hang_up()
    causes = {number: (await call.ended())["Cause"] for number, call in calls.items()}

    assert (causes["493011"], causes["493012"], causes["493015"]) == ("21", "21", "17")
    assert calls["493012"].value("RATING_DID_KEYS") == "5"
    assert calls["493013"].apps("TryExec") == ["VoiceMail(1001@default,u)"]
    assert calls["493014"].apps("Read")[0].startswith("RATING_CARD_NUMBER")
    for number in ("493010", "493011", "493012", "493013", "493014"):
        seconds, cost, word = await trunk.cdr(number)
        assert (word, seconds >= 1, cost) == ("ANSWER", True, seconds * Decimal("0.01")), number
    assert (await trunk.cdr("493015"))[:2] == (0, 0)
