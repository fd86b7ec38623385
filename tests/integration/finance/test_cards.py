"""Calling cards: made, sold, used and charged, each penny of them by the ledger and once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from cryptography.fernet import Fernet

from rating_engine.domain.account import NewAccount
from rating_engine.domain.card import (
    CARD_LOCK_SECONDS,
    WRONG_OF_CALLER,
    WRONG_PINS,
    Card,
    CardChanges,
    CardFilter,
    CardGroup,
    CardSale,
    GroupTerms,
    NewCardGroup,
    NewCards,
    NoFreeCards,
    PinTooShort,
)
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours, Refused
from rating_engine.domain.outcomes import Allowed, Balance, CardAdmitted, CardQuestion, Declined
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.principal import OPERATOR, Principal, principal_of
from rating_engine.domain.tax import Tax
from rating_engine.domain.transfer import InsufficientMoney
from rating_engine.engine.engine import Engine
from rating_engine.engine.services import make_services
from rating_engine.services.catalogue import UseCases
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.finance import card_sales
from rating_engine.services.finance.card_calls import CardCalls
from rating_engine.services.finance.card_fees import CardKeeper
from rating_engine.services.finance.card_sales import SaleKeeper
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.settings.model import Settings
from rating_engine.storage.finance import card_sales as sale_store
from rating_engine.storage.finance.card_sales import SoldCard
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on, set_time
from tests.support.resellers import House, a_minute
from tests.support.world import publish_deck

KEY: Final = Fernet.generate_key().decode()
BUCKETS: Final = 2
A_DAY: Final = timedelta(days=1)
NOON: Final = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + A_DAY


@pytest.fixture
async def engine(database_url: str):
    async with engine_on(database_url, secret_keys=(KEY,), ledger_buckets=BUCKETS) as engine:
        await publish_deck(engine.office)
        yield engine
        assert await ledger_balanced(engine.office) == []


@pytest.fixture
def use(engine: Engine) -> UseCases:
    return engine.services.of(OPERATOR)


async def group_of(use: UseCases, **terms: Any) -> CardGroup:
    """A group of cards of 12 with 19 percent of tax, unless told otherwise."""
    if "tax_id" not in terms and "price_with_tax" not in terms:
        taxes = (await use.taxes.page(Cursor())).items
        terms["tax_id"] = taxes[0].tax_id if taxes else await use.taxes.add(Tax("vat", Decimal(19)))
    given = {
        "name": "cheap",
        "tariff": "retail",
        "price_with_tax": Decimal(12),
        "valid_from": NOON - 3 * A_DAY,
        **terms,
    }
    length = given.pop("pin_length", 4)
    return await use.card_groups.add(
        NewCardGroup(GroupTerms(**given), pin_length=length, owner=given.pop("owner", None))
    )


async def sold(use: UseCases, group: CardGroup, quantity: int = 1, first: int = 1000000000) -> list[Card]:
    await use.cards.create(NewCards(group.group_id, str(first), str(first + quantity - 1)))
    return list((await use.card_sales.sell(CardSale(group.group_id, quantity))).cards)


def asks(card: Card | None = None, **given: Any) -> CardQuestion:
    said = {} if card is None else {"number": card.number, "pin": card.pin}
    return CardQuestion(exchange="pbx", **{**said, **given})


async def entries(engine: Engine, card: Card) -> list[tuple[str, Decimal]]:
    """Kind and amount of all that the ledger has of a card."""
    rows = await engine.office.fetch(
        "SELECT kind::text, amount FROM ledger_entries JOIN calling_cards USING (bucket, account_id) "
        "WHERE card_id = $1 ORDER BY entry_id", card.card_id,
    )  # fmt: skip
    return [(row["kind"], row["amount"]) for row in rows]


async def admitted(engine: Engine, question: CardQuestion) -> CardAdmitted:
    outcome = await engine.charging.authorize_card(question)
    assert isinstance(outcome, CardAdmitted), outcome
    return outcome


async def reason(engine: Engine, question: CardQuestion) -> str:
    outcome = await engine.charging.authorize_card(question)
    assert isinstance(outcome, Declined), outcome
    return outcome.reason.value


async def test_a_card_is_worth_its_price_without_tax_and_has_it_when_it_is_sold_once(engine: Engine, use: UseCases):
    group = await group_of(use)
    made = await use.cards.create(NewCards(group.group_id, "1000000000", "1000000009", batch="7", language="de"))
    card = (await use.cards.page(CardFilter(number="1000000003"), Cursor())).items[0]
    assert (made.made, made.asked) == (10, 10)
    assert (card.balance, card.sold_at, card.batch, card.language) == (Decimal("10.084034"), None, "7", "de")
    assert await entries(engine, card) == []
    assert await reason(engine, asks(card)) == "card_not_valid"  # one from the drawer calls nowhere

    one = await use.card_sales.sell(CardSale(group.group_id, number="1000000003", reference="till 1"))
    again = await use.card_sales.sell(CardSale(group.group_id, number="1000000003", reference="till 1"))

    assert [c.card_id for c in one.cards] == [c.card_id for c in again.cards] == [card.card_id]
    assert (one.price, one.net, one.tax_percent, one.currency) == (12, Decimal("10.084034"), 19, "EUR")
    assert await entries(engine, card) == [("opening", Decimal("10.084034"))]
    with pytest.raises(NoFreeCards):
        await use.card_sales.sell(CardSale(group.group_id, number="1000000003"))
    with pytest.raises(NoFreeCards):  # all or none
        await use.card_sales.sell(CardSale(group.group_id, 10))
    with pytest.raises(AlreadyExists):
        await use.card_sales.sell(CardSale(group.group_id, 2, reference="till 1"))
    assert (await use.card_groups.show(group.group_id)).free == 9


async def test_ranges_are_made_whole_and_numbers_that_are_there_are_left_out(engine: Engine, use: UseCases):
    group = await group_of(use, pin_length=1, name="small")
    assert (await use.cards.create(NewCards(group.group_id, "1000000005", "1000000009"))).made == 5
    again = await use.cards.create(NewCards(group.group_id, "1000000000", "1000000009"))
    assert (again.made, again.asked) == (5, 10)
    cards = (await use.cards.page(CardFilter(group_id=group.group_id), Cursor())).items
    assert {card.number for card in cards} == {str(1000000000 + n) for n in range(10)}
    assert Counter(len(card.pin or "") for card in cards) == {1: 10}
    with pytest.raises(PinTooShort):
        await use.cards.create(NewCards(group.group_id, "2000000000", "2000000010"))
    with pytest.raises(PinTooShort):  # before it is asked whether that many are made at a time
        await use.cards.create(NewCards(group.group_id, "2000000000", "2999999999"))
    for first, last in (
        ("1", "2"),
        ("100000000000", "100000000001"),
        ("1000000009", "1000000000"),
        ("10000000O0", "x"),
    ):
        with pytest.raises(InvalidRequest):
            await use.cards.create(NewCards(group.group_id, first, last))
    with pytest.raises(NotFound):
        await use.cards.create(NewCards(10**6, "1000000000", "1000000001"))
    rows = await engine.office.fetch("SELECT number_sealed, pin_sealed, pin_hash FROM calling_cards")
    assert all(b"10000000" not in bytes(row["number_sealed"]) for row in rows)


async def test_by_number_and_pin_a_caller_hears_its_money_and_calls_until_it_ends(engine: Engine, use: UseCases):
    set_time(engine, NOON)
    group = await group_of(use, setup_fee=Decimal("0.50"), daily_charge=Decimal("0.25"), tell_cents=True)
    (card,) = await sold(use, group)
    first = await asyncio.gather(*(admitted(engine, asks(card, callerid="4930111")) for _ in range(5)))

    assert {each.login for each in first} == {f"card-{card.card_id}"}
    told = Decimal("10.084034") - Decimal("0.75")
    assert {each.balance for each in first} == {told.quantize(Decimal("0.01"), "ROUND_DOWN")}
    assert sorted(await entries(engine, card)) == [
        ("fee", Decimal("-0.50")), ("fee", Decimal("-0.25")), ("opening", Decimal("10.084034")),
    ]  # fmt: skip
    login = first[0].login
    allowed = await engine.charging.prepare_call(prepare("1", login=login))
    assert isinstance(allowed, Allowed)
    assert allowed.max_seconds == 933  # a cent a second
    second = await engine.charging.prepare_call(prepare("2", login=login))
    assert isinstance(second, Declined)
    assert second.reason.value == "too_many_calls"
    await engine.charging.finish_call(finish("1", 100, login=login))
    assert (await use.cards.show(card.card_id)).balance == told - 1

    keeper = CardKeeper(engine.office, engine.clock.now)
    for hours in (1, 11, 12, 13):  # of the next day one, however often it is looked
        set_time(engine, NOON + timedelta(hours=hours))
        await asyncio.gather(keeper.turn(), keeper.turn(), engine.charging.authorize_card(asks(card)))
    days = [amount for kind, amount in await entries(engine, card) if amount == Decimal("-0.25")]
    assert len(days) == 2
    assert (await use.cards.show(card.card_id)).daily_paid_to == NOON.replace(hour=0) + 2 * A_DAY


async def test_a_fee_takes_what_there_is_and_waits_for_what_a_call_holds(engine: Engine, use: UseCases):
    set_time(engine, NOON)
    group = await group_of(use, price_with_tax=Decimal(1), daily_charge=Decimal("0.80"))
    (card,) = await sold(use, group)
    login = (await admitted(engine, asks(card))).login
    assert isinstance(await engine.charging.prepare_call(prepare("1", login=login)), Allowed)
    keeper = CardKeeper(engine.office, engine.clock.now)
    set_time(engine, NOON + A_DAY)
    await keeper.turn()
    assert len(await entries(engine, card)) == 2  # a call holds the rest
    await engine.charging.finish_call(finish("1", 5, login=login))
    await keeper.turn()
    set_time(engine, NOON + 2 * A_DAY)
    await keeper.turn()

    assert await entries(engine, card) == [
        ("opening", Decimal(1)), ("fee", Decimal("-0.80")), ("charge", Decimal("-0.05")), ("fee", Decimal("-0.15")),
    ]  # fmt: skip
    assert (await use.cards.show(card.card_id)).daily_paid_to == NOON.replace(hour=0) + 3 * A_DAY


async def test_five_wrong_pins_lock_a_card_and_ten_a_caller_and_nobody_is_told_which_was_wrong(
    engine: Engine, use: UseCases
):
    group = await group_of(use)
    cards = await sold(use, group, 3)
    wrong = [asks(cards[0], pin=f"{n:04}", callerid=f"49{n}") for n in range(10000) if f"{n:04}" != cards[0].pin]
    said = await asyncio.gather(*(reason(engine, each) for each in wrong[:WRONG_PINS]))
    assert {*said, await reason(engine, asks(number="9999999999", pin="1"))} == {"wrong_card"}
    assert await reason(engine, asks(cards[0], callerid="4955")) == "wrong_card"  # the right one too
    await admitted(engine, asks(cards[1], callerid="4955"))

    for n in range(WRONG_OF_CALLER):
        assert await reason(engine, asks(number=f"99999999{n:02}", pin="1", callerid="4977")) == "wrong_card"
    assert await reason(engine, asks(cards[2], callerid="4977")) == "wrong_card"
    await admitted(engine, asks(cards[2], callerid="4978"))
    await engine.office.fetch(
        "UPDATE pin_tries SET since = since - $1::interval, locked_until = locked_until - $1::interval RETURNING 1",
        timedelta(seconds=CARD_LOCK_SECONDS + 1),
    )
    await admitted(engine, asks(cards[0], callerid="4955"))


async def test_a_callers_number_opens_a_card_and_in_a_solo_group_one_only(engine: Engine, use: UseCases):
    group = await group_of(use, solo_pinless=True, callerid_leave=True)
    one, two = await sold(use, group, 2)
    assert await reason(engine, asks(callerid="4930111")) == "wrong_card"
    registered = await admitted(engine, asks(one, callerid="+4930111", register=True))
    assert registered.callerid == "4930111"
    assert (await admitted(engine, asks(callerid="4930111"))).login == f"card-{one.card_id}"
    await use.cards.change(two.card_id, CardChanges(callerid="4930111", name="two"))
    assert (await admitted(engine, asks(callerid="4930111"))).login == f"card-{two.card_id}"
    assert (await use.cards.show(one.card_id)).callerid == ""


async def test_what_is_told_is_not_what_is_held(engine: Engine, use: UseCases):
    await use.exchange.set("EUR", "USD", Decimal(2), None)
    group = await group_of(
        use, ghost_balance_percent=Decimal(150), ghost_min_percent=Decimal(10), tell_currency="USD"
    )  # fmt: skip
    (card,) = await sold(use, group)
    told = await admitted(engine, asks(card))
    assert (told.balance, told.currency) == (30, "USD")
    balance = await engine.charging.balance(told.login, prepare("1", login=told.login))
    assert isinstance(balance, Balance)
    assert (balance.balance, balance.available, balance.currency, balance.lasts) == (30, 30, "USD", 1108)
    allowed = await engine.charging.prepare_call(prepare("1", login=told.login))
    assert isinstance(allowed, Allowed)
    assert allowed.max_seconds == 1008
    assert (await use.cards.show(card.card_id)).balance == Decimal("10.084034")


async def test_a_card_counts_from_to_and_for_days_and_may_be_blocked(engine: Engine, use: UseCases):
    now = datetime.now(UTC)
    set_time(engine, now)
    group = await group_of(use, valid_from=now + A_DAY, days_after_first_use=3)
    (card,) = await sold(use, group)
    assert await reason(engine, asks(card)) == "card_not_valid"
    group = await use.card_groups.change(group.group_id, GroupTerms(valid_from=now - A_DAY))
    login = (await admitted(engine, asks(card))).login
    set_time(engine, now + 3 * A_DAY)
    assert await reason(engine, asks(card)) == "card_not_valid"
    set_time(engine, now)
    await use.cards.set_blocked(card.card_id, blocked=True)
    assert await reason(engine, asks(card)) == "card_not_valid"
    refused = await engine.charging.prepare_call(prepare("1", login=login))
    assert isinstance(refused, Declined)
    assert refused.reason.value == "inactive"
    await use.cards.set_blocked(card.card_id, blocked=False)
    assert isinstance(await engine.charging.prepare_call(prepare("2", login=login)), Allowed)

    await use.card_groups.change(group.group_id, GroupTerms(valid_to=now - A_DAY / 2))
    await CardKeeper(engine.office, engine.clock.now).turn()
    refused = await engine.charging.prepare_call(prepare("3", login=login))
    assert isinstance(refused, Declined)
    assert refused.reason.value == "inactive"
    with pytest.raises(InvalidRequest, match="valid_to"):
        await use.card_groups.change(group.group_id, GroupTerms(valid_to=now - 2 * A_DAY))
    with pytest.raises(Refused):
        await use.cards.delete(card.card_id)


async def test_a_sale_that_died_half_way_is_ended_by_whoever_looks_next(
    engine: Engine, use: UseCases, monkeypatch: pytest.MonkeyPatch
):
    group = await group_of(use)
    await use.cards.create(NewCards(group.group_id, "1000000000", "1000000002"))
    post = sale_store.post_opening

    async def dies(database: Database, card: SoldCard, *others: Any) -> None:
        if card.card_id % 3 == 2:
            raise ConnectionAbortedError
        await post(database, card, *others)

    monkeypatch.setattr(card_sales.store, "post_opening", dies)
    with pytest.raises(ConnectionAbortedError):
        await use.card_sales.sell(CardSale(group.group_id, 3, email="anna@example.org"))
    monkeypatch.undo()
    cards = (await use.cards.page(CardFilter(group_id=group.group_id), Cursor())).items
    assert [await reason(engine, asks(card)) for card in cards] == ["card_not_valid"] * 3
    assert await engine.office.fetch("SELECT 1 FROM mails") == []

    box = SecretBox((KEY,))
    keepers = [SaleKeeper(engine.office, box, late_seconds=0) for _ in range(3)]
    await asyncio.gather(*(keeper.turn() for keeper in keepers))

    assert [await entries(engine, card) for card in cards] == [[("opening", Decimal("10.084034"))]] * 3
    for card in cards:
        await admitted(engine, asks(card))
    (mail,) = await engine.office.fetch("SELECT recipient, body FROM mails")
    assert mail["recipient"] == "anna@example.org"
    assert all(f"{card.number}  {card.pin}" in mail["body"] for card in cards)
    assert await keepers[0].turn() == 0


async def test_a_hundred_buyers_at_once_each_have_another_card(engine: Engine, use: UseCases):
    group = await group_of(use)
    await use.cards.create(NewCards(group.group_id, "1000000000", "1000000019"))

    async def buy() -> str:
        try:
            return str((await use.card_sales.sell(CardSale(group.group_id))).cards[0].number)
        except NoFreeCards:
            return "none"

    bought = Counter(await asyncio.gather(*(buy() for _ in range(25))))

    assert bought.pop("none") == 5
    assert len(bought) == 20
    rows = await engine.office.fetch("SELECT count(*) AS entries FROM ledger_entries WHERE kind = 'opening'")
    assert rows[0]["entries"] == 20


async def reseller_of(engine: Engine, login: str = "firm", balance: str = "25") -> tuple[House, Principal]:
    house = House(engine.office, buckets=BUCKETS)
    await publish_deck(engine.office, "wholesale", {"49": a_minute("0.30")})
    await house.reseller(login, "wholesale", balance=balance)
    party = await engine.services.of(OPERATOR).parties.show(login)
    return house, principal_of(party, "test")


async def test_a_resellers_cards_are_paid_from_its_account_and_it_pays_for_their_calls(engine: Engine, use: UseCases):
    _, firm = await reseller_of(engine)
    own = engine.services.of(firm)
    with pytest.raises(NotAllowed):
        await group_of(use=own, price_with_tax=Decimal(10))  # the system's tariff
    await engine.office.fetch("UPDATE tariffs SET owner_id = $1 WHERE name = 'retail' RETURNING 1", firm.party_id)
    group = await group_of(use=own, price_with_tax=Decimal(10))
    await own.cards.create(NewCards(group.group_id, "1000000000", "1000000004"))
    with pytest.raises(InsufficientMoney):
        await own.card_sales.sell(CardSale(group.group_id, 3))
    one, two = (await own.card_sales.sell(CardSale(group.group_id, 2))).cards

    assert (one.balance, two.balance) == (10, 10)
    account = (await use.parties.show("firm")).account
    assert account is not None
    assert (await use.accounts.show(account)).balance == 5
    login = (await admitted(engine, asks(one))).login
    assert isinstance(await engine.charging.prepare_call(prepare("1", login=login)), Allowed)
    await engine.charging.finish_call(finish("1", 60, login=login))
    assert (await own.cards.show(one.card_id)).balance == Decimal("9.4")  # by its tariff, 0.60 a minute
    assert (await use.accounts.show(account)).balance == Decimal("4.7")  # by the wholesale one
    assert [line.login for line in await use.accounts.lines("firm")] == [account]


async def test_rights(engine: Engine, use: UseCases):
    group = await group_of(use)
    (card,) = await sold(use, group)
    _, firm = await reseller_of(engine)
    user = await use.parties.create(NewParty("anna", PartyKind.USER))
    others = engine.services.of(firm)
    for no in (
        others.card_groups.show(group.group_id), others.card_groups.change(group.group_id, GroupTerms(hidden=True)),
        others.cards.create(NewCards(group.group_id, "2000000000", "2000000001")), others.cards.show(card.card_id),
        others.cards.change(card.card_id, CardChanges(pin="0000")), others.cards.pay(card.card_id, Decimal(1)),
        others.cards.set_blocked(card.card_id, blocked=True), others.cards.delete(card.card_id),
        others.card_sales.sell(CardSale(group.group_id)), others.cards.numbered(str(card.number)),
    ):  # fmt: skip
        with pytest.raises(NotYours):
            await no
    assert (await others.card_groups.page(Cursor())).items == ()
    assert (await others.cards.page(CardFilter(), Cursor())).items == ()
    anna = engine.services.of(principal_of(user, "test"))
    for no in (anna.card_groups.page(Cursor()), anna.cards.numbered(str(card.number))):
        with pytest.raises(NotAllowed):
            await no
    paid = [await use.cards.pay(card.card_id, Decimal(1), reference="x") for _ in range(2)]
    assert [each.balance for each in paid] == [Decimal("11.084034")] * 2


async def test_number_and_pin_are_a_voucher_where_the_group_lets_them_and_keys_may_change(
    engine: Engine, use: UseCases
):
    group = await group_of(use)
    one, two = await sold(use, group, 2)
    await use.parties.create(NewParty("anna", PartyKind.USER))
    await use.accounts.create(NewAccount("2001", "retail", owner="anna"))
    for wrong in (str(one.number), f"{one.number}{two.pin}", f"{one.number}{one.pin}0"):
        with pytest.raises(NotFound):
            await use.codes.activate("anna", wrong)
    await use.codes.activate("anna", f"{one.number}{one.pin}", Decimal(4))
    assert (await use.accounts.show("2001")).balance == 4
    assert (await use.cards.show(one.card_id)).balance == Decimal("6.084034")
    await use.card_groups.change(group.group_id, GroupTerms(disable_voucher=True))
    with pytest.raises(NotFound):
        await use.codes.activate("anna", f"{two.number}{two.pin}")

    both = Settings(secret_keys=(Fernet.generate_key().decode(), KEY))
    anew = make_services(both, engine.office).of(OPERATOR)
    assert await anew.codes.reseal() == 2
    assert (await anew.cards.show(two.card_id)).pin == two.pin
    only = CardCalls(engine.office, SecretBox(both.secret_keys[:1]), engine.clock.now)
    assert isinstance(await only.authorize(asks(two)), CardAdmitted)
