"""Rate cards of MagnusBilling 6 to 8: each plan becomes a tariff, each offer an option, each provider a cost deck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, ClassVar, Final

from rating_engine.domain.tariff import Period
from rating_engine.importers.a2billing_packages import read_package
from rating_engine.importers.a2billing_rate import blocks
from rating_engine.importers.cells import Known, money, name, prefix, whole
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
from rating_engine.importers.scratch import Record, Tables
from rating_engine.rating.rate import IncrementMode, InvalidRate, PriceUnit, Rate
from rating_engine.services.decks.file.codes import shown
from rating_engine.services.decks.file.errors import RowRejected

DECIMALS: Final = 6  # what MagnusBilling rounds a cost to
RATES: Final = "pkg_rate"
COSTS: Final = "pkg_rate_provider"

_RATE_COLUMNS: Final = (
    *("id", "id_plan", "id_prefix", "dialprefix", "destination", "rateinitial", "initblock", "billingblock"),
    *("minimal_time_charge", "connectcharge", "disconnectcharge", "additional_grace", "package_offer", "status"),
)
_TERMS: Final = (
    *("rateinitial", "initblock", "billingblock", "minimal_time_charge", "connectcharge", "additional_grace"),
)
_FULL_PERCENT: Final = 100


class MagnusBilling:
    """See the module."""

    title = "MagnusBilling"
    rates_table = RATES
    tables: ClassVar[Tables] = {
        RATES: _RATE_COLUMNS,
        "pkg_prefix": ("id", "prefix", "destination"),
        "pkg_plan": ("id", "name", "techprefix"),
        "pkg_offer": ("id", "label", "packagetype", "billingtype", "startday", "freetimetocall", "price"),
        COSTS: (
            *("id", "id_provider", "id_prefix", "dialprefix", "destination"),
            *("buyrate", "buyrateinitblock", "buyrateincrement", "minimal_time_buy"),
        ),
        "pkg_provider": ("id", "provider_name"),
        "pkg_trunk": ("id", "trunkcode"),
        "pkg_user_rate": ("id",),
        "pkg_rate_agent": ("id",),
        "pkg_rate_callshop": ("id",),
        "pkg_configuration": ("config_key", "config_value"),
    }
    table_format = TableFormat(
        table=RATES,
        columns={
            "dialprefix": ("dialprefix", "prefix", "prefixo", "dial prefix", "prefix prefix", "idprefixprefix"),
            "destination": ("destination", "destino", "prefix destination", "idprefixdestination"),
            "rateinitial": ("rateinitial", "rate initial", "sell price", "price", "rate", "preço de venda"),
            "initblock": ("initblock", "initial block", "bloco inicial"),
            "billingblock": ("billingblock", "billing block", "bloco de tarifação"),
            "minimal_time_charge": ("minimal_time_charge", "minimum time to charge", "minimal time charge"),
            "connectcharge": ("connectcharge", "connection charge", "connect charge"),
            "disconnectcharge": ("disconnectcharge", "disconnect charge"),
            "additional_grace": ("additional_grace", "additional time", "additional grace"),
            "package_offer": ("package_offer", "include in offer", "package offer"),
            "status": ("status",),
        },
        positions=(
            *("dialprefix", "destination", "rateinitial", "initblock", "billingblock", "minimal_time_charge"),
            *("connectcharge", "disconnectcharge", "package_offer"),
        ),
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
        self._scratch.index("pkg_prefix", "id")
        self._rates = Known(_TERMS, read_rate)
        configured = self._scratch.rows(
            "SELECT config_value FROM pkg_configuration WHERE config_key = 'base_currency' LIMIT 1"
        )
        self._currency = currency(work, next((row["config_value"] for row in configured), None))

    def tariffs(self) -> Iterator[MappedTariff]:
        found = list(self._scratch.rows("SELECT * FROM pkg_plan ORDER BY CAST(id AS INTEGER)"))
        plans = chosen_plans(self._work, found, "name")
        tell_plans_left(self._work, plans, len(found))
        self._tell_others(plans)
        offers = list(self._offers())
        for plan in plans:
            yield self._tariff(plan.tariff, f"MagnusBilling plan {plan.name}", self._rows(plan))
            for offer in offers if self._is_offered(plan) else ():
                rows = self._rows(plan, offered=True)
                title = f"{plan.tariff} + {offer.name}"[:100]
                yield self._tariff(title, f"MagnusBilling offer {offer.name} for the plan {plan.name}", rows, (offer,))
        if not self._work.options.cost:
            tell_costs_left(self._work, self._scratch.count(COSTS))
            return
        for provider in list(self._scratch.rows("SELECT * FROM pkg_provider ORDER BY CAST(id AS INTEGER)")):
            title = f"{name(provider['provider_name']) or 'provider ' + provider['id']}-cost"[:100]
            tariff = self._tariff(title, "what the provider charges, from MagnusBilling", self._costs(provider["id"]))
            tariff.is_cost = True
            yield tariff

    def _tariff(
        self, title: str, description: str, rows: Iterator[DeckRow], packages: tuple[FreePackage, ...] = ()
    ) -> MappedTariff:
        return MappedTariff(
            name=title,
            rows=rows,
            currency=self._currency,
            decimals=DECIMALS,
            increment_mode=IncrementMode.TOTAL,
            description=description,
            time_zone=self._work.options.time_zone,
            packages=packages,
            is_option=bool(packages),
        )

    def _rows(self, plan: Plan, *, offered: bool = False) -> Iterator[DeckRow]:
        """The rows of a plan, or those that its offers cover, which are reported already."""
        where = "1" if plan.plan_id is None else "rate.id_plan = ?"
        where += " AND CAST(rate.package_offer AS INTEGER) = 1" if offered else ""
        values = () if plan.plan_id is None else (plan.plan_id,)
        for _, group in groupby(self._records(RATES, where, values), key=lambda row: row["code"]):
            taken = False
            for record in group:
                if (record["status"] or "1").strip() == "0":
                    if not offered:
                        self._left(record, "inactive", "rates that are inactive")
                    continue
                if taken:
                    if not offered:
                        text = "further rates of a prefix in the same plan: MagnusBilling takes whichever comes first"
                        self._left(record, "repeated", text)
                    continue
                try:
                    rate, row = self._row(record)
                except RowRejected as error:
                    if not offered:
                        self._work.reject(RATES, record, str(error))
                    continue
                taken = True
                if not offered:
                    self._tell(record, rate)
                yield row

    def _costs(self, provider_id: str) -> Iterator[DeckRow]:
        rows = self._records(COSTS, "rate.id_provider = ?", (provider_id,))
        for _, group in groupby(rows, key=lambda row: row["code"]):
            for record in group:
                try:
                    row = _cost_row(record)
                except RowRejected as error:
                    self._work.reject(COSTS, record, str(error))
                    continue
                yield row
                break

    def _records(self, table: str, where: str, values: tuple[str, ...]) -> Iterator[Record]:
        query = f"""
            SELECT rate.*, ltrim(trim(coalesce(known.prefix, rate.dialprefix, '')), '+') AS code,
                   coalesce(known.destination, rate.destination) AS direction
            FROM {table} rate LEFT JOIN pkg_prefix known ON known.id = rate.id_prefix
            WHERE {where} ORDER BY code, CAST(rate.id AS INTEGER), rate.line"""  # noqa: S608  # made of our own words
        return self._scratch.rows(query, *values)

    def _row(self, record: Record) -> tuple[Rate, DeckRow]:
        digits = prefix(record["code"], "dialprefix")
        rate = self._rates.of(record)
        return rate, DeckRow(digits, name(record["direction"]), rate)

    def _offers(self) -> Iterator[FreePackage]:
        for record in list(self._scratch.rows("SELECT * FROM pkg_offer ORDER BY CAST(id AS INTEGER)")):
            package = read_package(self._work, record)
            if package is None:
                continue
            yield FreePackage(package.name, package.seconds, Period(package.period), waives_fees=False)
            self._report.add(
                Kind.OTHERWISE,
                "offer-parts",
                "offers whose seconds end within a call: MagnusBilling charges the whole call and books its seconds all"
                " the same (0.60, 1/1, 120 s, 100 s left: 1.20); here the seconds left are free (0.20)",
                example=package.name,
            )
            text = "what an offer costs a month: charge it yourself, or by the tariff's switch price"
            if money(record, "price"):
                self._report.add(Kind.LEFT_OUT, "offer-price", text, example=f"{package.name}: {record['price']}")

    def _is_offered(self, plan: Plan) -> bool:
        where = "1" if plan.plan_id is None else "id_plan = ?"
        query = f"SELECT 1 FROM {RATES} WHERE {where} AND CAST(package_offer AS INTEGER) = 1 LIMIT 1"  # noqa: S608  # ours
        values = () if plan.plan_id is None else (plan.plan_id,)
        return next(self._scratch.rows(query, *values), None) is not None

    def _left(self, record: Record, code: str, text: str) -> None:
        self._report.add(Kind.LEFT_OUT, code, text, example=f"{record['code']}, line {record['line']}")

    def _tell(self, record: Record, rate: Rate) -> None:
        example = f"{record['code']}, line {record['line']}"
        self._report.add(Kind.MAPPED, "rates", "rates: price per minute, initial and billing block, connect charge")
        never = money(record, "disconnectcharge")
        for applies, kind, code, text in (
            (rate.interval_1 % rate.interval_n, Kind.MAPPED, "total", _TOTAL),
            (rate.grace_period, Kind.MAPPED, "minimal-time", _MINIMAL_TIME),
            (never, Kind.LEFT_OUT, "disconnect", _DISCONNECT),
            (rate.added_seconds, Kind.MAPPED, "grace", "additional_grace in seconds is added to a call, as there"),
            (rate.added_percent, Kind.OTHERWISE, "percent", _PERCENT),
            (rate.added_percent >= _FULL_PERCENT, Kind.OTHERWISE, "percent-100", _PERCENT_100),
            (rate.interval_1 > 1 or rate.added_seconds or rate.added_percent, Kind.OTHERWISE, "limit", _LIMIT),
            (True, Kind.OTHERWISE, "float", _FLOAT),
            (True, Kind.OTHERWISE, "places", _PLACES),
        ):
            if applies:
                self._report.add(kind, code, text, example="" if applies is True else example)

    def _tell_others(self, plans: list[Plan]) -> None:
        for table, code, text in (
            ("pkg_user_rate", "user-rates", "rates of single users: make an option of them for each"),
            ("pkg_rate_agent", "agent-rates", "rates of agents for their customers: import them as plans of their own"),
            ("pkg_rate_callshop", "callshop-rates", "rates of call shops"),
        ):
            if count := self._scratch.count(table):
                self._report.add(Kind.LEFT_OUT, code, text, count=count)
        for trunk in self._scratch.rows("SELECT * FROM pkg_trunk"):
            text = "trunks: set each up as a route, with its provider's cost deck (--cost)"
            self._report.add(Kind.LEFT_OUT, "trunks", text, example=name(trunk["trunkcode"]))
        for plan in plans:
            if plan.record is not None and (technical := name(plan.record["techprefix"])):
                text = "technical prefixes of plans: a numbering plan has them here"
                self._report.add(Kind.LEFT_OUT, "techprefix", text, example=f"{plan.name}: {technical}")


def read_rate(record: Record) -> Rate:
    """The rate of a row of pkg_rate. Raises RowRejected."""
    return _checked(
        {
            **blocks(whole(record, "initblock"), whole(record, "billingblock")),
            "price_1": money(record, "rateinitial"),
            "connect_fee": money(record, "connectcharge"),
            "grace_period": whole(record, "minimal_time_charge"),
            **_grace(name(record["additional_grace"])),
        }
    )


def _cost_row(record: Record) -> DeckRow:
    rate = _checked(
        {
            **blocks(whole(record, "buyrateinitblock"), whole(record, "buyrateincrement")),
            "price_1": money(record, "buyrate"),
            "grace_period": whole(record, "minimal_time_buy"),
        }
    )
    return DeckRow(prefix(record["code"], "dialprefix"), name(record["direction"]), rate)


def _checked(fields: dict[str, Any]) -> Rate:
    try:
        return Rate(**fields, price_unit=PriceUnit.MINUTE, decimals=DECIMALS, increment_mode=IncrementMode.TOTAL)
    except InvalidRate as error:
        raise RowRejected(f"{error.field}: {error.problem}") from None


def _grace(text: str) -> dict[str, int]:
    """Seconds, or a percentage of the call."""
    number = text.removesuffix("%").strip() or "0"
    if not (number.isascii() and number.isdigit() and len(number) < 8):
        raise RowRejected(f"additional_grace: {shown(text)} is neither whole seconds nor whole percent")
    return {"added_percent" if text.endswith("%") else "added_seconds": int(number)}


_TOTAL: Final = (
    "increments that don't divide their initial block: the whole call is rounded up to the billing block (30/18, 31 s:"
    " 36 s), by the tariff's increment_mode total"
)
_MINIMAL_TIME: Final = (
    "minimal_time_charge: calls of at most so many seconds are free (grace_period), as MagnusBilling does; its manual"
    " says fewer than"
)
_DISCONNECT: Final = (
    "disconnect charges: MagnusBilling never charges them, so they are not charged here either; set postcall_surcharge"
    " to charge them"
)
_PERCENT: Final = (
    "additional_grace in percent: MagnusBilling bills parts of a second (5% of 50 s: 52.5 s); here a started second is"
    " whole (53 s)"
)
_PERCENT_100: Final = (
    "additional_grace of 100% and more: MagnusBilling adds 100 percentage points too little (100% adds nothing); here"
    " it adds what it says"
)
_LIMIT: Final = (
    "MagnusBilling lets a call begin, and last, for which the money ends sooner (it leaves initial blocks and grace out"
    " of the limit); here a call is limited to what it can pay"
)
_FLOAT: Final = (
    "MagnusBilling computes in floats, so that a limit may lack an increment (0.70 at 0.10 a minute, 60/60: 360 s"
    " instead of 420); here amounts are exact"
)
_PLACES: Final = (
    "MagnusBilling charges at 6 decimals a balance that keeps 4, so that small charges are lost; here all 6 are kept"
)
