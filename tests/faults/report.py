"""The table of faults: what was done, how often, what was under way, and what became of the money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

PROPERTY = "fault"  # of a test's report
TABLE_FILE = "faults.md"  # in pytest's cache directory

COLUMNS = (
    "fault", "times", "calls", "in flight", "unanswered", "spooled", "lost", "double-charged", "overspent", "left open",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One fault, over all its times. `in_flight`: calls that were under way when it struck; `unanswered`: requests
    that got no answer; `spooled`: ends that were kept on disk; the rest has to be 0."""

    fault: str
    times: int
    calls: int
    in_flight: int
    unanswered: int
    spooled: int
    lost: int
    double_charged: int
    overspent: int
    left_open: int

    def cells(self) -> tuple[str, ...]:
        """The values in the order of COLUMNS."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(value if isinstance(value, str) else f"{value:,}" for value in values)


@dataclass(frozen=True)
class Table:
    """Where a test adds its line: it goes with the test's report, from whichever process runs it."""

    node: pytest.Item

    def add(self, row: Row) -> None:
        """Add a row; printed at once for whoever runs with -s."""
        print("\n" + "\n".join(render([row.cells()])))
        self.node.user_properties.append((PROPERTY, row.cells()))


def render(rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> list[str]:
    """Rows of cells as a Markdown table, columns aligned for reading as text too."""
    cells = [columns, *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    aligned = [
        "| " + " | ".join(text.rjust(width) if n else text.ljust(width) for n, (text, width) in enumerate(pairs)) + " |"
        for pairs in (list(zip(line, widths, strict=True)) for line in cells)
    ]
    rule = "|" + "|".join("-" * (width + 1) + (":" if n else "-") for n, width in enumerate(widths)) + "|"
    return [aligned[0], rule, *aligned[1:]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show every row of the run as one table, and keep it."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    rows = [value for report in calls for name, value in report.user_properties if name == PROPERTY]
    if not rows or getattr(config, "cache", None) is None:  # pytest without its cache has no such attribute
        return
    terminalreporter.section("faults")
    for line in (lines := render(sorted(rows))):
        terminalreporter.line(line)
    file = Path(config.cache.mkdir("faults")) / TABLE_FILE
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    terminalreporter.line(f"also in {file}")
