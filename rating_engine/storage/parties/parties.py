"""Parties as they are listed and changed. What their lines may call by it is kept by a trigger (keep_allowed_calls)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.party import (
    ON_PAPER,
    AllowedCalls,
    Level,
    NewParty,
    Party,
    PartyFilter,
    PartyKind,
    PartyState,
)
from rating_engine.domain.permission import Permission
from rating_engine.domain.route_plan import BlacklistMode
from rating_engine.storage.finance.taxes import TAXES, set_party_taxes, taxes_from
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.routes.route_plans import plan_to_point_to

# The settings that `change_party` changes.
CHANGEABLE: Final = (
    "access_level", "name", "language", "utc_offset", "currency", "tariff_id", "comment", "account_bucket",
    "account_id", "notify_email", "notify_ticket", "notify_balance", "notify_balance_limit", "notify_did",
    "balance_low", "warn_calls", "invites", "route_plan_id", "dynamic_blacklist", "score_threshold",
    "blacklist_plan_id", "warn_sound_id", "notify_hour", "unlisted",
)  # fmt: skip

_COLUMNS: Final = f"""
    p.party_id, p.owner_id, o.login AS owner, p.kind, p.access_level AS level, p.login, p.name, p.status::text,
    calls_of_party(p.party_id)::text AS calls, p.hidden, p.language, p.utc_offset, p.currency, t.name AS tariff,
    p.tariff_id,
    ARRAY(SELECT a.tariff_id FROM party_tariffs a WHERE a.party_id = p.party_id ORDER BY 1) AS allowed_tariffs,
    (SELECT s.login FROM subscribers s WHERE s.bucket = p.account_bucket AND s.account_id = p.account_id
     ORDER BY s.subscriber_id LIMIT 1) AS account, p.comment, p.notify_email, p.notify_ticket, p.invites,
    p.notify_balance, p.notify_balance_limit, p.notify_did, p.warn_calls,
    (SELECT x.name FROM route_plans x WHERE x.plan_id = p.route_plan_id) AS route_plan, p.dynamic_blacklist,
    p.score_threshold, p.warn_sound_id AS warn_sound, p.notify_hour, p.unlisted,
    (SELECT x.name FROM route_plans x WHERE x.plan_id = p.blacklist_plan_id) AS blacklist_plan,
    COALESCE(d.billing_name, '') AS billing_name,
    COALESCE(d.billing_address, '') AS billing_address, COALESCE(d.billing_email, '') AS billing_email,
    COALESCE(d.billing_bank_account, '') AS billing_bank_account, COALESCE(d.tax_number, '') AS tax_number,
    d.tax_id, {TAXES},
    EXISTS (SELECT 1 FROM party_credentials c WHERE c.party_id = p.party_id) AS has_password, p.created_at,
    ARRAY(SELECT unnest(g.permissions) FROM permission_members m JOIN permission_groups g USING (group_id)
          WHERE m.party_id = p.party_id) AS permissions
    FROM parties p LEFT JOIN parties o ON o.party_id = p.owner_id LEFT JOIN tariffs t ON t.tariff_id = p.tariff_id
    LEFT JOIN party_details d ON d.party_id = p.party_id"""  # noqa: S608  # constants
_BY_LOGIN: Final = f"SELECT {_COLUMNS} WHERE lower(p.login) = lower($1)"  # a constant
_BY_ID: Final = f"SELECT {_COLUMNS} WHERE p.party_id = $1"
_BY_MAIL: Final = f"""
    SELECT {_COLUMNS} WHERE lower(p.notify_email) = lower($1) AND $1 <> '' AND NOT p.hidden LIMIT 2"""
_LIST: Final = f"""
    SELECT {_COLUMNS}
    WHERE ($1::bigint IS NULL OR p.party_id > $1)
      AND p.party_id = ANY (parties_below($2)) AND p.party_id <> 1
      AND ($3::text IS NULL OR p.kind = $3) AND ($4::text IS NULL OR p.status::text = $4) AND ($5 OR NOT p.hidden)
      AND ($7 OR NOT p.unlisted)
    ORDER BY p.party_id LIMIT $6
