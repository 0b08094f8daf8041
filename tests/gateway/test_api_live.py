"""The live picture against a naive one, and subscribers that come late."""

import asyncio

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.live import Live
from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.events import Event
from gateway.core.frame import Frame, Origin
from gateway.core.quality import Status
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable

TABLE = TagTable.build([Tag(id=TagId(f"t.{n}")) for n in range(4)], epoch=ConfigEpoch(1))
S = 1_000_000_000


def frame(tags: list[int], *, at_s: int = 1, origin: Origin = Origin.LIVE) -> Frame:
    values = [100.0 * tag + place for place, tag in enumerate(tags)]
    return Frame(
        tag_index=index_column(tags),
        time_ns=time_column([at_s * S + place for place in range(len(tags))]),
        value=float_column(values),
        status=status_column([Status.GOOD] * len(tags)),
        received_ns=at_s * S,
        origin=origin,
    )


def event(number: int) -> Event:
    return Event(time_ns=number, source="s", condition="c", severity=1, text=str(number))


@given(st.lists(st.lists(st.integers(0, 3), max_size=12), max_size=8))
def test_trends_equal_a_naive_list_a_tag(frames: list[list[int]]) -> None:
    """Frames may hold a tag many times, more often than the trend is long."""
    live = Live(TABLE, trend_size=5)
    naive: dict[int, list[float]] = {tag: [] for tag in range(4)}
    for tags in frames:
        taken = frame(tags)
        live.take_frame(taken)
        for tag, value in zip(tags, taken.value.tolist(), strict=True):
            naive[tag].append(value)
    values = live.values(now_ns=S)
    for tag, expected in naive.items():
        assert live.trend(TagId(f"t.{tag}")).value.tolist() == expected[-5:]
        last = values.value[tag]
        assert last == expected[-1] if expected else np.isnan(last)


def test_history_says_nothing_about_now() -> None:
    live = Live(TABLE)
    live.take_frame(frame([0], origin=Origin.HISTORICAL))
    assert live.values(now_ns=S).time_ns.tolist() == [0, 0, 0, 0]


def test_silence_is_stale_after_each_tag_s_own_limit() -> None:
    """Tag 1 is only sent when it changes; tag 3 never had a value: that is Bad, not stale."""
    live = Live(TABLE, stale_after_s=np.array([10.0, np.inf, 10.0, 10.0]))
    live.take_frame(frame([0, 1, 2], at_s=100))
    live.take_frame(frame([2], at_s=105))
    assert live.values(now_ns=112 * S).is_stale.tolist() == [True, False, False, False]


async def test_a_slow_subscriber_gets_the_newest_state_in_one_step() -> None:
    live = Live(TABLE, event_size=3)
    with live.subscribe() as subscriber:
        for number in range(5):
            live.take_frame(frame([number % 2]))
            live.take_events([event(number)])
        change = await subscriber.changed()
    assert change.tag_index.tolist() == [0, 1]
    assert [event.text for event in change.events] == ["2", "3", "4"]
    assert change.missed_events == 2


async def test_a_subscriber_waits_until_there_is_something_new() -> None:
    live = Live(TABLE)
    live.take_frame(frame([0]))
    with live.subscribe() as subscriber:
        waiting = asyncio.create_task(subscriber.changed())
        await asyncio.sleep(0)
        assert not waiting.done()
        live.take_frame(frame([3]))
        assert (await waiting).tag_index.tolist() == [3]
