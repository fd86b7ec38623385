"""The table of faults: what was done, how often, what was under way, and what became of the money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

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


@dataclass
class Table:
    """The rows of one run of the tests."""

    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Add a row; printed at once for whoever runs with -s."""
        self.rows.append(row)
        print("\n" + "\n".join(render([row])))

    def lines(self) -> list[str]:
        """The table as Markdown."""
        return render(self.rows)

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text("\n".join(self.lines()) + "\n", encoding="utf-8")


def render(rows: Sequence[Row]) -> list[str]:
    """Rows as a Markdown table, columns aligned for reading as text too."""
    cells = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    aligned = [
        "| " + " | ".join(text.rjust(width) if n else text.ljust(width) for n, (text, width) in enumerate(pairs)) + " |"
        for pairs in (list(zip(line, widths, strict=True)) for line in cells)
    ]
    rule = "|" + "|".join("-" * (width + 1) + (":" if n else "-") for n, width in enumerate(widths)) + "|"
    return [aligned[0], rule, *aligned[1:]]
