"""What the log tells of its readers: two cursors for each uplink, and holes."""

from pathlib import Path

from gateway.core.cursors import Scope, Span
from gateway.core.events import Event
from gateway.core.records import Seq
from gateway.service.gauge import LogGauge
from gateway.store import CursorLag, LogSettings, RecordLog
from gateway.wire.clock import SystemClock
from gateway.wire.documents import draft_event
from tests.gateway.store_cases import GATEWAY, SEALING, TAGS, frame_draft

CURSORS = {"cloud": Scope.SAMPLES, "cloud/alarms": Scope.NOTES}
SAMPLES = len(TAGS)
"""In one frame."""


def opened(path: Path, settings: LogSettings = SEALING, *, is_old: bool = False) -> RecordLog:
    cursors = {"cloud": Scope.ALL} if is_old else CURSORS
    return RecordLog.open(path, settings, gateway=GATEWAY, clock=SystemClock(), cursors=cursors)


async def filled(log: RecordLog) -> Seq:
    """Append five frames, an event, and five frames; returns the position before them."""
    table = log.intern(TAGS)
    begin = log.end
    event = draft_event(Event(time_ns=1, source="x", condition="hot", severity=1, text=""))
    frames = [frame_draft(number, table) for number in range(10)]
    await log.durable(log.append([*frames[:5], event, *frames[5:]]))
    return begin


async def lags(log: RecordLog) -> tuple[CursorLag, CursorLag]:
    samples, notes = (await log.stats()).cursors
    return samples, notes


async def test_a_hole_counts_as_undelivered_and_a_reader_of_notes_lacks_no_samples(
    tmp_path: Path,
) -> None:
    log = opened(tmp_path / "log.db")
    begin = await filled(log)
    await log.advance("cloud", Seq(begin + 2))
    await log.skip("cloud", Seq(begin + 8))
    samples, notes = await lags(log)
    assert (samples.seq, samples.records) == (begin + 8, 9)
    assert samples.samples == 8 * SAMPLES
    assert samples.oldest_ns is not None
    assert samples.front_oldest_ns is not None
    assert (notes.records, notes.samples) == (2, 0)
    await log.fill("cloud", Span(first=Seq(begin + 3), last=Seq(begin + 8)))
    await log.advance("cloud", log.end)
    samples, notes = await lags(log)
    assert (samples.records, samples.samples, samples.oldest_ns) == (0, 0, None)
    assert (notes.records, notes.samples) == (2, 0)
    await log.close()


async def test_a_block_partly_in_a_hole_counts_as_a_whole(tmp_path: Path) -> None:
    log = opened(tmp_path / "log.db")
    begin = await filled(log)
    await log.tidy()
    await log.advance("cloud", Seq(begin + 2))
    await log.skip("cloud", Seq(begin + 4))
    await log.advance("cloud", log.end)
    samples, _ = await lags(log)
    assert samples.samples == 5 * SAMPLES
    await log.close()


async def test_the_books_acknowledge_what_is_in_no_hole(tmp_path: Path) -> None:
    log = opened(tmp_path / "log.db", SEALING.model_copy(update={"seal_after_s": 3600.0}))
    gauge = LogGauge(log, SEALING, clock=SystemClock())
    begin = await filled(log)
    await log.skip("cloud", Seq(begin + 3))
    await log.advance("cloud", log.end)
    await gauge.refresh()
    books = gauge.books(received=0)
    assert (books.stored, books.acknowledged, books.lost) == (10 * SAMPLES, 7 * SAMPLES, 0)
    await log.close()


async def test_an_uplink_of_an_earlier_release_goes_on_where_it_was_with_both_cursors(
    tmp_path: Path,
) -> None:
    log = opened(tmp_path / "log.db", is_old=True)
    begin = await filled(log)
    await log.advance("cloud", Seq(begin + 7))
    await log.close()
    log = opened(tmp_path / "log.db")
    assert (log.cursor("cloud"), log.cursor("cloud/alarms")) == (begin + 7, begin + 7)
    await log.advance("cloud/alarms", log.end)
    await log.close()
    log = opened(tmp_path / "log.db")
    assert log.cursor("cloud") == begin + 7
    assert log.cursor("cloud/alarms") > begin + 7
    await log.close()
