"""Management as an operator does it at the command line: words in, by the parsers of the command line; nouns out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime

from rating_engine.cli import words
from rating_engine.cli.numbers.numbering import plan_changes
from rating_engine.cli.parties.accounts import account_settings
from rating_engine.cli.routes.routes import route_changes
from rating_engine.cli.tariffs.packages import free_package, volume_package
from rating_engine.cli.tariffs.tariffs import tariff_changes
from rating_engine.domain.account import AccountKind, AccountState, LedgerEntry, NewAccount, NewSubscriber, Posting
from rating_engine.domain.change import LEAVE
from rating_engine.domain.numbering import Alias
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.tariff import ListedRoute
from rating_engine.domain.tariff_card import Holiday, ListedPackage, ListedTariff
from rating_engine.rating.numbering import NumberingPlan
from rating_engine.rating.schedule import Window
from rating_engine.services.numbers import numbering as typed_numbering
from rating_engine.services.parties import accounts as typed_accounts
from rating_engine.services.routes import routes as typed_routes
from rating_engine.services.tariffs import bands as typed_bands
from rating_engine.services.tariffs import exchange as typed_exchange
from rating_engine.services.tariffs import options as typed_options
from rating_engine.services.tariffs import packages as typed_packages
from rating_engine.services.tariffs import settings as typed_tariffs
from rating_engine.storage.postgres.pool import Database

ALL = Cursor(MAX_LIMIT)


class Accounts:
    """`rating-engine account`."""

    def __init__(self, database: Database, *, buckets: int = 1) -> None:
        self._accounts = typed_accounts.Accounts(database, OPERATOR, buckets=buckets)

    async def create(
        self,
        login: str,
        tariff: str,
        *,
        currency: str | None = None,
        balance: str = "0",
        overdraft: str | None = None,
        postpaid: bool = False,
        max_calls: int | None = None,
        callerid: str = "",
    ) -> AccountState:
        """`account create`."""
        return await self._accounts.create(
            NewAccount(
                login,
                tariff,
                currency,
                words.amount(balance, "balance"),
                LEAVE if overdraft is None else words.amount(overdraft, "overdraft"),
                AccountKind.POSTPAID if postpaid else AccountKind.PREPAID,
                max_calls,
                callerid,
            )
        )

    async def show(self, login: str) -> AccountState:
        """`account show`."""
        return await self._accounts.show(login)

    async def change(
        self,
        login: str,
        changes: Mapping[str, str],
        *,
        allow: Sequence[str] = (),
        block: Sequence[str] = (),
        forget: Sequence[str] = (),
    ) -> AccountState:
        """`account set`."""
        rules = {**dict.fromkeys(allow, True), **dict.fromkeys(block, False), **dict.fromkeys(forget)}
        return await self._accounts.change(login, account_settings(**changes), rules)

    async def add_subscriber(self, login: str, account_of: str, **more: object) -> AccountState:
        """`account add-subscriber`."""
        return await self._accounts.add_subscriber(NewSubscriber(login, account_of, **more))

    async def top_up(self, login: str, amount: str, *, reference: str | None = None) -> Posting:
        """`account topup`."""
        return await self._accounts.top_up(login, words.amount(amount, "amount"), reference=reference)

    async def statement(self, login: str, limit: int = 50) -> Sequence[LedgerEntry]:
        """`account statement`."""
        return (await self._accounts.statement(login, Cursor(limit))).items


class Tariffs(typed_tariffs.Tariffs):
    """`rating-engine tariff`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, OPERATOR)

    async def add(self, name: str, settings: Mapping[str, str]) -> ListedTariff:
        """`tariff add`."""
        return await super().add(name, tariff_changes(**settings))

    async def set(self, name: str, settings: Mapping[str, str]) -> ListedTariff:
        """`tariff set`."""
        return await super().change(name, tariff_changes(**settings))

    async def mark_up(self, name: str, factor: str) -> tuple[object, object]:
        """`tariff markup`."""
        done = await super().mark_up(name, words.amount(factor, "markup"))
        return done.before, done.after

    async def list(self) -> Sequence[ListedTariff]:
        """`tariff list`."""
        return (await self.page(ALL)).items


class Bands(typed_bands.Bands):
    """`rating-engine tariff band` and `holidays`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, OPERATOR)

    async def add(
        self, tariff: str, *, band: str, days: str, starts: str, ends: str, position: int | None = None
    ) -> Sequence[Window]:
        """`tariff band`."""
        window = Window(band, words.days(days), words.clock(starts, "starts"), words.clock(ends, "ends"))
        return await super().add(tariff, window, position=position)

    async def holidays(self, calendar: str | None = None) -> list[tuple[str, date, str]]:
        """`holidays list`."""
        return [(each.calendar, each.day, each.name) for each in (await super().holidays(ALL, calendar)).items]

    async def add_holiday(self, calendar: str, day: str, name: str = "") -> int:
        """`holidays add`."""
        return await super().add_holiday(Holiday(calendar, words.day(day, "day"), name))

    async def remove_holiday(self, calendar: str, day: str) -> None:
        """`holidays remove`."""
        await super().remove_holiday(calendar, words.day(day, "day"))


class Options(typed_options.Options):
    """`rating-engine option`."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(database, OPERATOR, **({} if clock is None else {"clock": clock}))

    async def grant(self, login: str, option: str, *, begins: str | None = None, ends: str | None = None, **more):
        """`option grant`."""
        zone = await typed_tariffs.Tariffs(self._database, OPERATOR).time_zone(option)
        return await super().grant(
            login,
            option,
            begins=None if begins is None else words.moment(begins, "effective_from", zone),
            ends=None if ends is None else words.moment(ends, "effective_to", zone),
            **more,
        )

    async def list(self, login: str, *, past: bool = False):
        """`option list`."""
        return list((await self.page(login, ALL, past=past)).items)


