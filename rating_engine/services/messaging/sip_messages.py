"""SIP messages to telephones of ours, by the manager interface of the exchange that each is at. They cost nothing.

Law: what reaches the exchange is a login and a sender without a character that its header or its dialplan could take
for their own; the text goes as base64.
"""

from __future__ import annotations

import base64

from rating_engine.domain.errors import Refused, Unavailable
from rating_engine.domain.exchange_query import QueryFailed
from rating_engine.domain.message import Direction, Message, MessageKind, MessageState, NewSipMessage
from rating_engine.domain.principal import Principal
from rating_engine.services.messaging.senders import sender_for
from rating_engine.services.phones.queries import AskExchange
from rating_engine.storage.audit_log import record
from rating_engine.storage.messages import messages as store
from rating_engine.storage.messages.lines import sending_line
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.phones.sip_accounts import exchange_of_line
from rating_engine.storage.postgres.pool import Database


class SipMessages:
    """What one principal sends to telephones."""

    def __init__(self, database: Database, principal: Principal, ask: AskExchange) -> None:
        self._database = database
        self._principal = principal
        self._ask = ask

    async def send(self, new: NewSipMessage) -> Message:
        """Hand a message to the telephone of a line; it has it then.

        Errors: NotFound (login, to), InvalidSender, NotYours (the sender), QueryFailed (no telephone is there, or its
        exchange is away, refuses or is not in ami_exchanges), Unavailable.
        """
        line = await sending_line(self._database, new.login)
        sender = await sender_for(self._database, self._principal, line, new.sender)
        await place_of(self._database, new.recipient)
        await hand_to_phone(self._database, self._ask, new.recipient, sender, new.text)
        async with self._database.transaction(self._principal) as tx:
            sent = await store.add(
                tx,
                line.bucket,
                store.FreeMessage(
                    MessageKind.SIP, Direction.OUT, MessageState.SENT, line.party_id, line.login, sender, new.recipient,
                    new.text,
                ),
            )  # fmt: skip
            await record(tx, "message.sip", line.login, {"to": new.recipient})
        assert sent is not None
        return sent


async def hand_to_phone(database: Database, ask: AskExchange, login: str, sender: str, text: str) -> None:
    """Errors: QueryFailed, Unavailable (the database)."""
    exchange = await exchange_of_line(database, login)
    if exchange is None:
        raise QueryFailed(f"line {login} has no telephone")
    shown = "".join(letter for letter in sender if letter.isalnum() and letter.isascii()) or "anonymous"
    fields = {
        "To": f"pjsip:{login}",
        "From": f"sip:{shown}@{exchange}",
        "Base64Body": base64.b64encode(text.encode()).decode(),
    }
    try:
        answer = await ask({exchange}, "MessageSend", fields)
    except (Unavailable, Refused) as error:
        raise QueryFailed(str(error)) from None
    if answer is None:
        raise QueryFailed(f"exchange {exchange} has no manager interface in the settings (ami_exchanges)")
