"""How phones write numbers: numbering plans with their rewrites, and aliases."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.numbering import NumberingPlan
from rating_engine.services.tariffs.fields import name_of
from rating_engine.storage.numbers import aliases as alias_store
from rating_engine.storage.numbers import numbering as store
from rating_engine.storage.postgres.pool import Database

MAX_LISTED: Final = 100_000  # aliases in one list
MAX_TECHNICAL_PREFIXES: Final = 100  # of a plan: every one is tried at every call

_PREFIX: Final = re.compile(r"[0-9]{0,8}")
_COUNTRY_CODE: Final = re.compile(r"[0-9]{0,4}")
_TECHNICAL: Final = re.compile(r"[0-9*#]{1,16}")
_DIALLED: Final = re.compile(r"[0-9*#+]{1,32}")  # how a rewrite or an alias begins on the keys of a phone
_REPLACEMENT: Final = re.compile(r"[0-9+]{0,32}")
_DESTINATION: Final = re.compile(r"[0-9+]{1,32}")


class Numbering:
    """The use cases of `rating-engine numbering` and `rating-engine alias`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, settings: Mapping[str, str], technical: Sequence[str] | None = None) -> None:
        """A plan. `settings`: international_prefix, national_prefix, country_code. `technical`: its technical prefixes.

        Errors: InvalidRequest naming the field, AlreadyExists, Unavailable.
        """
        plan = _changed(NumberingPlan(name_of(name, "name")), settings, technical)
        await store.add_plan(self._database, plan)

    async def set(self, name: str, settings: Mapping[str, str], technical: Sequence[str] | None = None) -> None:
        """Change settings of a plan for the next call everywhere; `technical` replaces all it has, None leaves them.

        Errors: InvalidRequest naming the field, NotFound, Unavailable.
        """
        async with store.changing_plan(self._database, name) as (connection, plan):
            await store.update_plan(connection, _changed(plan, settings, technical))

    async def rewrite(self, plan: str, prefix: str, replacement: str | None) -> None:
        """Numbers that begin with `prefix` begin with `replacement` instead; None: no more.

        Errors: InvalidRequest naming the field, NotFound, Unavailable.
        """
        if not _DIALLED.fullmatch(prefix):
            raise InvalidRequest("prefix", f"{prefix[:64]!r} is not 1 to 32 of 0-9, *, # and +")
        if replacement is not None and not _REPLACEMENT.fullmatch(replacement):
            raise InvalidRequest("replacement", f"{replacement[:64]!r} is not up to 32 of 0-9 and +")
        await store.set_rewrite(self._database, plan, prefix, replacement)

    async def list(self) -> dict[str, NumberingPlan]:
        """Every plan by its name. Errors: Unavailable."""
        return (await store.load_numbering(self._database))[0]

    async def remove(self, name: str) -> None:
        """Delete a plan that no account has. Errors: NotFound, InvalidRequest, Unavailable."""
        await store.remove_plan(self._database, name)

    async def set_alias(self, alias: str, destination: str, login: str | None = None) -> None:
        """`alias`, dialled alone, stands for `destination`: for one login, or for everybody who has no such of its own.

        Errors: InvalidRequest naming the field, NotFound, Unavailable.
        """
        if not _DIALLED.fullmatch(alias):
            raise InvalidRequest("alias", f"{alias[:64]!r} is not 1 to 32 of 0-9, *, # and +")
        if not _DESTINATION.fullmatch(destination):
            raise InvalidRequest("destination", f"{destination[:64]!r} is not 1 to 32 of 0-9 and +")
        await alias_store.set_alias(self._database, login, alias, destination)

    async def remove_alias(self, alias: str, login: str | None = None) -> None:
        """Errors: NotFound, Unavailable."""
        await alias_store.remove_alias(self._database, login, alias)

    async def aliases(self, login: str | None = None) -> Sequence[tuple[str | None, str, str]]:
        """(login or None for everybody, alias, destination), of one login or all. Errors: Unavailable."""
        return await alias_store.list_aliases(self._database, login, MAX_LISTED)


def _changed(plan: NumberingPlan, settings: Mapping[str, str], technical: Sequence[str] | None) -> NumberingPlan:
    """The plan with settings changed. Raises InvalidRequest."""
    for field, text in settings.items():
        pattern, what = (_COUNTRY_CODE, "4 digits") if field == "country_code" else (_PREFIX, "8 digits")
        if not pattern.fullmatch(text):
            raise InvalidRequest(field, f"{text[:64]!r} is not up to {what}")
    for prefix in technical or ():
        if not _TECHNICAL.fullmatch(prefix):
            raise InvalidRequest("technical_prefix", f"{prefix[:64]!r} is not 1 to 16 of 0-9, * and #")
    if technical is not None and len(technical) > MAX_TECHNICAL_PREFIXES:
        raise InvalidRequest("technical_prefix", f"a plan may have {MAX_TECHNICAL_PREFIXES}")
    changed = replace(
        plan,
        international_prefix=settings.get("international_prefix", plan.international_prefix),
        national_prefix=settings.get("national_prefix", plan.national_prefix),
        country_code=settings.get("country_code", plan.country_code),
        technical_prefixes=plan.technical_prefixes if technical is None else tuple(dict.fromkeys(technical)),
    )
    if changed.national_prefix and not changed.country_code:
        raise InvalidRequest("country_code", "must be given with a national prefix: it takes its place")
    return changed
