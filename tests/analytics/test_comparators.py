"""Many comparators at once do what one in a plain loop does."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.comparators import ChatterRule, Comparators, Switch
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


RULES = st.one_of(
    st.none(),
    st.builds(
        ChatterRule,
        raises=st.integers(2, 3),
        window_ns=st.integers(1, 20),
        hold_ns=st.integers(1, 8),
    ),
)


def build(
    limits: list[tuple[float, bool, float, int, int]], chatter: ChatterRule | None
) -> Comparators:
    limit, is_above, dead_band, on_delay, off_delay = zip(*limits, strict=True)
    return Comparators(
        limit=np.array(limit),
        is_above=np.array(is_above),
        dead_band=np.array(dead_band),
        on_delay_ns=np.array(on_delay, dtype=np.int64),
        off_delay_ns=np.array(off_delay, dtype=np.int64),
        chatter=chatter,
        can_chatter=np.arange(COUNT) < COUNT - 1,
    )


def naive_of(
    position: int, limit: tuple[float, bool, float, int, int], chatter: ChatterRule | None
) -> NaiveComparator:
    if chatter is None or position == COUNT - 1:
        return NaiveComparator(*limit)
    return NaiveComparator(*limit, chatter.raises, chatter.window_ns, chatter.hold_ns)


def feed(comparators: Comparators, samples: list[Sample]) -> list[Switch]:
    return comparators.feed(
        np.array([sample[0] for sample in samples], dtype=np.intp),
        np.array([sample[1] for sample in samples], dtype=np.int64),
        np.array([sample[2] for sample in samples], dtype=np.float64),
        np.array([sample[3] for sample in samples], dtype=np.bool_),
    )


def told(switches: list[Switch]) -> list[tuple[int, int, int, bool, bool]]:
    """What switched, in the order of position; the order in time is kept within one."""
    found = [(x.position, x.time_ns, x.onset_ns, x.is_on, x.is_held) for x in switches]
    return sorted(found, key=lambda entry: entry[0])


@settings(max_examples=400, deadline=None)
@given(
    limits=LIMITS,
    samples=SAMPLES,
    cuts=st.lists(st.integers(0, 40), max_size=5),
    chatter=RULES,
)
def test_they_do_what_a_loop_does(
    limits: list[tuple[float, bool, float, int, int]],
    samples: list[Sample],
    cuts: list[int],
    chatter: ChatterRule | None,
) -> None:
    """However the samples are cut into calls; late, repeated and Bad ones are among them."""
    comparators = build(limits, chatter)
    edges = [0, *sorted(cuts), len(samples)]
    switches: list[Switch] = []
    for start, end in pairwise(edges):
        switches += feed(comparators, samples[start:end])
    switches += comparators.advance(np.full(COUNT, 60, dtype=np.int64))
    naive = [naive_of(k, limit, chatter) for k, limit in enumerate(limits)]
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


def test_an_output_that_goes_on_three_times_a_minute_is_held() -> None:
    """Two seconds on, two off: after the third time it stays on until it was off for long."""
    rule = ChatterRule(raises=3, window_ns=60, hold_ns=100)
    limits = [(0.0, True, 0.0, 0, 0)] * COUNT
    samples = [(0, time, float(time % 4 < 2), False) for time in range(2, 48)]
    comparators = build(limits, rule)
    switches = feed(comparators, [*samples, (0, 300, 0.0, False)])
    switches += comparators.advance(np.full(COUNT, 300, dtype=np.int64))
    assert [(x.time_ns, x.is_on, x.is_held) for x in switches] == [
        (4, True, False),
        (6, False, False),
        (8, True, False),
        (10, False, False),
        (12, True, True),
        (146, False, True),
    ]
