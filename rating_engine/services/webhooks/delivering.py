"""The leader's part: what was entered in ledgers becomes deliveries, which are sent until taken or given up.

Laws: nothing of it stands in the way of a call, since it only reads what calls have written; each event is delivered at
least once or its failure is kept; who does not take what is sent holds up nobody else, and at most MAX_QUEUED wait for
it: the rest stays in the ledgers until there is room.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from datetime import timedelta
from typing import Any, Final, Protocol

import structlog

from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.principal import ENGINE
from rating_engine.domain.webhook import Delivery, Entry, Event, Webhook, events_of
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.parties.parties import tree_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.webhooks import webhooks as store

MAX_QUEUED: Final = 10_000  # deliveries of one webhook; some MB
AT_ONCE: Final = 32  # sent side by side
LEASE: Final = timedelta(minutes=2)  # more than all of one turn take at their deadlines
FIRST_WAIT_SECONDS: Final = 10
LAST_WAIT_SECONDS: Final = 3_600
MAX_ATTEMPTS: Final = 20  # the last one half a day after the first
PROBLEM_MAX: Final = 200

_log = structlog.get_logger(__name__)


class NotTaken(Exception):
    """The address did not take it; says why, without what it answered."""


class Poster(Protocol):
    """What sends over HTTP."""

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """Errors: NotTaken."""


class WebhookDelivery:
    """Collects and sends."""

    def __init__(self, office: Database, box: SecretBox, poster: Poster) -> None:
        self._office = office
        self._box = box
        self._poster = poster

    async def turn(self) -> None:
        """One round of both. Errors: Unavailable."""
        for webhook in await store.every_webhook(self._office):
            await self._collect(webhook)
        while deliveries := await store.take_due(self._office, AT_ONCE, LEASE):
            await asyncio.gather(*map(self._send, deliveries))
        await store.forget_ended(self._office)

    async def _collect(self, webhook: Webhook) -> None:
        room = MAX_QUEUED - await store.queued_of(self._office, webhook.webhook_id)
        places = await store.places_of(self._office, webhook.webhook_id)
        for ledger in await store.ledgers_of(self._office, await tree_of(self._office, webhook.party_id)):
            place = places.get((ledger.bucket, ledger.account_id))
            if place is None:  # new here: from its beginning, or as it was given to the party
                place = 0 if ledger.created_at >= webhook.created_at else ledger.last_entry
            if room <= 0:
                return
            if ledger.last_entry <= place and (ledger.bucket, ledger.account_id) in places:
                continue
            entries = await store.entries_after(self._office, ledger.bucket, ledger.account_id, place)
            bodies = [each for entry in entries for each in _bodies(webhook, entry)]
            place = entries[-1].entry_id if entries else place
            async with self._office.transaction(ENGINE) as tx:
                await store.queue(tx, webhook.webhook_id, bodies)
                await store.put_places(tx, webhook.webhook_id, [(ledger.bucket, ledger.account_id, place)])
            room -= len(bodies)

    async def _send(self, delivery: Delivery) -> None:
        try:
            await self._poster.post(delivery.url, delivery.body.encode(), self._headers(delivery))
        except (NotTaken, RatingEngineError) as error:
            await self._not_taken(delivery, str(error)[:PROBLEM_MAX])
        else:
            await store.note_sent(self._office, delivery)

    async def _not_taken(self, delivery: Delivery, problem: str) -> None:
        if delivery.attempts + 1 >= MAX_ATTEMPTS:
            await store.note_failed(self._office, delivery, problem)
            _log.warning("webhook_given_up", delivery=delivery.delivery_id, problem=problem)
            return
        wait = min(FIRST_WAIT_SECONDS * 2**delivery.attempts, LAST_WAIT_SECONDS)
        await store.put_off(self._office, delivery, timedelta(seconds=wait), problem)

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        """Signed for this attempt: HMAC-SHA256 of the time, a point and the body, by each secret that counts."""
        at = str(int(time.time()))
        signed = f"{at}.{delivery.body}".encode()
        opened = [self._box.open(secret) for secret in delivery.secrets]
        marks = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in opened]
        return {
            "content-type": "application/json",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": at,
            "webhook-signature": ",".join(f"v1={mark}" for mark in marks),
        }


def _bodies(webhook: Webhook, entry: Entry) -> list[tuple[str, dict[str, Any]]]:
    """The events of an entry that the webhook wants, each by an id that is the same whenever it is sent."""
    return [
        (f"{entry.bucket}-{entry.account_id}-{entry.entry_id}-{event.value}", _body(entry, event))
        for event in events_of(entry, webhook.low_balance)
        if event.value in webhook.events
    ]


def _body(entry: Entry, event: Event) -> dict[str, Any]:
    body = {
        "id": f"{entry.bucket}-{entry.account_id}-{entry.entry_id}-{event.value}",
        "event": event.value,
        "at": entry.created_at.isoformat(),
        "account": entry.account_id,
        "amount": str(entry.amount),
        "balance": str(entry.balance_after),
        "currency": entry.currency,
    }
    return body if entry.call is None else {**body, "call": entry.call}
