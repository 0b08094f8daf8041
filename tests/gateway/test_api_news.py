"""Readers of what is new: they wait, they may be slow, and they are told what they missed."""

import asyncio

from gateway.api.news import News
from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.events import Event
from gateway.core.frame import Frame


def frame(*tags: int) -> Frame:
    return Frame(
        tag_index=index_column(tags),
        time_ns=time_column([1] * len(tags)),
        value=float_column([1.0] * len(tags)),
        status=status_column([0] * len(tags)),
        received_ns=1,
    )


def event(number: int) -> Event:
    return Event(time_ns=number, source="s", condition="c", severity=1, text=str(number))


async def test_a_slow_reader_gets_the_newest_state_in_one_step() -> None:
    news = News(4, event_count_max=3)
    with news.subscribe() as subscriber:
        for number in range(5):
            news.take_frame(frame(number % 2))
            news.take_events([event(number)])
        change = await subscriber.changed()
    assert change.tag_index.tolist() == [0, 1]
    assert [event.text for event in change.events] == ["2", "3", "4"]
    assert change.missed_events == 2


async def test_a_reader_waits_until_there_is_something_new() -> None:
    news = News(4)
    news.take_frame(frame(0))
    with news.subscribe() as subscriber:
        waiting = asyncio.create_task(subscriber.changed())
        await asyncio.sleep(0)
        assert not waiting.done()
        news.take_frame(frame(3, 3))
        assert (await waiting).tag_index.tolist() == [3]


async def test_readers_do_not_see_each_other() -> None:
    news = News(4)
    with news.subscribe() as first, news.subscribe() as second:
        news.take_frame(frame(0))
        assert (await first.changed()).tag_index.tolist() == [0]
        news.take_frame(frame(1))
        assert (await first.changed()).tag_index.tolist() == [1]
        assert (await second.changed()).tag_index.tolist() == [0, 1]
