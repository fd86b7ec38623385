"""Every case of calling cards and their groups, asked of a real engine over HTTP, each with a shop made for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element, fromstring

import httpx

from rating_engine.domain.card import CardChanges, CardGroup, GroupTerms, NewCardGroup, NewCards
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.tax import Tax
from tests.support.mor import Mor, mor_on
from tests.support.world import publish_deck

CASES: Final[list[dict[str, Any]]] = json.loads(Path(__file__).with_name("cards.json").read_text())
EMPTY: Final = (
    "TRUNCATE calling_cards, card_sales RESTART IDENTITY",
    "DELETE FROM card_groups WHERE group_id > 0",
    "SELECT setval(pg_get_serial_sequence('card_groups', 'group_id'), 1, false)",
)


async def settle(mor: Mor, setup: str) -> None:
    """What a case says is there."""
    for statement in EMPTY:
        await mor.database.fetch(statement)
    if setup.startswith("reseller1"):
        group = NewCardGroup(GroupTerms(name="own", tariff="retail"), owner="reseller1")
    elif "as in the answer" in setup and "card group" in setup:
        terms = GroupTerms(
            name="Test_cardgroup", description="Test_cardgroup description", image="example.jpg",
            price_with_tax=Decimal("10.0840"), tariff="Test Tariff for Users",
        )  # fmt: skip
        group = NewCardGroup(terms)
    else:
        terms = GroupTerms(name="first", tariff="retail", price_with_tax=Decimal(12), tax_id=1)
        group = NewCardGroup(terms, pin_length=1 if "pin_length 1" in setup else 4)
    if setup in ("no card groups", "no group of that name"):
        return
    await fill(mor, setup, await mor.operator.card_groups.add(group))


async def fill(mor: Mor, setup: str, group: CardGroup) -> None:
    """Its cards."""
    if "21 cards" in setup:
        await mor.operator.cards.create(NewCards(group.group_id, "1000000000", "1000000020"))
    if "1000000026 already" in setup:
        await mor.operator.cards.create(NewCards(group.group_id, "1000000025", "1000000026"))
    if setup.startswith("card 1,"):
        await mor.operator.cards.create(NewCards(group.group_id, "1000000000", "1000000000"))
    if setup.startswith("one card"):
        await mor.database.fetch("SELECT setval(pg_get_serial_sequence('calling_cards', 'card_id'), 26, false)")
        await mor.operator.cards.create(
            NewCards(group.group_id, "1111111119", "1111111119", "5", Decimal(20), "en", distributor=2)
        )
        changes = CardChanges(
            name="test_card", pin="2668", callerid="3", daily_paid_to=datetime(2015, 11, 5, tzinfo=UTC)
        )  # fmt: skip
        await mor.operator.cards.change(26, changes)


def same(one: Element, other: Element) -> bool:
    """Whether two documents say the same, blanks aside."""
    return (
        (one.tag, (one.text or "").strip(), one.attrib) == (other.tag, (other.text or "").strip(), other.attrib)
        and len(one) == len(other)
        and all(map(same, one, other))
    )


async def ask(mor: Mor, case: dict[str, Any], path: str | None = None) -> httpx.Response:
    return await mor.http.request(case["method"], path or case["path"], params=case["query"])


async def test_every_case(database_url: str):
    async with mor_on(database_url, mor_time_zone="Europe/Vilnius") as mor:
        await publish_deck(mor.database, "Test Tariff for Users")
        await mor.operator.taxes.add(Tax("vat", Decimal(19)))
        await mor.database.fetch("UPDATE parties SET name = 'Test User #1' WHERE party_id = 2 RETURNING 1")
        await mor.operator.parties.create(NewParty("reseller1", PartyKind.RESELLER))
        await mor.operator.permission_groups.give("reseller1", "cards")
        await mor.operator.hash_secrets.put("reseller1", "resellersecret")
        wrong, stands = {}, ""
        for case in sorted(CASES, key=lambda case: str(case["setup"])):
            if case["setup"] != stands:
                await settle(mor, case["setup"])
            stands = "" if "success" in str(case["expect"]) else case["setup"]
            response = await ask(mor, case)
            if problem := await refused(mor, case, response):
                wrong[case["id"]] = f"{case['name']}: {problem}: {response.text}"
        assert wrong == {}


async def refused(mor: Mor, case: dict[str, Any], response: httpx.Response) -> str:
    """What of an answer is not as the case has it; ''."""
    expect = case["expect"]
    if response.status_code != expect["status"]:
        return f"status {response.status_code}"
    for name, value in expect.get("headers", {}).items():
        if not response.headers[name].startswith(value):
            return name
    root = fromstring(response.content)
    texts = {path: root.findtext(path.removeprefix("/page/")) for path in expect.get("xml", {})}
    if texts != expect.get("xml", {}):
        return str(expect["xml"])
    for path, count in expect.get("xml_count", {}).items():
        if len(root.findall(path.removeprefix("/page/"))) != count:
            return path
    if "xml_document" in expect and not same(root, fromstring(expect["xml_document"])):
        return "document"
    if "same_as_path" in expect and (await ask(mor, case, expect["same_as_path"])).content != response.content:
        return "older name"
    return ""
