"""Sections User and User control: users shown, listed, changed and closed.

Laws: of oneself one changes password, currency, language and time zone; the rest is of users one owns. An argument that
is not kept is refused by its name before anything is written, and so is the name of what can only be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.narayana.arguments import MAX_WHOLE, md5_of_password
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.did_object import did_fields
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.languages import language_code
from rating_engine.api.narayana.methods.rates import switch_line
from rating_engine.api.narayana.news_object import news_fields
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.shown_money import own_currency, shown_money
from rating_engine.api.narayana.sim_object import sim_fields
from rating_engine.api.narayana.user_object import (
    NO_NOTICE,
    READ_ONLY,
    STATES,
    attributes,
    whole_user,
)
from rating_engine.api.narayana.wire import scalar
from rating_engine.domain.account import AccountChanges
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.party import Level, Party, PartyChanges, PartyFilter, PartyKind, PartyState
from rating_engine.domain.party_details import PartyDetailChanges
from rating_engine.domain.registration import NewRegistration
from rating_engine.domain.sip_account import ExtensionTaken, NewSipAccount, SipAccount, SipChanges

NOTICES: Final = frozenset({"notify_email", "notify_ticket", "notify_balance", "notify_balance_limit", "notify_did"})
OWN: Final = NOTICES | {"web_password", "currency", "language", "timezone"}
OTHERS: Final = OWN | {"accesslevel", "active", "comment", "invites", "allowed_call_len"}
AUTO: Final = "auto"
ALLOWED_MOST: Final = 100  # tariffs that a user may change to by name


async def get_info(asked: Asked) -> Answer:
    """All attributes of the user who asks."""
    return await _whole(asked, await asked.user())


async def get_value(asked: Asked) -> Answer:
    """One of them."""
    whole = await _whole(asked, await asked.user())
    name = asked.values.needed_text("property")
    if name not in whole:
        raise Failure(Code.E_NOT_EXIST, f"property: there is none named {name[:64]!r}")
    return scalar(whole[name])


async def update_user(asked: Asked) -> Answer:
    """Set what is given: all of it or nothing."""
    values = asked.values
    target = values.text("user")
    party = await (asked.user() if not target else _there(asked, target))
    _check_names(asked, own=party.party_id == asked.asking.party_id)
    if "rates" in asked.names:
        return await _switch_all(asked, party)
    if "account" in asked.names:
        return await _put_on(asked, party)
    allowed = None if (listed := values.text("allowed_rates")) is None else _numbers(listed)
    for tariff_id in allowed or ():
        await asked.use.price_lists.show(tariff_id)  # whether it is one that the asker may offer
    active = values.whole("active")
    if active is not None and active not in STATES:
        raise Failure(Code.E_DATA_ABORT, f"active: is none of {', '.join(map(str, STATES))}")
    currency, comment = await _currency(asked), values.text("comment")
    if comment is not None and asked.asking.level < Level.ADMIN:
        raise Failure(Code.E_INSUFFICIENT_ACCESS, "comment: is for administrators")
    changes = PartyChanges(
        invites=LEAVE if (invites := values.whole("invites")) is None else invites,
        level=LEAVE if (level := values.whole("accesslevel")) is None else _level(level),
        language=LEAVE if (language := values.text("language")) is None else language_code(language),
        utc_offset=LEAVE if (zone := values.number("timezone")) is None else _minutes(zone),
        currency=LEAVE if currency is None else currency,
        comment=LEAVE if comment is None else comment,
        notify_email=LEAVE if (address := values.text("notify_email")) is None else address,
        notify_ticket=LEAVE if (wanted := values.switch("notify_ticket")) is None else wanted,
        notify_balance=LEAVE if (wanted := values.switch("notify_balance")) is None else wanted,
        notify_balance_limit=LEAVE if (limit := values.number("notify_balance_limit")) is None else limit,
        notify_did=LEAVE if (days := values.whole("notify_did")) is None else 0 if days == NO_NOTICE else days,
    )
    await _change(asked, party, changes, LEAVE if active is None else STATES[active])
    if allowed is not None:
        await asked.use.price_lists.allow(party.party_id, allowed)
    return True


async def get_users(asked: Asked) -> Answer:
    """Users below who asks; `all`: corporate users alone, as the document words it."""
    wanted = PartyFilter(kind=PartyKind.RESELLER if asked.values.flag("all") else None)
    found = await whole_list(lambda cursor: asked.use.parties.page(wanted, cursor))
    mains = await asked.use.sip_accounts.mains()
    accounts = {each.account_id: each for each in await whole_list(asked.use.accounts.page)}
    shown = await shown_money(asked)
    users = []
    for party in found:
        main = mains.get(party.party_id)
        account = None if main is None else accounts.get(main.account_id)
        if party.party_id != asked.asking.party_id:
            users.append(attributes(party, main, account, asked.asking.level, shown))
    return users


async def register_user(asked: Asked) -> Answer:
    """A user, its account and its first extension: all of it or nothing."""
    values = asked.values
    server, balance = values.needed_text("sip_server"), values.number("balance") or Decimal(0)
    new = NewRegistration(
        login=values.needed_text("user"),
        md5=md5_of_password(values.needed_text("web_password"), "web_password"),
        level=_level(values.needed_whole("accesslevel")),
        phone=NewSipAccount(
            login=values.needed_text("sip_extension"),
            exchange=server,
            password=values.needed_text("sip_password"),
            settings=SipChanges(srtp=bool(values.flag("sip_srtp"))),
        ),
        balance=balance,
        balance_currency=await own_currency(asked) if balance else "",
        language=language_code(values.text("language") or "") if "language" in asked.names else "",
        currency=(await _currency(asked) or "") if "currency" in asked.names else "",
        account=_account(values.text("account") or AUTO),
    )
    try:
        await asked.use.registrations.register(new)
    except ExtensionTaken as error:
        raise Failure(Code.E_CANT_CREATE_ASTERISK_ACCOUNT, str(error)) from None
    return True


async def delete_user(asked: Asked) -> Answer:
    """It asks and calls no more; its accounts keep their money."""
    party = await _there(asked, asked.values.needed_text("user"))
    await asked.use.parties.delete(party.party_id)
    return True


def check_not_read_only(asked: Asked) -> None:
    """Nobody shall believe that an attribute was set that can only be read. Raises Failure (E_INVALID_ARGUMENT)."""
    targets = {"username", "id"} if asked.key.auth_by == "id" else {"username"}
    for name in sorted(asked.names & READ_ONLY - targets):
        raise Failure(Code.E_INVALID_ARGUMENT, f"{name}: can only be read")


HANDLERS: Final[Mapping[str, Handler]] = {
    "getInfo": get_info,
    "getValue": get_value,
    "updateUser": update_user,
    "getUsers": get_users,
    "registerUser": register_user,
    "deleteUser": delete_user,
}


async def _there(asked: Asked, login: str) -> Party:
    """A user that is named; one that was deleted is none. Raises Failure; errors: NotFound, NotYours."""
    party = await asked.use.parties.show(login)
    if party.hidden:
        raise Failure(Code.E_NOT_EXIST, f"user {login!r} was deleted")
    return party


async def _whole(asked: Asked, party: Party) -> dict[str, Any]:
    lines = await asked.use.sip_accounts.of(party.party_id)
    main = await _main(asked, lines)
    account = None if main is None else await asked.use.accounts.show(main.login)
    shown = await shown_money(asked)
    numbers = await whole_list(lambda cursor: asked.use.dids.page(cursor, own=True))
    return whole_user(
        party,
        main,
        lines,
        account,
        asked.asking.level,
        shown,
        numbers=[did_fields(did, shown) for did in numbers],
        unread_tickets=await asked.use.tickets.unread(),
        broadcasts=[news_fields(item, party.utc_offset) for item in await asked.use.news.broadcasts()],
        sim_cards=[sim_fields(card) for card in await asked.use.sim_cards.of_asker()],
    )


async def _main(asked: Asked, lines: list[SipAccount]) -> SipAccount | None:
    """The extension that the query names, else the user's first: whose attributes the User object has."""
    if asked.line is None:
        return lines[0] if lines else None
    named = next((line for line in lines if line.login == asked.line), None)
    return await asked.use.sip_accounts.show(asked.line) if named is None else named


