"""The section SMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.named import user_of
from rating_engine.api.mor.xml import Element, done, element, listed, page
from rating_engine.domain.errors import NotAllowed, NotYours, RatingEngineError
from rating_engine.domain.message import CarrierFailed, InvalidRecipient, InvalidSender, NewMessage

ROUTES: Final = ("", "0", "1")  # carriers are chosen by the number: there is one order of them
NOT_SUBSCRIBED: Final = "User is not subscribed to sms service"
NO_ROUTES: Final = "There is no such LCR"
NO_RATE: Final = "1 - failed, admin does not have rate for this destination"


async def sms_send(asked: Asked) -> Element:
    """A message from the asker's line, which pays for it."""
    text = asked.text("message")
    if not text.strip():
        raise Failed("There is no message or it is empty")
    if not await asked.use.sms_users.may(asked.who):
        raise Failed(NOT_SUBSCRIBED)
    if asked.text("lcr_id").strip() not in ROUTES:
        raise Failed(NO_ROUTES)
    line = await asked.use.accounts.line(asked.who)
    if line is None:
        raise Failed(NOT_SUBSCRIBED)
    try:
        new = NewMessage(line.login, asked.text("dst").strip(), text, asked.text("src").strip() or None)
        message = await asked.use.messages.send(new)
    except (InvalidSender, NotYours):
        raise Failed("Wrong source") from None
    except InvalidRecipient:
        raise Failed("Wrong destination") from None
    except CarrierFailed as error:
        raise Failed(NO_ROUTES, str(error)) from None
    except NotAllowed:
        raise
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed(NO_RATE, str(error)) from None
    fields = (
        ("message_id", message.number), ("sms_status_code_tip", "SMS is sent"), ("price", stored(message.price)),
        ("currency", message.currency),
    )  # fmt: skip
    return page(element("response", element("status", "ok"), listed("message", fields)))


async def user_sms_service_subscribe(asked: Asked) -> Element:
    """Let a user send messages, which his tariff prices."""
    user = await user_of(asked)
    if asked.text("sms_tariff_id").strip() not in ("", "0", str(user.tariff_id)):
        raise Failed(ACCESS_DENIED)
    if asked.text("sms_lcr_id").strip() not in ROUTES:
        raise Failed(ACCESS_DENIED)
    await asked.use.sms_users.allow(user.party_id)
    return done("User successfully subscribed to SMS service")


HANDLERS: Final[Mapping[str, Handler]] = {
    "sms_send": sms_send,
    "user_sms_service_subscribe": user_sms_service_subscribe,
}
