"""From whom a line's messages are.

Law: below a reseller a message is from the line, its caller id, or another number of its owner; so that nobody writes
as somebody else. Names are for resellers and those above.
"""

from __future__ import annotations

from rating_engine.domain.errors import NotYours
from rating_engine.domain.message import InvalidSender, is_number, sender_of
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.storage.messages.lines import SendingLine
from rating_engine.storage.numbers.dids import shows
from rating_engine.storage.postgres.pool import Database


async def sender_for(database: Database, principal: Principal, line: SendingLine, wanted: str | None) -> str:
    """`wanted` None: the caller id of the line, else its login. Errors: InvalidSender, NotYours, Unavailable."""
    if wanted is None:
        return _own(line)
    sender = sender_of(wanted)
    if principal.level >= Level.RESELLER or sender in (line.login, line.callerid.lstrip("+")):
        return sender
    if is_number(sender) and await shows(database, line.party_id, sender):
        return sender
    raise NotYours("is no number of yours", field="callerid")


def _own(line: SendingLine) -> str:
    for own in (line.callerid, line.login):
        try:
            return sender_of(own)
        except InvalidSender:
            continue
    raise InvalidSender("from", "has to be given: the line has no caller id")
