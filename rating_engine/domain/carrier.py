"""Carriers of messages as the settings write them: NAME KIND [URL] [option=value …].

Law: whatever an error says of one holds nothing of its URL, which may have a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from rating_engine.domain.checks import MAX_NAME

MAX_PATTERN: Final = 200  # characters of what an answer is compared with

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PREFIXES: Final = re.compile(r"[0-9]{1,15}(?:\|[0-9]{1,15})*")
_HTTP: Final = re.compile(r"https?://[^\s/{}]+(?:/\S*)?")
_SMPP: Final = re.compile(r"smpps?://\S+")


class CarrierKind(StrEnum):
    """How it is spoken to."""

    LOOPBACK = "loopback"  # nobody: takes all, for a demo and for tests
    HTTP = "http"
    HLR = "hlr"  # by HTTP too: queries of where a number is
    SMPP = "smpp"


@dataclass(frozen=True, slots=True)
class CarrierSettings:
    """`prefixes` of numbers that it serves; ('',): all. `accepts`: what a good answer over HTTP matches; its first
    group, if any, is what the carrier calls the message, or the answer of a query. `post`: by POST, the query as a
    form. `cost`: the tariff whose prices of messages are what it takes; '': nobody has said.
    """

    name: str
    kind: CarrierKind
    url: str = ""
    prefixes: tuple[str, ...] = ("",)
    accepts: re.Pattern[str] | None = None
    post: bool = False
    cost: str = ""


def parse_carrier(text: str) -> CarrierSettings:
    """Raises ValueError with what is wrong."""
    words = text.split()
    if len(words) < 2 or not _NAME.fullmatch(words[0]) or words[1] not in list(CarrierKind):
        raise ValueError(f"must be NAME KIND [URL] [option=value], KIND one of {', '.join(CarrierKind)}")
    name, kind, rest = words[0], CarrierKind(words[1]), words[2:]
    url = ""
    if kind is not CarrierKind.LOOPBACK:
        url, rest = (rest[0], rest[1:]) if rest else ("", [])
        _check_url(kind, url)
    options = dict(_option(word, kind) for word in rest)
    accepts = options.get("ok")
    return CarrierSettings(
        name,
        kind,
        url,
        prefixes=tuple(options["to"].split("|")) if "to" in options else ("",),
        accepts=None if accepts is None else re.compile(accepts, re.DOTALL),
        post=options.get("method") == "post",
        cost=options.get("cost", ""),
    )


def _check_url(kind: CarrierKind, url: str) -> None:
    if kind is CarrierKind.SMPP:
        parts = urlsplit(url) if _SMPP.fullmatch(url) else None
        if parts is None or not parts.hostname or not parts.username:
            raise ValueError("an smpp carrier takes smpp://SYSTEM_ID:PASSWORD@HOST:PORT")
    elif not _HTTP.fullmatch(url):
        raise ValueError(f"{kind}: takes a URL with http:// or https:// and no {{}} in the host")


def _option(word: str, kind: CarrierKind) -> tuple[str, str]:
    name, _, value = word.partition("=")
    is_http = kind in (CarrierKind.HTTP, CarrierKind.HLR)
    if name == "to" and _PREFIXES.fullmatch(value):
        return name, value
    if name == "cost" and 1 <= len(value) <= MAX_NAME:
        return name, value
    if name == "method" and value in ("get", "post") and is_http:
        return name, value
    if name == "ok" and 1 <= len(value) <= MAX_PATTERN and is_http:
        try:
            re.compile(value)
        except re.error:
            raise ValueError("ok=: is no regular expression") from None
        return name, value
    raise ValueError(
        "options are to=49|43, cost=TARIFF and, of http and hlr, ok=REGEX (without blanks) and method=post"
    )