async def _change(asked: Asked, party: Party, changes: PartyChanges, status: PartyState | Leave) -> None:
    """All of it or nothing; `allowed_call_len` is of the account of its extensions, and 0: no limit of its own."""
    given = asked.values.text("web_password")
    md5 = None if given is None else md5_of_password(given, "web_password")
    longest = asked.values.whole("allowed_call_len")
    if longest is None:
        await asked.use.parties.change(party.party_id, changes, status=status, md5=md5)
        return
    line = await asked.use.accounts.line(party.party_id)
    if line is None:
        raise Failure(Code.E_NOT_EXIST, "allowed_call_len: the user has no extension, so no account that calls")
    account = AccountChanges(max_call_seconds=longest or None)
    await asked.use.parties.change_whole(
        party.party_id, line.login, account, changes, PartyDetailChanges(), status=status, md5=md5
    )


def _check_names(asked: Asked, *, own: bool) -> None:
    check_not_read_only(asked)
    for name in sorted(OTHERS - OWN | {"rates", "allowed_rates", "account"}):
        if own and name in asked.names:
            raise Failure(Code.E_INSUFFICIENT_ACCESS, f"{name}: of oneself is for somebody else to change")


async def _switch_all(asked: Asked, party: Party) -> Answer:
    """Another tariff for every extension of a user and for those that it gets: set alone, since each has its price.

    One that has it already is passed over, so that what was cut off is gone on with by asking again.
    """
    if asked.names & {*OTHERS, "allowed_rates"}:
        raise Failure(Code.E_DATA_ABORT, "rates: is set alone; nothing was changed")
    tariff = await asked.use.price_lists.show(asked.values.needed_whole("rates"))
    if tariff.is_option:
        raise Failure(Code.E_DATA_ABORT, "rates: is an option")
    for line in await asked.use.accounts.lines(party.party_id):
        if line.tariff != tariff.name:
            await switch_line(asked, line.login, tariff.tariff_id)
    await asked.use.parties.change(party.party_id, PartyChanges(tariff=tariff.name))
    return True


