"""Messages, wired from the settings: their carriers, and what each engine does for them by itself."""

from __future__ import annotations

from functools import partial

from rating_engine.adapters.carriers import carriers_of
from rating_engine.adapters.smpp import SmppCarrier
from rating_engine.adapters.webhook_http import WebhookPoster
from rating_engine.domain.principal import ENGINE
from rating_engine.engine.services import ask_exchange
from rating_engine.services.background import Periodic
from rating_engine.services.calls.ports import Now
from rating_engine.services.messaging.carriers import Carriers
from rating_engine.services.messaging.handing import QUEUE_SECONDS, MessageQueue
from rating_engine.services.messaging.incoming import IncomingMessages, MessageRules
from rating_engine.services.messaging.messages import Messages
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database


class Inbox:
    """Keeps what carriers bring over connections of ours."""

    def __init__(self, office: Database, carriers: Carriers, now: Now) -> None:
        self._incoming = IncomingMessages(office, ENGINE, now)
        self._messages = Messages(office, ENGINE, carriers, now)

    async def receive(self, carrier: str, sender: str, recipient: str, text: str) -> None:
        """A message. Errors: as of IncomingMessages.receive."""
        await self._incoming.receive(sender, recipient, text, carrier=carrier)

    async def report(self, carrier: str, carrier_id: str, word: str) -> None:
        """A delivery report. Errors: as of Messages.report."""
        await self._messages.report(carrier, carrier_id, word)


class Messaging:
    """This engine's part in messages. `carriers`: what its surfaces hand messages to at once."""

    def __init__(self, settings: Settings, office: Database, now: Now) -> None:
        self.carriers = carriers_of(settings.message_carriers)
        queue = MessageQueue(office, self.carriers)
        poster = WebhookPoster(settings.webhook_private_hosts)
        rules = MessageRules(office, self.carriers, partial(ask_exchange, settings.ami_exchanges), poster, now)
        inbox = Inbox(office, self.carriers, now)
        # What the engine that leads keeps up.
        self.links = [partial(each.run, inbox) for each in self.carriers.all if isinstance(each, SmppCarrier)]
        self.background = [
            Periodic("messages", QUEUE_SECONDS, queue.turn),
            Periodic("message-rules", QUEUE_SECONDS, rules.turn),
        ]
