"""The section Login: the one function that takes a password, and the session that it opens.

Law: a session ends by its own cookie alone, never by the name of who has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from rating_engine.api.mor.asked import COOKIE, Asked, Handler
from rating_engine.api.mor.xml import STANDALONE, element, rendered
from rating_engine.domain.refusal import NotAdmitted
from rating_engine.services.parties.passwords import md5_of

IDLE_SECONDS: Final = 3_600


async def user_login(asked: Asked) -> Response:
    """Whether a password is right; a session of an hour without use."""
    access = asked.services.access
    admitted = await access.by_password(asked.text("u"), md5_of(asked.text("p")), asked.door)
    if isinstance(admitted, NotAdmitted):
        return _answer("login", "failed")
    token = await access.start_session(admitted, idle_seconds=IDLE_SECONDS)
    response = _answer("login", "ok")
    response.set_cookie(COOKIE, token, httponly=True, secure=asked.door.secure, samesite="strict", path="/billing/api")
    return response


async def user_logout(asked: Asked) -> Response:
    """The session of the cookie is over; failed where there is none."""
    access = asked.services.access
    if asked.cookie is None or isinstance(await access.by_session(asked.cookie, asked.door), NotAdmitted):
        return _answer("logout", "failed")
    await access.end_session(asked.cookie)
    response = _answer("logout", "ok")
    response.delete_cookie(COOKIE, path="/billing/api")
    return response


def _answer(name: str, status: str) -> Response:
    root = element("action", element("name", name), element("status", status))
    return Response(rendered(root, STANDALONE), media_type="application/xml; charset=utf-8")


HANDLERS: Final[Mapping[str, Handler]] = {"user_login": user_login, "user_logout": user_logout}
