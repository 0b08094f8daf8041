"""The metrics, read back with the library's own parser."""

from prometheus_client.parser import text_string_to_metric_families

from gateway.api.metrics import render_metrics
from tests.gateway.fake_view import FakeView


def samples() -> dict[tuple[str, tuple[str, ...]], float]:
    text = render_metrics(FakeView()).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_numbers_are_those_of_the_view() -> None:
    found = samples()
    assert found["device_is_ok", ("pumps",)] == 1
    assert found["device_is_ok", ("station",)] == 0
    assert found["books_samples_total", ("lost",)] == 0
    assert found["uplink_lag_seconds", ("cloud",)] == 0.8
    assert found["asset_health_ratio", ("P-101",)] == 0.51
    assert found["alarms_count", ("unacknowledged",)] == 1


def test_what_cannot_be_told_is_left_out() -> None:
    assert ("asset_score_ratio", ("P-102",)) not in samples()


def test_counters_end_in_total() -> None:
    text = render_metrics(FakeView()).decode()
    counters = [line.split()[2] for line in text.splitlines() if line.endswith(" counter")]
    assert counters
    assert all(name.endswith("_total") for name in counters)
