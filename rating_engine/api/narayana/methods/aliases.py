"""Section Personal plan sets: aliases, short numbers of a line or of everybody, used from the next call on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.domain.numbering import Alias, NumberedAlias
from rating_engine.domain.party import Level


async def get_aliases(asked: Asked) -> Answer:
    """Of one's own lines; `all`: of all lines below too, and everybody's."""
    return [_shown(alias) for alias in await _aliases(asked, all_below=asked.values.flag("all") is True)]


async def get_alias(asked: Asked) -> Answer:
    """One of them."""
    return _shown(await asked.use.numbering.numbered_alias(asked.values.needed_whole("id")))


async def add_alias(asked: Asked) -> Answer:
    """For a line, the user's first where none is named; or for everybody."""
    is_global = asked.values.flag("global") is True
    if is_global and asked.asking.level < Level.ADMIN:
        raise Failure(Code.E_INSUFFICIENT_ACCESS, "global: is for administrators")
    login = None if is_global else asked.values.text("sip_extension") or await asked.needed_line()
    alias = Alias(login, asked.values.needed_text("alias"), asked.values.needed_text("destination"))
    known = await whole_list(lambda cursor: asked.use.numbering.aliases(cursor, login))
    if any((each.login, each.alias) == (login, alias.alias) for each in known):
        raise Failure(Code.E_DATA_ABORT, "alias: is there; updateAlias changes it")
    await asked.use.numbering.set_alias(alias)
    return True


async def update_alias(asked: Asked) -> Answer:
    """Another destination, or another line; named by its number, or one's own by itself."""
    if "id" in asked.names:
        found = await asked.use.numbering.numbered_alias(asked.values.needed_whole("id"))
    else:
        found = await _own(asked, str(asked.values.needed_whole("id")))
    _check_everybodys(asked, found)
    destination, login = asked.values.text("destination"), asked.values.text("sip_extension")
    changed = Alias(login or found.login, found.alias, destination or found.destination)
    await asked.use.numbering.move_alias(found.login, changed)
    return True


async def delete_alias(asked: Asked) -> Answer:
    """One of them, by its number."""
    found = await asked.use.numbering.numbered_alias(asked.values.needed_whole("id"))
    _check_everybodys(asked, found)
    await asked.use.numbering.remove_alias(found.alias, found.login)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getAliases": get_aliases,
    "getAlias": get_alias,
    "addAlias": add_alias,
    "updateAlias": update_alias,
    "deleteAlias": delete_alias,
}


async def _aliases(asked: Asked, *, all_below: bool = False) -> list[NumberedAlias]:
    return await whole_list(lambda cursor: asked.use.numbering.numbered_aliases(cursor, all_below=all_below))


async def _own(asked: Asked, alias: str) -> NumberedAlias:
    for found in await _aliases(asked):
        if found.alias == alias:
            return found
    raise Failure(Code.E_NOT_EXIST, "alias: none of yours is like this")


def _check_everybodys(asked: Asked, found: NumberedAlias) -> None:
    if found.login is None and asked.asking.level < Level.ADMIN:
        raise Failure(Code.E_INSUFFICIENT_ACCESS, "it is everybody's: for administrators")


def _shown(alias: NumberedAlias) -> dict[str, Any]:
    return {
        "global": str(int(alias.login is None)),
        "id": str(alias.alias_id),
        "owner": alias.owner or "",
        "alias": alias.alias,
        "destination": alias.destination,
        "sip_extension": alias.login or "",
    }
