"""What each connection of the calls door is asked first: how its statements are planned, and every money function, for
nothing at all.
"""

from __future__ import annotations

from typing import Final

from rating_engine.storage.postgres.session import FirstStatement

# A statement is planned once a connection, and not anew for its values: half of what a call costs the server, where
# batches are small. Each is written so that the plan for any values is the right one (test_ledger_plans). On a cluster
# the values say which node is asked, and nothing is handed on whole without them.
PLANS: Final = """
    SELECT set_config('plan_cache_mode', 'force_generic_plan', false)
    WHERE NOT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')
"""
FIRST_STATEMENTS: Final[tuple[FirstStatement, ...]] = (
    (PLANS, ()),
    *(
        (f"SELECT {operation}_v2($1, $2::{operation}_request_v2[])", (0, []))
        for operation in ("reserve", "extend", "settle")
    ),
)
