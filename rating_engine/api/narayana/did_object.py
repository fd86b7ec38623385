"""A direct number: what getInfo and the methods of its section answer, by the names of the document."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rating_engine.api.narayana.answer import amount, date
from rating_engine.api.narayana.shown_money import ShownMoney
from rating_engine.domain.did import Did


def did_fields(did: Did, shown: ShownMoney) -> dict[str, Any]:
    """One number of somebody's."""
    return {
        "displaycost": price_shown(did.monthly_price, did.currency, shown),
        "expiration": "" if did.paid_to is None else date(did.paid_to),
        "owner": did.owner or "",
        "comment": did.comment,
        "did": int(did.number),
        "auto_renew": did.auto_renew,
        "enabled": did.enabled,
        "renew_notify": did.notified,
        "cost": amount(did.monthly_price),
    }


def price_shown(price: Decimal, currency: str, shown: ShownMoney) -> Any:
    """A price in the reader's currency; null where no exchange rate is known: no sign stands beside it."""
    if shown.in_which(currency) != shown.currency:
        return None
    shown_price = shown.displayed(price, currency)
    return None if shown_price is None else amount(shown_price)
