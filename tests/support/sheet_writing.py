"""Decks written as carriers write them: a random deck, and a random one of the many ways in which it may be sent."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import openpyxl

COUNTRIES = ("44", "49", "7", "1", "20", "234", "355", "380", "880", "39", "998", "34")
NAMES = (
    "United Kingdom",
    "UK - Mobile (Vodafone)",
    "Côte d'Ivoire",
    "Proper",
    "Mobile, other",
    "Rest; all",
    "São Tomé",
)
EXCEL_BEGINS = date(1899, 12, 30)


@dataclass(frozen=True, slots=True)
class Entry:
    """A code of a deck and what it costs; `price` None: it is blocked. `since`: when it counts from, None: ever."""

    code: str
    country: str
    name: str
    price: Decimal | None
    intervals: tuple[int, int]
    fee: Decimal
    since: date | None


@dataclass(slots=True)
class Sheet:
    """How a deck was written. `certain`: nothing in it can be read in two ways, so that it has to be taken whole."""

    path: Path
    deck: Sequence[Entry]
    certain: bool = True
    ways: list[str] = field(default_factory=list)


def random_deck(random: Random) -> list[Entry]:
    """Some codes of some countries; a row's terms are often those of the row before."""
    entries: dict[str, Entry] = {}
    country, terms = "44", ("", Decimal("0.01"), (1, 1), Decimal(0), None)
    for _ in range(random.randint(1, 14)):
        if random.random() < 0.4:
            country = random.choice(COUNTRIES)
        if random.random() < 0.6:
            terms = _terms(random)
        area = "".join(random.choice("123456789") for _ in range(random.randint(0, 4)))
        name, price, intervals, fee, since = terms
        entries[country + area] = Entry(country + area, country, name, price, intervals, fee, since)
    return list(entries.values())


def _terms(random: Random) -> Any:
    digits = random.randint(0, 8)
    price: Decimal | None = Decimal(random.randint(0, 10 ** min(digits + 2, 9))).scaleb(-digits)
    if random.random() < 0.12:
        price = None
    since = random.choice([None, None, date(2026, 11, 1), date(2026, 10, 31), date(2027, 1, 15), date(2026, 5, 6)])
    fee = random.choice([Decimal(0), Decimal(0), Decimal("0.01"), Decimal("1.5")])
    return random.choice(NAMES), price, random.choice([(1, 1), (60, 1), (60, 60), (30, 6)]), fee, since


