"""The parts of the pipeline that need no log: queue, conditioning, last values, latencies."""

import asyncio
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.events import Event
from gateway.core.frame import Frame, Origin, join_frames
from gateway.core.quality import Quality, Status
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.pipeline import Ingress, LatencyMeter, LiveValues
from gateway.pipeline.condition import condition
from gateway.pipeline.ingress import Entry
from gateway.pipeline.pipeline import joined

TABLE = TagTable.build(
    [
        Tag(id=TagId("press.pressure"), unit="bar", low=0.0, high=10.0, scale=0.01, offset=-1.0),
        Tag(id=TagId("press.speed"), unit="/min"),
    ],
    epoch=ConfigEpoch(1),
)


def frame(
    values: list[float],
    *,
    tags: list[int] | None = None,
    times: list[int] | None = None,
    status: list[int] | None = None,
    origin: Origin = Origin.LIVE,
    is_received: bool = True,
) -> Frame:
    count = len(values)
    return Frame(
        tag_index=index_column(tags or [0] * count),
        time_ns=time_column(times or range(1, count + 1)),
        value=float_column(values),
        status=status_column(status or [0] * count),
        received_ns=1,
        arrival_ns=1,
        origin=origin,
        is_received=is_received,
    )


def event(condition_name: str) -> Event:
    return Event(time_ns=1, source="press", condition=condition_name, severity=1, text="")


def test_server_s_times_stay_with_their_samples() -> None:
    """Through masks, joins and conditioning; where a frame has none they are 0, not made up."""
    with_times = replace(frame([1.0, 2.0, 3.0]), server_ns=time_column([11, 0, 13]))
    assert with_times.size_bytes == 3 * 32
    chosen = with_times.where(np.array([True, False, True]))
    assert chosen.server_ns is not None
    assert chosen.server_ns.tolist() == [11, 13]
    mixed = join_frames([frame([7.0]), chosen, frame([8.0, 9.0])])
    conditioned = condition(mixed, TABLE)
    assert conditioned.server_ns is not None
    assert conditioned.server_ns.tolist() == [0, 11, 13, 0, 0]
    assert not conditioned.server_ns.flags.writeable


def test_frames_without_server_s_times_cost_nothing_for_them() -> None:
    without = join_frames([frame([1.0]), frame([2.0]).where(np.array([True]))])
    assert without.server_ns is None
    assert without.size_bytes == 2 * 24


async def test_a_full_queue_makes_the_caller_wait_until_there_is_room() -> None:
    ingress = Ingress(size_bytes_max=100)
    await ingress.put(frame([1.0] * 4))
    waiting = asyncio.create_task(ingress.put(frame([2.0])))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(await ingress.take()) == 1
    await asyncio.wait_for(waiting, 1)
    assert len(await ingress.take()) == 1
    assert ingress.received_samples == 5


async def test_a_frame_larger_than_the_bound_enters_an_empty_queue() -> None:
    ingress = Ingress(size_bytes_max=10)
    await asyncio.wait_for(ingress.put(frame([1.0] * 1000)), 1)
    assert len(await ingress.take()) == 1


async def test_an_event_never_waits_and_keeps_its_place() -> None:
    ingress = Ingress(size_bytes_max=24)
    await ingress.put(frame([1.0]))
    ingress.note(event("full"))
    entries = await ingress.take()
    assert [type(entry) for entry in entries] == [Frame, Event]


async def test_what_the_gateway_states_is_not_received() -> None:
    ingress = Ingress(size_bytes_max=1000)
    await ingress.put(frame([np.nan], is_received=False))
    assert ingress.received_samples == 0


def test_neighbouring_frames_of_one_kind_are_joined_and_others_are_not() -> None:
    """Order and samples stay; only frames of equal origin and maker become one."""
    entries: list[Entry] = [
        frame([1.0]),
        frame([2.0]),
        frame([3.0], is_received=False),
        event("between"),
        frame([4.0]),
        frame([5.0], origin=Origin.HISTORICAL),
    ]
    shapes = [
        entry.value.tolist() if isinstance(entry, Frame) else type(entry).__name__
        for entry in joined(entries)
    ]
    assert shapes == [[1.0, 2.0], [3.0], "Event", [4.0], [5.0]]


def test_raw_numbers_become_engineering_values() -> None:
    conditioned = condition(frame([100.0, 7.0], tags=[0, 1]), TABLE)
    assert conditioned.value.tolist() == [0.0, 7.0]
    assert conditioned.quality.tolist() == [Quality.GOOD, Quality.GOOD]


def test_a_value_outside_the_range_is_uncertain_and_kept() -> None:
    conditioned = condition(frame([5000.0]), TABLE)
    assert conditioned.value.tolist() == [49.0]
    assert conditioned.status.tolist() == [Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED]


@given(st.floats(), st.sampled_from([0, 0x40000000, 0x80310000, 0xFFFFFFFF]))
def test_no_number_is_never_better_than_bad(value: float, status: int) -> None:
    """A value is a finite number or NaN with a Bad status; a status never gets better."""
    before = frame([value], status=[status])
    after = condition(before, TABLE)
    assert np.isfinite(after.value[0]) or after.quality[0] == Quality.BAD
    assert after.quality[0] >= before.quality[0]
    assert before.status.tolist() == [status]


def test_a_late_sample_does_not_replace_a_newer_one() -> None:
    values = LiveValues(TABLE)
    values.update(frame([1.0], times=[20]))
    values.update(frame([2.0], times=[10]))
    assert values.value[0] == 1.0
    assert values.time_ns[0] == 20


def test_what_comes_after_the_clock_was_set_back_counts() -> None:
    """The times of a machine without a clock are ours, and went back with ours."""
    values = LiveValues(TABLE)
    values.update(replace(frame([1.0, 7.0], tags=[0, 1], times=[20, 20]), received_ns=20))
    values.update(replace(frame([2.0], times=[10]), received_ns=10))
    values.update(replace(frame([3.0], times=[11]), received_ns=11))
    values.update(replace(frame([8.0], tags=[1], times=[12]), received_ns=12))
    assert values.value.tolist() == [3.0, 8.0]
    values.update(replace(frame([4.0], times=[5]), received_ns=12, origin=Origin.HISTORICAL))
    assert values.value[0] == 3.0


def test_the_trend_keeps_the_newest_samples_in_order() -> None:
    values = LiveValues(TABLE)
    for second in range(200):
        values.update(frame([float(second)], times=[second * 1_000_000_000]))
    times, trend, _ = values.trend(0)
    assert (times // 1_000_000_000).tolist() == list(range(80, 200))
    assert trend.tolist() == [float(second) for second in range(80, 200)]


def test_an_unchanged_value_is_stale_only_when_its_source_is_silent() -> None:
    values = LiveValues(TABLE)
    values.update(frame([1.0, 2.0], tags=[0, 1], times=[1, 1]))
    assert values.is_stale(now_ns=20_000_000_000).tolist() == [False, False]
    assert values.is_stale(now_ns=40_000_000_000).tolist() == [True, True]


def test_percentiles_are_those_of_the_newest_measurements() -> None:
    meter = LatencyMeter()
    assert meter.percentile_ms(99) == 0.0
    for latency_ms in range(1, 101):
        meter.add(float(latency_ms))
    assert meter.count == 100
    assert meter.percentile_ms(50) == 50.5
