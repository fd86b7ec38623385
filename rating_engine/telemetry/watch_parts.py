"""Several watches of one process, counted together: what each says of itself is a part of a gauge."""

from __future__ import annotations

from collections import defaultdict

from rating_engine.telemetry.metrics import Metrics


class WatchTotals:
    """What the watches of this process say, by gauge and watch."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, int]] = defaultdict(dict)

    def total(self, gauge: str, part: str, count: int) -> int:
        """All parts of a gauge, one of them new."""
        self._parts[gauge][part] = count
        return sum(self._parts[gauge].values())


class WatchPart:
    """The observer of one watch (`name`)."""

    def __init__(self, metrics: Metrics, totals: WatchTotals, name: str) -> None:
        self._metrics, self._totals, self._name = metrics, totals, name

    def reconciled(self, decision: str, count: int = 1) -> None:
        """Count calls that were ended without a finish."""
        self._metrics.reconciled(decision, count)

    def exchanges_watched(self, count: int) -> None:
        """Set how many exchanges this watch follows."""
        self._metrics.exchanges_watched(self._totals.total("watched", self._name, count))

    def phones_registered(self, exchange: str, count: int) -> None:
        """Set how many phones are registered at an exchange."""
        self._metrics.phones_registered(exchange, count)

    def quota_calls(self, count: int) -> None:
        """Set how many calls this watch lengthens slice by slice."""
        self._metrics.quota_calls(self._totals.total("quota", self._name, count))

    def quota_cut(self) -> None:
        """Count a call that was hung up because its money had ended."""
        self._metrics.quota_cut()
