from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rating_engine.domain.outcomes import DeclineReason
from rating_engine.storage.spool.spool import SpoolRefusal
from rating_engine.telemetry.metrics import OPERATIONS_MAX, REJECTIONS_MAX, SPOOL_FAILURES, Metrics
from rating_engine.telemetry.surface import current_surface


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample as `name{label="value",…}`, labels sorted."""
    body, _ = metrics.exposition()
    return {
        sample.name
        + "{"
        + ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
        + "}": sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_calls_are_counted_by_stage_outcome_and_reason(metrics: Metrics) -> None:
    metrics.prepared("allowed", "", 0.002)
    metrics.prepared("declined", "insufficient_funds", 0.002)
    metrics.prepared("declined", "insufficient_funds", 0.002)
    metrics.finished("saved", "", 0.002, False)

    found = samples(metrics)
    label = 'rating_calls_total{{outcome="{}",reason="{}",stage="{}",surface="fastagi"}}'
    assert found[label.format("allowed", "none", "prepare")] == 1
    assert found[label.format("declined", "insufficient_funds", "prepare")] == 2
    assert found[label.format("saved", "none", "finish")] == 1


def test_the_spool_is_counted(metrics: Metrics) -> None:
    metrics.spool_state(3, 700)
    metrics.spooled()
    metrics.spool_replayed(overrun=False)
    metrics.spool_replayed(overrun=True)
    metrics.spool_refused("conflict")
    metrics.spool_refused("unreadable")
    metrics.spool_refused("something new")
    metrics.spool_not_taken("full")
    metrics.spool_not_taken("something new")
    metrics.spool_damaged(2)
    metrics.offline_allowed()

    found = samples(metrics)
    assert found["rating_spool_records{}"] == 3
    assert found["rating_spool_bytes{}"] == 700
    assert found["rating_spooled_total{}"] == 1
    assert found["rating_spool_replayed_total{}"] == 2
    assert found["rating_overruns_total{}"] == 1
    for reason in ("conflict", "unreadable", "other"):
        assert found[f'rating_spool_refused_total{{reason="{reason}"}}'] == 1
    for reason in ("full", "other"):
        assert found[f'rating_spool_not_taken_total{{reason="{reason}"}}'] == 1
    assert found["rating_spool_damaged_total{}"] == 2
    assert found["rating_offline_allowed_total{}"] == 1


def test_every_refusal_of_the_spool_has_its_own_label() -> None:
    assert {refusal.value for refusal in SpoolRefusal} == SPOOL_FAILURES


def test_calls_are_counted_by_the_surface_that_asked(metrics: Metrics) -> None:
    token = current_surface.set("narayana")
    metrics.prepared("allowed", "", 0.002)
    current_surface.reset(token)

    assert (
        samples(metrics)['rating_calls_total{outcome="allowed",reason="none",stage="prepare",surface="narayana"}'] == 1
    )


def test_latency_falls_into_its_bucket(metrics: Metrics) -> None:
    metrics.prepared("allowed", "", 0.0015)
    metrics.finished("saved", "", 4.0, False)

    found = samples(metrics)
    assert found['rating_prepare_seconds_bucket{le="0.001"}'] == 0
    assert found['rating_prepare_seconds_bucket{le="0.002"}'] == 1
    assert found['rating_finish_seconds_bucket{le="2.5"}'] == 0
    assert found['rating_finish_seconds_bucket{le="5.0"}'] == 1


def test_an_overrun_is_counted(metrics: Metrics) -> None:
    metrics.finished("saved", "", 0.002, True)
    metrics.finished("saved", "", 0.002, False)

    assert samples(metrics)["rating_overruns_total{}"] == 1


def test_batches_are_observed_by_operation(metrics: Metrics) -> None:
    metrics.batch("reserve", 12, 0.003)

    found = samples(metrics)
    assert found['rating_batch_size_sum{operation="reserve"}'] == 12
    assert found['rating_batch_seconds_count{operation="reserve"}'] == 1


def test_cache_levels_are_there_before_the_first_look_up(metrics: Metrics) -> None:
    metrics.rate_looked_up("redis")

    found = samples(metrics)
    levels = {
        level: found[f'rating_rate_cache_total{{level="{level}"}}']
        for level in ("memory", "redis", "postgresql", "none")
    }
    assert levels == {"memory": 0, "redis": 1, "postgresql": 0, "none": 0}


def test_connections_rise_and_fall(metrics: Metrics) -> None:
    metrics.connection_opened()
    metrics.connection_opened()
    metrics.connection_closed()

    assert samples(metrics)["rating_fastagi_connections{}"] == 1


def test_states_and_reservations_are_as_last_said(metrics: Metrics) -> None:
    metrics.database_state("calls", True)
    metrics.database_state("office", False)
    metrics.redis_state(False)
    metrics.open_reservations(41)
    metrics.event_loop_lag(0.003)

    found = samples(metrics)
    assert found['rating_database_up{door="calls"}'] == 1
    assert found['rating_database_up{door="office"}'] == 0
    assert found["rating_redis_up{}"] == 0
    assert found["rating_open_reservations{}"] == 41
    assert found['rating_event_loop_lag_seconds_bucket{le="0.005"}'] == 1


def test_values_outside_their_set_are_counted_as_other_and_make_no_series_of_their_own(metrics: Metrics) -> None:
    for number in range(1_000):
        metrics.prepared(f"outcome {number}", f"reason {number}", 0.002)
        metrics.batch(f"operation {number}", 1, 0.002)
        metrics.connection_rejected(f"10.0.0.{number}")

    found = samples(metrics)
    assert found['rating_calls_total{outcome="other",reason="other",stage="prepare",surface="fastagi"}'] == 1_000
    rejected = [name for name in found if name.startswith("rating_fastagi_rejected_total")]
    sizes = [name for name in found if name.startswith("rating_batch_size_count")]
    assert len(rejected) == REJECTIONS_MAX + 1
    assert len(sizes) == OPERATIONS_MAX + 1
    assert sum(found[name] for name in rejected) == 1_000


def test_every_reason_of_the_domain_has_its_label(metrics: Metrics) -> None:
    for reason in DeclineReason:
        metrics.prepared("declined", reason.value, 0.002)

    assert not [name for name in samples(metrics) if 'reason="other"' in name]


def test_openmetrics_is_given_to_who_asks_for_it(metrics: Metrics) -> None:
    body, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_the_process_is_measured_too(metrics: Metrics) -> None:
    assert samples(metrics)["process_open_fds{}"] > 0
