"""The section Callback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.named import device_of
from rating_engine.api.mor.xml import Element, element
from rating_engine.domain.callback import CallbackOutcome, NewCallback
from rating_engine.domain.errors import InvalidRequest

BAD_DEVICE: Final = "Bad device"
NO_SOURCE: Final = "No source"


async def callback_init(asked: Asked) -> Element:
    """Two numbers called and connected on a line's account; nothing is dialled where the money of a leg is missing.

    Without `dst` the one who answers is asked for it: the exchange needs the shipped callback.conf.
    """
    line = await device_of(asked, "device", BAD_DEVICE)
    source = asked.needed("src", NO_SOURCE)
    target = asked.text("dst").strip()
    try:
        new = NewCallback(line.login, source, target, asks=not target)
    except InvalidRequest as error:
        raise Failed(BAD_DEVICE if error.field == "login" else NO_SOURCE) from None
    callback = await asked.use.callbacks.begin(new, asked.charging)
    if callback.outcome is not CallbackOutcome.STARTED:
        raise Failed(BAD_DEVICE, callback.detail or callback.outcome)
    return element("Status", "Ok")


HANDLERS: Final[Mapping[str, Handler]] = {"callback_init": callback_init}
