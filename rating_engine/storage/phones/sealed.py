"""All that is kept encrypted with a key of the settings: passwords of phones, and of carriers' gateways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rating_engine.storage.postgres.transaction import Transaction

# Held until it is written again: who changes one meanwhile waits, and then writes by the keys that it has.
_GATEWAYS: Final = "SELECT route_id, secret, balance_secret FROM gateways ORDER BY route_id FOR NO KEY UPDATE"
_SET_GATEWAY: Final = "UPDATE gateways SET secret = $2, balance_secret = $3 WHERE route_id = $1"


async def reseal_gateways(tx: Transaction, resealed: Callable[[bytes], bytes]) -> int:
    """Keep what gateways have otherwise; how many secrets. Errors: as `resealed` has them, Unavailable."""
    count = 0
    for row in await tx.fetch(_GATEWAYS):
        kept = [row["secret"], row["balance_secret"]]
        count += sum(secret is not None for secret in kept)
        if any(kept):
            await tx.execute(_SET_GATEWAY, row["route_id"], *(secret and resealed(secret) for secret in kept))
    return count
