"""SIP accounts: the phone of a line, what it registers by and how it is reached.

Laws: a number has 5 digits, or 7 that begin with those of a main one of the same owner; what reaches an exchange's
configuration is of a known form, so that no value ends its field and begins another; a phone calls with a password, or
from one address, never with neither.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_callerid, check_text, check_whole
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound, RatingEngineError, Refused
from rating_engine.domain.phone_state import PhoneState

MAIN_DIGITS: Final = 5
ADDITIONAL_DIGITS: Final = 7
FIRST_MAIN: Final = 10_000  # what is shorter could be dialled for something else
SECRET_MIN: Final = 6  # of a SIP password: it stands on the line to be guessed at by everybody
SECRET_MAX: Final = 32  # as documented
TRANSPORTS: Final = ("udp,tcp,tls", "udp,tcp", "tls", "udp", "tcp")
DTMF_MODES: Final = ("rfc4733", "inband", "info", "auto", "auto_info")
SIP: Final = "SIP"  # the only technology that is rendered
TECHNOLOGIES: Final = (SIP, "IAX2", "H323", "FAX", "Virtual", "ZAP", "Skype")

_LINE: Final = re.compile(r"[0-9]{5}(?:[0-9]{2})?")
_SECRET: Final = re.compile(r"[!-~]+")  # printable, without a blank: phones are typed into
_NUMBER: Final = re.compile(r"(?:\+?[0-9]{1,31})?")
_PIN: Final = re.compile(r"[0-9]{0,16}")
_LANGUAGE: Final = re.compile(r"[A-Za-z_-]{0,20}")
_CONTEXT: Final = re.compile(r"[A-Za-z0-9_-]{0,79}")
_CODECS: Final = re.compile(r"[a-z0-9_]{1,20}(?:,[a-z0-9_]{1,20}){0,9}")
# Options of an endpoint that a line may have of its own, with the form of each.
_YES_NO: Final = re.compile("yes|no")
_GROUP: Final = re.compile(r"[0-9]{1,2}")
OPTIONS: Final[Mapping[str, re.Pattern[str]]] = {
    "direct_media": _YES_NO,
    "force_rport": _YES_NO,
    "rewrite_contact": _YES_NO,
    "rtp_symmetric": _YES_NO,
    "ice_support": _YES_NO,
    "call_group": _GROUP,
    "pickup_group": _GROUP,
    "qualify_frequency": re.compile(r"[0-9]{1,5}"),
}


class NoSuchExchange(NotFound):
    """The named exchange is not known, or none is."""

    code = "no_such_exchange"


class WrongExtension(InvalidRequest):
    """The number is of no form that a line may have."""

    code = "wrong_extension"


class ExtensionTaken(AlreadyExists):
    """The number is somebody's, or was."""

    code = "extension_taken"


class ExtensionInCall(Refused):
    """It has a call in progress."""

    code = "extension_in_call"


class NoSecretKey(RatingEngineError):
    """Passwords of phones cannot be kept or shown: the setting secret_keys has no key for them."""

    code = "no_secret_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class SipAccount:
    """A line and its phone. `exchange` None: the line has no phone here, and the rest are the defaults.

    `has_password`: one is kept. `password` is filled by who may be shown it alone; None: there is none, or no key.
    `owner`: whose it is. `trust_is_given`: whoever owns the user has said `trusted_cli`.
    `line_id`: its number for good. `numbering_plan` None: its account's.
    `in_service`: whether its exchange knows it, so that it registers and calls. `state`: of its registration;
    None: not known, since nobody watches its exchange, or it has never registered there.
    """

    line_id: int
    login: str
    owner_id: int
    owner: str
    account_id: int
    tariff_id: int
    tariff: str
    options: tuple[int, ...]
    callerid: str
    max_seconds: int | None
    exchange: str | None
    address: str
    dns_name: str
    realm: str
    has_password: bool
    password: str | None = field(default=None, repr=False)
    technology: str = SIP
    numbering_plan: str | None = None
    label: str = ""
    email: str = ""
    is_primary: bool = False
    transport: str = TRANSPORTS[0]
    srtp: bool = False
    reachable: bool = True
    redirect_to: str = ""
    host: str = ""
    disa_pin: str = field(default="", repr=False)
    trusted_cli: str = ""
    trust_is_given: bool = False
    force_callback: bool = False
    pitch_shift: int = -1
    language: str = ""
    context: str = ""
    max_contacts: int = 1
    dtmf_mode: str = DTMF_MODES[0]
    allow: str = ""
    endpoint_options: Mapping[str, str] = field(default_factory=dict)
    updated_at: datetime | None = None
    in_service: bool = False
    state: PhoneState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SipChanges:
    """What is to be changed of a line and its phone; LEAVE: as it is. `exchange`: by name, address or DNS name.

    Raises InvalidRequest naming the field.
    """

    login: str | Leave = LEAVE
    password: str | Leave = field(default=LEAVE, repr=False)
    exchange: str | Leave = LEAVE
    callerid: str | Leave = LEAVE
    max_seconds: int | Leave | None = LEAVE
    label: str | Leave = LEAVE
    email: str | Leave = LEAVE
    is_primary: bool | Leave = LEAVE
    transport: str | Leave = LEAVE
    srtp: bool | Leave = LEAVE
    reachable: bool | Leave = LEAVE
    redirect_to: str | Leave = LEAVE
    host: str | Leave = LEAVE
    disa_pin: str | Leave = field(default=LEAVE, repr=False)
    trusted_cli: str | Leave = LEAVE
    force_callback: bool | Leave = LEAVE
    pitch_shift: int | Leave = LEAVE
    language: str | Leave = LEAVE
    context: str | Leave = LEAVE
    max_contacts: int | Leave = LEAVE
    dtmf_mode: str | Leave = LEAVE
    allow: str | Leave = LEAVE
    endpoint_options: Mapping[str, str] | Leave = LEAVE
    technology: str | Leave = LEAVE
    numbering_plan: str | Leave | None = LEAVE

    def __post_init__(self) -> None:
        _check(self)


