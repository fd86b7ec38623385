"""Groups of calling cards, as they are kept; the group of codes is none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rating_engine.domain.card import CardGroup
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.postgres.columns import assignments, columns_and_places
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = (
    "name", "tariff_id", "description", "image", "price_with_tax", "tax_id", "setup_fee", "daily_charge",
    "numbering_plan", "dialplan", "valid_from", "valid_to", "days_after_first_use", "ghost_balance_percent",
    "ghost_min_percent", "tell_cents", "tell_currency", "max_calls", "external_function", "allow_loss", "solo_pinless",
    "disable_voucher", "callerid_leave", "hidden", "route_plan_id",
)  # fmt: skip
GROUP: Final = """
    g.group_id, g.name, p.login AS owner, g.owner_id, g.number_length, g.pin_length, t.name AS tariff, t.currency,
    g.description, g.image, g.price_with_tax, g.tax_id, COALESCE(x.percent, 0) AS tax_percent, g.setup_fee,
    g.daily_charge, g.numbering_plan, g.dialplan, g.valid_from, g.valid_to, g.days_after_first_use,
    g.ghost_balance_percent, g.ghost_min_percent, g.tell_cents, g.tell_currency, g.max_calls, g.external_function,
    g.allow_loss, g.solo_pinless, g.disable_voucher, g.callerid_leave, g.hidden,
    (SELECT r.name FROM route_plans r WHERE r.plan_id = g.route_plan_id) AS route_plan"""
FROM_GROUPS: Final = """
    card_groups g JOIN parties p ON p.party_id = g.owner_id JOIN tariffs t ON t.tariff_id = g.tariff_id
    LEFT JOIN taxes x ON x.tax_id = g.tax_id"""
_COUNTS: Final = """
    (SELECT count(*) FROM calling_cards c WHERE c.group_id = g.group_id AND c.deleted_at IS NULL) AS cards,
    (SELECT count(*) FROM calling_cards c WHERE c.group_id = g.group_id AND c.deleted_at IS NULL
       AND c.sold_at IS NULL AND NOT c.blocked) AS free"""
_FIND: Final = f"SELECT {GROUP}, {_COUNTS} FROM {FROM_GROUPS} WHERE g.group_id = $1"  # noqa: S608  # constants
_LIST: Final = f"""
    SELECT {GROUP}, {_COUNTS} FROM {FROM_GROUPS}
    WHERE ($1::bigint IS NULL OR g.group_id > $1) AND ($2::bigint[] IS NULL OR g.owner_id = ANY ($2))
      AND ($3 OR NOT g.hidden)
    ORDER BY g.group_id LIMIT $4"""  # noqa: S608
_OWNER: Final = "SELECT owner_id FROM card_groups WHERE group_id = $1 AND NOT is_codes"
_HOLD: Final = "SELECT 1 FROM card_groups WHERE group_id = $1 AND NOT is_codes FOR NO KEY UPDATE"
_PLAN: Final = "SELECT name FROM numbering_plans WHERE name = $1 FOR KEY SHARE"
_PLAN_NUMBERED: Final = "SELECT name FROM numbering_plans WHERE location_id = $1 FOR KEY SHARE"
_TARIFF: Final = "SELECT name FROM tariffs WHERE tariff_id = $1 AND removed_at IS NULL AND NOT is_option"
_REROUTE: Final = """
    UPDATE subscribers s SET route_plan_id = COALESCE(g.route_plan_id, route_plan_of_party(g.owner_id))
    FROM calling_cards c JOIN card_groups g USING (group_id)
    WHERE c.group_id = $1 AND c.line IS NOT NULL AND s.bucket = c.bucket AND s.login = c.line
      AND s.route_plan_id IS DISTINCT FROM COALESCE(g.route_plan_id, route_plan_of_party(g.owner_id))"""
_RETUNE: Final = """
    UPDATE subscribers s SET tariff_id = g.tariff_id, tariff_since = now(), max_calls = g.max_calls
    FROM calling_cards c JOIN card_groups g USING (group_id)
    WHERE c.group_id = $1 AND c.line IS NOT NULL AND s.bucket = c.bucket AND s.login = c.line
      AND (s.tariff_id, s.max_calls) IS DISTINCT FROM (g.tariff_id, g.max_calls)"""
_RETUNE_ACCOUNTS: Final = """
    UPDATE accounts a SET numbering_plan = g.numbering_plan, allow_loss = g.allow_loss OR NULL
    FROM calling_cards c JOIN card_groups g USING (group_id)
    WHERE c.group_id = $1 AND a.bucket = c.bucket AND a.account_id = c.account_id
      AND (a.numbering_plan, a.allow_loss) IS DISTINCT FROM (g.numbering_plan, g.allow_loss OR NULL)"""


def unknown_group(group_id: int) -> NotFound:
    """The error for a number that no group has."""
    return NotFound(f"there is no card group {group_id}", field="group")


async def find_group(questions: Questions, group_id: int) -> CardGroup:
    """One group, with how many cards it has. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, group_id)
    if row is None:
        raise unknown_group(group_id)
    return CardGroup(**row)


