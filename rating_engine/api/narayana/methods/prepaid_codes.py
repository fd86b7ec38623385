"""Section Prepaid codes (invites), new users registration."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.arguments import md5_of_password
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code as ErrorCode
from rating_engine.api.narayana.errors import Failure
from rating_engine.api.narayana.languages import language_code
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.shown_money import ShownMoney, own_currency, shown_money
from rating_engine.domain.code import Code, NewCode


async def register_request(asked: Asked) -> Answer:
    """A code by which somebody registers below the owner of the key, within a day; the same for the same signature."""
    return await asked.services.invitations.request(
        asked.asking, asked.key.owner_id, asked.values.needed_text("signature")
    )


async def register_by_code(asked: Asked) -> Answer:
    """A new user; without `register` it is only said whether it would be."""
    values = asked.values
    simulated = not values.flag("register")
    user, password = values.text("user") or "", values.text("web_password") or ""
    for name, value in (("user", user), ("web_password", password)):
        if not simulated and not value:
            raise Failure(ErrorCode.E_MISSING_ARGUMENT, f"{name}: is needed to register")
    if password:
        md5_of_password(password, "web_password")
    await asked.services.invitations.register(
        asked.asking, values.needed_text("code"), user, password,
        language=language_code(values.text("language") or ""), simulated=simulated,
    )  # fmt: skip
    return True


async def activate_prepaid_code(asked: Asked) -> Answer:
    """Its money, or so much of it, into the account of who asks; 0: all."""
    amount = asked.values.number("amount")
    currency = await own_currency(asked) if amount else None
    await asked.use.codes.activate(asked.who, asked.values.needed_text("code"), amount or None, currency=currency)
    return True


async def get_prepaid_codes(asked: Asked) -> Answer:
    """Those that who asks made, or everybody below it; `active`: that nobody has activated; `count`: how many."""
    values, user = asked.values, await asked.user()
    who, below, unused = asked.who, bool(values.flag("all")), bool(values.flag("active"))
    if values.flag("count"):
        return str(await asked.use.codes.count(who=who, below=below, unused=unused))
    codes = await whole_list(lambda cursor: asked.use.codes.page(cursor, who=who, below=below, unused=unused))
    shown = await shown_money(asked)
    return [_shown(code, user.utc_offset, shown) for code in codes]


async def create_prepaid_code(asked: Asked) -> Answer:
    """A code with money of who asks, and that of a new user's level; answers the code."""
    values = asked.values
    level, target = values.whole("accesslevel"), values.text("target") or ""
    balance = values.number("balance") or Decimal(0)
    new = NewCode(balance, 0 if level is None else level, target, await own_currency(asked) if balance else "")
    return await asked.use.codes.create(asked.who, new)


async def delete_prepaid_code(asked: Asked) -> Answer:
    """One that nobody activated; its money goes back."""
    await asked.use.codes.delete(asked.who, asked.values.needed_text("code"))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "registerRequest": register_request,
    "registerByCode": register_by_code,
    "activatePrepaidCode": activate_prepaid_code,
    "getPrepaidCodes": get_prepaid_codes,
    "createPrepaidCode": create_prepaid_code,
    "deletePrepaidCode": delete_prepaid_code,
}


def _shown(code: Code, offset: int, shown: ShownMoney) -> dict[str, Any]:
    currency = code.currency or shown.currency
    return {
        "created": date(code.created_at),
        "client_created": date(code.created_at, offset),
        "balance": shown.in_system(code.balance, currency),
        "display_balance": shown.displayed(code.balance, currency),
        "code": code.number,
        "access_level": int(code.level),
        "owner": code.creator,
        "activated_to": code.activated_by,
        "activated_date": "" if code.activated_at is None else date(code.activated_at),
        "client_activated_date": "" if code.activated_at is None else date(code.activated_at, offset),
    }
