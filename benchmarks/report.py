"""Figures of several rounds: medians, ratios of the medians as they are printed, and aims."""

from __future__ import annotations

import contextlib
import io
import os
import statistics
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

README = Path(__file__).with_name("README.md")
MARKDOWN, SCREEN = "markdown", "screen"
WIDTH = 110  # of tables, also where the output is no screen


def rounded(value: float) -> float:
    """Three figures, which is more than any of these is good for."""
    return float(f"{value:.3g}") if value < 1000 else round(value)


def shown(value: float) -> str:
    """As `rounded`, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


class Figures:
    """What each round measured: (figure, side) -> values."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, figure: str, side: str, value: float) -> None:
        """One round's value."""
        self._values[figure, side].append(value)

    def median(self, figure: str, side: str) -> float | None:
        """The median as it is printed, or None when it was not measured."""
        values = self._values.get((figure, side))
        return None if not values else rounded(statistics.median(values))

    def figures(self) -> list[str]:
        """The names of all figures, in the order of their first value."""
        return list(dict.fromkeys(figure for figure, _ in self._values))

    def ratio(self, figure: str, over: tuple[str, str], side: str) -> float | None:
        """The median of a figure over another one's, both as printed."""
        ours, theirs = self.median(figure, side), self.median(*over)
        return None if ours is None or not theirs else ours / theirs


def kept(ratio: float | None, aim: str) -> str:
    """Whether the aim, `>=1.25` or `<=0.7`, is kept."""
    if not aim or ratio is None:
        return ""
    limit = float(aim[2:])
    return "yes" if (round(ratio, 2) >= limit if aim.startswith(">=") else round(ratio, 2) <= limit) else "NO"


def print_table(title: str, columns: list[str], rows: list[list[str]], form: str) -> None:
    """A table on the screen, or as lines for README.md."""
    if form == MARKDOWN:
        print(f"\n{title}\n")
        print("| " + " | ".join(columns) + " |")
        print("|" + " --- |" * len(columns))
        for row in rows:
            print("| " + " | ".join(row) + " |")
        return
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=WIDTH).print(table)


def into_readme(name: str, show: Callable[[], None]) -> None:
    """Replace what README.md says between the marks of `name` by the tables that `show` prints, and by when."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        show()
    load = os.getloadavg()[1]
    where = f"{os.cpu_count()} cores, load {load:.1f} with the benchmark's own"
    when = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {where}."
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{README} has no {begin} … {end}")
    README.write_text(f"{before}{begin}\n\n{when}\n{printed.getvalue()}\n{end}{after}", encoding="utf-8")


def against(figures: Figures, aims: dict[str, str], *, now: str, then: str) -> list[list[str]]:
    """A row for each figure: now, then, their ratio, the aim, whether it is kept."""
    rows = []
    for figure in figures.figures():
        new, old = figures.median(figure, now), figures.median(figure, then)
        if new is None and old is None:
            continue
        ratio = figures.ratio(figure, (figure, then), now)
        aim = aims.get(figure, "")
        rows.append([figure, "" if new is None else shown(new), "" if old is None else shown(old),
                     "" if ratio is None else f"{ratio:.2f}", aim, kept(ratio, aim)])  # fmt: skip
    return rows
