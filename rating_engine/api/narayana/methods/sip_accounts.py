"""Section SIP accounts: extensions shown, made, changed and deleted; they register at their exchange at once.

Laws: what is not kept is refused by its name before anything is written; rights are the use cases' own: of oneself one
lowers limits, and shows none but one's own numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.methods.rates import switch_line
from rating_engine.api.narayana.methods.user import check_not_read_only
from rating_engine.api.narayana.user_object import line_fields
from rating_engine.api.narayana.wire import scalar
from rating_engine.domain.change import LEAVE, Leave, given
from rating_engine.domain.sip_account import MAIN_DIGITS, NewSipAccount, SipChanges

SRTP: Final = (0, 1)
REACH: Final = (0, 2)
ID_DIGITS: Final = 18  # a bigint has them
TEXTS: Final[Mapping[str, str]] = {
    "extension": "login",
    "sip_password": "password",
    "sip_transport": "transport",
    "sip_callerid": "callerid",
    "sip_redirect": "redirect_to",
    "sip_language": "language",
    "disa_trusted_cli": "trusted_cli",
    "sip_host": "host",
}


async def get_extensions(asked: Asked) -> Answer:
    """One's own; of a user that one owns; or `all`: what one owns, everybody's for administrators."""
    values = asked.values
    if owner := values.text("owner"):
        found = await asked.use.sip_accounts.of(owner)
    elif values.flag("all") or not values.flag("own"):
        found = await asked.use.sip_accounts.below()
    else:
        found = await asked.use.sip_accounts.of(asked.who)
    return [line_fields(line) for line in found]


async def get_extension_info(asked: Asked) -> Answer:
    """One extension, or one field of it."""
    fields = line_fields(await asked.use.sip_accounts.show(asked.values.needed_text("sip_extension")))
    name = asked.values.text("property")
    if not name:
        return fields
    if name not in fields:
        raise Failure(Code.E_NOT_EXIST, f"property: there is none named {name[:64]!r}")
    return scalar(fields[name])


async def get_avail_extension(asked: Asked) -> Answer:
    """A free number: one beside one's own main extension, or a main one."""
    if not asked.values.flag("own"):
        return await asked.use.sip_accounts.available()
    mains = [line.login for line in await asked.use.sip_accounts.of(asked.who) if len(line.login) == MAIN_DIGITS]
    if not mains:
        raise Failure(Code.E_NOT_EXIST, "the user has no main extension")
    return await asked.use.sip_accounts.available(main=mains[0])


async def create_extension(asked: Asked) -> Answer:
    """One more on the account of its owner."""
    values = asked.values
    new = NewSipAccount(
        login=values.needed_text("sip_extension"),
        owner=values.text("owner") or asked.who,
        exchange=values.text("sip_server") or None,
        password=values.needed_text("sip_password"),
        settings=SipChanges(
            callerid=_given(values.text("sip_callerid")),
            language=_given(values.text("sip_language")),
            srtp=bool(values.flag("sip_srtp")),
        ),
    )
    await asked.use.sip_accounts.create(new)
    return True


async def update_extension(asked: Asked) -> Answer:
    """Set what is given: all of it or nothing."""
    login = asked.values.needed_text("sip_extension")
    check_not_read_only(asked)
    line = await asked.use.sip_accounts.show(login)
    changes = _changes(asked)
    tariff_id = asked.values.whole("sip_rates_id")
    if tariff_id == line.tariff_id:
        tariff_id = None
    options = _option_ids(asked)
    if options is not None and set(options) == set(line.options):
        options = None
    if sum((bool(given(changes)), tariff_id is not None, options is not None)) > 1:  # each is done as one, and costs
        name = "sip_rates_id" if tariff_id is not None else "sip_rates_options"
        raise Failure(Code.E_DATA_ABORT, f"{name}: is set alone; nothing was changed")
    if tariff_id is not None:
        return await switch_line(asked, login, tariff_id)
    if options is not None:
        if not await asked.use.price_lists.set_options(login, options):
            raise Failure(Code.E_INSUFFICIENT_MONEY)
        return True
    await asked.use.sip_accounts.change(login, changes)
    return True


async def delete_extension(asked: Asked) -> Answer:
    """Nobody registers or calls by it any more; its calls and its number stay."""
    await asked.use.sip_accounts.delete(asked.values.needed_text("sip_extension"))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getExtensions": get_extensions,
    "getExtensionInfo": get_extension_info,
    "getAvailExtension": get_avail_extension,
    "createExtension": create_extension,
    "updateExtension": update_extension,
    "deleteExtension": delete_extension,
}


def _changes(asked: Asked) -> SipChanges:
    values = asked.values
    found: dict[str, Any] = {field: text for name, field in TEXTS.items() if (text := values.text(name)) is not None}
    servers = {server for name in ("sip_server", "sip_address") if (server := values.text(name))}
    if len(servers) > 1:
        raise Failure(Code.E_DATA_ABORT, "sip_address: is another server than sip_server")
    if servers:
        found["exchange"] = servers.pop()
    if (srtp := _one_of(asked, "sip_srtp", SRTP)) is not None:
        found["srtp"] = srtp == 1
    if (reach := _one_of(asked, "sip_reach", REACH)) is not None:
        found["reachable"] = reach != 0
    if (seconds := values.whole("sip_max_call_len")) is not None:
        found["max_seconds"] = None if seconds == 0 else seconds
    if (pin := values.whole("disa_pin")) is not None:
        found["disa_pin"] = _digits(asked, pin)
    if (pitch := values.whole("sip_pitch_shift")) is not None:
        found["pitch_shift"] = pitch
    if (options := values.text("sip_options")) is not None:
        found["endpoint_options"] = _options(options)
    if (forced := _one_of(asked, "sip_force_callback", (0, 1))) is not None:
        found["force_callback"] = forced == 1
    return SipChanges(**found)


def _option_ids(asked: Asked) -> list[int] | None:
    """The options that the line shall have, by the ids of their tariffs, separated by commas; None: not asked for."""
    text = asked.given.get("sip_rates_options")
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdecimal() and len(part) <= ID_DIGITS for part in parts):
        raise Failure(Code.E_INVALID_ARGUMENT, "sip_rates_options: must be ids of tariffs, separated by commas")
    return [int(part) for part in parts]


def _digits(asked: Asked, pin: int) -> str:
    """The PIN as it was written: a zero before it is a part of it."""
    if pin < 0:
        raise Failure(Code.E_DATA_ABORT, "disa_pin: has digits alone")
    return asked.given.get("disa_pin", str(pin)).lstrip("+")


def _options(text: str) -> dict[str, str]:
    """name=value, separated by commas; empty: none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in parts)}


def _one_of(asked: Asked, name: str, known: tuple[int, ...]) -> int | None:
    number = asked.values.whole(name)
    if number is not None and number not in known:
        raise Failure(Code.E_DATA_ABORT, f"{name}: is none of {', '.join(map(str, known))}")
    return number


def _given(text: str | None) -> str | Leave:
    return LEAVE if text is None else text
