"""What a new connection is told and asked before it serves, so that no call pays for it.

The driver reads what a composite type is made of when a statement with one is first prepared on a connection: about as
long as a whole call on one server, seconds on a node of a cluster. So each statement of this kind is asked once, for
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import structlog

from rating_engine.storage.postgres.connecting import AWAY, Connection

FIRST_SECONDS: Final = 20.0  # 11 s were seen on a node of a cluster

FirstStatement = tuple[str, tuple[Any, ...]]

# On a cluster the driver's questions about types are answered from the node's own catalogue, without asking the others.
_CLUSTER: Final = """
    SELECT set_config('citus.override_table_visibility', 'off', false) FROM pg_extension WHERE extname = 'citus'
"""
_log = structlog.get_logger(__name__)


async def prepare_session(connection: Connection, first_statements: Sequence[FirstStatement]) -> None:
    """Make a connection ready. Raises what says that the server is away; what else is wrong its first user is told."""
    try:
        await connection.fetch(_CLUSTER, timeout=FIRST_SECONDS)
        for query, args in first_statements:
            await connection.fetch(query, *args, timeout=FIRST_SECONDS)
    except AWAY:
        raise
    except asyncpg.PostgresError as error:  # a function that is not there, or not ours to ask
        _log.debug("session_not_prepared", error=str(error))
