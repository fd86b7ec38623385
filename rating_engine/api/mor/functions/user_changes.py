"""user_details_update of the section User: what is sent of a user is changed, and nothing else.

Its parameters have numbers (u0 to u28) where the forms of the product have fields. What the engine has no like of is
taken where it says nothing ('' or 0), and refused where it says something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.functions.card_groups import known_currency
from rating_engine.api.mor.named import PRIMARY, account_of, plan_of, user_of
from rating_engine.api.mor.xml import Element, done
from rating_engine.domain.account import AccountChanges, AccountKind
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.errors import NotAllowed, NotFound, NotYours, RatingEngineError
from rating_engine.domain.party import Party, PartyChanges, PartyState, check_password
from rating_engine.domain.party_details import PartyDetailChanges
from rating_engine.domain.route_plan import BlacklistMode
from rating_engine.domain.tax import MAX_TAXES, PartyTax
from rating_engine.services.parties.passwords import md5_of

UNLIMITED: Final = "-1"
AT_ONCE: Final = "-1"
DETAILS: Final[Mapping[str, str]] = {
    "u0": "tax_number", "u14": "taxation_country", "u17": "last_name", "u19": "client_id", "u23": "first_name",
    "u26": "accounting_number", "u27": "agreement_number",
}  # fmt: skip
BLACKLIST: Final[Mapping[str, BlacklistMode]] = {
    "0": BlacklistMode.OFF, "no": BlacklistMode.OFF, "1": BlacklistMode.ON, "yes": BlacklistMode.ON,
    "global": BlacklistMode.GLOBAL,
}  # fmt: skip
KNOWN: Final = frozenset({
    *DETAILS, "u1", "u2", "u4", "u5", "u6", "u8", "u10", "u11", "u15", "u18", "u24", "u25", "u28", "ay", "am", "ad",
    "pswd", "credit", "allow_loss_calls", "warning_email_active", "blacklist_enabled", "blacklist_lcr",
    "routing_threshold", "user_id", *(f"tax{place}_{what}" for place in range(1, MAX_TAXES + 1)
                                      for what in ("name", "value")),
})  # fmt: skip
NOTHING: Final = ("", "0", "no")


@dataclass
class _Changes:
    details: dict[str, Any] = field(default_factory=dict)
    party: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    status: PartyState | Leave = LEAVE


async def user_details_update(asked: Asked) -> Element:
    """Block, call limit, credit, tariff and postpaid count from the next call on."""
    user = await user_of(asked)
    for parameter in asked.function.parameters:
        if parameter.name not in KNOWN and asked.text(parameter.name).strip().lower() not in NOTHING:
            raise Failed(ACCESS_DENIED)
    changes = _Changes()
    try:
        await _read(asked, user, changes)
        await _apply(asked, user, changes)
    except NotAllowed:
        raise Failed(ACCESS_DENIED) from None
    except (NotFound, NotYours):
        raise Failed(ACCESS_DENIED) from None
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed(ACCESS_DENIED, str(error)) from None
    return done("User details successfully updated")


async def _read(asked: Asked, user: Party, changes: _Changes) -> None:
    """What is asked for. Raises Failed, NotFound, NotYours."""
    changes.details = {name: asked.text(sent).strip() for sent, name in DETAILS.items() if asked.sent(sent)}
    if any(asked.sent(name) for name in ("ay", "am", "ad")):
        changes.details["agreement_date"] = _date(asked)
    if asked.sent("u4"):
        changes.party["currency"] = await known_currency(asked, asked.text("u4"), ACCESS_DENIED)
    if asked.sent("u8"):
        changes.party["language"] = asked.text("u8").strip().lower()
    if asked.text("u5").strip():
        tariff = await asked.use.price_lists.show(asked.needed_whole("u5", ACCESS_DENIED))
        changes.party["tariff"] = tariff.name
    await _read_routing(asked, changes.party)
    _read_warnings(asked, changes.party)
    _read_taxes(asked, user, changes.party)
    if (blocked := asked.flag("u15", ACCESS_DENIED)) is not None:
        changes.status = PartyState.ALL_BLOCKED if blocked else PartyState.ACTIVE
    _read_account(asked, changes.account)


async def _read_routing(asked: Asked, party: dict[str, Any]) -> None:
    """By which LCR calls go, and above which scores by which other one. Raises Failed."""
    if asked.text("u1").strip():
        party["route_plan"] = await plan_of(asked, asked.needed_whole("u1", ACCESS_DENIED) or PRIMARY, ACCESS_DENIED)
    if mode := asked.text("blacklist_enabled").strip().lower():
        if mode not in BLACKLIST:
            raise Failed(ACCESS_DENIED)
        party["dynamic_blacklist"] = BLACKLIST[mode]
    if asked.text("blacklist_lcr").strip():
        number = asked.needed_whole("blacklist_lcr", ACCESS_DENIED)
        party["blacklist_plan"] = await plan_of(asked, number or PRIMARY, ACCESS_DENIED)
    if asked.text("routing_threshold").strip():
        party["score_threshold"] = asked.needed_whole("routing_threshold", ACCESS_DENIED)


def _read_warnings(asked: Asked, party: dict[str, Any]) -> None:
    """Below which balance (u6, of the system's currency) there is mail, at which hour (u2), and callers hear of it
    (u10), by which sound (u24); and whether lists have the user (u28)."""
    if limit := asked.text("u6").strip():
        party["notify_balance_limit"] = Decimal(_number(limit))
    for sent, name in (("warning_email_active", "notify_balance"), ("u10", "warn_calls"), ("u28", "unlisted")):
        if asked.text(sent).strip():
            party[name] = asked.flag(sent, ACCESS_DENIED)
    if hour := asked.text("u2").strip():
        party["notify_hour"] = None if hour == AT_ONCE else asked.needed_whole("u2", ACCESS_DENIED)
    if asked.text("u24").strip():
        party["warn_sound"] = asked.needed_whole("u24", ACCESS_DENIED) or None


def _read_taxes(asked: Asked, user: Party, party: dict[str, Any]) -> None:
    """What is sent of each of its taxes; one of nothing is none. Raises Failed, InvalidRequest."""
    before = {tax.position: tax for tax in user.taxes}
    taxes: list[PartyTax] = []
    is_sent = False
    for place in range(1, MAX_TAXES + 1):
        name, value = f"tax{place}_name", f"tax{place}_value"
        is_sent = is_sent or asked.sent(name) or asked.sent(value)
        old = before.get(place)
        called = asked.text(name).strip() or (old.name if old else f"Tax {place}")
        percent = asked.text(value).strip() if asked.sent(value) else str(old.percent) if old else ""
        if amount := Decimal(_number(percent or "0")):
            taxes.append(PartyTax(place, called, amount))
    if is_sent and tuple(taxes) != user.taxes:
        party["taxes"] = tuple(taxes)


def _read_account(asked: Asked, account: dict[str, Any]) -> None:
    if asked.text("u18").strip():
        account["max_calls"] = asked.needed_whole("u18", ACCESS_DENIED) or None
    if (postpaid := asked.flag("u25", ACCESS_DENIED)) is not None:
        account["kind"] = AccountKind.POSTPAID if postpaid else AccountKind.PREPAID
    if (loss := asked.flag("allow_loss_calls", ACCESS_DENIED)) is not None:
        account["allow_loss"] = loss
    credit = asked.text("credit").strip()
    if credit:
        account["overdraft"] = None if Decimal(_number(credit)) == Decimal(UNLIMITED) else Decimal(_number(credit))


def _number(text: str) -> str:
    if not text.removeprefix("-").replace(".", "", 1).isdigit() or not text.isascii() or len(text) > 20:
        raise Failed(ACCESS_DENIED)
    return text


def _date(asked: Asked) -> date:
    try:
        return date(*(asked.needed_whole(name, ACCESS_DENIED) for name in ("ay", "am", "ad")))
    except (ValueError, OverflowError):
        raise Failed(ACCESS_DENIED) from None


async def _apply(asked: Asked, user: Party, changes: _Changes) -> None:
    """All of it or nothing; a permission group is looked at before, and given when the rest is done."""
    details, party = PartyDetailChanges(**changes.details), PartyChanges(**changes.party)
    account = AccountChanges(**changes.account)
    group = await _group(asked, user)
    if asked.text("pswd"):
        check_password(asked.text("pswd"))
    await asked.use.parties.change_whole(
        user.party_id,
        await _login(asked, user, changes),
        account,
        party,
        details,
        status=changes.status,
        md5=md5_of(asked.text("pswd")) if asked.text("pswd") else None,
    )
    if group is not None:
        await asked.use.permission_groups.give(user.party_id, group or None)


async def _group(asked: Asked, user: Party) -> int | None:
    """The permission group that is to be given; 0: none, None: nothing is said of it. Raises Failed, NotFound."""
    if not asked.text("u11").strip():
        return None
    number = asked.needed_whole("u11", ACCESS_DENIED)
    if number and (await asked.use.permission_groups.show(number)).kind is not user.kind:
        raise Failed(ACCESS_DENIED)
    return number


async def _login(asked: Asked, user: Party, changes: _Changes) -> str | None:
    """Of the account that is changed, and by which a tariff is somebody's to give; None: neither is asked for."""
    if not changes.account and "tariff" not in changes.party:
        return None
    return (await account_of(asked, user, ACCESS_DENIED)).login


HANDLERS: Final[Mapping[str, Handler]] = {"user_details_update": user_details_update}