"""
_OWN_ACCOUNT: Final = """
    SELECT a.party_id, a.closed_at IS NOT NULL AS closed, p.kind
    FROM accounts a JOIN parties p USING (party_id) WHERE a.bucket = $1 AND a.account_id = $2
"""
_LACKS_EXCHANGE: Final = """
    SELECT true FROM parties p JOIN tariffs t USING (tariff_id)
    JOIN accounts a ON a.bucket = p.account_bucket AND a.account_id = p.account_id
    WHERE p.party_id = $1 AND t.currency <> a.currency AND NOT EXISTS (
        SELECT FROM exchange_rates x WHERE x.effective_from <= now()
          AND (x.currency_from, x.currency_to) IN ((t.currency, a.currency), (a.currency, t.currency)))
"""
OTHER_BUCKET: Final = "RE001"  # of keep_resellers, schema.sql
_ADD: Final = """
    INSERT INTO parties (owner_id, kind, access_level, login, name, language, utc_offset, currency, tariff_id, comment)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING party_id
"""
_OWN: Final = """
    EXISTS (SELECT 1 FROM party_number_lists WHERE party_id = $1 AND side = 'destination') AS has_destination_list,
    (SELECT notify_balance_limit FROM parties WHERE party_id = $1 AND warn_calls AND party_id <> 1) AS warn_below,
    COALESCE((SELECT file FROM warning_sounds JOIN parties ON warn_sound_id = sound_id WHERE party_id = $1), '')
        AS warn_sound,
    route_plan_of_party($1) AS route_plan_id,
    (SELECT (dynamic_blacklist, score_threshold, blacklist_plan_id) FROM parties WHERE party_id = $1) AS blacklist"""
_STANDING: Final = f"SELECT calls_of_party($1)::text AS calls, {_OWN}, r.* FROM resellers_of_party($1) r"  # noqa: S608
_STANDING_OF_CARDS: Final = f"""
    SELECT calls_of_party($1)::text AS calls, {_OWN}, r.* FROM resellers_of_cards($1) r"""  # noqa: S608
_HIDE_LOGS: Final = "UPDATE parties SET logs_hidden_before = now() WHERE party_id = $1"
_LOGS_SINCE: Final = "SELECT logs_hidden_before FROM parties WHERE party_id = $1"
_HASH_SET: Final = """
    INSERT INTO party_credentials (party_id, password_hash, is_weak) VALUES ($1, $2, $3)
    ON CONFLICT (party_id) DO UPDATE SET
        password_hash = EXCLUDED.password_hash, is_weak = EXCLUDED.is_weak, changed_at = now()