async def hold_group(tx: Transaction, group_id: int) -> CardGroup:
    """The same, which nobody changes until the transaction ends. Errors: NotFound, Unavailable."""
    await tx.fetchval(_HOLD, group_id)
    return await find_group(tx, group_id)


async def owner_of_group(questions: Questions, group_id: int) -> int:
    """Whose it is. Errors: NotFound, Unavailable."""
    owner = await questions.fetchval(_OWNER, group_id)
    if owner is None:
        raise unknown_group(group_id)
    return int(owner)


async def list_groups(
    questions: Questions, owners: Sequence[int] | None, cursor: Cursor, *, hidden: bool
) -> Page[CardGroup]:
    """Groups of these owners (None: of all), the oldest first; `hidden`: those too. Errors: InvalidRequest (after)."""
    of = None if owners is None else list(owners)
    rows = await questions.fetch(_LIST, *cursor.position(int), of, hidden, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["group_id"],), lambda row: CardGroup(**row))


async def named_plan(tx: Transaction, plan: str | int) -> str:
    """The name of a numbering plan, of which name or number was said. Errors: InvalidRequest, Unavailable."""
    name = await tx.fetchval(_PLAN if isinstance(plan, str) else _PLAN_NUMBERED, plan)
    if name is None:
        raise InvalidRequest("numbering_plan", f"{plan!r} does not exist")
    return str(name)


async def named_tariff(tx: Transaction, number: int) -> str:
    """The name of a tariff. Errors: NotFound, Unavailable."""
    name = await tx.fetchval(_TARIFF, number)
    if name is None:
        raise NotFound(f"there is no tariff {number}", field="tariff")
    return str(name)


async def add_group(
    tx: Transaction, owner_id: int, number_length: int, pin_length: int, values: Mapping[str, Any]
) -> int:
    """Its number. `values`: of CHANGEABLE. Errors: Unavailable."""
    columns, places = columns_and_places(CHANGEABLE, values, first=4)
    return int(
        await tx.fetchval(
            f"INSERT INTO card_groups (owner_id, number_length, pin_length, {columns}) "  # noqa: S608  # of constants
            f"VALUES ($1, $2, $3, {places}) RETURNING group_id",
            owner_id, number_length, pin_length, *values.values(),
        )
    )  # fmt: skip


async def change_group(tx: Transaction, group_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a group, and of the lines and accounts of its cards what follows. Errors: Unavailable."""
    if values:
        changes = assignments(CHANGEABLE, values, first=2)
        await tx.execute(
            f"UPDATE card_groups SET {changes} WHERE group_id = $1", group_id, *values.values()  # noqa: S608
        )  # fmt: skip
        await tx.execute(_RETUNE, group_id)
        if "route_plan_id" in values:
            await tx.execute(_REROUTE, group_id)
        await tx.execute(_RETUNE_ACCOUNTS, group_id)
