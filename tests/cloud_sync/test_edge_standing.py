import asyncio

from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.edge.contact import RETRY_AFTER_S_MAX, asked_wait_s
from cloud_sync.edge.standing import Standing
from gateway.core.cursors import Cursor, Span
from gateway.core.errors import UplinkError
from gateway.core.records import RecordKind, Seq
from gateway.core.uplink_status import DeliveryClass
from gateway.store import StoreStats
from gateway.wire.clock import SystemClock
from tests.cloud_sync.edge_doubles import MemoryLog, event_body

END = 30


def standing_at(samples: Cursor, notes: int, end: int = END) -> Standing:
    reader = MemoryLog()
    reader.last = Seq(end)
    reader.cursors = {"cloud": samples, "cloud/alarms": Cursor(seq=Seq(notes))}
    return Standing(reader, "cloud", clock=SystemClock())


@given(
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, END)), max_size=6),
    notes=st.integers(0, END),
)
def test_the_lag_is_every_position_that_some_class_lacks(
    moves: list[tuple[bool, int]], notes: int
) -> None:
    """Against a look at each position; up to `complete_to` there is none of them."""
    samples = Cursor(seq=Seq(0))
    for is_skip, to in moves:
        samples = samples.skipped(Seq(to)) if is_skip else samples.advanced(Seq(to))
    standing = standing_at(samples, notes)
    lacking = [p for p in range(1, END + 1) if p > notes or not samples.has(Seq(p))]
    assert standing.lag == len(lacking)
    assert standing.complete_to == min([*lacking, END + 1]) - 1
    waiting = standing.waiting()
    assert waiting[DeliveryClass.BACKFILL].records == samples.missing_count
    assert waiting[DeliveryClass.LIVE].records == END - samples.seq


async def test_a_log_that_does_not_answer_keeps_no_delivery_waiting() -> None:
    class Stuck(MemoryLog):
        async def stats(self) -> StoreStats:
            await asyncio.Event().wait()
            raise AssertionError

    reader = Stuck()
    await reader.append(RecordKind.EVENT, event_body("hot"))
    standing = Standing(reader, "cloud", clock=SystemClock())
    async with asyncio.timeout(10):
        await standing.look()
    assert standing.waiting()[DeliveryClass.ALARMS].age_s == 0.0


def test_a_stretch_at_the_begin_is_what_is_missing_first() -> None:
    cursor = Cursor(seq=Seq(20), holes=(Span(first=Seq(5), last=Seq(8)),))
    assert standing_at(cursor, 12).complete_to == 4


def test_no_far_end_can_send_us_away_for_good() -> None:
    assert asked_wait_s(UplinkError("later")) == 0.0
    assert asked_wait_s(UplinkError("later", retry_after_s=120.0)) == 120.0
    assert asked_wait_s(UplinkError("later", retry_after_s=1e9)) == RETRY_AFTER_S_MAX
