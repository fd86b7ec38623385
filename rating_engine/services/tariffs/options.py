"""Who has which tariff: changing to another one, and options beside it. What that costs is charged at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.checks import check_reference, check_whole
from rating_engine.domain.errors import Hint, InvalidRequest, NotFound, Overloaded
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff_card import ListedOption, Switched, SwitchOutcome, TariffSettings
from rating_engine.services.tariffs.exchange import convert
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.parties.accounts import account_state
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import tariff_options as store
from rating_engine.storage.tariffs.tariff_options import Change, Party
from rating_engine.storage.tariffs.tariff_settings import find_tariff

# The price is looked up before the transaction that charges it, which refuses it if the tariff changed meanwhile.
PRICE_TRIES: Final = 5


class Options:
    """What one principal does with the tariffs that logins have."""

    def __init__(
        self, database: Database, principal: Principal, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._principal = principal
        self._clock = clock

    async def switch_tariff(self, login: str, tariff: str, reference: str | None = None) -> Switched:
        """Give a login another tariff from the next call on; its account pays the tariff's switch price.

        A reference is charged once, however often it is given. Nothing changes and nothing is charged when the login
        has that tariff, or the account has not the money. Errors: InvalidRequest, NotFound, AlreadyExists (the
        reference was used for something else), Unavailable.
        """
        return await self._switch(login, tariff, reference, lambda found: _tariff_change(found, reference))

    async def grant(
        self,
        login: str,
        option: str,
        *,
        begins: datetime | None = None,
        ends: datetime | None = None,
        position: int | None = None,
        reference: str | None = None,
    ) -> Switched:
        """Give a login an option beside its tariff, for [begins, ends); its account pays its switch price at once.

        `position`: of options that have a rate of the same
        prefix the lowest counts; None: after those it has. Otherwise as `switch_tariff`.
        """
        return await self._switch(
            login, option, reference, lambda found: _option_change(found, begins, ends, position, reference)
        )

    async def revoke(self, login: str, option: str) -> None:
        """Take an option away from the next call on, and what was granted of it ahead; nothing is paid back.

        Errors: NotFound, Unavailable.
        """
        found = await find_tariff(self._database, option)
        async with self._database.transaction(self._principal) as tx:
            party = await store.find_party(tx, login)
            if not await store.revoke_option(tx, party, found.tariff_id):
                raise NotFound(f"{login!r} does not have {option!r}", hint=Hint.SEE_OPTIONS, about={"login": login})
            await record(tx, "option.revoke", login, {"option": option}, bucket=party.bucket)

    async def page(self, login: str, cursor: Cursor, *, past: bool = False) -> Page[ListedOption]:
        """The options of a login in the order in which they count. Errors: NotFound, InvalidRequest, Unavailable."""
        await store.find_party(self._database, login)
        return await store.list_options(self._database, login, cursor, past=past)

    async def _switch(
        self, login: str, tariff: str, reference: str | None, change_to: Callable[[TariffSettings], Change]
    ) -> Switched:
        check_reference(reference)
        party = await store.find_party(self._database, login)
        for _ in range(PRICE_TRIES):
            found = await find_tariff(self._database, tariff)
            switched = await self._try_switch(party, found, change_to(found))
            if switched is not None:
                return switched
        raise Overloaded(f"tariff {tariff!r} changes all the time; nothing was done, try again")

    async def _try_switch(self, party: Party, tariff: TariffSettings, change: Change) -> Switched | None:
        """None where the tariff changed since it was looked at."""
        price = await convert(self._database, tariff.switch_price, tariff.currency, party.currency, self._clock())
        note = note_of(
            self._principal, "option.grant" if change.is_option else "subscriber.tariff", party.login,
            {"tariff": tariff.name, "price": price, "reference": change.reference},
        )  # fmt: skip
        outcome, balance = await store.switch(self._database, party, replace(change, price=price), note)
        if outcome == "stale":
            return None
        if outcome == "wrong_kind":
            raise InvalidRequest(
                "tariff",
                f"{tariff.name!r} is {'an' if tariff.is_option else 'no'} option",
                hint=Hint.GRANT_OPTION if tariff.is_option else Hint.SWITCH_TARIFF,
                about={"login": party.login, "tariff": tariff.name},
            )
        return Switched(SwitchOutcome(outcome), price, party.currency, balance)


def _tariff_change(tariff: TariffSettings, reference: str | None) -> Change:
    return Change(tariff.tariff_id, tariff.version, False, tariff.switch_price, reference)


def _option_change(
    tariff: TariffSettings, begins: datetime | None, ends: datetime | None, position: int | None, reference: str | None
) -> Change:
    """Raises InvalidRequest. Whether the span is past is for the transaction to say: a repeated order may be."""
    check_whole(position, "position")
    return Change(tariff.tariff_id, tariff.version, True, tariff.switch_price, reference, begins, ends, position)


async def can_pay(database: Database, login: str, tariffs: Sequence[str]) -> bool:
    """Whether the account of a login has what changing to all of them costs now. Errors: NotFound, Unavailable."""
    party = await store.find_party(database, login)
    total = Decimal(0)
    for name in tariffs:
        found = await find_tariff(database, name)
        total += await convert(database, found.switch_price, found.currency, party.currency, datetime.now(UTC))
    state = await account_state(database, login)
    return state is None or state.available is None or state.available >= total
