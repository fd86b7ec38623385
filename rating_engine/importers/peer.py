"""What the three systems have in common for an import: their tables, and a way from those to tariffs of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from rating_engine.domain.errors import InvalidRequest
from rating_engine.importers.model import MappedTariff, Options
from rating_engine.importers.report import Kind, Report
from rating_engine.importers.scratch import Record, Scratch, Tables

MAX_TARIFF_NAME: Final = 100  # what a tariff's name may have

Reject = Callable[[str, Record, str], None]  # the table, the row, the reason


@dataclass(frozen=True, slots=True)
class Work:
    """One import: what was read, what is wanted, and where to say what became of it."""

    scratch: Scratch
    options: Options
    report: Report
    reject: Reject


@dataclass(frozen=True, slots=True)
class TableFormat:
    """A CSV file of a rate card: it becomes rows of `table`.

    `columns`: of that table, by the names that headers have for them. `positions`: their order where there is no
    header. `needed`: without them it is no such file.
    """

    table: str
    columns: Mapping[str, tuple[str, ...]]
    positions: tuple[str, ...]
    needed: tuple[str, ...]


class Peer(Protocol):
    """A system that rate cards come from."""

    @property
    def title(self) -> str:
        """As people call it."""

    @property
    def tables(self) -> Tables:
        """What is read of a dump."""

    @property
    def rates_table(self) -> str:
        """Without whose rows a dump is none of this system."""

    @property
    def table_format(self) -> TableFormat:
        """Its CSV files."""

    def tariffs(self, work: Work) -> Iterable[MappedTariff]:
        """The tariffs to be. Their rows may be read once, and tell the report while they are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A rate plan of the old system. `record` is None for a CSV file, which holds one plan without its name."""

    plan_id: str | None
    name: str
    tariff: str
    record: Record | None


def chosen_plans(work: Work, plans: Iterable[Record], name_column: str) -> list[Plan]:
    """The wanted rate plans with the names of their tariffs; of a CSV file the one plan there is.

    Errors: InvalidRequest (a plan that is not there, or names that don't fit).
    """
    options = work.options
    found = [
        (str(plan["id"]), " ".join((plan[name_column] or "").split()) or f"plan {plan['id']}", plan) for plan in plans
    ]
    if not found:
        return [_only_plan(options)]
    names = [name for _, name, _ in found]
    for wanted in options.plans:
        if wanted not in names:
            raise InvalidRequest("plan", f"there is no {wanted!r}; there are: {', '.join(map(repr, names))}")
    chosen = [one for one in found if not options.plans or one[1] in options.plans]
    if options.tariff is not None and len(chosen) > 1:
        raise InvalidRequest(
            "tariff", f"{len(chosen)} rate plans become a tariff each, by their names: choose one with --plan"
        )
    return [
        Plan(
            plan_id,
            name,
            _tariff_name(options.tariff or (name if names.count(name) == 1 else f"{name} ({plan_id})")),
            plan,
        )
        for plan_id, name, plan in chosen
    ]


def tell_plans_left(work: Work, plans: Iterable[Plan], total: int) -> None:
    """Say how many rate plans were not asked for."""
    left = total - sum(plan.record is not None for plan in plans)
    if left > 0:
        work.report.add(Kind.LEFT_OUT, "plans", "rate plans that were not asked for (--plan)", count=left)


def currency(work: Work, configured: str | None) -> str | None:
    """The currency of the tariffs: as the operator says, else as the dump does."""
    if work.options.currency is not None:
        return work.options.currency
    said = (configured or "").strip().upper()
    return said if len(said) == 3 and said.isascii() and said.isalpha() else None


def _only_plan(options: Options) -> Plan:
    if options.tariff is None:
        raise InvalidRequest("tariff", "a CSV file does not say what its rate plan is called: say --tariff NAME")
    if options.plans:
        raise InvalidRequest("plan", "a CSV file holds one rate plan without a name: leave --plan out")
    return Plan(None, options.tariff, _tariff_name(options.tariff), None)


def _tariff_name(name: str) -> str:
    if not name.strip() or len(name) > MAX_TARIFF_NAME:
        raise InvalidRequest("tariff", f"a name has 1 to {MAX_TARIFF_NAME} characters, not {name!r}")
    return name


def tell_costs_left(work: Work, count: int) -> None:
    """Say that buying rates were there and not asked for."""
    if count:
        work.report.add(Kind.LEFT_OUT, "costs", "buying rates: --cost makes cost decks of them", count=count)
