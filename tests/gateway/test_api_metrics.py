"""The metrics, read back with the library's own parser."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from gateway.api.answers import CoverageAnswer
from gateway.api.metrics import render_metrics
from gateway.api.translate import model_answer
from gateway.core.models import LifeCoverage, ModelStatus
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
    assert found["device_latency_seconds", ("compressor",)] == 0.0038
    assert found["device_busy_ratio", ("compressor",)] == 0.12
    assert found["device_requests_per_second", ("compressor",)] == 4.0
    assert found["device_set_aside_points", ("compressor",)] == 1
    assert found["device_certificate_expiry_timestamp_seconds", ("pumps",)] > 1.7e9
    assert found["configuration_is_on_trial", ()] == 0
    assert found["log_written_bytes_total", ()] == 845_000_000


def test_what_cannot_be_told_is_left_out() -> None:
    found = samples()
    assert ("asset_score_ratio", ("P-102",)) not in found
    assert ("device_latency_seconds", ("station",)) not in found


class LivesView(FakeView):
    """The plant, with a model of remaining life in force."""

    coverage = LifeCoverage(told=0.9, judged=0, held=0)

    def models(self) -> tuple[ModelStatus, ...]:
        first, *others = super().models()
        return replace(first, name="pump-life", coverage=self.coverage), *others


def test_how_often_lives_held_is_told_once_there_are_some() -> None:
    view = LivesView()
    assert "model_held_ratio{" not in render_metrics(view).decode()
    view.coverage = LifeCoverage(told=0.9, judged=8, held=6)
    text = render_metrics(view).decode()
    assert 'model_held_ratio{model="pump-life",version="1.0"} 0.75' in text
    assert 'model_promised_ratio{model="pump-life",version="1.0"} 0.9' in text
    assert text.count("model_judged_lives{") == 1
    answer = model_answer(view.models()[0])
    assert answer.coverage == CoverageAnswer(told=0.9, judged=8, held=6)
    assert model_answer(view.models()[1]).coverage is None


def test_counters_end_in_total() -> None:
    text = render_metrics(FakeView()).decode()
    counters = [line.split()[2] for line in text.splitlines() if line.endswith(" counter")]
    assert counters
    assert all(name.endswith("_total") for name in counters)
