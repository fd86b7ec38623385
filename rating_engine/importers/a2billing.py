"""Rate cards of A2Billing 1.3 to 2.x, from MySQL or PostgreSQL: each becomes a tariff, and each package an option.

A call plan (cc_tariffgroup) there is several rate cards; here a subscriber has one tariff and options beside it, of
which the longest prefix wins, as there. The report says which rate cards make up each call plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import ClassVar, Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.importers import a2billing_rate as rates
from rating_engine.importers.a2billing_card import CODE, RATES, RateCard
from rating_engine.importers.a2billing_packages import PACKAGE_TABLES, packages_of, tell_call_plans
from rating_engine.importers.cells import name, prefix
from rating_engine.importers.model import DeckRow, FreePackage, MappedTariff
from rating_engine.importers.peer import (
    Plan,
    TableFormat,
    Work,
    chosen_plans,
    currency,
    tell_costs_left,
    tell_plans_left,
)
from rating_engine.importers.report import Kind
from rating_engine.importers.scratch import Scratch, Tables
from rating_engine.rating.rate import IncrementMode
from rating_engine.rating.schedule import InvalidSchedule, zone_named
from rating_engine.services.decks.file.errors import RowRejected

_NO_TRUNK: Final = "'', '0', '-1'"
_TRUNK: Final = f"CASE WHEN coalesce(rate.id_trunk, '') IN ({_NO_TRUNK}) THEN plan.id_trunk ELSE rate.id_trunk END"


class A2Billing:
    """See the module."""

    title = "A2Billing"
    rates_table = RATES
    tables: ClassVar[Tables] = {
        RATES: rates.COLUMNS,
        "cc_prefix": ("prefix", "destination"),
        "cc_tariffplan": (
            *("id", "tariffname", "id_trunk", "calleridprefix", "dnidprefix", "startingdate", "expirationdate"),
        ),
        "cc_trunk": ("id_trunk", "trunkcode", "status", "maxuse"),
        "cc_config": ("config_key", "config_value"),
        **PACKAGE_TABLES,
    }
    table_format = TableFormat(
        table=RATES,
        columns={column: (column,) for column in rates.COLUMNS},
        positions=("dialprefix", "destination", "rateinitial"),
        needed=("dialprefix", "rateinitial"),
    )

    def tariffs(self, work: Work) -> Iterable[MappedTariff]:
        """See `Peer`."""
        return _Mapping(work).tariffs()


class _Mapping:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._report = work.report
        self._scratch = work.scratch
        try:
            self._zone = zone_named(work.options.time_zone)
        except InvalidSchedule as error:
            raise InvalidRequest("time_zone", str(error)) from None
        for table, column in ((RATES, "dialprefix"), ("cc_prefix", "prefix"), ("cc_package_rate", "rate_id")):
            self._scratch.index(table, column)
        self._currency = currency(work, next(iter(_configured(self._scratch, "base_currency")), None))
        self._min_duration = self._least_duration()

    def tariffs(self) -> Iterator[MappedTariff]:
        found = list(self._scratch.rows("SELECT * FROM cc_tariffplan ORDER BY CAST(id AS INTEGER)"))
        plans = chosen_plans(self._work, found, "tariffname")
        tell_plans_left(self._work, plans, len(found))
        tell_call_plans(self._work, plans)
        self._tell_trunks()
        for plan in plans:
            card = RateCard(self._work, plan, self._zone, self._min_duration)
            yield self._tariff(plan, card, plan.tariff, card.rows())
            for package, package_id in packages_of(self._work, plan):
                title = f"{plan.tariff} + {package.name}"[:100]
                yield self._tariff(plan, card, title, card.rows(package_id), (package,))
        if self._work.options.cost:
            yield from self._costs(plans)
        else:
            tell_costs_left(self._work, self._cost_count())

    def _tariff(
        self, plan: Plan, card: RateCard, title: str, rows: Iterator[DeckRow], packages: tuple[FreePackage, ...] = ()
    ) -> MappedTariff:
        return MappedTariff(
            name=title,
            rows=rows,
            currency=self._currency,
            decimals=rates.DECIMALS,
            increment_mode=IncrementMode.TOTAL,
            description=f"A2Billing rate card {plan.name}",
            time_zone=self._work.options.time_zone,
            windows=card.windows,
            packages=packages,
            is_option=bool(packages),
        )

    def _costs(self, plans: list[Plan]) -> Iterator[MappedTariff]:
        """A cost deck for each trunk; a CSV file names none and has one."""
        for trunk in list(self._scratch.rows("SELECT * FROM cc_trunk ORDER BY CAST(id_trunk AS INTEGER)")):
            title = f"{name(trunk['trunkcode']) or 'trunk ' + trunk['id_trunk']}-cost"
            yield self._cost_tariff(title, f"{_TRUNK} = ?", (trunk["id_trunk"],), plans)
        if plans[0].record is None:
            yield self._cost_tariff(f"{plans[0].tariff}-cost", "1", (), plans)

    def _cost_tariff(self, title: str, where: str, values: tuple[str, ...], plans: list[Plan]) -> MappedTariff:
        return MappedTariff(
            name=title[:100],
            rows=self._cost_rows(where, values, plans),
            currency=self._currency,
            decimals=rates.DECIMALS,
            increment_mode=IncrementMode.TOTAL,
            description="what the carrier charges, from A2Billing",
            is_cost=True,
        )

    def _cost_rows(self, where: str, values: tuple[str, ...], plans: list[Plan]) -> Iterator[DeckRow]:
        """The dearest buying rate of each prefix: of several the margin must hold for every one."""
        cards = [plan.plan_id for plan in plans if plan.plan_id is not None]
        within = f"rate.idtariffplan IN ({', '.join('?' * len(cards))})" if cards else "1"
        query = f"""
            SELECT rate.*, {CODE} AS code, coalesce(named.destination, rate.destination) AS direction FROM {RATES} rate
            LEFT JOIN cc_prefix named ON named.prefix = rate.destination
            LEFT JOIN cc_tariffplan plan ON plan.id = rate.idtariffplan
            WHERE {where} AND {within} AND rate.buyrate IS NOT NULL
            ORDER BY code, abs(CAST(rate.buyrate AS REAL)) DESC, rate.line"""  # noqa: S608  # our own words
        for text, group in groupby(self._scratch.rows(query, *values, *cards), key=lambda row: row["code"]):
            first = None
            for record in group:
                try:
                    row = DeckRow(prefix(text, "dialprefix"), name(record["direction"]), rates.read_cost(record))
                except RowRejected:  # its selling rate says so already
                    continue
                if first is None:
                    first = row
                    yield row
                elif first.rate != row.rate:
                    self._report.add(
                        Kind.LEFT_OUT,
                        "cost-several",
                        "buying rates beside a dearer one of the same prefix and trunk: its cost deck has the dearest",
                    )

    def _cost_count(self) -> int:
        query = f"SELECT count(*) AS n FROM {RATES} WHERE CAST(coalesce(buyrate, '0') AS REAL) <> 0"  # noqa: S608  # ours
        return int(next(self._scratch.rows(query))["n"])

    def _least_duration(self) -> int:
        if self._work.options.min_duration is not None:
            return self._work.options.min_duration
        said = _configured(self._scratch, "min_duration_2bill")
        numbers = sorted(int(text) for text in said if text.isascii() and text.isdigit() and len(text) < 7)
        if len(numbers) > 1:
            self._report.add(
                Kind.OTHERWISE,
                "min-durations",
                f"min_duration_2bill differs between AGI configurations ({', '.join(map(str, numbers))}): the lowest is"
                " taken; --min-duration says another",
            )
        return numbers[0] if numbers else 0

    def _tell_trunks(self) -> None:
        for trunk in self._scratch.rows("SELECT * FROM cc_trunk"):
            self._report.add(
                Kind.LEFT_OUT,
                "trunks",
                "trunks: set each up as a route, with its cost deck (--cost)",
                example=name(trunk["trunkcode"]),
            )
        for text in _configured(self._scratch, "extracharge_did"):
            if text:
                self._report.add(
                    Kind.LEFT_OUT, "extracharge", "extra charges by access number (extracharge_did)", example=text
                )


def _configured(scratch: Scratch, key: str) -> list[str]:
    """The distinct values of a configuration key; a dump has one for each AGI configuration."""
    rows = scratch.rows("SELECT DISTINCT trim(config_value) AS value FROM cc_config WHERE config_key = ?", key)
    return [row["value"] for row in rows if row["value"]]
