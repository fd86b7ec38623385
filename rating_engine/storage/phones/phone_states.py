"""Which phones are registered where: said by the engine that watches their exchange, read with each line.

Only names that are somebody's login are kept, so there are never more rows than lines and exchanges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rating_engine.domain.phone_state import HeardPhone, PhoneState
from rating_engine.storage.postgres.pool import Database

AT_ONCE: Final = 5_000  # rows of one statement
# What the columns of a row are in a line that is read (`sip_accounts._LINES`).
COLUMNS: Final = ("online", "contact", "user_agent", "contacts", "registered_at", "changed_at")

# A registration is newer where it leads elsewhere or ends later.
_NOTE: Final = """
    INSERT INTO phone_states AS kept (exchange, login, online, contact, user_agent, contacts, expires_at)
    SELECT $1, login, n.online, n.contact, n.user_agent, n.contacts, n.expires_at
    FROM unnest($2::text[], $3::boolean[], $4::text[], $5::text[], $6::integer[], $7::timestamptz[])
         AS n(login, online, contact, user_agent, contacts, expires_at)
    JOIN logins USING (login)
    ON CONFLICT (exchange, login) DO UPDATE SET
        online = EXCLUDED.online,
        contacts = EXCLUDED.contacts,
        contact = CASE WHEN EXCLUDED.contact = '' THEN kept.contact ELSE EXCLUDED.contact END,
        user_agent = CASE WHEN EXCLUDED.expires_at IS NULL AND EXCLUDED.contact IN ('', kept.contact)
                          THEN kept.user_agent ELSE EXCLUDED.user_agent END,
        expires_at = COALESCE(EXCLUDED.expires_at, kept.expires_at),
        registered_at = CASE WHEN EXCLUDED.online AND (NOT kept.online OR EXCLUDED.contact <> kept.contact
                                  OR EXCLUDED.expires_at > kept.expires_at) THEN now() ELSE kept.registered_at END,
        changed_at = CASE WHEN EXCLUDED.online <> kept.online THEN now() ELSE kept.changed_at END
    WHERE (kept.online, kept.contacts, kept.contact, kept.user_agent) IS DISTINCT FROM
          (EXCLUDED.online, EXCLUDED.contacts, EXCLUDED.contact, EXCLUDED.user_agent)
       OR EXCLUDED.expires_at > COALESCE(kept.expires_at, '-infinity')
"""
_REST: Final = """
    UPDATE phone_states SET online = false, contacts = 0, changed_at = now()
    WHERE exchange = $1 AND online AND login <> ALL ($2::text[])
"""
_READ: Final = """
    INSERT INTO exchange_watch (exchange, watched_until, phones_read_at) VALUES ($1, now(), now())
    ON CONFLICT (exchange) DO UPDATE SET phones_read_at = EXCLUDED.phones_read_at
"""


async def note_phones(database: Database, exchange: str, phones: Sequence[HeardPhone]) -> None:
    """Keep what was heard of some phones. Errors: Unavailable."""
    for first in range(0, len(phones), AT_ONCE):
        some = phones[first : first + AT_ONCE]
        await database.fetch(
            _NOTE, exchange, [phone.login for phone in some], [phone.online for phone in some],
            [phone.contact for phone in some], [phone.user_agent for phone in some],
            [phone.contacts for phone in some], [phone.expires_at for phone in some],
        )  # fmt: skip


async def keep_phones(database: Database, exchange: str, phones: Sequence[HeardPhone]) -> None:
    """Keep what a whole list says: whatever is not in it is not registered. Errors: Unavailable."""
    await note_phones(database, exchange, phones)
    await database.fetch(_REST, exchange, [phone.login for phone in phones])
    await database.fetch(_READ, exchange)


def phone_state(values: dict[str, Any]) -> PhoneState | None:
    """Takes the columns of a line's row out of `values`; None: nobody knows, since nobody watches its exchange."""
    kept = {name: values.pop(f"state_{name}") for name in COLUMNS}
    return PhoneState(**kept) if values.pop("state_known") and kept["online"] is not None else None
