"""Mapped tariffs as files: a deck of each in the format that `rates import` reads, the settings and the report."""

from __future__ import annotations

import contextlib
import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rating_engine.importers.dump_text import DumpError
from rating_engine.importers.model import DeckRow, MappedTariff
from rating_engine.importers.report import Kind, Report
from rating_engine.rating.money import format_amount
from rating_engine.rating.rate import Rate
from rating_engine.services.decks.file.rows import KEPT_TERMS

HEADER: Final = (
    *("prefix", "origin", "band", "effective_from", "effective_to", "direction", "price_1", "price_n", "price_unit"),
    *("interval_1", "interval_n", "connect_fee", "free_seconds", "grace_period", "postcall_surcharge"),
    *("minimum_charge", "extras"),
)
SETTINGS_FILE: Final = "tariffs.json"
REPORT_FILE: Final = "report.txt"
REPORT_JSON: Final = "report.json"

# What is no part of `extras`: it has a column of its own, or is a setting of the tariff.
_NOT_EXTRA: Final = frozenset((*HEADER, "decimals", "increment_mode", "duration_rounding"))
_UNSAFE: Final = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, slots=True)
class WrittenTariff:
    """A tariff whose deck is a file with `rates` rows."""

    tariff: MappedTariff
    deck: Path
    rates: int


def write_tariffs(tariffs: Iterable[MappedTariff], directory: Path, report: Report) -> list[WrittenTariff]:
    """Write the deck of each tariff that has rates. Raises DumpError."""
    written: list[WrittenTariff] = []
    with file_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for tariff in tariffs:
            deck = _deck_path(directory, tariff.name, {one.deck for one in written})
            rates = _write_deck(tariff.rows, deck)
            if rates:
                written.append(WrittenTariff(tariff, deck, rates))
            else:
                deck.unlink()
                report.add(Kind.LEFT_OUT, "no-rates", "tariffs without a rate: not made", example=tariff.name)
    return written


def write_settings(written: Iterable[WrittenTariff], directory: Path) -> None:
    """Write what is to be set at each tariff. Raises DumpError."""
    values = [{**one.tariff.settings(), "deck": one.deck.name, "rates": one.rates} for one in written]
    with file_errors(directory):
        text = json.dumps({"tariffs": values}, ensure_ascii=False, indent=2)
        (directory / SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")


def write_report(report: Report, directory: Path) -> None:
    """Write the report for people and for programs. Raises DumpError."""
    with file_errors(directory):
        (directory / REPORT_FILE).write_text("\n".join(report.lines()) + "\n", encoding="utf-8")
        text = json.dumps({"findings": report.to_json()}, ensure_ascii=False, indent=2)
        (directory / REPORT_JSON).write_text(text + "\n", encoding="utf-8")


def extras_of(rate: Rate) -> str:
    """The rarer terms of a rate as the column `extras` has them; '' for none."""
    values: dict[str, Any] = json.loads(rate.to_json())
    extras = {name: value for name, value in values.items() if name not in _NOT_EXTRA}
    return json.dumps(extras, sort_keys=True, separators=(",", ":")) if extras else ""


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Say that it is a file that cannot be written."""
    try:
        yield
    except OSError as error:
        raise DumpError(f"cannot write {error.filename or path}: {error.strerror or error}") from error


def _write_deck(rows: Iterable[DeckRow], path: Path) -> int:
    count = 0
    terms = _Terms()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for row in rows:
            begins, ends = _instant(row.effective_from), _instant(row.effective_to)
            writer.writerow([row.prefix, row.origin, row.band, begins, ends, row.direction, *terms.of(row.rate)])
            count += 1
    return count


class _Terms:
    """The cells of rates, which rows share."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Rate, list[str]]] = {}  # by identity; the rate stays, and with it its identity

    def of(self, rate: Rate) -> list[str]:
        known = self._known.get(id(rate))
        if known is None:
            if len(self._known) >= KEPT_TERMS:
                self._known.clear()
            known = self._known[id(rate)] = rate, _cells(rate)
        return known[1]


def _cells(rate: Rate) -> list[str]:
    return [
        format_amount(rate.price_1),
        format_amount(rate.price_n),
        rate.price_unit.value,
        str(rate.interval_1),
        str(rate.interval_n),
        format_amount(rate.connect_fee),
        str(rate.free_seconds),
        str(rate.grace_period),
        format_amount(rate.postcall_surcharge),
        format_amount(rate.minimum_charge),
        extras_of(rate),
    ]


def _instant(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()


def _deck_path(directory: Path, tariff: str, taken: set[Path]) -> Path:
    plain = _UNSAFE.sub("_", tariff).strip("._") or "tariff"
    path = directory / f"{plain}.csv"
    number = 2
    while path in taken:
        path = directory / f"{plain}-{number}.csv"
        number += 1
    return path
