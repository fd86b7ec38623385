"""The section DID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.xml import Element, done
from rating_engine.domain.did import Did
from rating_engine.domain.errors import InvalidRequest, NotFound, NotYours

NO_DID: Final = "DID was not found"
LIMIT: Final = "Call limit is incorrect format"


async def did_numbered(asked: Asked, name: str = "did_id") -> Did:
    """The number that a parameter names by its id. Raises Failed."""
    try:
        return await asked.use.dids.numbered(asked.needed_whole(name, NO_DID))
    except (NotFound, NotYours):
        raise Failed(NO_DID) from None


async def did_details_update(asked: Asked) -> Element:
    """How many calls a number takes at a time; 0: any number."""
    did = await did_numbered(asked)
    limit = asked.needed_whole("call_limit", LIMIT) if asked.sent("call_limit") else None
    if limit is not None:
        try:
            await asked.use.dids.set_limit(did.number, limit)
        except InvalidRequest:
            raise Failed(LIMIT) from None
    return done("DID details successfully updated")


HANDLERS: Final[Mapping[str, Handler]] = {"did_details_update": did_details_update}
