"""Mail of balances and numbers: told once each, in the transaction of what it tells of, to who wants it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from rating_engine.domain.did import NewDid
from rating_engine.domain.mail import MailState
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import PartyChanges
from rating_engine.domain.principal import ENGINE, OPERATOR
from rating_engine.engine.services import make_services
from rating_engine.services.numbers.rents import Rents
from rating_engine.services.support.balance_notices import BalanceNotices
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support.mail_list import count_mails
from tests.support.narayana import narayana_on


async def test_notices_of_balances_and_numbers(database_url):
    async with narayana_on(database_url, system_currency="USD") as narayana:
        await _of_balances(narayana, narayana.operator, narayana.engine.office)
    # With no engine beside, whose own turns go by the time of today.
    office = Database(database_url)
    await office.open()
    use = make_services(Settings(database_url=database_url), office).of(OPERATOR)
    await _of_numbers(use, office)
    assert await count_mails(office) == (7, 0)
    page = await use.mails.page(Cursor(2), state=MailState.QUEUED)
    assert [mail.user for mail in page.items] == ["otto", "otto"]
    assert page.next is not None
    await office.close()


async def mails_of(use, user: str) -> list[str]:
    """The subjects of a user's mail, the oldest first."""
    page = await use.mails.page(Cursor())
    return [mail.subject for mail in reversed(page.items) if mail.user == user]


async def _of_balances(narayana, use, office):
    async def turn(now: datetime | None = None) -> None:
        """Twice, and by two engines at once."""
        now = now or datetime.now(UTC)
        two = [BalanceNotices(office, ENGINE, lambda: now, system_currency="USD") for _ in range(2)]
        await asyncio.gather(*(each.turn() for each in two))
        await two[0].turn()

    given = {"notify_email": "anna@example.org", "notify_balance": "1", "notify_balance_limit": "11"}
    await narayana.ask("updateUser", login="anna", **given)
    info = await narayana.ask("getInfo", login="anna")
    assert (info["notify_balance"], info["notify_balance_limit"], info["notify_did"]) == (1, 11, -1)
    await turn()
    assert await mails_of(use, "anna") == []  # nobody knows what 10 EUR are in the system's currency
    await use.exchange.set("EUR", "USD", Decimal(2))
    await turn()
    assert await mails_of(use, "anna") == []  # 20 USD
    await use.accounts.adjust("1001", Decimal(-5), reason="used", reference="a")
    await turn()
    await use.accounts.adjust("1001", Decimal(-1), reason="used", reference="b")
    await turn()
    first = "Your balance is 5.00 EUR"
    assert await mails_of(use, "anna") == [first]
    await use.accounts.top_up("1001", Decimal(2))
    await turn()
    await use.accounts.adjust("1001", Decimal(-2), reason="used", reference="c")
    await turn()
    assert await mails_of(use, "anna") == [first, "Your balance is 4.00 EUR"]
    (body,) = await office.fetchrow("SELECT body FROM mails ORDER BY mail_id DESC LIMIT 1")
    assert "below the limit of 5.50 EUR" in body
    await use.parties.change("otto", PartyChanges(notify_balance=True, notify_balance_limit=Decimal(100)))
    await turn()
    assert await mails_of(use, "otto") == []  # it has no address
    await use.parties.change("anna", PartyChanges(notify_balance=False))
    await use.parties.change("anna", PartyChanges(notify_balance=True))
    await turn()
    assert len(await mails_of(use, "anna")) == 3  # who asks anew is told anew
    at_nine = PartyChanges(notify_hour=9, utc_offset=150, notify_balance=False)
    for changes in (at_nine, PartyChanges(notify_balance=True)):
        await use.parties.change("anna", changes)
    tomorrow = datetime.now(UTC).replace(hour=0, minute=29) + timedelta(days=1)
    for hour, told in ((6, 3), (8, 3), (7, 4), (7, 4)):  # 9 of its clock begins at 6:30
        await turn(tomorrow + timedelta(hours=hour))
        assert len(await mails_of(use, "anna")) == told, hour


async def _of_numbers(use, office):
    start = datetime.now(UTC) + timedelta(days=100)
    limits = {"grace": timedelta(days=2), "notice": timedelta(days=1)}
    for number, owner in (("4930100", "otto"), ("4930200", "anna")):
        await use.dids.add(NewDid(number, owner, monthly_price=Decimal(1_000), paid_to=start))
    changes = PartyChanges(notify_balance=False, notify_email="otto@example.org", notify_did=7)
    await use.parties.change("otto", changes)
    told = []
    for days in (-8, -7, -6, -1, 0, 1, 2, 3):
        moment = start + timedelta(days=days, minutes=1)
        rents = Rents(office, ENGINE, lambda moment=moment: moment)
        await asyncio.gather(rents.turn(**limits), rents.turn(**limits))
        told.append(len(await mails_of(use, "otto")))
    assert told == [0, 1, 1, 1, 2, 2, 3, 3]
    subjects = ["Number 4930100 ends", "Number 4930100 takes no calls", "Number 4930100 is closed"]
    assert await mails_of(use, "otto") == subjects
    assert len(await mails_of(use, "anna")) == 4  # she did not ask for it
