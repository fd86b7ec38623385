"""Section API access: keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.arguments import MAX_WHOLE
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.declared import METHODS
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.domain.addresses import Network
from rating_engine.domain.api_key import ApiKey, AuthBy, KeyChanges, KeyKind, NewKey
from rating_engine.domain.change import LEAVE
from rating_engine.domain.party import SYSTEM, Level

ANY: Final = frozenset({"*", "*.*.*.*"})  # masks of every address


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
    auth_by = _auth_by(values.needed_text("auth_by"))
    default_user, default_value = await _default(asked, auth_by, values.text("default_user") or "")
    new = NewKey(
        values.needed_text("name"),
        kind=KeyKind.SERVER if level > Level.ANYBODY else KeyKind.CLIENT,
        level=level,
        auth_by=auth_by,
        default_user=default_user,
        default_value=default_value,
        sources=_sources(values.text("source")),
        methods=_methods(values.text("allowed_methods")),
        secure_only=asked.values.switch("secure_only") or False,
    )
    await asked.use.keys.add(new, secret=values.needed_text("apikey"))
    return True


async def update_key(asked: Asked) -> Answer:
    """What is given of a key; an empty list or user takes it away."""
    values, name = asked.values, asked.values.needed_text("name")
    auth_by = None if (word := values.text("auth_by")) is None else _auth_by(word)
    level, default = _level(asked, "accesslevel"), values.text("default_user")
    secure_only, enabled = asked.values.switch("secure_only"), asked.values.switch("enabled")
    sources, methods = values.text("source"), values.text("allowed_methods")
    named: dict[str, Any] = {}
    if default is not None or auth_by is not None:  # by what the default user is named is of the way keys authorise
        key = await asked.use.keys.show(name)
        by = key.auth_by if auth_by is None else auth_by
        user, value = await _default(asked, by, _default_shown(key) if default is None else default)
        named = {"default_user": user, "default_value": value}
    changes = KeyChanges(
        level=LEAVE if level is None else level,
        auth_by=LEAVE if auth_by is None else auth_by,
        sources=LEAVE if sources is None else _sources(sources),
        methods=LEAVE if methods is None else _methods(methods),
        secure_only=LEAVE if secure_only is None else secure_only,
        enabled=LEAVE if enabled is None else enabled,
        **named,
    )
    await asked.use.keys.change(name, changes, secret=values.text("apikey"))
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
        "default_user": _default_shown(key),
        "allowed_methods": ", ".join(key.methods),
    }


def _default_shown(key: ApiKey) -> str:
    return key.default_value or key.default_user or ""


async def _default(asked: Asked, auth_by: AuthBy, named: str) -> tuple[str | int | None, str]:
    """The default user, named by what the key authorises by or by its login; and by what, where that is no login.

    Raises Failure (E_NOT_EXIST); errors: NotFound, NotYours.
    """
    found: int | None = None
    match auth_by:
        case AuthBy.ID if named.isascii() and named.isdigit() and len(named) < len(str(MAX_WHOLE)):
            found = (await asked.services.access.party(int(named))).party_id
        case AuthBy.SIP_EXTENSION if named:
            found = await asked.services.access.owner_of_line(named)
        case AuthBy.MSISDN | AuthBy.ICCID if named:
            card = await asked.services.access.owner_of_card(named, by_iccid=auth_by is AuthBy.ICCID)
            found = None if card is None else card[0]
    if found is None or found == SYSTEM:
        return named or None, ""
    return found, named


def _address(network: Network) -> str:
    """An address, a mask as the document writes it (192.0.2.*), or a network."""
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    if network.version == 4 and network.prefixlen % 8 == 0:
        kept = network.prefixlen // 8
        return ".".join([*str(network.network_address).split(".")[:kept], *["*"] * (4 - kept)])
    return str(network)


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


def _sources(text: str | None) -> tuple[str, ...]:
    """Addresses and masks; any, where one of them is that of all."""
    listed = _listed(text)
    return () if ANY.intersection(listed) else listed


def _methods(text: str | None) -> tuple[str, ...]:
    """Methods of the document; none: all. Raises Failure (E_DATA_ABORT): a key for others opens nothing."""
    listed = _listed(text)
    if unknown := [name for name in listed if name not in METHODS]:
        raise Failure(Code.E_DATA_ABORT, f"allowed_methods: there is no method {unknown[0][:64]!r}")
    return listed