class Exchange(typed_exchange.Exchange):
    """`rating-engine exchange`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, OPERATOR)

    async def set(self, currency_from: str, currency_to: str, rate: str, since: str | None = None) -> datetime:
        """`exchange set`."""
        moment = None if since is None else words.moment(since, "effective_from")
        return (await super().set(currency_from, currency_to, words.amount(rate, "rate"), moment)).effective_from

    async def list(self):
        """`exchange list`."""
        return list((await self.page(ALL)).items)

    async def remove(self, currency_from: str, currency_to: str, since: str) -> None:
        """`exchange remove`."""
        await super().remove(currency_from, currency_to, words.moment(since, "effective_from"))


class Packages(typed_packages.Packages):
    """`rating-engine package` and `direction-group`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, OPERATOR)

    async def add(self, tariff: str, name: str, **how) -> ListedPackage:
        """`package add`."""
        return await super().add(free_package(tariff, name, **how))

    async def add_volume(self, tariff: str, name: str, **how) -> ListedPackage:
        """`package volume`."""
        return await super().add(volume_package(tariff, name, **how))

    async def list(self, tariff: str | None = None) -> Sequence[ListedPackage]:
        """`package list`."""
        return (await self.page(ALL, tariff)).items

    async def groups(self) -> dict[str, list[str]]:
        """`direction-group list`."""
        return {group.name: list(group.directions) for group in (await super().groups(ALL)).items}


class Numbering(typed_numbering.Numbering):
    """`rating-engine numbering` and `alias`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, OPERATOR)

    async def add(
        self, name: str, settings: Mapping[str, str], technical: Sequence[str] | None = None
    ) -> NumberingPlan:
        """`numbering add`."""
        return await super().add(name, _plan(settings, technical))

    async def set(self, name: str, settings: Mapping[str, str], technical: Sequence[str] | None = None) -> None:
        """`numbering set`."""
        await super().change(name, _plan(settings, technical))

    async def list(self) -> dict[str, NumberingPlan]:
        """`numbering list`."""
        return {plan.name: plan for plan in (await self.page(ALL)).items}

    async def set_alias(self, alias: str, destination: str, login: str | None = None) -> None:
        """`alias add`."""
        await super().set_alias(Alias(login, alias, destination))

    async def aliases(self, login: str | None = None) -> list[tuple[str | None, str, str]]:
        """`alias list`."""
        return [(each.login, each.alias, each.destination) for each in (await super().aliases(ALL, login)).items]


class Routes(typed_routes.Routes):
    """`rating-engine routes`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, OPERATOR)

    async def add(self, name: str, settings: Mapping[str, str]) -> ListedRoute:
        """`routes add`."""
        return await super().add(name, route_changes(**settings))

    async def change(self, name: str, settings: Mapping[str, str]) -> ListedRoute:
        """`routes set`."""
        return await super().change(name, route_changes(**settings))

    async def set_enabled(self, name: str, enabled: bool) -> ListedRoute:
        """`routes enable` and `disable`."""
        return await typed_routes.Routes(self._database, OPERATOR).set_enabled(name, enabled)

    async def list(self) -> list[ListedRoute]:
        """`routes list`."""
        return list((await self.page(ALL)).items)

    async def rule_prefixes(self, name: str, prefixes: Iterable[str], allowed: bool | None) -> ListedRoute:
        """`routes allow`, `block` and `forget`."""
        return await super().rule_prefixes(name, dict.fromkeys(prefixes, allowed))

    async def add_window(self, name: str, *, days: str, starts: str, ends: str) -> ListedRoute:
        """`routes window`."""
        return await super().add_window(
            name, days=words.days(days), starts=words.clock(starts, "starts"), ends=words.clock(ends, "ends")
        )

    async def set_tariff_routes(self, tariff: str, names: Iterable[str]) -> None:
        """`routes of`."""
        await super().set_tariff_routes(tariff, list(names))


def _plan(settings: Mapping[str, str], technical: Sequence[str] | None):
    return plan_changes(
        settings.get("international_prefix"), settings.get("national_prefix"), settings.get("country_code"), technical
    )


async def instant(database: Database, tariff: str, text: str, field: str = "effective_from") -> datetime:
    """An instant as a person writes it, in the tariff's time zone unless it has an offset."""
    zone = await typed_tariffs.Tariffs(database, OPERATOR).time_zone(tariff)
    return words.moment(text, field, zone)
