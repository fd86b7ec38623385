"""Messages as one principal sends, reads and reports them.

Laws: who sends is the owner of the line, or above it; below a reseller a message is from a number of one's own; the
money is taken before a carrier is asked, and a message that is told again by its reference is the first one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rating_engine.domain.call_rules import digits_of
from rating_engine.domain.checks import check_zone
from rating_engine.domain.errors import InvalidRequest, NotFound, NotYours, Refused
from rating_engine.domain.message import (
    CarrierFailed,
    Direction,
    ListedCarrier,
    Message,
    MessageCount,
    MessageDeclined,
    MessageDimension,
    MessageFilter,
    MessageKind,
    MessageQuote,
    MessageState,
    MessageSum,
    NewMessage,
    delivered_of,
)
from rating_engine.domain.number_lists import ListSide
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.sms_text import EncodedText, encode_text
from rating_engine.services.calls.ports import Now
from rating_engine.services.messaging.carriers import NO_CARRIER, Carrier, Carriers
from rating_engine.services.messaging.handing import LEASE, Handing, end_in_time
from rating_engine.services.messaging.pricing import price_message
from rating_engine.services.messaging.senders import sender_for
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.messages import messages as store
from rating_engine.storage.messages.lines import SendingLine, sending_line
from rating_engine.storage.messages.sums import sum_messages
from rating_engine.storage.numbers.number_pools import refusal_by_list
from rating_engine.storage.parties.parties import find_party, is_below, tree_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support.sim_cards import note_network

PLANS: Final = 5  # a subscriber that changes more often than that within a second is somebody's fault
LOCKED: Final = {"none": DeclineReason.USER_BLOCKED, "internal": DeclineReason.EXTERNAL_BLOCKED}

_handed: Final[set[asyncio.Task[None]]] = set()  # what is handed over though who asked for it has left


class Messages:
    """What one principal does with messages."""

    def __init__(self, database: Database, principal: Principal, carriers: Carriers, now: Now) -> None:
        self._database = database
        self._principal = principal
        self._carriers = carriers
        self._handing = Handing(database, carriers)
        self._now = now

    async def send(self, new: NewMessage) -> Message:
        """Send an SMS; it is with its carrier then, or waits for it (QUEUED) where that is away.

        Errors: MessageDeclined (no price, no money, blocked), CarrierFailed (none is configured; it refuses),
        InvalidSender, NotYours (the sender), NotFound (the login), AlreadyExists (the reference), Unavailable.
        """
        return await self._send(MessageKind.SMS, new, encode_text(new.text))

    async def query(self, login: str, number: str, *, reference: str | None = None) -> Message:
        """Ask where a number is (HLR); the answer is in `answer`, and a SIM card of the number keeps its network.

        Errors: as of `send`.
        """
        new = NewMessage(login, number, "HLR", reference=reference)
        answered = await self._send(MessageKind.HLR, new, encode_text(""))
        country, network = (answered.answer.removeprefix("OK,").split(",") + [""] * 3)[1:3]
        if country.isdigit() and network.isdigit():
            await note_network(self._database, answered.recipient, f"{country}-{network}")
        return answered

    async def quote(self, new: NewMessage) -> MessageQuote:
        """What an SMS would take and cost; nothing is held or sent. Errors: MessageDeclined, NotFound, Unavailable."""
        text = encode_text(new.text)
        line = await sending_line(self._database, new.login)
        await self._check_list(line, new.recipient)
        carriers = self._carriers.for_number(MessageKind.SMS, new.recipient)
        shares = await price_message(
            self._database, carriers, line, MessageKind.SMS, new.recipient, len(text.parts), self._now()
        )
        return MessageQuote(
            text.encoding, text.units, len(text.parts), shares.prices[0], line.payers[0].currency, shares.offers
        )

    async def carriers(self) -> list[ListedCarrier]:
        """Those of the settings, in their order."""
        return [
            ListedCarrier(each.name, tuple(sorted(each.kinds)), each.prefixes, each.cost_tariff)
            for each in self._carriers.all
        ]

    async def show(self, number: int) -> Message:
        """One message. Errors: NotFound, NotYours, Unavailable."""
        message = await store.find(self._database, number)
        if not self._principal.sees_all and not await is_below(self._database, message.party_id, self._principal.realm):
            raise NotYours(f"message {number} is not yours", field="id")
        return message

    async def page(self, wanted: MessageFilter, cursor: Cursor) -> Page[Message]:
        """What may be seen, the latest first. Errors: NotFound (owner), NotYours, InvalidRequest, Unavailable."""
        top = self._principal.realm
        if wanted.owner is not None:
            top = (await find_party(self._database, wanted.owner)).party_id
        tree: list[int] | None = [top]
        if not wanted.alone:
            sees_all = self._principal.sees_all and wanted.owner is None
            tree = None if sees_all else await tree_of(self._database, top)
        return await store.page(self._database, tree, wanted, cursor)

    async def sums(
        self, since: datetime, until: datetime, dimensions: Sequence[MessageDimension], *, time_zone: str = "UTC"
    ) -> list[MessageSum]:
        """What went out in [since, until), what it brought and what its carriers took, by currencies and `dimensions`;
        days of `time_zone`.

        Errors: InvalidRequest (dimensions, time_zone), Unavailable.
        """
        if len(set(dimensions)) != len(dimensions):
            raise InvalidRequest("dimensions", "name one of them twice")
        check_zone(time_zone)
        return await sum_messages(self._database, since, until, dimensions, time_zone)

    async def count(self, owner: str | int, since: datetime, until: datetime) -> MessageCount:
        """The SMS of a user alone, written in [since, until). Errors: NotFound (owner), NotYours, Unavailable."""
        party_id = (await find_party(self._database, owner)).party_id
        return await store.count(self._database, party_id, MessageKind.SMS, since, until)

    async def read(self, *, number: str | None = None, were_read: bool | None = None, read: bool = True) -> int:
        """Mark what came in for the asker, also by one of its numbers, as read; how many changed. Errors:
        Unavailable.
        """
        if self._principal.party_id is None:
            return 0
        mine = [self._principal.party_id]
        return await store.mark_read(self._database, mine, number, were_read, read=read)

    async def report(self, carrier: str | None, carrier_id: str, word: str) -> None:
        """A carrier's delivery report, by its id or by ours.

        `carrier` None: the one that has the name of the asker's key, else whichever has the message.
        Errors: InvalidRequest (status), NotFound (the message; carrier), Unavailable.
        """
        delivered = delivered_of(word)
        name = self._reporting(carrier)
        if delivered is None:
            return
        if not await store.report(self._database, name, carrier_id, delivered=delivered):
            raise NotFound("no message of ours is called so", field="id")

    async def set_report(self, number: int, *, delivered: bool) -> None:
        """The same by our own id. Errors: NotFound, NotYours, Refused (it was not sent), Unavailable."""
        message = await self.show(number)
        if message.direction is Direction.IN:
            await store.mark_one(self._database, message, read=delivered)
            return
        async with self._database.transaction(self._principal) as tx:
            if not await store.report_of(tx, message, delivered=delivered):
                raise Refused(f"message {number} was not sent: it is {message.state}")
            await record(tx, "message.report", str(number), {"delivered": delivered})

    def _reporting(self, carrier: str | None) -> str | None:
        if carrier is not None and self._carriers.named(carrier) is None:
            raise NotFound(f"no carrier {carrier[:64]!r} is configured", field="msg_handler")
        if carrier is None and self._principal.key is not None and self._carriers.named(self._principal.key):
            return self._principal.key
        return self._carriers.all[0].name if carrier is None and len(self._carriers.all) == 1 else carrier

    async def _send(self, kind: MessageKind, new: NewMessage, text: EncodedText) -> Message:
        carriers = self._carriers.for_number(kind, new.recipient)
        if not carriers:
            raise CarrierFailed(NO_CARRIER)
        for _ in range(PLANS):
            line = await sending_line(self._database, new.login)
            sender = (
                await sender_for(self._database, self._principal, line, new.sender)
                if kind is MessageKind.SMS
                else line.callerid
            )
            if line.calls in LOCKED:
                raise MessageDeclined(LOCKED[line.calls])
            await self._check_list(line, new.recipient)
            order = await self._order(kind, new, text, line, sender, carriers)
            note = note_of(self._principal, f"message.{kind}", line.login, {"to": new.recipient, "parts": order.parts})
            written = await store.write(self._database, order, note)
            if written is not None:
                return await self._sent(line.bucket, written, is_ours=order.lease is not None)
        raise MessageDeclined(DeclineReason.OVERLOADED, "the line changes all the time")

    async def _check_list(self, line: SendingLine, recipient: str) -> None:
        """Raises MessageDeclined where the sender's list of destinations keeps it from there."""
        reason = await refusal_by_list(self._database, line.party_id, ListSide.DESTINATION, digits_of(recipient))
        if reason is not None:
            raise MessageDeclined(reason)

    async def _order(
        self,
        kind: MessageKind,
        new: NewMessage,
        text: EncodedText,
        line: SendingLine,
        sender: str,
        carriers: Sequence[Carrier],
    ) -> store.Order:
        parts = len(text.parts)
        shares = await price_message(self._database, carriers, line, kind, new.recipient, parts, self._now())
        first = self._carriers.named(shares.offers[0].carrier)
        return store.Order(
            bucket=line.bucket,
            accounts=shares.accounts,
            prices=shares.prices,
            subscriber_id=line.subscriber_id,
            subscriber_version=line.version,
            party_id=line.party_id,
            login=line.login,
            kind=kind,
            sender=sender,
            recipient=new.recipient,
            text=new.text if kind is MessageKind.SMS else "",
            encoding=text.encoding if kind is MessageKind.SMS else "",
            parts=parts,
            currency=line.payers[0].currency,
            offers=shares.offers,
            margin_currency=shares.currency,
            reference=new.reference,
            lease=LEASE if first is not None and first.is_here else None,
        )

    async def _sent(self, bucket: int, written: store.Written, *, is_ours: bool) -> Message:
        """What became of it: handed over here, by somebody else meanwhile, or before."""
        if is_ours and not written.repeated:
            message = await store.reread(self._database, bucket, written.number)
            # Who asked may leave: the message is handed over, and its end is written, all the same.
            task = asyncio.create_task(self._handing.hand_over(message), name="message")
            _handed.add(task)
            task.add_done_callback(_handed.discard)
            await asyncio.shield(task)
        else:
            await end_in_time(self._database, bucket, written.number)
        message = await store.reread(self._database, bucket, written.number)
        if message.state is MessageState.FAILED:
            raise CarrierFailed(message.error)
        return message
