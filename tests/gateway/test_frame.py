"""Frames are cut and joined by whose clock stamped them, and no sample changes its place by it."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.frame import ClockSource, Frame, join_alike, split_by_clock

rows = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30)


def frame_of(tags: Sequence[int]) -> Frame:
    """Return a frame whose values count its samples."""
    return Frame(
        tag_index=index_column(tags),
        time_ns=time_column(range(len(tags))),
        value=float_column(range(len(tags))),
        status=status_column([0] * len(tags)),
        received_ns=1,
    )


@given(rows)
def test_a_frame_is_cut_by_clock_and_every_tag_keeps_its_order(
    samples: list[tuple[int, bool]],
) -> None:
    """Against the rows written out: each is there once, under its clock, in its tag's order."""
    is_ours = np.array([ours for _, ours in samples])
    parts = split_by_clock(frame_of([tag for tag, _ in samples]), is_ours)
    found = [
        (int(tag), int(value), part.clock is ClockSource.GATEWAY)
        for part in parts
        for tag, value in zip(part.tag_index, part.value, strict=True)
    ]
    expected = [(tag, place, ours) for place, (tag, ours) in enumerate(samples)]
    assert sorted(found, key=lambda row: row[1]) == expected
    for tag in range(6):
        assert [row for row in found if row[0] == tag] == [x for x in expected if x[0] == tag]
    # Cut no finer than the order of a tag asks for.
    assert len(parts) <= 2 or any(
        {ours for each, ours in samples if each == tag} == {True, False} for tag in range(6)
    )


@given(rows)
def test_only_neighbours_of_one_clock_are_joined(samples: list[tuple[int, bool]]) -> None:
    frames = [
        frame
        for tag, ours in samples
        for frame in split_by_clock(frame_of([tag]), np.array([ours]))
    ]
    joined = join_alike(frames)
    assert [tag for frame in joined for tag in frame.tag_index] == [tag for tag, _ in samples]
    clocks = [frame.clock for frame in joined]
    assert all(one is not other for one, other in pairwise(clocks))
