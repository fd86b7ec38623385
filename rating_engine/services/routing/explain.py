"""Why a call would go where it goes: every route with its place, or the reason why it is not tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Final

from rating_engine.domain.tariff import Route, RouteOrder
from rating_engine.rating.lcr import Offer, Refusal, admits, refusal, tried

DISABLED: Final = "disabled"


@dataclass(frozen=True, slots=True)
class AskedCall:
    """The call that is asked about, and what decides on its routes. `listed`: the routes of its tariff, see lcr.

    `sell_minute`: what a minute of it is sold for, in the account's currency. `call_seed` None: no call in particular,
    so that no route is left out by its percentage; among equals the weights are drawn for the empty seed.
    """

    destination: str
    callerid: str
    at: datetime
    sell_minute: Fraction
    order: RouteOrder
    allow_loss: bool
    listed: Mapping[int, int]
    call_seed: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`place`: the attempt that takes the route, from 1; None: none does, for the reason `refusal`.

    `minute_cost` and `margin` (of a minute) are in the account's currency; None: not known.
    """

    route: Route
    place: int | None
    refusal: str
    minute_cost: Fraction | None
    margin: Fraction | None


def explain(offers: Iterable[Offer[Route]], call: AskedCall, *, disabled: Iterable[Route] = ()) -> list[Verdict]:
    """Every route: first those that are tried, in their order, then the others by position."""
    offers = list(offers)
    fit: list[Offer[Route]] = []
    out = [_verdict(Offer(route), call, refusal=DISABLED) for route in disabled]
    for offer in offers:
        reason = _reason(offer, call)
        if reason is None:
            fit.append(offer)
        else:
            out.append(_verdict(offer, call, refusal=reason))
    in_order = tried(
        fit, call.order, call.call_seed or "", call.listed, sell_minute=call.sell_minute, allow_loss=call.allow_loss
    )
    return [
        *(_verdict(offer, call, place=place) for place, offer in enumerate(in_order, start=1)),
        *sorted(out, key=lambda verdict: (verdict.route.position, verdict.route.route_id)),
    ]


def _reason(offer: Offer[Route], call: AskedCall) -> Refusal | None:
    reason = refusal(
        offer.route,
        destination=call.destination,
        callerid=call.callerid,
        at=call.at,
        call_seed=call.call_seed or "",
        listed=call.listed,
    )
    if reason is Refusal.PERCENTAGE and call.call_seed is None:
        reason = None
    if reason is None and not admits(offer, call.sell_minute, call.allow_loss):
        return Refusal.LOSS
    return reason


def _verdict(offer: Offer[Route], call: AskedCall, *, place: int | None = None, refusal: str = "") -> Verdict:
    margin = None if offer.minute_cost is None else call.sell_minute - offer.minute_cost
    return Verdict(offer.route, place, refusal, offer.minute_cost, margin)
