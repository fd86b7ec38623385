"""Who calls where in the simulation: accounts of every kind, with too little money, and prices of every shape."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

from tests.support.auditor_nouns import ZERO, Account, Policy, Price, Subscriber

WATCHED = "seen"  # an exchange whose channels are known: its calls can be lengthened and reconciled
UNWATCHED = "unseen"
POLICY = Policy(
    max_call_seconds=1_800,
    max_reserve_seconds=900,
    grace_seconds=300,
    quota=True,
    quota_seconds=60,
    floor_seconds=60,
    watched=frozenset({WATCHED}),
)

DESTINATIONS = ("4930111", "4915222", "4479333", "7495444", "8005555")

DECK = {
    "49": Price(Decimal("0.60"), Decimal("0.60")),
    "4915": Price(Decimal("0.0333"), Decimal("0.0333"), interval_1=60, interval_n=10, connect_fee=Decimal("0.01")),
    "447": Price(Decimal("0.10"), Decimal("0.05"), by_minute=False, interval_1=30, interval_n=6, free_seconds=10),
    "7": Price(Decimal("1.2"), Decimal("0.9"), grace_period=5, surcharge=Decimal("0.002"), interval_n=7),
    "800": Price(ZERO, ZERO),
}


def _account(name: str, balance: str, **limits: object) -> Account:
    return Account(name, Decimal(balance), **limits)  # type: ignore[arg-type]


def accounts() -> list[tuple[Account, list[Subscriber]]]:
    """Each with its subscribers. The first ones are the busiest."""
    made = [
        (_account("family", "6"), ["family", "family-2", "family-3"]),
        (_account("prepaid", "4", quota=False), ["prepaid"]),
        (_account("office", "9", overdraft=Decimal(2), max_calls=4), ["office", "office-2"]),
        (_account("daily", "40", daily_limit=Decimal(5), hours_east=14), ["daily"]),
        (_account("credit", "0", overdraft=Decimal(15)), ["credit"]),
        (_account("unlimited", "0", overdraft=None), ["unlimited", "unlimited-2"]),
        (_account("monthly", "60", monthly_limit=Decimal(12), quota=False, hours_east=-9), ["monthly"]),
        (_account("debtor", "0", overdraft=None, daily_limit=Decimal(4)), ["debtor"]),
        (_account("cheap", "8", max_price=Decimal("0.9")), ["cheap"]),
        (_account("listed", "8", default_allowed=False, rules=(("49", True), ("4915", False))), ["listed"]),
        (_account("short", "8", max_call_seconds=50), ["short"]),
    ]
    one_call, two_minutes = {"family-3": 1}, {"office-2": 120}
    return [
        (
            account,
            [
                Subscriber(login, account.name, max_calls=one_call.get(login), max_seconds=two_minutes.get(login))
                for login in logins
            ],
        )
        for account, logins in made
    ]


def other_prices(rng: random.Random) -> dict[str, Price]:
    """The deck with other prices for the same prefixes."""
    factor = Decimal(rng.choice(("0.5", "0.8", "1", "1.25", "2")))
    return {
        prefix: replace(price, price_1=price.price_1 * factor, price_n=price.price_n * factor)
        for prefix, price in DECK.items()
    }
