"""Section API access: keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.domain.addresses import Network
from rating_engine.domain.api_key import ApiKey, AuthBy, KeyChanges, KeyKind, NewKey
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.party import Level


async def get_key(asked: Asked) -> Answer:
    """One key, without its secret."""
    key = await asked.use.keys.show(asked.values.needed_text("name"))
    if key.revoked_at is not None:
        raise Failure(Code.E_NOT_EXIST, "the key was revoked")
    return _shown(key)


async def get_keys(asked: Asked) -> Answer:
    """Those of who asks and of all below."""
    return [_shown(key) for key in await whole_list(asked.use.keys.page)]


async def add_key(asked: Asked) -> Answer:
    """A key with the secret that is given."""
    values = asked.values
    level = _level(asked, "accessLevel") or Level.ANYBODY
    new = NewKey(
        values.needed_text("name"),
        kind=KeyKind.SERVER if level > Level.ANYBODY else KeyKind.CLIENT,
        level=level,
        auth_by=_auth_by(values.needed_text("auth_by")),
        default_user=values.text("default_user") or None,
        sources=_listed(values.text("source")),
        methods=_listed(values.text("allowed_methods")),
        secure_only=asked.values.switch("secure_only") or False,
    )
    await asked.use.keys.add(new, secret=values.needed_text("apikey"))
    return True


async def update_key(asked: Asked) -> Answer:
    """What is given of a key; an empty list or user takes it away."""
    values = asked.values
    auth_by = values.text("auth_by")
    level = _level(asked, "accesslevel")
    default_user = values.text("default_user")
    secure_only, enabled = asked.values.switch("secure_only"), asked.values.switch("enabled")
    changes = KeyChanges(
        level=LEAVE if level is None else level,
        auth_by=LEAVE if auth_by is None else _auth_by(auth_by),
        default_user=LEAVE if default_user is None else default_user or None,
        sources=_given_list(values.text("source")),
        methods=_given_list(values.text("allowed_methods")),
        secure_only=LEAVE if secure_only is None else secure_only,
        enabled=LEAVE if enabled is None else enabled,
    )
    await asked.use.keys.change(values.needed_text("name"), changes, secret=values.text("apikey"))
    return True


async def revoke_key(asked: Asked) -> Answer:
    """For good."""
    await asked.use.keys.revoke(asked.values.needed_text("name"))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getKey": get_key,
    "getKeys": get_keys,
    "addKey": add_key,
    "updateKey": update_key,
    "revokeKey": revoke_key,
}


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "maintenance": date(key.maintained_at) if key.maintained_at else "",
        "auth_by": key.auth_by.value,
        "dnsname": key.dns_name,
        "source": ", ".join(map(_address, key.sources)),
        "name": key.name,
        "secure_only": str(int(key.secure_only)),
        "enabled": str(int(key.enabled)),
        "accessLevel": str(int(key.level)),
        "key": f"{key.shown}****",
        "default_user": key.default_user or "",
        "allowed_methods": ", ".join(key.methods),
    }


def _address(network: Network) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _auth_by(word: str) -> AuthBy:
    try:
        return AuthBy(word.lower())
    except ValueError:
        raise Failure(Code.E_DATA_ABORT, f"auth_by: is none of {', '.join(AuthBy)}") from None


def _level(asked: Asked, name: str) -> Level | None:
    number = asked.values.whole(name)
    try:
        return None if number is None else Level(number)
    except ValueError:
        raise Failure(Code.E_DATA_ABORT, f"{name}: there is no level {number}") from None


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(entry for part in (text or "").split(",") if (entry := part.strip()))


def _given_list(text: str | None) -> tuple[str, ...] | Leave:
    return LEAVE if text is None else _listed(text)
