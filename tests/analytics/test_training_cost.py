"""The budget of a model: measured, and kept unless a person says otherwise."""

import time

import pytest

from analytics.training.cost import check_cost, measure_cost
from gateway.core.errors import ModelError
from gateway.core.model_cost import ModelCost


def test_the_time_of_a_row_is_measured() -> None:
    """The processor's time: that of work, and not that of waiting."""

    def work() -> None:
        time.sleep(0.001)
        until_ns = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < until_ns:
            pass

    cost = measure_cost(work, size_bytes=123)
    assert cost.size_bytes == 123
    assert 2.0 <= cost.row_ms_p50 < 2.5
    assert cost.row_ms_p50 <= cost.row_ms_p99


def test_a_model_within_the_budget_passes() -> None:
    check_cost(ModelCost(size_bytes=5_000_000, row_ms_p50=1.0, row_ms_p99=9.0))


@pytest.mark.parametrize(
    ("cost", "complaint"),
    [
        (ModelCost(size_bytes=5_100_000, row_ms_p50=0.1, row_ms_p99=0.1), "has 5.1 MB, at most 5"),
        (ModelCost(size_bytes=1, row_ms_p50=1.5, row_ms_p99=2), "takes 1.50 ms a row, at most 1"),
    ],
)
def test_a_model_above_it_is_refused_with_the_remedy(cost: ModelCost, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        check_cost(cost)
    assert "--over-budget" in str(caught.value)