def check_extension(login: str, field: str = "sip_extension") -> None:
    """A number of a line. Raises WrongExtension."""
    if not _LINE.fullmatch(login):
        raise WrongExtension(
            field, f"must have {MAIN_DIGITS} digits, or {ADDITIONAL_DIGITS} that begin with a main one"
        )


def is_additional(login: str) -> bool:
    """Whether it is one more number of a main one, which it begins with."""
    return len(login) == ADDITIONAL_DIGITS


def check_sip_password(password: str) -> None:
    """What a phone may register by. Raises InvalidRequest."""
    if not SECRET_MIN <= len(password) <= SECRET_MAX or not _SECRET.fullmatch(password):
        raise InvalidRequest(
            "sip_password", f"must have {SECRET_MIN} to {SECRET_MAX} printable characters without a blank"
        )


def ha1(login: str, realm: str, password: str) -> str:
    """What an exchange checks a password of this realm by, and can tell nobody the password from."""
    return hashlib.md5(f"{login}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def _check(changes: SipChanges) -> None:
    if changes.login is not LEAVE:
        check_extension(changes.login, "extension")
    if changes.password is not LEAVE:
        check_sip_password(changes.password)
    if changes.callerid is not LEAVE:
        check_callerid(changes.callerid, "sip_callerid")
    if changes.max_seconds is not LEAVE:
        check_whole(changes.max_seconds, "sip_max_call_len", least=1)
    if changes.pitch_shift is not LEAVE:
        check_whole(changes.pitch_shift, "sip_pitch_shift", least=-1, most=100)
    if changes.max_contacts is not LEAVE:
        check_whole(changes.max_contacts, "max_contacts", least=1, most=10)
    for name in ("label", "email"):
        if (text := getattr(changes, name)) is not LEAVE:
            check_text(text, name)
            if not text.isprintable() or any(sign in text for sign in '";<>'):
                raise InvalidRequest(name, 'has a sign that a caller id cannot have: one of " ; < >')
    for name, called, known in (
        ("transport", "sip_transport", TRANSPORTS),
        ("dtmf_mode", "dtmf_mode", DTMF_MODES),
        ("technology", "technology", TECHNOLOGIES),
    ):
        if (word := getattr(changes, name)) is not LEAVE and word not in known:
            raise InvalidRequest(called, f"is none of {', '.join(known)}")
    for name, called, form, what in _FORMS:
        if (text := getattr(changes, name)) is not LEAVE and not form.fullmatch(text):
            raise InvalidRequest(called, what)
    if changes.host is not LEAVE and changes.host:
        _check_host(changes.host)
    if changes.endpoint_options is not LEAVE:
        _check_options(changes.endpoint_options)


_FORMS: Final[tuple[tuple[str, str, re.Pattern[str], str], ...]] = (
    ("redirect_to", "sip_redirect", _NUMBER, "must be a number of 31 digits at most, or empty"),
    ("trusted_cli", "disa_trusted_cli", _NUMBER, "must be a number of 31 digits at most, or empty"),
    ("disa_pin", "disa_pin", _PIN, "must be 16 digits at most, or empty"),
    ("language", "sip_language", _LANGUAGE, "must be 20 letters at most, such as en"),
    ("context", "context", _CONTEXT, "must be 79 letters, digits or any of _ - at most"),
    ("allow", "allow", _CODECS, "must be names of codecs such as alaw,ulaw, 10 at most"),
)


def _check_host(host: str) -> None:
    """One address: a whole network without a password would be anybody's."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise InvalidRequest("sip_host", f"{host[:40]!r} is no IP address") from None


def _check_options(options: Mapping[str, str]) -> None:
    for name, value in options.items():
        form = OPTIONS.get(name)
        if form is None or not form.fullmatch(value):
            raise InvalidRequest(
                "sip_options", f"{name[:40]}={value[:40]}: is none of {', '.join(OPTIONS)}, or has no such value"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSipAccount:
    """A line to be made, on its owner's account; an owner without one gets one of its tariff.

    `owner` None: who asks. `exchange` None: that of the owner's first line, else the only one there is.
    """

    login: str
    owner: str | int | None = None
    exchange: str | None = None
    password: str = field(repr=False)
    settings: SipChanges = SipChanges()

    def __post_init__(self) -> None:
        check_extension(self.login)
        check_sip_password(self.password)


def phone_columns(changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is of the phone among the given changes; the rest is of the line, or made of several."""
    other = {"login", "password", "exchange", "callerid", "max_seconds", "numbering_plan"}
    return {name: value for name, value in changes.items() if name not in other}