"""


# What Standing.carried has, set of a line; its party is $3, and before it is said which line.
LINE_IS_GIVEN: Final = """
    party_id = $3, calls = $4, reseller_accounts = $5, reseller_tariffs = $6, has_destination_list = $7,
    warn_below = $8, route_plan_id = $9, dynamic_blacklist = $10, score_threshold = $11, blacklist_plan_id = $12,
    warn_sound = $13"""


def unknown_party(who: str | int) -> NotFound:
    """The error for a login, or a number, that no party has."""
    return NotFound(f"user {who!r} does not exist", field="user", hint=Hint.SEE_USERS)


def other_bucket(login: str, field: str) -> InvalidRequest:
    """The error where accounts of one reseller, and of those below it, would be in several buckets."""
    whose = f"{login!r}" if login else "the account of the reseller above it"
    return InvalidRequest(
        field,
        f"is in another bucket than {whose}: accounts of a reseller and of all below it are of one (ledger_buckets)",
    )


async def find_party(questions: Questions, who: str | int) -> Party:
    """The party of a login, or of a number; closed ones too. Errors: NotFound, Unavailable."""
    query = _BY_LOGIN if isinstance(who, str) else _BY_ID
    row = await questions.fetchrow(query, who)
    if row is None:
        raise unknown_party(who)
    return party_from_row(row)


async def only_party_with_mail(questions: Questions, address: str) -> Party | None:
    """Who alone has its mail sent there, deleted ones left out; None: nobody, or several. Errors: Unavailable."""
    rows = await questions.fetch(_BY_MAIL, address)
    return party_from_row(rows[0]) if len(rows) == 1 else None


async def hold_party(tx: Transaction, who: str | int) -> Party:
    """The same, as it is until the transaction ends: nobody changes its state meanwhile. Errors: NotFound."""
    party = await find_party(tx, who)
    await tx.fetchval("SELECT 1 FROM parties WHERE party_id = $1 FOR NO KEY UPDATE", party.party_id)
    return await find_party(tx, party.party_id)


@dataclass(frozen=True, slots=True)
class Standing:
    """What lines of a party carry of those above it: what they may call, and on which accounts and by which tariffs of
    resellers they are charged besides, the nearest first (None: on none). `buckets`: those of these accounts.
    """

    calls: str
    accounts: list[int] | None
    tariffs: list[int] | None
    buckets: list[int] | None
    has_destination_list: bool
    warn_below: Decimal | None
    warn_sound: str
    route_plan_id: int | None
    blacklist: tuple[str, int | None, int | None]

    @property
    def carried(self) -> tuple[object, ...]:
        """What a line is given of it, in the order of LINE_IS_GIVEN."""
        return (
            self.calls, self.accounts, self.tariffs, self.has_destination_list, self.warn_below, self.route_plan_id,
            *self.blacklist, self.warn_sound,
        )  # fmt: skip


async def hold_standing(tx: Transaction, party_id: int, *, of_cards: bool = False) -> Standing:
    """How a party stands, which stays so until the transaction ends; `of_cards`: for lines of its calling cards.

    Errors: Unavailable.
    """
    await tx.fetch(
        "SELECT 1 FROM parties WHERE party_id = ANY (parties_above($1)) ORDER BY party_id FOR SHARE", party_id
    )
    row = await tx.fetchrow(_STANDING_OF_CARDS if of_cards else _STANDING, party_id)
    assert row is not None
    return Standing(**row)


async def list_parties(questions: Questions, below: int, wanted: PartyFilter, cursor: Cursor) -> Page[Party]:
    """Parties of the tree below one, itself among them, the oldest first. Errors: InvalidRequest (after)."""
    rows = await questions.fetch(
        _LIST,
        *cursor.position(int),
        below,
        wanted.kind,
        wanted.status,
        wanted.hidden,
        cursor.rows,
        wanted.unlisted,
    )
    return page_of_rows(rows, cursor, lambda row: (row["party_id"],), party_from_row)


async def tree_of(questions: Questions, party_id: int) -> list[int]:
    """The numbers of a party and of all below it. Errors: Unavailable."""
    tree: list[int] = await questions.fetchval("SELECT parties_below($1)", party_id)
    return tree


async def is_locked(questions: Questions, party_id: int) -> bool:
    """Whether a party, or one above it, is locked or closed. Errors: Unavailable."""
    locked = "SELECT 1 FROM parties WHERE party_id = ANY (parties_above($1)) AND (hidden OR status = 'locked')"
    return await questions.fetchval(locked, party_id) is not None


async def is_below(questions: Questions, party_id: int, top: int) -> bool:
    """Whether a party is another one, or belongs to it over however many owners. Errors: Unavailable."""
    return bool(await questions.fetchval("SELECT $2 = ANY (parties_above($1))", party_id, top))


async def add_party(tx: Transaction, new: NewParty, owner_id: int) -> int:
    """The number of the party that was made. Errors: AlreadyExists (login), NotFound (tariff), Unavailable."""
    tariff_id = None if new.tariff is None else await tariff_id_of(tx, new.tariff)
    try:
        party_id: int = await tx.fetchval(
            _ADD, owner_id, new.kind, int(new.access_level), new.login, new.name, new.language, new.utc_offset,
            new.currency, tariff_id, new.comment,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"login {new.login!r} is taken", field="login") from None
    return party_id


async def change_party(tx: Transaction, party_id: int, values: Mapping[str, object]) -> None:
    """Set fields of PartyChanges. Errors: NotFound (tariff, account), InvalidRequest (see `_charged`), Unavailable."""
    columns = dict(values)
    if "account" in columns:
        columns |= await _charged(tx, party_id, columns.pop("account"))
    for field in ("route_plan", "blacklist_plan"):
        if field in columns:
            plan = columns.pop(field)
            columns[f"{field}_id"] = None if plan is None else await plan_to_point_to(tx, str(plan), field)
    if "warn_sound" in columns:
        columns["warn_sound_id"] = columns.pop("warn_sound")
    if "level" in columns:
        columns["access_level"] = columns.pop("level")
    if "tariff" in columns:
        name = columns.pop("tariff")
        columns["tariff_id"] = None if name is None else await tariff_id_of(tx, str(name))
    if "taxes" in columns or "tax_id" in columns:  # of the two the one that is said last counts
        taxes: Any = columns.pop("taxes", ())
        await set_party_taxes(tx, party_id, taxes)
        columns.setdefault("tax_id", None)
    await _set_details(tx, party_id, {name: columns.pop(name) for name in ON_PAPER if name in columns})
    if not columns:
        return
    changes = assignments(CHANGEABLE, columns, first=2)
    try:
        await tx.execute(
            f"UPDATE parties SET {changes} WHERE party_id = $1",  # noqa: S608  # names of columns
            party_id, *columns.values(),
        )  # fmt: skip
        if await tx.fetchval(_LACKS_EXCHANGE, party_id):
            raise InvalidRequest("tariff", "is in another currency than its account, and there is no exchange rate")
    except asyncpg.CheckViolationError as error:
        if error.constraint_name == "parties_blacklist":
            problem = "takes a score threshold and a blacklist plan where it is on"
            raise InvalidRequest("dynamic_blacklist", problem) from None
        raise InvalidRequest("tariff", "is what its account is charged by: give one, or none to --account") from None
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"there is no sound {columns.get('warn_sound_id')}", field="warn_sound") from None
    except asyncpg.PostgresError as error:
        if error.sqlstate != OTHER_BUCKET:
            raise
        raise other_bucket(str(error), "account") from None


async def _charged(tx: Transaction, party_id: int, login: object) -> dict[str, object]:
    """The columns of who is charged on a login's account. Errors: NotFound, InvalidRequest (not its own, closed)."""
    if login is None:
        return {"account_bucket": None, "account_id": None}
    place = await place_of(tx, str(login))
    account = await tx.fetchrow(_OWN_ACCOUNT, place.bucket, place.account_id)
    assert account is not None
    if account["kind"] != "reseller" or account["party_id"] != party_id:
        kind = await tx.fetchval("SELECT kind FROM parties WHERE party_id = $1", party_id)
        if kind != "reseller":
            raise InvalidRequest(
                "account", f"only resellers are charged for calls of others; this is of the kind {kind}"
            )
        if account["party_id"] != party_id:
            raise InvalidRequest("account", f"{login!r} belongs to somebody else: give it to the user first")
    if account["closed"]:
        raise InvalidRequest("account", f"{login!r} is of a closed account")
    return {"account_bucket": place.bucket, "account_id": place.account_id}


