"""rating_engine.telemetry.quick_metrics shows what prometheus_client's own metrics show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, values

from rating_engine.telemetry.quick_metrics import QuickCounter, QuickHistogram

BUCKETS = (0.5, 1, 2)


def shown(registry: CollectorRegistry) -> list[tuple[str, dict[str, str], float]]:
    return [
        (sample.name, sample.labels, sample.value)
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    ]


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0]), max_size=20), st.integers(0, 20))
def test_quick_metrics_show_what_prometheus_clients_own_show(amounts: list[float], read_after: int) -> None:
    quick, plain = CollectorRegistry(), CollectorRegistry()
    for registry, counter, histogram in ((quick, QuickCounter, QuickHistogram), (plain, Counter, Histogram)):
        calls = counter("calls", "calls", ["stage"], registry=registry)
        seconds = histogram("seconds", "seconds", buckets=BUCKETS, registry=registry)
        size = histogram("size", "size", ["of"], buckets=BUCKETS, registry=registry)
        for number, amount in enumerate(amounts):
            calls.labels("prepare").inc()
            calls.labels("finish").inc(amount)
            seconds.observe(amount)
            size.labels("reserve").observe(amount)
            if number == read_after:
                shown(registry)
    assert shown(quick) == shown(plain)


def test_what_is_counted_while_it_is_written_down_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    counter = QuickCounter("calls", "calls", registry=registry)
    size = QuickHistogram("size", "size", buckets=BUCKETS, registry=registry)
    meanwhile = [1.0, 1.0]  # another thread counts so much as soon as something is being written

    def write(value: Any, amount: float) -> None:
        if meanwhile:
            counter.inc(meanwhile.pop())
            size.observe(1.0)
        add(value, amount)

    add = values.MutexValue.inc
    monkeypatch.setattr(values.MutexValue, "inc", write)
    counter.inc()
    size.observe(1.0)
    shown(registry)
    found = {name: value for name, labels, value in shown(registry) if labels.get("le") in (None, "1.0")}
    assert not meanwhile
    assert found == {"calls_total": 3, "size_bucket": 3, "size_count": 3, "size_sum": 3}