async def _put_on(asked: Asked, party: Party) -> Answer:
    """Another account for every extension of a user. Set alone: it is of money, and all or nothing by itself."""
    if asked.names & {*OTHERS, "allowed_rates"}:
        raise Failure(Code.E_DATA_ABORT, "account: is set alone; nothing was changed")
    await asked.use.accounts.put_on(party.party_id, asked.values.needed_whole("account"))
    return True


async def _currency(asked: Asked) -> str | None:
    """One of getCurrencies, or '' for none of one's own; None: not given. Errors: NotFound."""
    code = asked.values.text("currency")
    return (await asked.use.currencies.show(code.upper())).code if code else code


def _numbers(text: str) -> list[int]:
    """Numbers of tariffs with commas between; empty: none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > ALLOWED_MOST or not all(re.fullmatch("[0-9]{1,18}", part) for part in parts):
        raise Failure(Code.E_INVALID_ARGUMENT, f"allowed_rates: are numbers with commas, {ALLOWED_MOST} at the most")
    return [int(part) for part in parts]


def _account(text: str) -> int | None:
    if text.lower() == AUTO:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_WHOLE)) - 1:
        raise Failure(Code.E_DATA_ABORT, "account: is a number of an account, or auto")
    return int(text)


def _level(number: int) -> Level:
    try:
        return Level(number)
    except ValueError:
        raise Failure(Code.E_DATA_ABORT, f"accesslevel: there is no level {number}") from None


def _minutes(hours: Decimal) -> int:
    minutes = hours * 60
    if minutes != minutes.to_integral_value() or abs(minutes) > 1_440:
        raise Failure(Code.E_DATA_ABORT, "timezone: is in hours, such as 2 or 5.5")
    return int(minutes)
