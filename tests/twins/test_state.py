"""The signal board: ticks of the data's time, whatever order the samples come in."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.frame import Frame
from gateway.core.quality import Status
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from tests.naive.board import NaiveBoard
from tests.twins.frames import SECOND_NS, START_NS, frame_of
from twins.state import CLOCK_AHEAD_S_MAX, NEVER_NS, SignalBoard, Snapshot

A, B, FOREIGN = TagId("a"), TagId("b"), TagId("foreign")
TABLE = TagTable.build([Tag(id=FOREIGN), Tag(id=B), Tag(id=A)], epoch=ConfigEpoch(1))
STALE_S = 5.0

Samples = list[tuple[str, int, float]]


def board_of(
    tags: Sequence[Sequence[TagId | None]] = ((A, B),), fallback: float = np.nan
) -> SignalBoard:
    board = SignalBoard(
        tags,
        fallback=np.full((len(tags), len(tags[0])), fallback),
        period_s=1.0,
        stale_after_s=np.full(len(tags), STALE_S),
    )
    board.bind(TABLE)
    return board


def at(tag: TagId, second: float, value: float) -> tuple[TagId, int, float]:
    return tag, START_NS + round(second * SECOND_NS), value


def seconds(snapshots: Sequence[Snapshot]) -> list[float]:
    return [(snapshot.time_ns - START_NS) / SECOND_NS for snapshot in snapshots]


def feed(board: SignalBoard, *frames: Frame) -> list[Snapshot]:
    return [snapshot for frame in frames for snapshot in board.feed(frame)]


def test_a_row_closes_with_the_first_sample_after_its_tick() -> None:
    board = board_of()
    assert feed(board, frame_of(TABLE, [at(A, 0.3, 1.0), at(B, 1.0, 2.0)])) == []
    closed = feed(board, frame_of(TABLE, [at(A, 1.001, 3.0)]))
    assert seconds(closed) == [1.0]
    np.testing.assert_array_equal(closed[0].value, [[1.0, 2.0]])


def test_a_sample_on_the_tick_belongs_to_it() -> None:
    board = board_of()
    closed = feed(board, frame_of(TABLE, [at(A, 1.0, 1.0), at(A, 2.0, 2.0), at(A, 2.1, 3.0)]))
    assert seconds(closed) == [1.0, 2.0]
    assert [snapshot.value[0, 0] for snapshot in closed] == [1.0, 2.0]


def test_foreign_and_empty_frames_change_nothing() -> None:
    board = board_of()
    feed(board, frame_of(TABLE, [at(A, 0.5, 1.0)]))
    before = {name: array.copy() for name, array in board.save().items()}
    assert feed(board, frame_of(TABLE, [at(FOREIGN, 9.0, 1.0)]), frame_of(TABLE, [])) == []
    for name, array in board.save().items():
        np.testing.assert_array_equal(before[name], array)


def test_a_frame_over_several_ticks_gives_rows_in_order_and_none_for_empty_ticks() -> None:
    board = board_of()
    closed = feed(
        board, frame_of(TABLE, [at(A, second, second) for second in (4.2, 0.5, 1.5, 2.0, 7.0)])
    )
    assert seconds(closed) == [1.0, 2.0, 5.0]
    assert [snapshot.value[0, 0] for snapshot in closed] == [0.5, 2.0, 4.2]


def test_a_silent_hour_is_one_edge_of_bad_values() -> None:
    board = board_of()
    feed(board, frame_of(TABLE, [at(A, 0.5, 1.0), at(B, 0.5, 1.0)]))
    closed = feed(board, frame_of(TABLE, [at(A, 3600.0, 2.0)]))
    assert seconds(closed) == [1.0, 6.0]
    assert (closed[0].status == Status.GOOD).all()
    assert (closed[1].status == Status.BAD_NO_COMMUNICATION).all()
    assert np.isnan(closed[1].value).all()


def test_a_quiet_tag_is_uncertain_and_a_quiet_asset_bad() -> None:
    board = board_of(((A,), (B,), (A,)))
    both = board_of()
    frames = [frame_of(TABLE, [at(B, 0.0, 1.0)])]
    frames += [frame_of(TABLE, [at(A, float(second), 1.0)]) for second in range(9)]
    apart, together = feed(board, *frames)[-1], feed(both, *frames)[-1]
    assert apart.status.ravel().tolist() == [0, Status.BAD_NO_COMMUNICATION, 0]
    assert together.status.tolist() == [[0, Status.UNCERTAIN_LAST_USABLE_VALUE]]
    assert together.value.tolist() == [[1.0, 1.0]]


def test_late_and_repeated_samples_never_turn_time_back() -> None:
    board = board_of()
    first = feed(board, frame_of(TABLE, [at(A, 5.0, 5.0)]), frame_of(TABLE, [at(A, 5.5, 5.5)]))
    late = feed(
        board,
        frame_of(TABLE, [at(A, 3.0, 3.0), at(B, 2.0, 2.0)]),
        frame_of(TABLE, [at(A, 5.5, 5.5)]),
        frame_of(TABLE, [at(A, 6.5, 6.5)]),
    )
    assert seconds(first) == [5.0]
    assert seconds(late) == [6.0]
    assert late[0].value.tolist() == [[5.5, 2.0]], "late A is dropped, late B is the newest of B"


def test_a_clock_that_runs_ahead_is_not_believed() -> None:
    board = board_of()
    wrong_ns = START_NS + round((CLOCK_AHEAD_S_MAX + 1) * SECOND_NS)
    feed(board, frame_of(TABLE, [(A, wrong_ns, 1.0)], received_ns=START_NS))
    assert board.heard_ns == START_NS


def live(tag: TagId, second: float, value: float, *, received: float) -> Frame:
    return frame_of(
        TABLE, [at(tag, second, value)], received_ns=START_NS + round(received * SECOND_NS)
    )


def test_a_source_clock_that_was_set_back_silences_nothing() -> None:
    """An hour back: its values and its rows go on as of their receipt, at once."""
    board = board_of()
    feed(board, live(B, 3600.2, 0.0, received=3600.2), live(A, 3600.5, 1.0, received=3600.6))
    closed = [
        each
        for second in range(1, 5)
        for each in feed(board, live(A, second, 10.0 + second, received=3600.6 + second))
    ]
    assert seconds(closed) == [3601.0, 3602.0, 3603.0, 3604.0]
    assert [each.value[0, 0] for each in closed] == [1.0, 11.0, 12.0, 13.0]
    assert (closed[-1].status == Status.GOOD).all()


def test_a_value_that_did_not_change_ends_a_bad_edge() -> None:
    """The gateway's edge bears its own clock; the value comes with the time of its change."""
    board = board_of()
    feed(board, live(A, 1.0, 1.0, received=1.0), live(B, 1.0, 2.0, received=1.0))
    edge_ns = START_NS + 3 * SECOND_NS
    edge = frame_of(
        TABLE,
        [(A, edge_ns, np.nan), (B, edge_ns, np.nan)],
        status=Status.BAD_NO_COMMUNICATION,
        received_ns=edge_ns,
    )
    feed(board, edge, live(A, 1.0, 1.0, received=4.5), live(B, 4.4, 3.0, received=4.5))
    assert board.now().value.tolist() == [[1.0, 3.0]]


