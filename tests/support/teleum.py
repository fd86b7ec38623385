"""A small installation that is asked by Teleum's surface over real HTTP: a user with numbers, a line, an offer."""

from __future__ import annotations

import base64
import contextlib
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from rating_engine.domain.account import NewAccount
from rating_engine.domain.call_rules import CallRule
from rating_engine.domain.did import NewDid, NewPool
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.outcomes import CallKey, FinishCall
from rating_engine.domain.party import NewParty, PartyChanges
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.recording import NewRecording, RecordingKind
from rating_engine.domain.sip_account import NewSipAccount
from rating_engine.domain.subscription import NewService
from rating_engine.domain.tariff_offer import NewOffer
from rating_engine.engine.engine import Engine
from rating_engine.services.catalogue import UseCases
from rating_engine.services.parties.passwords import md5_of
from rating_engine.storage.calls.recordings import add_recording
from rating_engine.storage.postgres.pool import Database
from tests.support.engines import engine_on
from tests.support.world import publish_deck

EMAIL, PASSWORD = "test@email.addr", "989864"
OTHER = "other@email.addr"
NUMBER, LINE, SHORT_LINE = "78123232323", "10000", "100"
RECORDING = "29343264892364.232"
SECRET_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
UTC_OFFSET = 180  # minutes: a day and a month of theirs begin three hours before those of UTC


@dataclass
class Teleum:
    """The engine, a client of it, and who is logged in there."""

    engine: Engine
    database: Database
    http: httpx.AsyncClient
    recordings: Path
    sessions: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def operator(self) -> UseCases:
        """The use cases, asked by the operator."""
        return self.engine.services.of(OPERATOR)

    async def login(self, email: str = EMAIL, password: str = PASSWORD) -> dict[str, str]:
        """The token and the number of a user, as each command takes them."""
        answer = (await self.http.get("/api/v3/", params={"cmd": "login", "email": email, "paswd": password})).json()
        self.sessions[email] = {"token": answer["token"], "vivaid": str(answer["vivaid"])}
        return self.sessions[email]

    async def raw(self, cmd: str, *, who: str = EMAIL, **given: str) -> httpx.Response:
        """What a command is answered, as it is."""
        session = self.sessions.get(who) or await self.login(who)
        return await self.http.get("/api/v3/", params={"cmd": cmd, **session, **given})

    async def ask(self, cmd: str, *, who: str = EMAIL, **given: str) -> Any:
        """What a command that is done answers."""
        answer = (await self.raw(cmd, who=who, **given)).json()
        assert "err" not in answer, answer
        return answer

    async def error(self, cmd: str, *, who: str = EMAIL, **given: str) -> str:
        """The words of one that is not."""
        response = await self.raw(cmd, who=who, **given)
        answer = response.json()
        assert (response.status_code, answer.get("err")) == (200, 1), answer
        return str(answer["errmsg"])

    async def call(self, key: str, seconds: int, disposition: str, at: datetime, **columns: str) -> None:
        """A call of the user's line that began then and was charged."""
        end = FinishCall(CallKey("pbx1", key), LINE, "78123343232", seconds, disposition, 16, callerid=NUMBER)
        await self.engine.charging.finish_call(end)
        await self.database.fetch(
            "UPDATE call_records SET prepared_at = $2, ended_at = $3, from_originate = $4 WHERE call_key = $1",
            f"pbx1/{key}/1", at, at + timedelta(seconds=seconds), columns.get("from_originate", ""),
        )  # fmt: skip

    async def keep(self, name: str, email: str = EMAIL, kind: RecordingKind = RecordingKind.CALL) -> bytes:
        """A recording of a user's, of two seconds; what its file has."""
        party = await self.operator.parties.show(email)
        new = NewRecording(name, kind, party.party_id, NUMBER, "78123343232", "box@example.org")
        await add_recording(self.database, new)
        path = self.recordings / f"{name}{kind.ending}"
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 8_000, 0, "NONE", ""))
            sound.writeframes(bytes(32_000))
        return path.read_bytes()


@contextlib.asynccontextmanager
async def teleum_on(database_url: str, recordings: Path, **settings: object) -> AsyncIterator[Teleum]:
    """Two users, the first one with a contract of 100.20, a line, number 1 with forward 1, and offers to connect."""
    given = {"secret_keys": (SECRET_KEY,), "recordings_directory": str(recordings), **settings}
    async with engine_on(database_url, **given) as engine:
        database = Database(database_url)
        await database.open()
        await publish_deck(database)
        host, port = engine.http.address if engine.http is not None else ("", 0)
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as http:
            teleum = Teleum(engine, database, http, recordings)
            await _settle(teleum)
            yield teleum
        await database.close()


async def _settle(teleum: Teleum) -> None:
    use = teleum.operator
    await use.exchanges.add(NewExchange("pbx1", "192.0.2.10", "sip.example.com"))
    for email, line, balance in ((EMAIL, LINE, "100.20"), (OTHER, "20000", "1")):
        await use.parties.create(NewParty(email, tariff="retail", utc_offset=UTC_OFFSET))
        await use.parties.change(email, PartyChanges(), md5=md5_of(PASSWORD))  # shorter than one that is chosen
        await use.accounts.create(NewAccount(f"{line}0", "retail", balance=Decimal(balance), owner=email))
        await use.sip_accounts.create(NewSipAccount(login=line, owner=email, password="verysecret1"))
    month = datetime.now(UTC) + timedelta(days=20)
    await use.dids.add(NewDid(NUMBER, EMAIL, paid_to=month))
    await use.call_rules.add(NUMBER, CallRule(destination=LINE))
    await use.dids.add(NewDid("78129999999", OTHER, paid_to=month))
    await use.call_rules.add("78129999999", CallRule(destination="20000"))
    pool = await use.did_pools.add(NewPool("Russia", "Petersburg", Decimal(3), Decimal(2), region="7-812"))
    await use.did_pools.add(NewPool("Russia", "Petersburg", Decimal(30), Decimal(20), region="7-812", kind="золотой"))
    for number in range(100):
        await use.dids.add(NewDid(f"7812323{number:04}", pool_id=pool.pool_id))
    for name, setup, price in (("number", "10", "5"), ("plain", "1", "2")):
        service = await use.paid_services.add(
            NewService(name, price=Decimal(price), setup_price=Decimal(setup), is_public=True)
        )
        new = NewOffer("Numbers", service.service_id, name, {"en": f"{name} (en)"}, has_number=name == "number")
        await use.tariff_offers.add(new)
