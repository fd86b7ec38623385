"""The Integrity Check (seed MOR): what an installation has that works, and costs money or lets somebody in.

Eight checks of the document, each a `Check` whose findings say who or what it is and what to do. It is asked beside the
doctor, which says what is wrong; here nothing has to be. Law: no password leaves it, and no check loads more than a
page.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rating_engine.domain.checkup import Check, Finding
from rating_engine.domain.errors import Hint
from rating_engine.domain.hash_secret import SECRET_GOOD
from rating_engine.domain.sip_account import NoSecretKey
from rating_engine.domain.weak_passwords import is_weak
from rating_engine.services.doctor import SUSPICIONS, SUSPICIOUS_HOURS
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage import integrity as store
from rating_engine.storage.calls.live_calls import count_suspicious
from rating_engine.storage.parties.defaults import load_defaults
from rating_engine.storage.postgres.pool import Database

MOST_NAMED: Final = 100  # of one kind; who mends these asks again
DEVICES_AT_A_TIME: Final = 1_000  # passwords opened in one go, some 50 ms of a thread

SYSTEM_ADMIN: Final = "the system"

Probe = Callable[[], Awaitable[list[Finding]]]


@dataclass(frozen=True, slots=True)
class Places:
    """Directories that must not fill up, by what they are; of each file system `free_percent` is to be free."""

    directories: Sequence[tuple[str, Path]]
    free_percent: int


class Integrity:
    """Asks it all. Read-only."""

    def __init__(self, database: Database, secrets: SecretBox, places: Places, *, https_only: bool) -> None:
        """`https_only`: whether signed requests are taken over TLS alone."""
        self._database = database
        self._secrets = secrets
        self._places = places
        self._https_only = https_only

    async def check(self) -> AsyncIterator[Check]:
        """Each check in turn, in the document's order. Errors: Unavailable."""
        for name, claim, probe in self._probes():
            yield Check(name, claim, await probe())

    def _probes(self) -> tuple[tuple[str, str, Probe], ...]:
        return (
            (
                "destinations",
                "every rate has a direction that is known, and every direction its group",
                self._directions,
            ),
            ("actions", "nothing that was to be sent or looked at has failed", self._actions),
            (
                "user passwords",
                "no user's password is among those that are tried first, no secret that signs is short, and no signed "
                "request is there for all to see",
                self._users,
            ),
            ("device passwords", "no device's password is short, common or its login", self._devices),
            ("loss", "nobody who pays later calls at a loss", self._loss),
            ("default user", "new users don't both pay later and call at a loss", self._default_user),
            ("insecure devices", "nobody calls for a line by a number that anybody can show", self._insecure),
            ("free space", f"{self._places.free_percent} % of each file system is free", self._space),
        )

    async def _directions(self) -> list[Finding]:
        mend = "make it, or write another one into the deck's column direction"
        found = []
        for tariff, code, rates in await store.rates_without_direction(self._database, MOST_NAMED):
            which = f"of a direction that is not known, {code}" if code else "without a direction"
            found.append(Finding(f"tariff {tariff}: {rates:,} rates {which}", mend))
        found += [
            Finding(f"package {package} of {tariff}: its group {group} has no direction", "put directions into it")
            for package, tariff, group in await store.packages_without_direction(self._database, MOST_NAMED)
        ]
        found += [
            Finding(f"direction {row[0]} is in no group", "put it into one, where packages are to count it")
            for row in await store.ungrouped_directions(self._database, MOST_NAMED)
        ]
        return _cut(found)

    async def _actions(self) -> list[Finding]:
        found = [
            Finding(f"{count:,} {what} not sent since {since:%Y-%m-%d %H:%M %Z}: {error[:200]}", "mend what it says")
            for what, count, since, error in await store.failed_actions(self._database)
        ]
        ended = await count_suspicious(self._database, hours=SUSPICIOUS_HOURS)
        return found + [
            Finding(
                f"{count} of the last day's calls ended {SUSPICIONS[name]} ({name})",
                "look at them",
                Hint.SEE_SUSPICIOUS,
            )
            for name, count in ended.items()
        ]

    async def _users(self) -> list[Finding]:
        rows = await store.weak_users(self._database, MOST_NAMED + 1)
        secrets = await store.short_secrets(self._database, MOST_NAMED + 1)
        return _cut(
            [
                *(Finding(f"user {login}, of {_owner(owner)}", "have it changed") for login, owner in rows),
                *(
                    Finding(
                        f"secret of {login}: shorter than {SECRET_GOOD} characters",
                        "make a longer one: who has seen one signed request tries short ones at home",
                    )
                    for (login,) in secrets
                ),
                *await self._open_requests(),
            ]
        )

    async def _open_requests(self) -> list[Finding]:
        if self._https_only or not await store.has_signed_requests(self._database):
            return []
        what = "signed requests of MOR's API are taken over plain http: who sees one can send it again"
        return [Finding(what, "set mor_https_only, with TLS at a proxy before it (docs/mor.md)")]

    async def _devices(self) -> list[Finding]:
        found: list[Finding] = []
        bucket, number = -1, -1
        while rows := await store.devices_after(self._database, bucket, number, DEVICES_AT_A_TIME):
            bucket, number = rows[-1][0], rows[-1][1]
            found += await asyncio.to_thread(self._weak_of, rows)
            if len(found) > MOST_NAMED:
                break
        return _cut(found)

    def _weak_of(self, rows: Sequence[Sequence[Any]]) -> list[Finding]:
        weak = [row for row in rows if self._is_weak(row)]
        return [Finding(f"device {row[2]}, of {_owner(row[3])}", "give it another password") for row in weak]

    def _is_weak(self, row: Sequence[Any]) -> bool:
        try:
            return is_weak(self._secrets.open(row[4]), row[2])
        except NoSecretKey:  # which says itself what to do, wherever the password is used
            return False

    async def _loss(self) -> list[Finding]:
        rows = await store.lines_at_a_loss(self._database, MOST_NAMED + 1)
        mend = "let it call at no loss, or pay before it calls"
        return _cut([Finding(f"{login}, of {_owner(owner)}, by tariff {name}", mend) for login, owner, name in rows])

    async def _default_user(self) -> list[Finding]:
        values = await load_defaults(self._database)
        if (values.get("postpaid"), values.get("allow_loss_calls")) != ("1", "1"):
            return []
        return [Finding("new users pay later and call at a loss", "let them pay before they call, or call at no loss")]

    async def _insecure(self) -> list[Finding]:
        callers = await store.callers_from_anywhere(self._database, MOST_NAMED + 1)
        trusted = await store.trusted_without_pin(self._database, MOST_NAMED + 1)
        return _cut(
            [
                *(
                    Finding(
                        f"{login}, of {_owner(owner)}: whoever shows {number} calls for it",
                        "say from which domain alone, or ban the number",
                    )
                    for number, login, owner in callers
                ),
                *(
                    Finding(f"{login}, of {_owner(owner)}: its trusted number needs no PIN", "give it a PIN")
                    for login, owner in trusted
                ),
            ]
        )

    async def _space(self) -> list[Finding]:
        return await asyncio.to_thread(lambda: list(_full(self._places)))


def _full(places: Places) -> Iterable[Finding]:
    for what, directory in places.directories:
        there = next((each for each in (directory, *directory.parents) if each.exists()), None)
        if there is None:
            continue
        usage = shutil.disk_usage(there)
        free = usage.free * 100 // max(1, usage.total)
        if free < places.free_percent:
            yield Finding(f"{what} ({directory}): {free} % free, {usage.free:,} bytes", "make room, or a larger disk")


def _owner(login: str | None) -> str:
    return login or SYSTEM_ADMIN


def _cut(found: list[Finding]) -> list[Finding]:
    """At most MOST_NAMED, and that there are more."""
    if len(found) <= MOST_NAMED:
        return found
    return [*found[:MOST_NAMED], Finding("and more", "mend these and ask again")]
