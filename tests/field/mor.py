"""The office's engine asked by MOR's API over HTTP, as an administrator's program asks it."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Final
from xml.etree.ElementTree import Element, fromstring

import httpx

from rating_engine.domain.errors import AlreadyExists
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.services import make_services
from rating_engine.services.catalogue import UseCases
from rating_engine.settings.model import Settings
from tests.field.office import SECRET_KEY, Scene

SECRET: Final = "as long as a secret should be"


def manager(scene: Scene) -> UseCases:
    """What the operator does, beside the engine."""
    settings = Settings(secret_keys=(SECRET_KEY,))
    return make_services(settings, scene.pbx.database).of(OPERATOR)


async def mor(scene: Scene, function: str, hashed: str, **given: object) -> Element:
    """The root of an answer. `hashed`: the values that the hash of the function covers, in their order."""
    use = manager(scene)
    with contextlib.suppress(AlreadyExists):
        await use.parties.create(NewParty("chief", PartyKind.ADMIN))
        await use.hash_secrets.put("system", SECRET)
    signed = hashlib.sha1((hashed + SECRET).encode()).hexdigest()
    url = f"http://127.0.0.1:{scene.pbx.engine.http_port}/billing/api/{function}"
    async with httpx.AsyncClient(timeout=40) as http:
        return fromstring((await http.post(url, data={"u": "chief", "hash": signed, **given})).content)
