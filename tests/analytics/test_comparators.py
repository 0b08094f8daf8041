"""Many comparators at once do what one in a plain loop does."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.comparators import Comparators, Switch
from tests.naive.comparators import NaiveComparator

Sample = tuple[int, int, float, bool]
"""Position, time, value, whether it is Bad."""

COUNT = 3

LIMITS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 2.0]),  # limit
        st.booleans(),  # is_above
        st.sampled_from([0.0, 1.0]),  # dead band
        st.integers(0, 4),  # on-delay
        st.integers(0, 4),  # off-delay
    ),
    min_size=COUNT,
    max_size=COUNT,
)
SAMPLES = st.lists(
    st.tuples(
        st.integers(0, COUNT - 1),
        st.integers(0, 40),
        st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, float("nan")]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=40,
)


class Counting(Comparators):
    """Counts the rounds."""

    steps = 0

    def _apply(self, *samples: np.ndarray) -> None:
        self.steps += 1
        super()._apply(*samples)


def build(limits: list[tuple[float, bool, float, int, int]]) -> Comparators:
    limit, is_above, dead_band, on_delay, off_delay = zip(*limits, strict=True)
    return Comparators(
        limit=np.array(limit),
        is_above=np.array(is_above),
        dead_band=np.array(dead_band),
        on_delay_ns=np.array(on_delay, dtype=np.int64),
        off_delay_ns=np.array(off_delay, dtype=np.int64),
    )


def feed(comparators: Comparators, samples: list[Sample]) -> list[Switch]:
    return comparators.feed(
        np.array([sample[0] for sample in samples], dtype=np.intp),
        np.array([sample[1] for sample in samples], dtype=np.int64),
        np.array([sample[2] for sample in samples], dtype=np.float64),
        np.array([sample[3] for sample in samples], dtype=np.bool_),
    )


def told(switches: list[Switch]) -> list[tuple[int, int, int, bool]]:
    """What switched, in the order of position; the order in time is kept within one."""
    found = [(x.position, x.time_ns, x.onset_ns, x.is_on) for x in switches]
    return sorted(found, key=lambda entry: entry[0])


@settings(max_examples=400, deadline=None)
@given(limits=LIMITS, samples=SAMPLES, cuts=st.lists(st.integers(0, 40), max_size=5))
def test_they_do_what_a_loop_does(
    limits: list[tuple[float, bool, float, int, int]], samples: list[Sample], cuts: list[int]
) -> None:
    """However the samples are cut into calls; late, repeated and Bad ones are among them."""
    comparators = build(limits)
    edges = [0, *sorted(cuts), len(samples)]
    switches: list[Switch] = []
    for start, end in pairwise(edges):
        switches += feed(comparators, samples[start:end])
    switches += comparators.advance(np.full(COUNT, 60, dtype=np.int64))
    naive = [NaiveComparator(*limit) for limit in limits]
    expected = [
        (k, *switch)
        for k, time, value, bad in samples
        for switch in naive[k].sample(time, value, bad)
    ]
    expected += [(k, *switch) for k in range(COUNT) for switch in naive[k].advance(60)]
    assert sorted(expected, key=lambda entry: entry[0]) == told(switches)


def test_a_long_run_of_samples_takes_few_rounds() -> None:
    """A waveform's frame is one tag ten thousand times: only its crossings cost a step."""
    count = 10_000
    value = np.sin(np.arange(count) / 1000)
    comparators = Counting(
        limit=np.array([0.9999]),
        is_above=np.array([True]),
        dead_band=np.zeros(1),
        on_delay_ns=np.zeros(1, dtype=np.int64),
        off_delay_ns=np.zeros(1, dtype=np.int64),
    )
    comparators.feed(
        np.zeros(count, dtype=np.intp),
        np.arange(count, dtype=np.int64),
        value,
        np.zeros(count, dtype=np.bool_),
    )
    crossings = int(np.count_nonzero(np.diff(value > 0.9999)))
    assert 1 + crossings == comparators.steps
