"""Section Technical maintenance: what runs by itself, and what exchanges are asked and run by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.domain.exchange_file import FileKind
from rating_engine.domain.sip_account import NoSuchExchange
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


async def update_dialplan(asked: Asked) -> Answer:
    """Another dialplan for an exchange, from a host of the settings."""
    return await _update(asked, FileKind.DIALPLAN)


async def update_interface(asked: Asked) -> Answer:
    """The same of what stands between dialplan and phones."""
    return await _update(asked, FileKind.INTERFACE)


async def restore_dialplan(asked: Asked) -> Answer:
    """What stood there before; of the only exchange where none is named."""
    try:
        restored = await asked.use.exchange_files.restore(asked.values.text("asterisk") or None, FileKind.DIALPLAN)
    except NoSuchExchange as error:
        if asked.values.text("asterisk"):
            raise
        raise Failure(Code.E_MISSING_ARGUMENT, f"asterisk: {error}") from None
    return f"OK {restored.version}"


async def _update(asked: Asked, kind: FileKind) -> str:
    values = asked.values
    updated = await asked.use.exchange_files.update(values.needed_text("asterisk"), kind, values.needed_text("url"))
    return f"OK {updated.version}"


HANDLERS: Final[Mapping[str, Handler]] = {
    "doMaintenance": do_maintenance,
    "asteriskRequest": asterisk_request,
    "updateDialplan": update_dialplan,
    "updateInterface": update_interface,
    "restoreDialplan": restore_dialplan,
}
