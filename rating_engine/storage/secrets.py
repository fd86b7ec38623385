"""Secrets of the database: what its engines share and nobody else knows (table engine_secrets)."""

from __future__ import annotations

from typing import Final

from rating_engine.storage.postgres.pool import Questions

RATE_CACHE: Final = "rate_cache"
# Another secret in its place: every engine takes it at once, and what the old one sealed is looked up again.
NEW_SECRET: Final = (
    "INSERT INTO engine_secrets VALUES ('rate_cache', sha256(uuid_send(gen_random_uuid()) ||"
    " uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))"
    " ON CONFLICT (name) DO UPDATE SET secret = EXCLUDED.secret"
)


async def rate_cache_secret(database: Questions) -> bytes | None:
    """What answers kept in Redis are sealed with: 32 bytes; None where the database has none. Errors: Unavailable."""
    secret: bytes | None = await database.fetchval("SELECT secret FROM engine_secrets WHERE name = $1", RATE_CACHE)
    return secret
