"""Packages of ASTPP: of version 4 on they are products that accounts order, before that a table of their own.

A package covers the numbers that its patterns match. Here it is an option: a tariff with the rates of those numbers and
the package's seconds, for the subscribers that have it beside their tariff.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from rating_engine.domain.tariff import Period
from rating_engine.importers.cells import name, whole
from rating_engine.importers.model import DeckRow, FreePackage
from rating_engine.importers.peer import Plan, Work
from rating_engine.importers.report import Kind
from rating_engine.importers.scratch import Record, Tables
from rating_engine.rating.number import MAX_NUMBER_DIGITS

PACKAGE_TABLES: Final[Tables] = {
    "products": (
        *("id", "name", "product_category", "price", "billing_days", "free_minutes", "applicable_for"),
        *("apply_on_rategroups", "destination_rategroups", "destination_countries", "destination_calltypes"),
        *("status", "is_deleted"),
    ),
    "package_patterns": ("product_id", "package_id", "patterns"),
    "packages": ("id", "package_name", "pricelist_id", "includedseconds", "applicable_for", "status"),
}

_PACKAGE_CATEGORY: Final = "1"
_INBOUND: Final = "1"
_PERIODS: Final = {1: Period.DAY, 7: Period.WEEK}
_MONTH_DAYS: Final = range(28, 32)


@dataclass(frozen=True, slots=True)
class Covered:
    """The numbers of a package, as prefixes of which none is within another."""

    prefixes: frozenset[str]

    def rows(self, rates: Iterator[DeckRow]) -> Iterator[DeckRow]:
        """The rates of these numbers: those within a prefix, and where none begins with it, the one around it."""
        around: dict[str, list[str]] = {}
        for wanted in self.prefixes:
            for length in range(1, len(wanted)):
                around.setdefault(wanted[:length], []).append(wanted)
        best: dict[str, DeckRow] = {}
        exact = set()
        for row in rates:
            if any(row.prefix[:length] in self.prefixes for length in range(1, len(row.prefix) + 1)):
                exact.add(row.prefix)
                yield row
            for wanted in around.get(row.prefix, ()):
                if wanted not in best or len(row.prefix) > len(best[wanted].prefix):
                    best[wanted] = row
        for wanted in sorted(best.keys() - exact):
            yield replace(best[wanted], prefix=wanted)


def packages_of(work: Work, plan: Plan) -> Iterator[tuple[FreePackage, Covered]]:
    """The packages that subscribers of a rate group can have, with the numbers they cover."""
    if plan.plan_id is None:
        return
    for record in list(work.scratch.rows("SELECT * FROM products WHERE product_category = ?", _PACKAGE_CATEGORY)):
        groups = {one.strip() for one in (record["apply_on_rategroups"] or "").split(",")} - {"", "0"}
        if not groups or plan.plan_id in groups:
            seconds = whole(record, "free_minutes") * 60
            days = whole(record, "billing_days")
            yield from _package(work, record, name(record["name"]), seconds, days, "product_id")
    for record in list(work.scratch.rows("SELECT * FROM packages WHERE pricelist_id = ?", plan.plan_id)):
        yield from _package(
            work, record, name(record["package_name"]), whole(record, "includedseconds"), 0, "package_id"
        )


def _package(
    work: Work, record: Record, label: str, seconds: int, days: int, link: str
) -> Iterator[tuple[FreePackage, Covered]]:
    label = label or f"package {record['id']}"
    reason = _left_out(record, seconds)
    covered = _covered(work, record["id"], link)
    if reason is None and not covered.prefixes:
        reason = "packages without patterns, or with countries and call types in their place"
    if reason is not None:
        work.report.add(Kind.LEFT_OUT, f"package: {reason}", reason, example=label)
        return
    if days and days not in _PERIODS and days not in _MONTH_DAYS:
        text = "packages of another period than a day, a week or a month: here a month"
        work.report.add(Kind.OTHERWISE, "package-period", text, example=f"{label}: {days} days")
    work.report.add(
        Kind.MAPPED,
        "packages",
        "packages: each is an option, a tariff with the rates of the numbers it covers and its free seconds, to be"
        " given to the subscribers that have it",
        example=label,
    )
    work.report.add(
        Kind.OTHERWISE,
        "package-whole",
        "packages: in ASTPP a call is free as a whole as long as a second is left, and whole minutes are used up; here"
        " the seconds left are free, and billed seconds are used up",
        example=label,
    )
    yield FreePackage(label, seconds, _PERIODS.get(days, Period.MONTH), waives_fees=True), covered


def _left_out(record: Record, seconds: int) -> str | None:
    deleted = "is_deleted" in record.keys() and (record["is_deleted"] or "0") != "0"  # noqa: SIM118  # no mapping
    if (record["status"] or "0").strip() != "0" or deleted:
        return "packages that are inactive"
    if (record["applicable_for"] or "0").strip() == _INBOUND:
        return "packages for calls that come in"
    return None if seconds else "packages without free minutes"


def _covered(work: Work, package_id: str, link: str) -> Covered:
    query = f"SELECT patterns FROM package_patterns WHERE {link} = ?"  # noqa: S608  # the name of one of two columns
    digits = set()
    for record in work.scratch.rows(query, package_id):
        text = (record["patterns"] or "").strip("^.* ")
        if text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_DIGITS:
            digits.add(text)
        else:
            work.report.add(Kind.LEFT_OUT, "package-pattern", "patterns of packages that are no prefixes", example=text)
    return Covered(frozenset(one for one in digits if not any(one[:length] in digits for length in range(1, len(one)))))
