"""Scores of numbers and addresses: how much each is to be suspected. No I/O.

Source: shared/spec/mor.md, section 6 (dynamic blacklist: scores of source, destination and RTP address).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from rating_engine.domain.checks import check_whole
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.route_plan import MAX_SCORE

_NUMBER: Final = re.compile(r"\+?([0-9]{1,32})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NumberScore:
    """`subject`: a whole number in digits, or an address. Raises InvalidRequest naming the field."""

    subject: str
    score: int

    def __post_init__(self) -> None:
        check_whole(self.score, "score", least=1, most=MAX_SCORE)


def subject_of(text: str) -> str:
    """A number or an address as scores are kept by it. Raises InvalidRequest."""
    if number := _NUMBER.fullmatch(text.strip()):
        return number[1]
    if address := address_of(text.strip()):
        return address
    raise InvalidRequest("subject", f"{text[:45]!r} is neither a number such as 79010000001 nor an address")


def address_of(text: str) -> str:
    """An address in its one form, without a port; '' where it is none."""
    try:
        found = ipaddress.ip_address(text.removeprefix("[").partition("]")[0] if text.startswith("[") else text)
    except ValueError:
        host, colon, port = text.rpartition(":")
        return address_of(host) if colon and "." in host and ":" not in host and port.isdigit() else ""
    mapped = getattr(found, "ipv4_mapped", None)
    return str(found if mapped is None else mapped)
