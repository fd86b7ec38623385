"""Packages and call plans of A2Billing.

A package (cc_package_offer) belongs to a call plan and covers the rates that cc_package_rate links with it. Here it is
an option: a tariff with exactly those rates and the package, for the subscribers of that call plan beside their tariff.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rating_engine.domain.tariff import Period
from rating_engine.importers.cells import name, reference, whole
from rating_engine.importers.model import UNLIMITED_SECONDS, FreePackage
from rating_engine.importers.peer import Plan, Work
from rating_engine.importers.report import Kind
from rating_engine.importers.scratch import Record, Tables

PACKAGE_TABLES: Final[Tables] = {
    "cc_tariffgroup": ("id", "tariffgroupname", "lcrtype", "id_cc_package_offer", "removeinterprefix"),
    "cc_tariffgroup_plan": ("idtariffgroup", "idtariffplan"),
    "cc_package_offer": ("id", "label", "packagetype", "billingtype", "startday", "freetimetocall"),
    "cc_package_rate": ("package_id", "rate_id"),
}

_UNLIMITED: Final = 0
_FREE_CALLS: Final = 1
_WEEKLY: Final = 1


def packages_of(work: Work, plan: Plan) -> Iterator[tuple[FreePackage, str]]:
    """The packages that cover rates of a rate card, with their ids."""
    query = """
        SELECT * FROM cc_package_offer AS package
        WHERE id IN (SELECT id_cc_package_offer FROM cc_tariffgroup WHERE id IN
                        (SELECT idtariffgroup FROM cc_tariffgroup_plan WHERE idtariffplan = ?))
          AND EXISTS (SELECT * FROM cc_package_rate link JOIN cc_ratecard rate ON rate.id = link.rate_id
                      WHERE link.package_id = package.id AND rate.idtariffplan = ?)
        ORDER BY CAST(id AS INTEGER)"""
    for record in list(work.scratch.rows(query, plan.plan_id, plan.plan_id)):
        package = read_package(work, record)
        if package is not None:
            yield package, record["id"]
            work.report.add(
                Kind.OTHERWISE,
                "package-parts",
                "packages whose seconds end within a call: A2Billing forgets what is left in progressive rates, and"
                " mixes rounded and true seconds in others (0.60, 60/60, 61 s, 90 s left: 0.59); here the seconds left"
                " are free, once (0.30)",
                example=package.name,
            )


def read_package(work: Work, record: Record) -> FreePackage | None:
    """A package as ours, or None with the reason in the report."""
    label = name(record["label"]) or f"package {record['id']}"
    kind, seconds = whole(record, "packagetype"), whole(record, "freetimetocall")
    if kind == _FREE_CALLS:
        text = "packages of a number of free calls: here packages are of seconds"
        work.report.add(Kind.LEFT_OUT, "free-calls", text, example=label)
        return None
    if kind != _UNLIMITED and not seconds:
        work.report.add(Kind.LEFT_OUT, "empty-package", "packages without free seconds", example=label)
        return None
    weekly = whole(record, "billingtype") == _WEEKLY
    if whole(record, "startday") > 1:
        text = "packages that begin on another day: here a month begins on the 1st, a week on Monday"
        work.report.add(Kind.OTHERWISE, "package-day", text, example=f"{label}: day {record['startday']}")
    unlimited = kind == _UNLIMITED
    work.report.add(
        Kind.MAPPED,
        "packages",
        "packages: each is an option, a tariff with the rates it covers and its free seconds, to be given to the"
        " subscribers that have it (fees are waived by unlimited ones alone, as there)",
        example=label,
    )
    return FreePackage(
        name=label,
        seconds=UNLIMITED_SECONDS if unlimited else seconds,
        period=Period.WEEK if weekly else Period.MONTH,
        waives_fees=unlimited,
    )


def tell_call_plans(work: Work, plans: list[Plan]) -> None:
    """Say which tariffs and options make up each call plan."""
    names = {plan.plan_id: plan.tariff for plan in plans}
    for group in list(work.scratch.rows("SELECT * FROM cc_tariffgroup ORDER BY CAST(id AS INTEGER)")):
        query = "SELECT idtariffplan FROM cc_tariffgroup_plan WHERE idtariffgroup = ?"
        links = [record["idtariffplan"] for record in work.scratch.rows(query, group["id"])]
        cards = [names[link] for link in links if link in names]
        package = reference(group, "id_cc_package_offer")
        if cards:
            work.report.add(
                Kind.LEFT_OUT,
                "call-plans",
                "call plans: give a subscriber the first of these as its tariff, the others as options"
                + (", and the options of its package" if package else ""),
                example=f"{name(group['tariffgroupname'])} = {', '.join(cards)}",
            )
