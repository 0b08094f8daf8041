"""What a lost and a recovered session mean: one Bad edge, one event each way, one gap."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from gateway.core.arrays import IndexArray, float_column, index_column, status_column, time_column
from gateway.core.device_status import ConnectorReport, DeviceState
from gateway.core.errors import DeviceError
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame, Origin
from gateway.core.gaps import GAP_FOUND, GAP_HEALED, GAP_UNHEALED, GapBook, Healing
from gateway.core.ports import Sink
from gateway.core.quality import Status
from gateway.core.records import LedgerEntry, LedgerReason
from gateway.core.tags import Tag, TagId
from gateway.pipeline import Ingress
from gateway.pipeline.ingress import Entry
from gateway.supervisor import DeviceSupervisor
from gateway.wire.backoff import Backoff
from gateway.wire.clock import SystemClock

Session = Callable[[Sink], Awaitable[None]]
INDICES = index_column([3, 4])


class ScriptedConnector:
    """Plays one scripted session after another; the last one for ever."""

    name = "press"
    address = "127.0.0.1:502"
    tags = (Tag(id=TagId("press.a")), Tag(id=TagId("press.b")))

    def __init__(self, *sessions: Session) -> None:
        self.sessions = list(sessions)

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        play = self.sessions.pop(0) if len(self.sessions) > 1 else self.sessions[0]
        await play(sink)

    async def write(self, tag: Tag, value: float) -> float:
        raise DeviceError("not writable")

    def report(self) -> ConnectorReport:
        return ConnectorReport()


async def deliver(sink: Sink) -> None:
    sink.connected()
    await sink.emit(
        Frame(
            tag_index=INDICES,
            time_ns=time_column([1, 1]),
            value=float_column([1.0, 2.0]),
            status=status_column([0, 0]),
            received_ns=SystemClock().now_ns(),
        )
    )


async def deliver_and_fail(sink: Sink) -> None:
    await deliver(sink)
    raise DeviceError("no answer for 2 s: check the cable\nTimeoutError 127.0.0.1:502")


async def deliver_and_stay(sink: Sink) -> None:
    await deliver(sink)
    await asyncio.Event().wait()


async def wait_for_ever(sink: Sink) -> None:
    await asyncio.Event().wait()


async def refuse(sink: Sink) -> None:
    raise DeviceError("connection refused\nECONNREFUSED")


async def break_down(sink: Sink) -> None:
    raise ZeroDivisionError


async def entries_of(
    *sessions: Session,
    until: int,
    checkpoint: bytes | None = None,
    log: Sequence[Entry] = (),
    unheard_ns: int | None = None,
) -> tuple[list[Entry], DeviceSupervisor]:
    """Play the sessions until as many entries have entered the pipeline.

    Args:
        sessions: In their order; the last one goes on for ever.
        until: Entries to wait for.
        checkpoint: Of the start before; None is no start before.
        log: What came into the log behind the checkpoint.
        unheard_ns: End of the log's own gap, after an unclean stop.
    """
    ingress = Ingress(size_bytes_max=100_000)
    supervisor = DeviceSupervisor(
        ScriptedConnector(*sessions),
        indices=INDICES,
        intake=ingress,
        clock=SystemClock(),
        backoff=Backoff(first_s=0.001, cap_s=0.01, healthy_s=60),
        unheard_ns=unheard_ns,
    )
    if checkpoint is not None:
        supervisor.restore(checkpoint)
    for entry in log:
        if not isinstance(entry, LedgerEntry):
            supervisor.replay(entry)
    task = asyncio.create_task(supervisor.run())
    entries: list[Entry] = []
    try:
        async with asyncio.timeout(5):
            while len(entries) < until:
                entries += await ingress.take()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return entries, supervisor


async def test_lost_and_back_give_one_edge_each_and_one_gap() -> None:
    entries, supervisor = await entries_of(deliver_and_fail, deliver_and_stay, until=6)
    data, edge, lost, gap, back, again = entries
    assert isinstance(data, Frame)
    assert isinstance(edge, Frame)
    assert not edge.is_received
    assert edge.status.tolist() == [Status.BAD_NO_COMMUNICATION] * 2
    assert np.isnan(edge.value).all()
    assert isinstance(lost, Event)
    assert (lost.source, lost.transition) == ("press", Transition.RAISED)
    assert "check the cable" in lost.text
    assert isinstance(gap, LedgerEntry)
    assert gap.reason is LedgerReason.DEVICE_LOST
    assert (gap.from_ns, gap.count) == (data.received_ns, None)
    assert isinstance(back, Event)
    assert (back.condition, back.transition) == (lost.condition, Transition.RETURNED)
    assert isinstance(again, Frame)
    assert supervisor.status().state is DeviceState.OK


async def test_a_device_that_stays_away_is_reported_once() -> None:
    entries, supervisor = await entries_of(refuse, refuse, refuse, deliver_and_stay, until=4)
    assert [type(entry).__name__ for entry in entries] == ["Frame", "Event", "Event", "Frame"]
    assert not any(isinstance(entry, LedgerEntry) for entry in entries)
    assert supervisor.status().state is DeviceState.OK


async def test_a_lost_device_is_still_lost_after_a_restart() -> None:
    """Over a clean stop by the checkpoint, over a kill by the log: one gap, one way back."""
    entries, supervisor = await entries_of(deliver_and_fail, wait_for_ever, until=3)
    data, _, lost = entries
    assert isinstance(data, Frame)
    assert isinstance(lost, Event)
    never_run = (await entries_of(wait_for_ever, until=0))[1].checkpoint()
    for checkpoint, log in ((supervisor.checkpoint(), []), (never_run, entries)):
        again, _ = await entries_of(
            refuse, deliver_and_stay, until=3, checkpoint=checkpoint, log=log
        )
        gap, back, _ = again
        assert isinstance(gap, LedgerEntry)
        assert isinstance(back, Event)
        assert (gap.reason, gap.from_ns) == (LedgerReason.DEVICE_LOST, data.received_ns)
        assert back.transition is Transition.RETURNED


async def test_a_device_that_was_there_has_no_gap_over_a_restart() -> None:
    """What is missing between two starts is for the log to say, and for it alone."""
    _, supervisor = await entries_of(deliver_and_stay, until=1)
    again, _ = await entries_of(
        refuse, deliver_and_stay, until=4, checkpoint=supervisor.checkpoint()
    )
    assert [type(entry).__name__ for entry in again] == ["Frame", "Event", "Event", "Frame"]


async def test_after_an_unclean_stop_the_gap_goes_on_until_the_device_is_connected() -> None:
    """Its server may have talked to the session that is gone; a new device misses nothing."""
    _, supervisor = await entries_of(deliver_and_stay, until=1)
    unheard_ns = time.time_ns()
    entries, _ = await entries_of(
        deliver_and_stay, until=2, checkpoint=supervisor.checkpoint(), unheard_ns=unheard_ns
    )
    [gap] = [entry for entry in entries if isinstance(entry, LedgerEntry)]
    assert (gap.reason, gap.source, gap.from_ns) == (
        LedgerReason.UNCLEAN_STOP,
        "press",
        unheard_ns,
    )
    assert unheard_ns <= gap.to_ns <= time.time_ns()
    entries, _ = await entries_of(deliver_and_stay, until=1, unheard_ns=unheard_ns)
    assert not [entry for entry in entries if isinstance(entry, LedgerEntry)]


async def test_a_bug_in_one_connector_is_a_lost_device_and_not_the_end() -> None:
    entries, _ = await entries_of(break_down, deliver_and_stay, until=4)
    lost = entries[1]
    assert isinstance(lost, Event)
    assert "internal error" in lost.text


async def test_skipped_scans_are_ledgered_together() -> None:
    async def skip(sink: Sink) -> None:
        sink.connected()
        for scan in range(3):
            sink.skipped(from_ns=scan, to_ns=scan + 1, count=2)
        raise DeviceError("enough")

    entries, supervisor = await entries_of(skip, deliver_and_stay, until=3)
    skipped = [entry for entry in entries if isinstance(entry, LedgerEntry)]
    assert [(each.reason, each.count) for each in skipped] == [(LedgerReason.SCAN_SKIPPED, 6)]
    assert supervisor.status().skipped_count == 6


async def test_gaps_are_told_when_the_log_has_seen_all_that_was_read_for_them() -> None:
    """Else values on their way into the log would be read again; closed gaps are told no more."""
    ingress = Ingress(size_bytes_max=100_000)
    connector = ScriptedConnector(wait_for_ever)
    book = GapBook("press", [tag.id for tag in connector.tags], INDICES)
    supervisor = DeviceSupervisor(
        connector,
        indices=INDICES,
        intake=ingress,
        clock=SystemClock(),
        backoff=Backoff(first_s=0.001, cap_s=0.01, healthy_s=60),
        book=book,
    )

    async def follow() -> list[Entry]:
        entries = await ingress.take()
        for entry in entries:
            if not isinstance(entry, LedgerEntry):
                book.replay(entry)
        return entries

    book.replay(_at(100))
    supervisor.connected()
    await supervisor.emit(_at(200))
    [event, _] = await follow()
    assert isinstance(event, Event)
    assert (event.condition, event.onset_ns) == (GAP_FOUND, 100)
    assert supervisor.gaps().from_ns.tolist() == [100, 100]
    await supervisor.emit(_at(150, origin=Origin.HISTORICAL))
    assert len(supervisor.gaps()) == 0
    await follow()
    assert supervisor.gaps().from_ns.tolist() == [150, 150]
    supervisor.healed(_healing(number=2, samples=2, refused=0))
    assert len(supervisor.gaps()) == 0
    [event] = await follow()
    assert isinstance(event, Event)
    assert (event.condition, event.evidence[0].value) == (GAP_HEALED, 2)
    assert len(book.gaps()) == 0
    supervisor.healed(_healing(number=3, samples=0, refused=2))
    [event] = await follow()
    assert isinstance(event, Event)
    assert event.condition == GAP_UNHEALED


def _at(time_ns: int, *, origin: Origin = Origin.LIVE) -> Frame:
    return Frame(
        tag_index=INDICES,
        time_ns=time_column([time_ns, time_ns]),
        value=float_column([1.0, 2.0]),
        status=status_column([0, 0]),
        received_ns=time_ns,
        origin=origin,
    )


def _healing(*, number: int, samples: int, refused: int) -> Healing:
    return Healing(
        number=number,
        from_ns=100,
        to_ns=200,
        sample_count=samples,
        tag_count=2 - refused,
        refused_count=refused,
    )
