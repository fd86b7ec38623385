"""What a new connection is told and asked before it serves, so that no call pays for it.

The driver reads what a composite type is made of when a statement with one is first prepared on a connection: longer
than a whole call on one server, seconds on a node of a cluster. So each statement of this kind is prepared once before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog

from rating_engine.storage.postgres.connecting import AWAY, Connection

FIRST_SECONDS: Final = 20.0  # 11 s were seen on a node of a cluster

# On a cluster the driver's questions about types are answered from the node's own catalogue, without asking the others;
# and plans are made for the values at hand, since they say which node it is. Elsewhere a plan may be made once for all.
_SETTINGS: Final = """
    SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')
                THEN set_config('citus.override_table_visibility', 'off', false)
                WHEN $1 THEN set_config('plan_cache_mode', 'force_generic_plan', false) END
"""
_log = structlog.get_logger(__name__)


async def prepare_session(connection: Connection, first_statements: Sequence[str], *, generic_plans: bool) -> None:
    """Make a connection ready. Raises what says that the server is away; what else is wrong its first user is told.

    `generic_plans`: a statement is planned once and not for each value; never so on a cluster.
    """
    try:
        await connection.fetchval(_SETTINGS, generic_plans, timeout=FIRST_SECONDS)
        for query in first_statements:
            await connection.prepare(query, timeout=FIRST_SECONDS)
    except AWAY:
        raise
    except asyncpg.PostgresError as error:  # a function that is not there, or not ours to ask
        _log.debug("session_not_prepared", error=str(error))
