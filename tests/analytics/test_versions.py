"""Versions of a model side by side: shadow, swap, probation, and the trial before."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from analytics.training.anomaly import Purpose, train_anomaly
from analytics.training.spoil import Flaw, spoil
from analytics.training.window_kmeans import WINDOW_ROWS
from gateway.core.errors import ModelError
from gateway.core.frame import Origin
from gateway.core.quality import Status
from gateway.core.rows import OperatingState
from gateway.wire.bundle import read_bundle, write_bundle
from tests.analytics.models import (
    detector,
    faulty,
    healthy,
    model,
    plain_model,
    purpose,
    rows_at,
    run,
    scores,
    stretch,
)


def without_numbers(data: bytes) -> bytes:
    """The same bundle with a center of NaN inside the graph: all it returns is no number."""
    bundle = read_bundle(data)
    graph = onnx.load_from_string(bundle.model)
    for each in graph.graph.initializer:
        if each.name == "center":
            nothing = np.full(tuple(each.dims), np.nan, dtype=np.float32)
            each.CopyFrom(numpy_helper.from_array(nothing, each.name))
    return write_bundle(replace(bundle, model=graph.SerializeToString()))


class TestVersions:
    def test_a_silent_candidate_is_counted_as_missing(self) -> None:
        host = detector(model(), spoil(model(), Flaw.SILENT, version="1.1"))
        run(host, [*stretch(100), *faulty(50, start_s=100)])
        comparison = host.take_comparison()
        assert comparison.rows == (150 - 1) * 3, "the first row of each asset cannot alarm"
        assert comparison.reference_alarms == comparison.missed_alarms > 30
        assert comparison.trial_only_alarms == comparison.not_finite == 0
        assert host.take_comparison().rows == 0

    def test_a_noisy_candidate_is_counted_and_raises_nothing(self) -> None:
        host = detector(model(), spoil(model(), Flaw.NOISY, version="1.1"))
        assert scores(run(host, stretch(100))).max() < 1
        comparison = host.take_comparison()
        assert comparison.trial_only_alarms > 290
        assert comparison.missed_alarms == 0

    def test_rows_that_no_version_covers_are_not_counted(self) -> None:
        host = detector(model(), model("1.1"))
        rows = rows_at(0, stretch(1)[0].value, state=OperatingState.OFF)
        run(host, [rows])
        assert host.take_comparison().rows == 0

    def test_replayed_rows_are_not_counted_again(self) -> None:
        host = detector(model(), model("1.1"))
        run(host, stretch(10, origin=Origin.REPLAYED))
        assert host.take_comparison().rows == 0

    def test_latency_is_that_of_the_trial(self) -> None:
        host = detector(model(), model("1.1"))
        run(host, stretch(1200))
        latencies = host.take_comparison().latencies_ms
        assert len(latencies) == 1000
        assert set(latencies) == {0.001}

    def test_a_candidate_that_gives_no_numbers_is_counted(self) -> None:
        host = detector(model(), without_numbers(model("1.1")))
        assert np.isfinite(scores(run(host, stretch(10)))).all()
        comparison = host.take_comparison()
        assert comparison.not_finite == 30
        assert comparison.rows == 0
        assert not host.try_out(without_numbers(model("1.1"))).is_finite

    def test_a_version_in_force_that_gives_no_numbers_scores_bad(self) -> None:
        (frame,) = run(detector(without_numbers(model("1.1"))), stretch(1))
        assert set(frame.status.tolist()) == {Status.BAD_UNEXPECTED_ERROR}

    def test_a_version_of_another_method_follows_in_shadow(self) -> None:
        """It waits until its history is full, and is compared from then on."""
        host = detector(model(), plain_model("1.1"))
        run(host, stretch(WINDOW_ROWS - 1))
        assert host.take_comparison().rows == 0
        run(host, faulty(30, start_s=WINDOW_ROWS - 1))
        comparison = host.take_comparison()
        assert comparison.rows == 30 * 3
        assert comparison.not_finite == 0
        host.promote()
        assert scores(run(host, faulty(1, start_s=WINDOW_ROWS + 29)))[0, 1] > 1

    def test_a_swap_misses_no_row_and_starts_settled(self) -> None:
        """The promoted version goes on with the average that it had in shadow."""
        rows = stretch(60)
        expected = scores(run(detector(model("1.1", seed=2)), rows))
        host = detector(model(), model("1.1", seed=2))
        run(host, rows[:30])
        host.promote()
        after = scores(run(host, rows[30:]))
        np.testing.assert_array_equal(expected[30:], after)

    def test_probation_compares_the_new_with_the_former(self) -> None:
        host = detector(model(), spoil(model(), Flaw.NOISY, version="1.1"))
        host.promote()
        assert scores(run(host, stretch(30)))[-1].min() > 1
        comparison = host.take_comparison()
        assert comparison.trial_only_alarms > 80
        host.roll_back()
        assert scores(run(host, stretch(40)[30:])).max() < 1
        assert host.take_comparison().rows == 0

    def test_the_end_of_probation_ends_the_comparison(self) -> None:
        host = detector(model(), model("1.1"))
        host.promote()
        host.end_probation()
        run(host, stretch(10))
        assert host.take_comparison().rows == 0

    def test_a_first_candidate_is_compared_with_silence(self) -> None:
        host = detector()
        host.set_candidate(model())
        run(host, [*stretch(20), *faulty(30, start_s=20)])
        comparison = host.take_comparison()
        assert comparison.rows == (50 - 1) * 3, "the first row of each asset cannot alarm"
        assert comparison.trial_only_alarms > 10
        assert comparison.reference_alarms == 0

    def test_a_shadow_can_be_ended(self) -> None:
        host = detector(model(), model("1.1"))
        host.set_candidate(None)
        run(host, stretch(10))
        assert host.take_comparison().rows == 0


def purpose_with(field: str, value: object) -> Purpose:
    return replace(purpose(), **{field: value})  # type: ignore[arg-type]  # one of several types


class TestTryOut:
    def test_a_good_version_finds_every_fault(self) -> None:
        report = detector().try_out(model())
        assert report.missed == ()
        assert report.fault_count == 8
        assert report.is_finite
        assert report.latency_ms_p99 == 0.001

    def test_a_silent_version_finds_none(self) -> None:
        report = detector().try_out(spoil(model(), Flaw.SILENT, version="1.1"))
        assert len(report.missed) == report.fault_count

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "other-anomaly"),
            ("asset_type", "compressor"),
            ("columns", ("a", "b", "c", "d")),
        ],
    )
    def test_a_model_for_something_else_is_refused(self, field: str, value: object) -> None:
        for_other = purpose_with(field, value)
        other = write_bundle(train_anomaly([healthy(500)], for_other).bundle)
        for load in (detector().try_out, detector().activate, detector().set_candidate):
            with pytest.raises(ModelError):
                load(other)

    def test_a_damaged_bundle_is_refused_and_changes_nothing(self) -> None:
        host = detector(model())
        with pytest.raises(ModelError):
            host.activate(model()[:-50])
        assert np.isfinite(scores(run(host, stretch(1)))).all()
