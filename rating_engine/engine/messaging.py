"""Messages, wired from the settings: their carriers, and what each engine does for them by itself."""

from __future__ import annotations

from functools import partial

from rating_engine.adapters.carriers import carriers_of
from rating_engine.adapters.webhook_http import WebhookPoster
from rating_engine.engine.services import ask_exchange
from rating_engine.services.background import Periodic
from rating_engine.services.calls.ports import Now
from rating_engine.services.messaging.handing import QUEUE_SECONDS, MessageQueue
from rating_engine.services.messaging.incoming import MessageRules
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database


class Messaging:
    """This engine's part in messages. `carriers`: what its surfaces hand messages to at once."""

    def __init__(self, settings: Settings, office: Database, now: Now) -> None:
        self.carriers = carriers_of(settings.message_carriers)
        queue = MessageQueue(office, self.carriers)
        poster = WebhookPoster(settings.webhook_private_hosts)
        rules = MessageRules(office, self.carriers, partial(ask_exchange, settings.ami_exchanges), poster, now)
        self.background = [
            Periodic("messages", QUEUE_SECONDS, queue.turn),
            Periodic("message-rules", QUEUE_SECONDS, rules.turn),
        ]
