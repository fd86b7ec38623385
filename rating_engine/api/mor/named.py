"""What parameters name by numbers: users, devices, DIDs. What is not the asker's is as if it were not there."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.asked import Asked
from rating_engine.api.mor.errors import Failed
from rating_engine.domain.account import ListedAccount
from rating_engine.domain.did import Did
from rating_engine.domain.errors import NotAllowed, NotFound, NotYours
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.party import Party, PartyKind
from rating_engine.domain.sip_account import SipAccount

NO_USER: Final = "User was not found"
NO_DEVICE: Final = "Device was not found"
NO_DID: Final = "DID was not found"
PRIMARY: Final = 1  # MOR's LCR that there is without any route plan: the tariff's own routes
PRIMARY_NAME: Final = "Primary"


async def user_of(asked: Asked, name: str = "user_id", error: str = NO_USER) -> Party:
    """The user that a parameter names. Raises Failed(error)."""
    return await user_called(asked, asked.needed_whole(name, error), error)


async def user_called(asked: Asked, who: int | str, error: str = NO_USER) -> Party:
    """The same by number or login. Raises Failed(error)."""
    try:
        party = await asked.use.parties.show(who)
    except (NotFound, NotYours):
        raise Failed(error) from None
    if party.hidden or party.kind is PartyKind.SYSTEM:
        raise Failed(error)
    return party


async def device_of(asked: Asked, name: str, error: str = NO_DEVICE) -> SipAccount:
    """The line that a parameter names. Raises Failed(error)."""
    try:
        return await asked.use.sip_accounts.numbered(asked.needed_whole(name, error))
    except (NotFound, NotYours):
        raise Failed(error) from None


async def did_of(asked: Asked, name: str = "did_id", error: str = NO_DID) -> Did:
    """The number that a parameter names by its id. Raises Failed(error)."""
    try:
        return await asked.use.dids.numbered(asked.needed_whole(name, error))
    except (NotFound, NotYours):
        raise Failed(error) from None


async def plan_of(asked: Asked, number: int, error: str) -> str | None:
    """The route plan of an LCR's number; None: MOR's first, the order of the tariff. Raises Failed(error)."""
    if number == PRIMARY:
        return None
    try:
        return await asked.use.route_plans.numbered(number)
    except (NotFound, NotAllowed):
        raise Failed(error) from None


async def account_of(asked: Asked, party: Party, error: str = NO_USER) -> ListedAccount:
    """The account that is a user's own: of its first line, or what a reseller is charged on. Raises Failed(error)."""
    line = await asked.use.accounts.line(party.party_id, party.account or None)
    if line is not None:
        return await asked.use.accounts.numbered(line.account_id)
    try:
        page = await asked.use.accounts.page(Cursor(MAX_LIMIT), owner=party.party_id)
    except (NotFound, NotYours):
        raise Failed(error) from None
    own = [each for each in page.items if each.owner == party.login and each.closed_at is None]
    if not own:
        raise Failed(error)
    return next((each for each in own if each.login == party.account), own[0])
