"""The section DID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.named import did_of
from rating_engine.api.mor.xml import Element, done
from rating_engine.domain.errors import InvalidRequest

LIMIT: Final = "Call limit is incorrect format"


async def did_details_update(asked: Asked) -> Element:
    """How many calls a number takes at a time; 0: any number."""
    did = await did_of(asked)
    limit = asked.needed_whole("call_limit", LIMIT) if asked.sent("call_limit") else None
    if limit is not None:
        try:
            await asked.use.dids.set_limit(did.number, limit)
        except InvalidRequest:
            raise Failed(LIMIT) from None
    return done("DID details successfully updated")


HANDLERS: Final[Mapping[str, Handler]] = {"did_details_update": did_details_update}