async def _set_details(tx: Transaction, party_id: int, values: Mapping[str, object]) -> None:
    if not values:
        return
    await tx.execute("INSERT INTO party_details (party_id) VALUES ($1) ON CONFLICT DO NOTHING", party_id)
    changes = assignments(ON_PAPER, values, first=2)
    try:
        await tx.execute(
            f"UPDATE party_details SET {changes} WHERE party_id = $1",  # noqa: S608  # names of columns
            party_id, *values.values(),
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"there is no tax {values['tax_id']}", field="tax_id") from None


async def set_status(tx: Transaction, party_id: int, status: PartyState) -> None:
    """How a party stands; its lines, and those of all below it, go by it from the next call on."""
    await tx.execute("UPDATE parties SET status = $2 WHERE party_id = $1", party_id, status.value)


async def hide_logs(tx: Transaction, party_id: int) -> None:
    """Calls of before now are not shown in its event log. Errors: Unavailable."""
    await tx.execute(_HIDE_LOGS, party_id)


async def logs_since(questions: Questions, party_id: int) -> datetime | None:
    """From when on its calls are shown in its event log; None: all are. Errors: Unavailable."""
    since: datetime | None = await questions.fetchval(_LOGS_SINCE, party_id)
    return since


async def owned_by(questions: Questions, party_id: int) -> int:
    """How many parties that are not closed it owns. Errors: Unavailable."""
    return int(await questions.fetchval("SELECT count(*) FROM parties WHERE owner_id = $1 AND NOT hidden", party_id))


