"""One row of A2Billing's cc_ratecard as a rate of ours, rule by rule, and what the report has to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from rating_engine.importers.cells import money, whole
from rating_engine.importers.report import Kind, Report
from rating_engine.importers.scratch import Record
from rating_engine.rating.rate import IncrementMode, InvalidRate, PriceUnit, Rate, Tier
from rating_engine.services.decks.file.errors import RowRejected

DECIMALS: Final = 6  # what A2Billing rounds prices and costs to

COLUMNS: Final = (
    *("id", "idtariffplan", "dialprefix", "destination", "buyrate", "buyrateinitblock", "buyrateincrement"),
    *("rateinitial", "initblock", "billingblock", "connectcharge", "disconnectcharge", "disconnectcharge_after"),
    *("stepchargea", "chargea", "timechargea", "billingblocka"),
    *("stepchargeb", "chargeb", "timechargeb", "billingblockb"),
    *("stepchargec", "chargec", "timechargec", "billingblockc"),
    *("startdate", "stopdate", "starttime", "endtime", "id_trunk", "musiconhold", "id_outbound_cidgroup"),
    *("rounding_calltime", "rounding_threshold", "additional_block_charge", "additional_block_charge_time"),
    *("additional_grace", "minimal_cost", "announce_time_correction", "tag", "freetimetocall_package_offer"),
)


# What a selling rate is made of.
TERMS: Final = (
    *("rateinitial", "initblock", "billingblock", "connectcharge", "disconnectcharge", "disconnectcharge_after"),
    *(f"{name}{letter}" for letter in "abc" for name in ("stepcharge", "charge", "timecharge", "billingblock")),
    *("rounding_calltime", "rounding_threshold", "additional_block_charge", "additional_block_charge_time"),
    *("additional_grace", "minimal_cost"),
)


@dataclass(slots=True)
class Reading:
    """The rate of a row, and the findings to count once the row is taken: kind, code, text."""

    rate: Rate
    findings: list[tuple[Kind, str, str]] = field(default_factory=list)

    def tell(self, report: Report, example: str) -> None:
        """Count the findings."""
        for kind, code, text in self.findings:
            report.add(kind, code, text, example=example)


def read_rate(row: Record, min_duration: int) -> Reading:
    """The selling rate of a row. `min_duration`: calls of fewer seconds, with their grace, are free.

    Raises RowRejected.
    """
    findings: list[tuple[Kind, str, str]] = []
    grace = whole(row, "additional_grace")
    tiers = _tiers(row)
    initial, block = whole(row, "initblock"), whole(row, "billingblock")
    fields: dict[str, Any] = {
        # before tiers, an initial block is the least that is billed; without one that is a second
        **blocks(initial or (1 if tiers else 0), block),
        "price_1": _positive(row, "rateinitial", findings),
        "price_unit": PriceUnit.MINUTE,
        "connect_fee": _positive(row, "connectcharge", findings),
        "grace_period": max(0, min_duration - 1 - grace),
        "minimum_charge": _not_negative(row, "minimal_cost"),
        "added_seconds": grace,
        "tiers": tiers,
        "decimals": DECIMALS,
        "increment_mode": IncrementMode.TOTAL,
    }
    if surcharge := _positive(row, "disconnectcharge", findings):
        fields |= {"postcall_surcharge": surcharge, "surcharge_after": whole(row, "disconnectcharge_after")}
    above, to = whole(row, "rounding_threshold"), whole(row, "rounding_calltime")
    if 0 < above < to:  # with either of them 0 A2Billing does not round
        fields |= {"round_up_above": above, "round_up_to": to}
    charge, seconds = _not_negative(row, "additional_block_charge"), whole(row, "additional_block_charge_time")
    if charge and seconds:
        fields |= {"block_charge": charge, "block_seconds": seconds}
    rate = _rate(fields)
    _tell_rules(rate, initial, findings)
    return Reading(rate, findings)


def read_cost(row: Record) -> Rate:
    """The buying rate of a row. Raises RowRejected."""
    return _rate(
        {
            **blocks(whole(row, "buyrateinitblock"), whole(row, "buyrateincrement")),
            "price_1": abs(money(row, "buyrate", DECIMALS)),
            "price_unit": PriceUnit.MINUTE,
            "added_seconds": whole(row, "additional_grace"),
            "decimals": DECIMALS,
            "increment_mode": IncrementMode.TOTAL,
        }
    )


def blocks(initial: int, block: int) -> dict[str, int]:
    """Both increments; 0 turns either off. Without an initial block the first increment is a billing block."""
    return {"interval_1": initial or block or 1, "interval_n": block or 1}


def _rate(fields: dict[str, Any]) -> Rate:
    try:
        return Rate(**fields)
    except InvalidRate as error:
        raise RowRejected(f"{error.field}: {error.problem}") from None


def _positive(row: Record, column: str, findings: list[tuple[Kind, str, str]]) -> Decimal:
    amount = money(row, column, DECIMALS)
    if amount < 0:
        findings.append((Kind.MAPPED, "negative", "negative prices are charged as positive ones, as A2Billing does"))
    return abs(amount)


def _not_negative(row: Record, column: str) -> Decimal:
    amount = money(row, column)
    if amount < 0:
        raise RowRejected(f"{column}: {amount} is negative: it would lower the price of a call")
    return amount


def _tiers(row: Record) -> tuple[Tier, ...]:
    """Progressive prices: a tier counts where it has a price and a time, and those before it have."""
    tiers = []
    for letter in "abc":
        price, seconds = abs(money(row, f"charge{letter}", DECIMALS)), whole(row, f"timecharge{letter}")
        if not price or not seconds:
            break
        step = _not_negative(row, f"stepcharge{letter}")
        try:
            tiers.append(Tier(step, price, seconds, whole(row, f"billingblock{letter}") or 1))
        except InvalidRate as error:
            raise RowRejected(f"tier {letter.upper()}: {error.field}: {error.problem}") from None
    return tuple(tiers)


_LIMIT: Final = (
    Kind.OTHERWISE,
    "limit",
    "A2Billing lets a call begin, and last, for which the money ends sooner (it leaves initial blocks, minimum costs,"
    " grace, block charges and later disconnect charges out of the limit); here a call is limited to what it can pay",
)


def _tell_rules(rate: Rate, initial: int, findings: list[tuple[Kind, str, str]]) -> None:
    if rate.increment_mode is IncrementMode.TOTAL and rate.interval_1 % rate.interval_n:
        findings.append(
            (
                Kind.MAPPED,
                "total",
                "increments that don't divide their initial block: the whole call is rounded up to the billing block"
                " (30/18, 31 s: 36 s), by the tariff's increment_mode total",
            )
        )
    if rate.added_seconds:
        findings.append(
            (
                Kind.OTHERWISE,
                "double-grace",
                "additional_grace is added to a call once; A2Billing charges it twice (50 s with a grace of 10: 70 s"
                " there, 60 s here)",
            )
        )
    if rate.tiers:
        findings += [
            (
                Kind.MAPPED,
                "tiers",
                "progressive prices (A, B, C) are tiers, with the last block of each paid whole",
            ),
            (
                Kind.OTHERWISE,
                "tier-end",
                "where a tier ends just before the money does, A2Billing may stop the call there; here it goes on as"
                " far as the money goes",
            ),
        ]
    named = (
        (rate.postcall_surcharge, "surcharge", "disconnectcharge is a surcharge, due from disconnectcharge_after on"),
        (rate.minimum_charge, "minimum", "minimal_cost is a minimum charge, also of calls that cost nothing otherwise"),
        (rate.round_up_to, "round-up", "rounding_calltime and rounding_threshold round a call's time up, as there"),
        (rate.block_seconds, "blocks", "additional_block_charge is charged for each whole block, as there"),
        (rate.grace_period, "min-duration", "calls shorter than min_duration_2bill are free (grace_period)"),
    )
    findings += [(Kind.MAPPED, code, text) for value, code, text in named if value]
    fees = rate.minimum_charge or rate.added_seconds or rate.block_seconds or rate.surcharge_after
    if initial > 1 or fees:
        findings.append(_LIMIT)
