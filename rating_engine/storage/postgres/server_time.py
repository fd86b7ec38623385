"""What time it is on the server."""

from __future__ import annotations

from datetime import datetime

from rating_engine.storage.postgres.pool import Questions


async def server_time(questions: Questions) -> datetime:
    """The server's clock, read while it answers; aware, in UTC. Errors: Unavailable, Overloaded."""
    told: datetime = await questions.fetchval("SELECT clock_timestamp()")
    return told
