"""Section Technical maintenance, as far as it is of the engine itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.services.maintenance import StepOutcome


async def do_maintenance(asked: Asked) -> Answer:
    """All that runs by itself, now; what another engine is at is left to that one."""
    outcomes = await asked.use.maintenance.run()
    failed = [name for name, outcome in outcomes.items() if outcome is StepOutcome.FAILED]
    if failed:
        raise Failure(Code.E_SQL_ERROR, f"failed, and will be tried again: {', '.join(failed)}")
    return True


async def asterisk_request(asked: Asked) -> Answer:
    """What an exchange answers to a query of the list."""
    values = asked.values
    return await asked.use.exchange_queries.ask(
        values.needed_text("asterisk"),
        values.needed_text("destination"),
        values.needed_text("process"),
        values.text("params") or "",
    )


HANDLERS: Final[Mapping[str, Handler]] = {"doMaintenance": do_maintenance, "asteriskRequest": asterisk_request}
