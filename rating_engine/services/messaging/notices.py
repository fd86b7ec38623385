"""Notices by SMS that nobody pays for: written to the queue, and handed over by an engine that reaches a carrier."""

from __future__ import annotations

from rating_engine.domain.message import CarrierFailed, Direction, MessageKind, MessageState
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.sms_text import encode_text
from rating_engine.services.messaging.carriers import NO_CARRIER, Carriers
from rating_engine.services.messaging.handing import end_in_time
from rating_engine.services.messaging.pricing import NO_COST, carrier_offers
from rating_engine.storage.messages import messages as store
from rating_engine.storage.postgres.pool import Database

BUCKET = 0  # of what is on no account


class CarrierNotices:
    """Sends by the carriers of messages."""

    def __init__(self, database: Database, carriers: Carriers) -> None:
        self._database = database
        self._carriers = carriers

    async def send(self, party_id: int | None, sender: str, recipient: str, text: str) -> None:
        """Send one; a carrier has it then, or it waits for one that is away. Errors: CarrierFailed, Unavailable."""
        carriers = self._carriers.for_number(MessageKind.SMS, recipient)
        if not carriers:
            raise CarrierFailed(NO_CARRIER)
        parts = len(encode_text(text).parts)
        offers = await carrier_offers(self._database, carriers, MessageKind.SMS, recipient, parts)
        if not offers:
            raise CarrierFailed(NO_COST)
        new = store.FreeMessage(
            MessageKind.SMS, Direction.OUT, MessageState.QUEUED, party_id or SYSTEM, "", sender, recipient, text,
            carrier=offers[0].carrier, offers=tuple(offers),
        )  # fmt: skip
        message = await store.add(self._database, BUCKET, new)
        assert message is not None
        ended = await end_in_time(self._database, BUCKET, message.number)
        if ended.state is MessageState.FAILED:
            raise CarrierFailed(ended.error)
