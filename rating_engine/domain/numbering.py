"""Numbering plans and short numbers as operators change and list them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from rating_engine.domain.change import LEAVE, Leave, given
from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.numbering import NumberingPlan

MAX_NATIONAL_LENGTH: Final = 15  # digits of E.164
MAX_TECHNICAL_PREFIXES: Final = 100  # of a plan: every one is tried at every call

_PREFIX: Final = re.compile(r"[0-9]{0,8}")
_COUNTRY_CODE: Final = re.compile(r"[0-9]{0,4}")
_TECHNICAL: Final = re.compile(r"[0-9*#]{1,16}")
_DIALLED: Final = re.compile(r"[0-9*#+]{1,32}")  # how a rewrite or an alias begins on the keys of a phone
_REPLACEMENT: Final = re.compile(r"[0-9+]{0,32}")
_DESTINATION: Final = re.compile(r"[0-9+]{1,32}")


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """What is to be changed of a numbering plan; LEAVE: as it is. `technical_prefixes` replaces all it has.

    Raises InvalidRequest naming the field.
    """

    international_prefix: str | Leave = LEAVE
    national_prefix: str | Leave = LEAVE
    country_code: str | Leave = LEAVE
    technical_prefixes: tuple[str, ...] | Leave = LEAVE
    national_length: int | Leave = LEAVE

    def __post_init__(self) -> None:
        for name, pattern, what in (
            ("international_prefix", _PREFIX, "8 digits"),
            ("national_prefix", _PREFIX, "8 digits"),
            ("country_code", _COUNTRY_CODE, "4 digits"),
        ):
            if (text := getattr(self, name)) is not LEAVE and not pattern.fullmatch(text):
                raise InvalidRequest(name, f"{text[:64]!r} is not up to {what}")
        if self.national_length is not LEAVE and not 0 <= self.national_length <= MAX_NATIONAL_LENGTH:
            raise InvalidRequest("national_length", f"must be from 0 to {MAX_NATIONAL_LENGTH}")
        if self.technical_prefixes is LEAVE:
            return
        for prefix in self.technical_prefixes:
            if not _TECHNICAL.fullmatch(prefix):
                raise InvalidRequest("technical_prefix", f"{prefix[:64]!r} is not 1 to 16 of 0-9, * and #")
        if len(self.technical_prefixes) > MAX_TECHNICAL_PREFIXES:
            raise InvalidRequest("technical_prefix", f"a plan may have {MAX_TECHNICAL_PREFIXES}")


def changed_plan(plan: NumberingPlan, changes: PlanChanges) -> NumberingPlan:
    """The plan as it is then. Raises InvalidRequest where it would not say what a national number is."""
    values = given(changes)
    if "technical_prefixes" in values:
        values["technical_prefixes"] = tuple(dict.fromkeys(values["technical_prefixes"]))
    changed = replace(plan, **values)
    if changed.national_prefix and not changed.country_code:
        raise InvalidRequest("country_code", "must be given with a national prefix: it takes its place")
    if changed.national_length and not changed.country_code:
        raise InvalidRequest("country_code", "must be given with a national length: such numbers are of it")
    return changed


@dataclass(frozen=True, slots=True)
class Alias:
    """A short number, of one login or (None) of everybody, and what it stands for."""

    login: str | None
    alias: str
    destination: str


@dataclass(frozen=True, slots=True)
class NumberedAlias:
    """An alias by its number. `login`, `owner` (whose line it is): None where it is everybody's."""

    alias_id: int
    login: str | None
    owner: str | None
    party_id: int | None
    alias: str
    destination: str


def check_alias(alias: Alias) -> None:
    """Raises InvalidRequest for what no phone can dial, and for what is no destination."""
    if not _DIALLED.fullmatch(alias.alias):
        raise InvalidRequest("alias", f"{alias.alias[:64]!r} is not 1 to 32 of 0-9, *, # and +")
    if not _DESTINATION.fullmatch(alias.destination):
        raise InvalidRequest("destination", f"{alias.destination[:64]!r} is not 1 to 32 of 0-9 and +")


def check_rewrite(prefix: str, replacement: str | None) -> None:
    """What leading characters become; None: they stay. Raises InvalidRequest."""
    if not _DIALLED.fullmatch(prefix):
        raise InvalidRequest("prefix", f"{prefix[:64]!r} is not 1 to 32 of 0-9, *, # and +")
    if replacement is not None and not _REPLACEMENT.fullmatch(replacement):
        raise InvalidRequest("replacement", f"{replacement[:64]!r} is not up to 32 of 0-9 and +")
