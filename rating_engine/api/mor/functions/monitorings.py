"""The section Monitorings: one is switched on, for whom it is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler, whole_of
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.xml import Element, done
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.monitoring import MonitoringChanges


async def ma_activate(asked: Asked) -> Element:
    """On from now: the one that is named, or the only one that there is. `users`: numbers between commas, empty:
    everybody; `block`: whether it blocks. What is not sent stays as it is.
    """
    own = asked.use.monitorings
    number = asked.whole("monitoring_id", ACCESS_DENIED)
    block = asked.flag("block", ACCESS_DENIED)
    users = _users(asked)
    if number is None:
        there = await own.page()
        if len(there) != 1:
            raise Failed(ACCESS_DENIED)
        number = there[0].monitoring_id
    try:
        changes = MonitoringChanges(enabled=True, block=LEAVE if block is None else block, users=users)
        await own.change(number, changes)
    except (InvalidRequest, NotFound):
        raise Failed(ACCESS_DENIED) from None
    return done("Monitoring successfully activated")


def _users(asked: Asked) -> tuple[int, ...] | Leave:
    if not asked.sent("users"):
        return LEAVE
    words = [word.strip() for word in asked.text("users").split(",")]
    return () if words == [""] else tuple(dict.fromkeys(whole_of(word, ACCESS_DENIED) for word in words))


HANDLERS: Final[Mapping[str, Handler]] = {"ma_activate": ma_activate}
