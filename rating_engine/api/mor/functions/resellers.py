"""The section Resellers: groups of what resellers may manage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.xml import Element, done
from rating_engine.domain.errors import AlreadyExists, InvalidRequest
from rating_engine.domain.party import PartyKind
from rating_engine.domain.permission import Permission
from rating_engine.domain.permission_group import NewPermissionGroup


async def reseller_group_create(asked: Asked) -> Element:
    """A group with the rights that are named, by commas: calling_cards,devices."""
    rights = [word.strip() for word in asked.text("rights").split(",") if word.strip()]
    if not set(rights) <= set(Permission):
        raise Failed(ACCESS_DENIED)
    try:
        new = NewPermissionGroup(
            asked.needed("name", ACCESS_DENIED),
            PartyKind.RESELLER,
            frozenset(map(Permission, rights)),
            asked.text("description"),
        )
        await asked.use.permission_groups.add(new)
    except (InvalidRequest, AlreadyExists):
        raise Failed(ACCESS_DENIED) from None
    return done("Reseller Group was successfully created")


HANDLERS: Final[Mapping[str, Handler]] = {"reseller_group_create": reseller_group_create}
