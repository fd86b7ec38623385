"""Section SMS: messages sent, read and reported.

Law: what carriers ask for (reports, messages that came in) takes a server key, or one that is for the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.arguments import did_of
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.methods.call_processing import begin_callback
from rating_engine.api.narayana.pages import whole_list
from rating_engine.domain.callback import NewCallback
from rating_engine.domain.message import (
    Direction,
    Message,
    MessageFilter,
    MessageKind,
    MessageState,
    NewMessage,
    NewSipMessage,
)

MOST_LISTED: Final = 1_000  # of getSMS: it is for a client that looks for what is new
REPORT: Final[Mapping[MessageState, str]] = {
    MessageState.QUEUED: "SMS Sent",
    MessageState.SENDING: "SMS Sent",
    MessageState.SENT: "SMS Sent",
    MessageState.DELIVERED: "SMS Deliv",
    MessageState.UNDELIVERED: "SMS Undeliv",
    MessageState.FAILED: "SMS Undeliv",
}


async def send_sms(asked: Asked) -> Answer:
    """The id of the message; `callid`: the same again is the same message."""
    values = asked.values
    new = NewMessage(
        await asked.needed_line(),
        values.needed_text("to"),
        values.needed_text("text"),
        values.text("callerid") or None,
        values.text("callid") or None,
    )
    return str((await asked.use.messages.send(new)).number)


async def send_hlr(asked: Asked) -> Answer:
    """OK,IMSI,MCC,MNC,LAC as the carrier answers it."""
    message = await asked.use.messages.query(await asked.needed_line(), asked.values.needed_text("to"))
    return message.answer if message.answer.startswith("OK") else f"OK,{message.answer}"


async def delivery_report(asked: Asked) -> Answer:
    """What became of a message of one's own."""
    message = await asked.use.messages.show(_id(asked.values.needed_text("id")))
    if message.state not in REPORT:
        raise Failure(Code.E_NOT_EXIST, f"message {message.number} came in")
    return REPORT[message.state]


async def receive_delivery_report(asked: Asked) -> Answer:
    """What a carrier says of a message: the one that is named, or has the key's name, or whichever has it."""
    asked.check_carriers_key("receiveDeliveryReport")
    carrier = asked.values.text("msg_handler") or None
    await asked.use.messages.report(carrier, _needed(asked, "id"), _needed(asked, "status"))
    return True


async def receive_sms(asked: Asked) -> Answer:
    """A message for a number of ours, by a carrier; `id`: what it calls it, so that the same again is taken once."""
    asked.check_carriers_key("receiveSMS")
    await asked.use.incoming_messages.receive(
        _said(asked, "from"),
        _needed(asked, "to"),
        _needed(asked, "text"),
        carrier=asked.values.text("msg_handler") or asked.key.name,
        reference=asked.values.text("id") or None,
    )
    return True


async def send_sip_message(asked: Asked) -> Answer:
    """To the telephone of a line, by its exchange."""
    values = asked.values
    new = NewSipMessage(
        await asked.needed_line(),
        values.needed_text("to"),
        values.needed_text("text"),
        values.text("callerid") or None,
    )
    await asked.use.sip_messages.send(new)
    return True


async def send_voice_message(asked: Asked) -> Answer:
    """A call that plays a text, in the language of the user, or a WAV file; the id of the message."""
    values = asked.values
    new = NewMessage(
        await asked.needed_line(),
        values.needed_text("to"),
        values.needed_text("text"),
        values.text("callerid") or None,
    )
    language = "" if asked.asking.party_id is None else (await asked.user()).language
    sent = await asked.use.voice_messages.send(new, asked.charging, language=language, exchange=asked.key.name)
    return str(sent.number)


async def msg_callback(asked: Asked) -> Answer:
    """SIPEXTEN PIN [CALLERID] DESTINATION1 [DESTINATION2]: one destination is called for who has written."""
    asked.check_carriers_key("msgCallback")
    values = asked.values
    words = values.needed_text("text").split()
    if not 3 <= len(words) <= 5:
        raise Failure(Code.E_DATA_ABORT, "text: is not SIPEXTEN PIN [CALLERID] DESTINATION1 [DESTINATION2]")
    extension, pin, *numbers = words
    # Who writes says by itself which number it has: that opens no line, the PIN does.
    if await asked.use.disa.authorize(extension + pin) != extension:
        raise Failure(Code.E_AUTH_FAILED)
    callerid = numbers.pop(0) if len(numbers) == 3 else None
    if len(numbers) == 1:
        numbers.insert(0, values.needed_text("msisdn"))
    return await begin_callback(
        asked, NewCallback(extension, numbers[0], numbers[1], callerid, exchange=asked.key.name)
    )


async def set_delivery_report(asked: Asked) -> Answer:
    """1: delivered, and of one that came in: read; 0: not."""
    delivered = asked.values.switch("status")
    await asked.use.messages.set_report(asked.values.needed_whole("id"), delivered=bool(delivered))
    return True


async def read_sms(asked: Asked) -> Answer:
    """All that came in for the user is read; `did`: by one of its numbers alone; `status` 0: what is unread."""
    status, number = asked.values.switch("status"), asked.values.text("did") or None
    if number is not None:
        number = (await asked.use.dids.show(did_of(number))).number
    await asked.use.messages.read(number=number, were_read=status)
    return True


async def get_sms(asked: Asked) -> Answer:
    """The last ones of who asks and of all below; `status` 0: unread, or not known to be delivered; 1: the others."""
    wanted = MessageFilter(kinds=frozenset({MessageKind.SMS}), is_done=asked.values.switch("status"))
    return [_shown(each) for each in await whole_list(lambda at: asked.use.messages.page(wanted, at), MOST_LISTED)]


HANDLERS: Final[Mapping[str, Handler]] = {
    "sendSMS": send_sms,
    "sendHLR": send_hlr,
    "deliveryReport": delivery_report,
    "receiveSMS": receive_sms,
    "sendSIPMessage": send_sip_message,
    "sendVoiceMessage": send_voice_message,
    "msgCallback": msg_callback,
    "receiveDeliveryReport": receive_delivery_report,
    "setDeliveryReport": set_delivery_report,
    "readSMS": read_sms,
    "getSMS": get_sms,
}


def _said(asked: Asked, name: str) -> str:
    """The same of what may be empty, as of who shows no number."""
    value = asked.values.text(name)
    if value is None:
        raise Failure(Code.E_MISSING_ARGUMENT, f"{name}: is obligatory")
    return value


def _needed(asked: Asked, name: str) -> str:
    """What the document leaves to the handler, and which nothing can be done without."""
    value = asked.values.text(name)
    if not value:
        raise Failure(Code.E_MISSING_ARGUMENT, f"{name}: is obligatory")
    return value


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Failure(Code.E_NOT_EXIST, "id: is that of no message")
    return int(text)


def _shown(message: Message) -> dict[str, Any]:
    came_in = message.direction is Direction.IN
    is_done = message.read_at is not None if came_in else message.state is MessageState.DELIVERED
    return {
        "id": str(message.number),
        "date": date(message.created_at),
        "src": message.sender,
        "dest": message.recipient,
        "msg": message.text,
        "status": str(int(is_done)),
        "type": message.direction.value,
    }