class SheetWriter:
    """Writes one deck in one way, drawn from `random`."""

    def __init__(self, random: Random, deck: Sequence[Entry], directory: Path) -> None:
        self._random = random
        self._is_book = random.random() < 0.2
        self._delimiter = random.choice([",", ",", ";", ";", "\t", "|"])
        self._comma = (self._is_book or self._delimiter != ",") and random.random() < 0.4
        self.sheet = Sheet(directory / ("deck.xlsx" if self._is_book else "deck.csv"), deck)
        self._has_dates = any(entry.since for entry in deck)
        self._has_fees = any(entry.fee for entry in deck)
        self._date = self._date_writer()
        self._factor, self._price_name = self._price_header()
        self._price = self._price_writer()
        self._split = random.random() < 0.25
        areas = [(entry.code.removeprefix(entry.country), entry.country) for entry in deck]
        if self._split and all(not area or area.startswith(country) for area, country in areas):
            self._say("area codes that repeat their country", certain=False)
        self._codes = random.choice(["plain", "plain", "plus", "00", "011", "list", "list", "short", "range", "dash"])
        self._pads = random.random() < 0.2

    def write(self) -> Sheet:
        """The file."""
        columns = self._columns()
        self._random.shuffle(columns)
        groups = [[entry] for entry in self.sheet.deck]
        if self._codes in ("list", "short", "range") and not self._split:
            groups = self._grouped()
        header = [self._cased(name) for name, _ in columns]
        rows = [[cell(group) for _, cell in columns] for group in groups]
        lines = [*self._above(len(header)), header, *self._decorated(rows, header)]
        if self._is_book:
            self._write_book(lines)
        else:
            self._write_text(lines)
        return self.sheet

    def _say(self, way: str, *, certain: bool = True) -> None:
        self.sheet.ways.append(way)
        self.sheet.certain &= certain

    def _columns(self) -> list[tuple[str, Callable[[list[Entry]], Any]]]:
        random = self._random
        columns: list[tuple[str, Callable[[list[Entry]], Any]]] = []
        if self._split:
            columns += [
                (random.choice(["Country Code", "CC", "country_code"]), lambda group: group[0].country),
                (
                    random.choice(["Area Code", "City Code", "area codes", "NDC"]),
                    lambda group: group[0].code.removeprefix(group[0].country),
                ),
            ]
        else:
            name = random.choice(["Code", "Dial Code", "prefix", "Destination Code", "Dialing Codes", "DIALCODE"])
            columns.append((name, self._code_cell))
        columns.append((self._price_name, lambda group: self._price(group[0].price)))
        if random.random() < 0.8:
            name = random.choice(["Destination", "Country", "Name", "Zone", "destinations", "Route Name"])
            columns.append((name, lambda group: group[0].name))
        columns += self._interval_columns()
        if self._has_fees:
            columns.append(
                (random.choice(["Setup Fee", "Connection Fee", "connect_fee"]), lambda group: self._fee(group[0].fee))
            )
        if self._has_dates:
            name = random.choice(["Effective Date", "Valid From", "Effective", "start date", "effective_from"])
            columns.append((name, lambda group: self._date(group[0].since)))
        if random.random() < 0.3:
            words = ["No Change", "N/C", "New", "INCREASE", "Rate Decrease", "Active", "", "current", "Effective"]
            columns.append((random.choice(["Status", "Change", "Rate Status"]), lambda group: random.choice(words)))
        if random.random() < 0.3:
            columns.append(
                (random.choice(["Remarks", "OCN", "Level", "ISO"]), lambda group: random.choice(["", "x", "12"]))
            )
        return columns

    def _interval_columns(self) -> list[tuple[str, Callable[[list[Entry]], Any]]]:
        random = self._random
        if all(entry.intervals == (1, 1) for entry in self.sheet.deck) and random.random() < 0.7:
            return []
        if random.random() < 0.6:
            form = random.choice(["{}/{}", "{} / {}", "{}+{}", "{}-{}", "{}s/{}s", "{}/{} sec"])
            if self._is_book and "-" in form:
                form = "{}/{}"
            name = random.choice(["Increments", "Billing Increment", "Interval", "Rounding"])
            return [(name, lambda group: form.format(*group[0].intervals))]
        first = random.choice(["First Interval", "Minimum", "Initial Increment", "interval_1"])
        following = random.choice(["Next Interval", "Subsequent Increment", "Billing Block", "interval_n"])
        return [(first, lambda group: group[0].intervals[0]), (following, lambda group: group[0].intervals[1])]

    def _code_cell(self, group: list[Entry]) -> Any:
        codes = [entry.code for entry in group]
        kind = self._codes
        if kind == "plus":
            return f"+{codes[0]}"
        if kind in ("00", "011"):
            return kind + codes[0]
        if kind == "dash" and len(codes[0]) > len(group[0].country):
            country, area = group[0].country, codes[0].removeprefix(group[0].country)
            self._say("dash", certain=len(country) != len(area))
            return f"{country}-{area}"
        if kind == "range" and len(codes) > 1:
            return f"{codes[0]}-{codes[-1]}"
        if len(codes) > 1:
            mark = self._random.choice([", ", ",", "; ", ";", "\n"] if self._is_book else [", ", ";"])
            if any(len(code) < len(codes[0]) for code in codes):
                self._say("codes that may be shortened", certain=False)
            if kind == "short":
                self._say("short", certain=False)
                return mark.join([codes[0], *(code[-2:] if len(code) > 3 else code for code in codes[1:])])
            return mark.join(codes)
        if self._is_book and self._random.random() < 0.3:
            return int(codes[0])
        return self._random.choice([codes[0], codes[0], f"'{codes[0]}"])

    def _grouped(self) -> list[list[Entry]]:
        """Codes of the same terms in one row; for ranges only those that follow one another."""
        groups: list[list[Entry]] = []
        for entry in self.sheet.deck:
            last = groups[-1] if groups else []
            fits = bool(last) and self._same(last[-1], entry)
            if fits and self._codes == "range":
                fits = len(last[-1].code) == len(entry.code) > 3 and int(entry.code) == int(last[-1].code) + 1
            if fits and self._codes == "short":
                fits = len(last[0].code) == len(entry.code) > 3 and last[0].code[:-2] == entry.code[:-2]
            if fits:
                last.append(entry)
            else:
                groups.append([entry])
        return groups

    @staticmethod
    def _same(one: Entry, other: Entry) -> bool:
        return (one.name, one.price, one.intervals, one.fee, one.since, one.country) == (
            other.name, other.price, other.intervals, other.fee, other.since, other.country,
        )  # fmt: skip

    def _price_header(self) -> tuple[Decimal, str]:
        random = self._random
        name = random.choice(["Rate", "Price", "rate per minute", "New Rate", "Cost", "PRICE/MIN", "Sell Rate"])
        factor, form = random.choice(
            [
                (Decimal(1), "{}"),
                (Decimal(1), "{}"),
                (Decimal(1), "{} (EUR)"),
                (Decimal(1), "{} EUR"),
                (Decimal(1), "{} [€]"),
                (Decimal(1), "{} (excl. VAT)"),
                (Decimal(100), "{} (cents)"),
                (Decimal(100), "{} (EUR cents)"),
                (Decimal(100), "{}, ¢"),
            ]
        )
        self._say(form)
        return factor, form.format(name)

    def _price_writer(self) -> Callable[[Decimal | None], Any]:
        random = self._random
        way = random.choice(["plain", "plain", "zeros", "sign", "code", "exponent", "long", "thousands"])
        self._say(way)
        blocked = random.choice(["N/A", "blocked", "not offered", "-", "closed", "n.a."])

        def write(price: Decimal | None) -> Any:
            if price is None:
                return blocked
            amount = price * self._factor
            text = f"{amount:f}"
            if way == "zeros":
                text = f"{amount:.10f}"
            elif way == "long" and "." in text and amount:
                text += "0" * max(0, 8 - len(text.split(".")[1])) + "000000003" * (self._factor == 1)
            elif way == "exponent" and amount:
                text = f"{amount:e}"
            elif way == "thousands":
                text = f"{amount:,f}"
                self._say("thousands", certain="." in text or "," not in text)
            if self._is_book and way == "plain" and random.random() < 0.5:
                self._say("numbers beside texts", certain=not self._comma)
                return float(amount)
            if self._comma:
                text = text.replace(",", " ").replace(".", ",")
                self._say("comma", certain="," not in text or len(text.split(",")[1]) != 3 or text.startswith("0"))
            if way == "sign":
                return random.choice(["€{}", "€ {}", "{} €", "{}€"]).format(text)
            return f"EUR {text}" if way == "code" else text

        return write

    def _fee(self, fee: Decimal) -> str:
        text = f"{fee:f}"
        return text.replace(".", ",") if self._comma else text

    def _date_writer(self) -> Callable[[date | None], Any]:
        random = self._random
        way = random.choice(
            ["%Y-%m-%d", "%d.%m.%Y", "%d-%b-%Y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%Y%m%d", "serial"]
        )
        empty = random.choice(["", "", "immediately", "-"])

        def write(since: date | None) -> Any:
            if since is None:
                return empty
            if self._is_book and random.random() < 0.4:
                return since
            if way == "serial":
                return str((since - EXCEL_BEGINS).days)
            if "/" in way:  # the order of day and month is shown only by some dates
                self._say("date order", certain=False)
            return since.strftime(way)

        return write

    def _cased(self, name: str) -> str:
        return self._random.choice([name, name, name.upper() if "cent" not in name else name, name.replace(" ", "_")])

    def _above(self, width: int) -> list[list[str]]:
        random = self._random
        kinds = [[], [""] * width, ["Carrier X Ltd"], ["Dear partner", "please find"], ["Date", "30.11.2026"]]
        return [random.choice(kinds) for _ in range(random.choice([0, 0, 1, 3, 40]))]

    def _decorated(self, rows: list[list[Any]], header: list[str]) -> list[list[Any]]:
        random = self._random
        lines: list[list[Any]] = []
        for row in rows:
            if random.random() < 0.08:
                lines.append(random.choice([[], [""] * len(header), header]))
            lines.append([f" {cell} " if self._pads and isinstance(cell, str) and cell else cell for cell in row])
        if random.random() < 0.2:
            lines += [[], ["All rights reserved"]]
        return lines

    def _write_text(self, lines: list[list[Any]]) -> None:
        random = self._random
        text = io.StringIO(newline="")
        ends = random.choice(["\n", "\r\n"])
        quoting = random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        writer = csv.writer(text, delimiter=self._delimiter, lineterminator=ends, quoting=quoting)
        writer.writerows([[cell.isoformat() if isinstance(cell, date) else cell for cell in line] for line in lines])
        encodings = ["utf-8", "utf-8-sig", "utf-16", "cp1252"]
        data = text.getvalue()
        if random.random() < 0.1:
            data = data.rstrip("\r\n")
        self.sheet.path.write_bytes(data.encode(random.choice(encodings)))

    def _write_book(self, lines: list[list[Any]]) -> None:
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        if self._random.random() < 0.3:
            sheet.append(["This offer is confidential"])
            sheet = book.create_sheet("Rates")
        for line in lines:
            sheet.append(line)
        book.save(self.sheet.path)


def write_some_way(random: Random, directory: Path) -> Sheet:
    """A random deck in a random way."""
    return SheetWriter(random, random_deck(random), directory).write()
