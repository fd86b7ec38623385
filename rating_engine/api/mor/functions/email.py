"""The section Email."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.named import user_of
from rating_engine.api.mor.xml import Element, element, page
from rating_engine.domain.errors import NotFound, Refused

NOT_OURS: Final = frozenset({"u", "hash", "p", "email_name", "email_to_user_id"})


async def email_send(asked: Asked) -> Element:
    """The mail made from a template goes to a user; what else is sent fills its words."""
    name = asked.needed("email_name", "Email not found")
    templates = asked.use.mail_templates
    try:
        await templates.show(name)
    except NotFound:
        raise Failed("Email not found") from None
    user = await user_of(asked, "email_to_user_id", "User not found")
    if not asked.mails:
        return _status("E-mail has been disabled")
    words = {name: value for name, value in asked.given.items() if name not in NOT_OURS}
    try:
        await templates.send(name, user.party_id, words)
    except Refused:
        raise Failed("Configuration error. Please consult this help link.") from None
    return _status("Email sent")


def _status(text: str) -> Element:
    return page(element("email_sending_status", text))


HANDLERS: Final[Mapping[str, Handler]] = {"email_send": email_send}
