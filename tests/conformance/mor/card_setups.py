"""What the setups of cases of calling cards say, by the id of the case."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from rating_engine.domain.card import CardChanges, GroupTerms, NewCardGroup, NewCards
from tests.support.mor import Mor
from tests.support.world import publish_deck

EMPTY: Final = (
    "TRUNCATE calling_cards, card_sales RESTART IDENTITY",
    "DELETE FROM card_groups WHERE group_id > 0",
    "SELECT setval(pg_get_serial_sequence('card_groups', 'group_id'), 1, false)",
)
DOCUMENTS: Final = "Test Tariff for Users"
NO_GROUP: Final = ("no card groups", "no group of that name")


async def settle(mor: Mor, setup: str) -> None:
    """The shop that a setup describes, and nothing else."""
    for statement in EMPTY:
        await mor.database.fetch(statement)
    if any(words in setup for words in NO_GROUP):
        return
    terms: dict[str, Any] = {"name": "first", "tariff": "retail", "price_with_tax": Decimal("10.084034")}
    if "card group 1 as in the answer" in setup:
        await publish_deck(mor.database, DOCUMENTS)
        terms = {
            "name": "Test_cardgroup", "description": "Test_cardgroup description", "image": "example.jpg",
            "price_with_tax": Decimal("10.0840"), "tariff": DOCUMENTS,
        }  # fmt: skip
    owner = "reseller1" if "reseller1" in setup else None
    new = NewCardGroup(GroupTerms(**terms), pin_length=1 if "pin_length 1" in setup else 4, owner=owner)
    await fill(mor, setup, (await mor.operator.card_groups.add(new)).group_id)


async def fill(mor: Mor, setup: str, group_id: int) -> None:
    """The cards of its group."""
    use = mor.operator.cards
    if "21 cards" in setup:
        await use.create(NewCards(group_id, "1000000000", "1000000020"))
    if "1000000026 already" in setup:
        await use.create(NewCards(group_id, "1000000025", "1000000026"))
    if "card 1," in setup:
        await use.create(NewCards(group_id, "1000000000", "1000000000"))
    if "one card as" in setup:
        await mor.database.fetch("SELECT setval(pg_get_serial_sequence('calling_cards', 'card_id'), 26, false)")
        await use.create(NewCards(group_id, "1111111119", "1111111119", "5", Decimal(20), "en", distributor=2))
        paid_to = datetime(2015, 11, 5, tzinfo=UTC)
        await use.change(26, CardChanges(name="test_card", pin="2668", callerid="3", daily_paid_to=paid_to))


def _setups() -> dict[str, Callable[[Mor], Awaitable[None]]]:
    """Of all cases that speak of cards, and of those that find none or may not look."""
    cases = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
    speaking = [case for case in cases if "card" in case.get("setup", "") or "no group" in case.get("setup", "")]
    return {case["id"]: partial(settle, setup=case["setup"]) for case in speaking}


CARD_SETUPS: Final = _setups()
