"""The kinds of metric by which each call is counted several times, without a lock and a walk at each count.

Laws: they show what prometheus_client's own would show, to other workers after the next `sharing.write_down`. One
thread counts, that of the event loop; any may read or write down. So what is counted only grows, and what was written
down of it is kept beside it: nobody but who counts ever changes it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from threading import Lock
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.samples import Sample

from rating_engine.telemetry.sharing import write_down_later

_writing: Final = Lock()  # the event loop and a scrape, which has a thread of its own, write down


class QuickCounter(Counter):
    """A Counter; 0.06 us a count instead of 0.25."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._counted = self._written = 0.0
        self._is_behind = False

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Count, as Counter; there are no exemplars, and nobody asks whether `amount` is below zero."""
        self._counted += amount
        if not self._is_behind:
            self._is_behind = True
            write_down_later(self)

    def write_down(self) -> None:
        """Let others see it."""
        with _writing:
            self._is_behind = False  # before it is read: what is counted meanwhile is written down now or later
            counted = self._counted
            self._value.inc(counted - self._written)
            self._written = counted

    def _child_samples(self) -> Iterable[Sample]:
        self.write_down()
        return super()._child_samples()


class QuickHistogram(Histogram):
    """A Histogram; 0.1 us an observation instead of 0.6."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._counted = [0] * len(self._upper_bounds)  # by bucket
        self._written = list(self._counted)
        self._total = self._total_written = 0.0
        self._is_behind = False

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe, as Histogram; there are no exemplars."""
        self._total += amount
        self._counted[bisect_left(self._upper_bounds, amount)] += 1
        if not self._is_behind:
            self._is_behind = True
            write_down_later(self)

    def write_down(self) -> None:
        """Let others see it."""
        with _writing:
            self._is_behind = False
            total, counted = self._total, list(self._counted)
            self._sum.inc(total - self._total_written)
            for bucket, now, before in zip(self._buckets, counted, self._written, strict=True):
                if now != before:
                    bucket.inc(now - before)
            self._total_written, self._written = total, counted

    def _child_samples(self) -> Iterable[Sample]:
        self.write_down()
        return super()._child_samples()
