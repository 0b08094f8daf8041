"""The time that a value gets, against the rule written out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.times import NS_PER_S, PLAUSIBLE_NS_MIN, marked, sample_times
from gateway.core.quality import Status

NOW_NS = 1_790_000_000 * NS_PER_S
AHEAD_NS = 600 * NS_PER_S
TIMES = st.one_of(
    st.just(0),
    st.integers(1, 2**62),
    st.integers(NOW_NS - 10**12, NOW_NS + 10**12),
    st.sampled_from([PLAUSIBLE_NS_MIN - 1, PLAUSIBLE_NS_MIN, NOW_NS + AHEAD_NS]),
)


def naive(source: int, server: int) -> tuple[int, bool, bool]:
    """Return the time, whether the source's was wrong, and whether it was missing."""

    def can_be(time_ns: int) -> bool:
        return PLAUSIBLE_NS_MIN <= time_ns <= NOW_NS + AHEAD_NS

    if can_be(source):
        return source, False, False
    return server if can_be(server) else NOW_NS, source != 0, source == 0


@given(st.lists(st.tuples(TIMES, TIMES), max_size=20))
def test_times_follow_the_rule(pairs: list[tuple[int, int]]) -> None:
    """The source's, else the server's, else ours; never one that cannot be, never none."""
    source = np.array([pair[0] for pair in pairs], dtype=np.int64)
    server = np.array([pair[1] for pair in pairs], dtype=np.int64)
    times = sample_times(source, server, received_ns=NOW_NS, ahead_ns_max=AHEAD_NS)
    expected = [naive(*pair) for pair in pairs]
    assert times.time_ns.tolist() == [one[0] for one in expected]
    assert times.is_wrong.tolist() == [one[1] for one in expected]
    assert times.is_missing.tolist() == [one[2] for one in expected]
    assert times.time_ns[times.is_ours].tolist() == [NOW_NS] * int(times.is_ours.sum())
    assert times.is_ours.sum() <= sum(one[0] == NOW_NS for one in expected)


def test_a_clock_that_is_set_back_or_ahead_a_little_is_kept() -> None:
    """A source's clock may jump: its values keep their own times, and their quality."""
    source = NOW_NS + np.array([0, -86_400, 300], dtype=np.int64) * NS_PER_S
    times = sample_times(source, source * 0, received_ns=NOW_NS, ahead_ns_max=AHEAD_NS)
    assert times.time_ns.tolist() == source.tolist()
    assert not times.is_wrong.any()


def test_only_good_becomes_uncertain() -> None:
    status = np.array([0, Status.UNCERTAIN_LAST_USABLE_VALUE, Status.BAD, 0], dtype=np.uint32)
    is_wrong = np.array([True, True, True, False])
    assert marked(status, is_wrong).tolist() == [
        Status.UNCERTAIN_CONFIGURATION_ERROR,
        Status.UNCERTAIN_LAST_USABLE_VALUE,
        Status.BAD,
        0,
    ]