async def close_party(tx: Transaction, party_id: int) -> None:
    """It asks and calls no more; its money, lines and name stay. Errors: Unavailable."""
    await tx.execute("UPDATE parties SET hidden = true WHERE party_id = $1", party_id)
    await tx.execute("UPDATE api_keys SET revoked_at = now() WHERE owner_id = $1 AND revoked_at IS NULL", party_id)
    await tx.execute("DELETE FROM party_credentials WHERE party_id = $1", party_id)
    await end_sessions(tx, party_id)


async def password_hash(questions: Questions, party_id: int) -> str | None:
    """The hash of a party's password; None where it has none. Errors: Unavailable."""
    kept: str | None = await questions.fetchval(
        "SELECT password_hash FROM party_credentials WHERE party_id = $1", party_id
    )
    return kept


async def set_password_hash(tx: Transaction, party_id: int, hashed: str, *, is_weak: bool) -> None:
    """Another password; who is in by the old one is out. Errors: Unavailable."""
    await tx.execute(_HASH_SET, party_id, hashed, is_weak)
    await end_sessions(tx, party_id)


async def end_sessions(tx: Transaction, party_id: int) -> None:
    """End every session of a party. Errors: Unavailable."""
    await tx.execute("DELETE FROM sessions WHERE party_id = $1", party_id)


async def tariff_id_of(tx: Transaction, name: str) -> int:
    """The tariff of a name, held against becoming an option. Errors: NotFound, Unavailable."""
    tariff_id: int | None = await tx.fetchval(
        "SELECT tariff_id FROM tariffs WHERE name = $1 AND NOT is_option FOR KEY SHARE", name
    )
    if tariff_id is None:
        raise NotFound(f"tariff {name!r} does not exist, or is an option", field="tariff", hint=Hint.SEE_TARIFFS)
    return tariff_id


def party_from_row(row: asyncpg.Record) -> Party:
    """The party of a row that has _COLUMNS."""
    words: dict[str, Callable[[Any], Any]] = {
        "dynamic_blacklist": BlacklistMode,
        "kind": PartyKind, "level": Level, "status": PartyState, "calls": AllowedCalls, "allowed_tariffs": tuple,
        "permissions": permissions_of, "taxes": taxes_from,
    }  # fmt: skip
    return Party(**{name: words[name](value) if name in words else value for name, value in row.items()})


def permissions_of(names: Sequence[str]) -> frozenset[Permission]:
    """Those that are known: a newer release may have put others there."""
    return frozenset(Permission(name) for name in names if name in set(Permission))