def test_a_clock_that_always_lags_an_hour_closes_rows_after_a_bad_edge() -> None:
    board = board_of()
    feed(board, live(A, 1.0, 1.0, received=3601.0))
    edge_ns = START_NS + 3602 * SECOND_NS
    edge = frame_of(TABLE, [(A, edge_ns, np.nan)], status=Status.BAD, received_ns=edge_ns)
    closed = feed(
        board, edge, live(A, 5.0, 2.0, received=3605.0), live(A, 6.0, 3.0, received=3606.0)
    )
    assert seconds(closed)[-1] == 3605.0
    assert closed[-1].value[0, 0] == 2.0


def test_no_number_becomes_bad_and_a_fallback_stands_for_a_missing_tag() -> None:
    board = board_of(((A, None),), fallback=7.0)
    feed(board, frame_of(TABLE, [at(A, 0.5, np.nan)]))
    now = board.now()
    assert now.status.tolist() == [[Status.BAD_OUT_OF_RANGE, Status.GOOD]]
    assert now.value[0, 1] == 7.0
    assert now.source_ns[0, 1] == NEVER_NS


@given(
    st.lists(
        st.tuples(st.sampled_from((A, B)), st.integers(0, 40), st.floats(-10, 10, allow_nan=False)),
        max_size=40,
    ),
    st.integers(1, 7),
)
def test_rows_equal_a_plain_loop(drawn: list[tuple[TagId, int, float]], size: int) -> None:
    """Times are quarter seconds with repetitions, in any order, cut into frames of any size."""
    samples = [at(tag, quarter / 4, value) for tag, quarter, value in drawn]
    board = board_of()
    naive = NaiveBoard(period_ns=SECOND_NS, stale_ns=round(STALE_S * SECOND_NS))
    closed: list[Snapshot] = []
    for start in range(0, len(samples), size):
        part = samples[start : start + size]
        closed += feed(board, frame_of(TABLE, part))
        naive.take([(str(tag), time_ns, value) for tag, time_ns, value in part])
    assert [snapshot.time_ns for snapshot in closed] == [time_ns for time_ns, _ in naive.rows]
    assert sorted(seconds(closed)) == seconds(closed)
    for snapshot, (_, known) in zip(closed, naive.rows, strict=True):
        for k, tag in enumerate((A, B)):
            is_bad = snapshot.status[0, k] >= Status.BAD
            assert is_bad or snapshot.value[0, k] == known[str(tag)][1]


@given(st.integers(1, 12))
def test_ordered_rows_do_not_depend_on_the_cut_into_frames(size: int) -> None:
    samples = [at(tag, second / 3, second) for second in range(30) for tag in (A, B)]
    whole = feed(board_of(), frame_of(TABLE, samples))
    cut = feed(
        board_of(),
        *(frame_of(TABLE, samples[i : i + size]) for i in range(0, len(samples), size)),
    )
    assert seconds(whole) == seconds(cut)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one.value, other.value)
