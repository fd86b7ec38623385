"""Rate cards of ASTPP 3 to 6: each rate group (pricelist) becomes a tariff, each package an option, each trunk a cost
deck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import ClassVar, Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.importers.astpp_packages import PACKAGE_TABLES, packages_of
from rating_engine.importers.cells import Known, money, name, prefix, reference, whole
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
from rating_engine.rating.money import EXACT, PRICE_DECIMALS, format_amount, parse_amount, quantise
from rating_engine.rating.rate import IncrementMode, InvalidRate, PriceUnit, Rate
from rating_engine.services.decks.file.codes import shown
from rating_engine.services.decks.file.errors import RowRejected

DEFAULT_DECIMALS: Final = 4  # decimal_points, as ASTPP is installed
RATES: Final = "routes"
COSTS: Final = "outbound_routes"

_TERMS: Final = ("pattern", "comment", "connectcost", "includedseconds", "cost", "inc", "init_inc", "status")


_RATE_TERMS: Final = ("connectcost", "includedseconds", "cost", "inc", "init_inc")


class Astpp:
    """See the module."""

    title = "ASTPP"
    rates_table = RATES
    tables: ClassVar[Tables] = {
        RATES: ("id", *_TERMS, "pricelist_id", "accountid", "reseller_id", "trunk_id"),
        COSTS: ("id", *_TERMS, "trunk_id", "strip", "prepend"),
        "pricelists": ("id", "name", "markup", "initially_increment", "inc", "status", "reseller_id", "routing_prefix"),
        "trunks": ("id", "name"),
        "system": ("name", "value"),
        **PACKAGE_TABLES,
    }
    table_format = TableFormat(
        table=RATES,
        columns={
            "pattern": ("code", "pattern", "prefix"),
            "comment": ("destination", "comment"),
            "connectcost": ("connection cost", "connect cost", "connectcost"),
            "includedseconds": ("grace time", "included seconds", "includedseconds"),
            "cost": ("cost / min", "per minute cost", "cost per min", "cost"),
            "init_inc": ("initial increment", "init inc", "init_inc"),
            "inc": ("increment", "inc"),
            "status": ("status",),
        },
        positions=(),
        needed=("pattern", "cost"),
    )

    def tariffs(self, work: Work) -> Iterable[MappedTariff]:
        """See `Peer`."""
        return _Mapping(work).tariffs()


@dataclass(frozen=True, slots=True)
class _Group:
    """What a rate group says for all of its rates. `is_of_file`: a CSV file, which says nothing of its rate group."""

    markup: Decimal
    initial: int
    later: int
    is_of_file: bool = False


_NO_GROUP: Final = _Group(Decimal(0), 0, 0)


def _group(plan: Plan, increments: tuple[int, int]) -> _Group:
    record = plan.record
    if record is None:
        return _Group(Decimal(0), *increments, is_of_file=True)
    return _Group(_markup(record["markup"]), whole(record, "initially_increment"), whole(record, "inc"))


class _Mapping:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._report = work.report
        self._scratch = work.scratch
        self._scratch.index(RATES, "pricelist_id")
        self._currency = currency(work, self._configured("base_currency"))
        said = self._configured("decimal_points", "decimalpoints") or ""
        self._decimals = int(said) if said.isascii() and said.isdigit() and int(said) <= 6 else DEFAULT_DECIMALS

    def tariffs(self) -> Iterator[MappedTariff]:
        found = list(
            self._scratch.rows(
                "SELECT * FROM pricelists WHERE coalesce(status, '0') <> '2' ORDER BY CAST(id AS INTEGER)"
            )
        )
        plans = chosen_plans(self._work, found, "name")
        tell_plans_left(self._work, plans, len(found))
        for plan in plans:
            try:
                group = _group(plan, self._work.options.increments)
            except RowRejected as error:
                raise InvalidRequest("plan", f"the rate group {plan.name!r} cannot be read: {error}") from None
            self._tell_group(plan, group)
            yield self._tariff(plan.tariff, f"ASTPP rate group {plan.name}", self._rows(plan, group))
            for package, covered in packages_of(self._work, plan):
                title = f"{plan.tariff} + {package.name}"[:100]
                rows = covered.rows(self._rows(plan, group, tell=False))
                yield self._tariff(
                    title, f"ASTPP package {package.name} in the rate group {plan.name}", rows, (package,)
                )
        if not self._work.options.cost:
            tell_costs_left(self._work, self._scratch.count(COSTS))
            return
        for trunk in list(self._scratch.rows("SELECT * FROM trunks ORDER BY CAST(id AS INTEGER)")):
            title = f"{name(trunk['name']) or 'trunk ' + trunk['id']}-cost"[:100]
            tariff = self._tariff(title, "what the carrier charges, from ASTPP", self._costs(trunk["id"]))
            tariff.is_cost = True
            yield tariff

    def _tariff(
        self, title: str, description: str, rows: Iterator[DeckRow], packages: tuple[FreePackage, ...] = ()
    ) -> MappedTariff:
        return MappedTariff(
            name=title,
            rows=rows,
            currency=self._currency,
            decimals=self._decimals,
            increment_mode=IncrementMode.INTERVAL,
            description=description,
            time_zone=self._work.options.time_zone,
            packages=packages,
            is_option=bool(packages),
        )

    def _rows(self, plan: Plan, group: _Group, *, tell: bool = True) -> Iterator[DeckRow]:
        """The rows of a rate group in the order of their prefixes."""
        known = Known(_RATE_TERMS, lambda record: self._rate(record, group))
        where, values = ("1", ()) if plan.plan_id is None else ("pricelist_id = ?", (plan.plan_id,))
        query = f"""
            SELECT *, coalesce(accountid, '0') AS account FROM {RATES} WHERE {where}
            ORDER BY trim(pattern, '^.* '), CAST(cost AS REAL) DESC, line"""  # noqa: S608  # made of our own words
        for _, records in groupby(self._scratch.rows(query, *values), key=lambda row: _digits(row["pattern"])):
            taken = False
            for record in records:
                left = self._left_out(record, taken)
                if left is not None:
                    if tell:
                        self._report.add(Kind.LEFT_OUT, *left, example=f"{record['pattern']}, line {record['line']}")
                    continue
                try:
                    rate, exact = known.of(record)
                    row = DeckRow(prefix(_digits(record["pattern"]), "pattern"), name(record["comment"]), rate)
                except RowRejected as error:
                    if tell:
                        self._work.reject(RATES, record, str(error))
                    continue
                taken = True
                if tell:
                    self._tell(record, rate, group, exact)
                yield row

    def _costs(self, trunk_id: str) -> Iterator[DeckRow]:
        query = f"""
            SELECT * FROM {COSTS} WHERE trunk_id = ? AND coalesce(status, '0') = '0'
            ORDER BY trim(pattern, '^.* '), CAST(cost AS REAL) DESC, line"""  # noqa: S608  # made of our own words
        rows = self._scratch.rows(query, trunk_id)
        for _, records in groupby(rows, key=lambda row: _digits(row["pattern"])):
            for record in records:
                try:
                    rate, _ = self._rate(record, _NO_GROUP)
                    row = DeckRow(prefix(_digits(record["pattern"]), "pattern"), name(record["comment"]), rate)
                except RowRejected as error:
                    self._work.reject(COSTS, record, str(error))
                    continue
                yield row
                break

    def _rate(self, record: Record, group: _Group) -> tuple[Rate, bool]:
        """The rate of a row, and whether its price is exact. Raises RowRejected."""
        later = whole(record, "inc") or group.later
        initial = whole(record, "init_inc") or group.initial or later
        if not later:
            raise RowRejected(
                "inc: is 0, which stands for the increment of the rate group, and there is none"
                + (": say --increments FIRST/NEXT" if group.is_of_file else "")
            )
        price = EXACT.multiply(money(record, "cost"), EXACT.add(Decimal(100), group.markup)).scaleb(-2, EXACT)
        kept = quantise(price, PRICE_DECIMALS)
        try:
            rate = Rate(
                price_1=kept,
                price_unit=PriceUnit.MINUTE,
                interval_1=initial,
                interval_n=later,
                connect_fee=money(record, "connectcost"),
                free_seconds=whole(record, "includedseconds"),
                decimals=self._decimals,
                increment_mode=IncrementMode.INTERVAL,
            )
        except InvalidRate as error:
            raise RowRejected(f"{error.field}: {error.problem}") from None
        return rate, kept == price

    def _left_out(self, record: Record, taken: bool) -> tuple[str, str] | None:
        if (record["status"] or "0").strip() != "0":
            return "inactive", "rates that are inactive"
        if record["account"].strip() not in ("", "0"):
            return "account-rates", (
                "rates of single accounts, which ASTPP takes before all others, also before longer prefixes: make an"
                " option of them for each"
            )
        if taken:
            return "repeated", "further rates of a prefix in the same rate group: ASTPP takes the dearest"
        return None

    def _tell(self, record: Record, rate: Rate, group: _Group, exact: bool) -> None:
        example = f"{record['pattern']}, line {record['line']}"
        add = self._report.add
        add(Kind.MAPPED, "rates", "rates: price per minute, initial increment and increment, connect cost")
        falls_back = not (whole(record, "inc") and whole(record, "init_inc"))
        for applies, kind, code, text in (
            (rate.free_seconds, Kind.MAPPED, "included", "included seconds (grace time) are free seconds, as there"),
            (
                falls_back,
                Kind.MAPPED,
                "group-increments",
                "increments of 0: those of the rate group, else the other one",
            ),
            (group.markup, Kind.MAPPED, "markup", _MARKUP),
            (not exact, Kind.OTHERWISE, "markup-places", "prices with their markup, rounded to 8 decimals"),
            (reference(record, "trunk_id"), Kind.LEFT_OUT, "forced-trunks", "trunks that a rate forces its calls to"),
            (True, Kind.OTHERWISE, "limit", _LIMIT),
            (True, Kind.OTHERWISE, "thousands", _THOUSANDS),
        ):
            if applies:
                add(kind, code, text, example="" if applies is True else example)

    def _tell_group(self, plan: Plan, group: _Group) -> None:
        record = plan.record
        if record is None:
            return
        if group.markup:
            text = "markups of rate groups, which are in the prices now"
            percent = format_amount(group.markup)
            self._report.add(Kind.MAPPED, "group-markup", text, example=f"{plan.name}: {percent}%")
        if reference(record, "reseller_id"):
            self._report.add(Kind.LEFT_OUT, "resellers", _RESELLERS, example=plan.name)
        if technical := name(record["routing_prefix"]):
            text = "routing prefixes of rate groups: a numbering plan has them here"
            self._report.add(Kind.LEFT_OUT, "routing-prefix", text, example=f"{plan.name}: {technical}")

    def _configured(self, *keys: str) -> str | None:
        marks = ", ".join("?" * len(keys))
        query = f"SELECT trim(value) AS value FROM system WHERE name IN ({marks}) LIMIT 1"  # noqa: S608  # question marks
        return next((row["value"] for row in self._scratch.rows(query, *keys)), None)


def _digits(pattern: str | None) -> str:
    """`^91.*` is the prefix 91; as SQL trims it too."""
    return (pattern or "").strip("^.* ")


def _markup(text: str | None) -> Decimal:
    said = (text or "").strip().removesuffix("%").strip() or "0"
    try:
        return parse_amount(said, "markup", PRICE_DECIMALS, allow_negative=True)
    except ValueError:
        raise RowRejected(f"markup: {shown(said)} is not a percentage") from None


_MARKUP: Final = "the markup of the rate group is in the prices, and not in the connect cost, as there"
_LIMIT: Final = (
    "ASTPP refuses a call that cannot pay a whole minute, and limits others without their increments and included"
    " seconds, so that a call may overdraw its account; here a call is limited to what it can pay"
)
_THOUSANDS: Final = (
    "ASTPP writes amounts with thousands separators, so that a call of 1,000 and more is charged 1 or nothing; here it"
    " is charged"
)
_RESELLERS: Final = (
    "rate groups of resellers: that each reseller of a chain is charged by a rate group of its own has no counterpart"
)
