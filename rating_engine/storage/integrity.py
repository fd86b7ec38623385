"""What an installation has that works and is likely a mistake: asked for the Integrity Check (services/integrity).

Each question answers at most `most` rows of what is named, in order; the shape of a row stands at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rating_engine.storage.postgres.pool import Questions

_RATES_WITHOUT_DIRECTION: Final = """
    WITH in_force AS (
        SELECT DISTINCT ON (tariff_id) tariff_id, deck_id FROM rate_decks
        WHERE state = 'published' AND effective_from <= now() ORDER BY tariff_id, effective_from DESC, version DESC)
    SELECT t.name, r.direction, count(*)
    FROM in_force d JOIN tariffs t USING (tariff_id) JOIN rates r USING (deck_id)
    LEFT JOIN directions k ON k.code = r.direction
    WHERE k.code IS NULL
    GROUP BY t.name, r.direction ORDER BY count(*) DESC, 1, 2 LIMIT $1
"""
_PACKAGES_WITHOUT_DIRECTION: Final = """
    SELECT p.name, t.name, p.direction_group FROM packages p JOIN tariffs t USING (tariff_id)
    WHERE p.direction_group <> ''
      AND NOT EXISTS (SELECT FROM direction_groups g WHERE g.name = p.direction_group)
    ORDER BY 1, 2 LIMIT $1
"""
# Where there are groups at all.
_UNGROUPED: Final = """
    SELECT d.code FROM directions d
    WHERE EXISTS (SELECT FROM direction_groups)
      AND NOT EXISTS (SELECT FROM direction_groups g WHERE g.direction = d.code)
    ORDER BY 1 LIMIT $1
"""
_FAILED: Final = """
    SELECT 'mails', count(*), min(created_at), max(error) FROM mails
    WHERE state = 'failed' OR (state = 'queued' AND attempts > 0)
    UNION ALL
    SELECT 'webhook events', count(*), min(created_at), max(error) FROM webhook_deliveries
    WHERE state = 'failed' OR (state = 'queued' AND attempts > 0)
    UNION ALL
    SELECT 'messages', count(*), min(created_at), max(error) FROM messages
    WHERE state = 'failed' AND created_at > now() - interval '7 days'
"""
_WEAK_USERS: Final = """
    SELECT p.login, o.login FROM party_credentials c JOIN parties p USING (party_id)
    LEFT JOIN parties o ON o.party_id = p.owner_id
    WHERE c.is_weak AND p.status NOT IN ('locked', 'deactivated') ORDER BY 1 LIMIT $1
"""
_SHORT_SECRETS: Final = """
    SELECT p.login FROM hash_secrets h JOIN parties p USING (party_id)
    WHERE h.is_short AND h.enabled ORDER BY 1 LIMIT $1
"""
_SIGNED: Final = "SELECT EXISTS (SELECT 1 FROM hash_secrets WHERE enabled)"
_DEVICES: Final = """
    SELECT s.bucket, s.subscriber_id, s.login, p.login AS owner, a.secret
    FROM sip_accounts a JOIN subscribers s USING (bucket, subscriber_id)
    LEFT JOIN parties p ON p.party_id = s.party_id
    WHERE a.deleted_at IS NULL AND a.secret IS NOT NULL AND (s.bucket, s.subscriber_id) > ($1, $2)
    ORDER BY 1, 2 LIMIT $3
"""
_LOSS: Final = """
    SELECT s.login, p.login, t.name
    FROM accounts a JOIN subscribers s USING (bucket, account_id) JOIN tariffs t USING (tariff_id)
    LEFT JOIN parties p ON p.party_id = s.party_id
    WHERE a.kind = 'postpaid' AND a.closed_at IS NULL AND COALESCE(a.allow_loss, t.allow_loss)
    ORDER BY 1 LIMIT $1
"""
# Whoever shows such a number as his, from anywhere, calls for the line.
_CALLERS_FROM_ANYWHERE: Final = """
    SELECT k.number, s.login, p.login FROM known_callers k
    JOIN subscribers s ON s.bucket = k.bucket AND s.subscriber_id = k.subscriber_id
    LEFT JOIN parties p ON p.party_id = s.party_id
    WHERE k.domain = '' AND NOT k.banned ORDER BY 1 LIMIT $1
"""
_TRUSTED_WITHOUT_PIN: Final = """
    SELECT s.login, p.login FROM sip_accounts a JOIN subscribers s USING (bucket, subscriber_id)
    LEFT JOIN parties p ON p.party_id = s.party_id
    WHERE a.deleted_at IS NULL AND a.trusted_cli <> '' AND a.disa_pin = '' ORDER BY 1 LIMIT $1
"""

Rows = Sequence[tuple[Any, ...]]


async def rates_without_direction(database: Questions, most: int) -> Rows:
    """(tariff, direction or '', rates). Errors: Unavailable."""
    return await _rows(database, _RATES_WITHOUT_DIRECTION, most)


async def packages_without_direction(database: Questions, most: int) -> Rows:
    """(package, tariff, group). Errors: Unavailable."""
    return await _rows(database, _PACKAGES_WITHOUT_DIRECTION, most)


async def ungrouped_directions(database: Questions, most: int) -> Rows:
    """(direction). Errors: Unavailable."""
    return await _rows(database, _UNGROUPED, most)


async def failed_actions(database: Questions) -> Rows:
    """(what, how many, since, words of one). Errors: Unavailable."""
    return [row for row in await _rows(database, _FAILED) if row[1]]


async def weak_users(database: Questions, most: int) -> Rows:
    """(login, owner). Errors: Unavailable."""
    return await _rows(database, _WEAK_USERS, most)


async def short_secrets(database: Questions, most: int) -> Rows:
    """(login) of whose secret of signed requests is short, and in use. Errors: Unavailable."""
    return await _rows(database, _SHORT_SECRETS, most)


async def has_signed_requests(database: Questions) -> bool:
    """Whether anybody asks by signed requests. Errors: Unavailable."""
    found: bool = await database.fetchval(_SIGNED)
    return found


async def devices_after(database: Questions, bucket: int, subscriber_id: int, most: int) -> Rows:
    """(bucket, subscriber_id, login, owner, sealed password) behind that one. Errors: Unavailable."""
    return await _rows(database, _DEVICES, bucket, subscriber_id, most)


async def lines_at_a_loss(database: Questions, most: int) -> Rows:
    """(login, owner, tariff). Errors: Unavailable."""
    return await _rows(database, _LOSS, most)


async def callers_from_anywhere(database: Questions, most: int) -> Rows:
    """(number, login, owner). Errors: Unavailable."""
    return await _rows(database, _CALLERS_FROM_ANYWHERE, most)


async def trusted_without_pin(database: Questions, most: int) -> Rows:
    """(login, owner) of lines that a shown number opens without a PIN. Errors: Unavailable."""
    return await _rows(database, _TRUSTED_WITHOUT_PIN, most)


async def _rows(database: Questions, query: str, *arguments: object) -> Rows:
    return [tuple(row) for row in await database.fetch(query, *arguments)]
