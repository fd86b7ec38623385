"""Sessions: who has shown its password lately, by the SHA-256 of a token."""

from __future__ import annotations

from typing import Final

from rating_engine.storage.postgres.pool import Database

SWEPT: Final = 100  # that are over, taken away with each new one: there are never many more than people

_START: Final = """
    INSERT INTO sessions (token_hash, party_id, surface, address, idle_seconds, expires_at)
    VALUES ($1, $2, $3, $4, $5::integer, now() + make_interval(secs => $5::integer))
"""
_SWEEP: Final = """
    DELETE FROM sessions WHERE token_hash IN (
        SELECT token_hash FROM sessions WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
"""
_USE: Final = """
    UPDATE sessions SET expires_at = now() + make_interval(secs => idle_seconds)
    WHERE token_hash = $1 AND surface = $2 AND expires_at > now() RETURNING party_id
"""


async def start_session(
    database: Database, token_hash: bytes, party_id: int, *, surface: str, address: str, idle_seconds: int
) -> None:
    """Keep one, which ends `idle_seconds` after its last use. Errors: Unavailable."""
    await database.fetch(_SWEEP, SWEPT)
    await database.fetch(_START, token_hash, party_id, surface, address, idle_seconds)


async def use_session(database: Database, token_hash: bytes, surface: str) -> int | None:
    """Whose it is, its end moved; None: it is over, or never was. Errors: Unavailable."""
    party_id: int | None = await database.fetchval(_USE, token_hash, surface)
    return party_id


async def end_session(database: Database, token_hash: bytes) -> None:
    """It is over. Errors: Unavailable."""
    await database.fetch("DELETE FROM sessions WHERE token_hash = $1", token_hash)
