"""Reads some values at a fixed rate: one poller of a session.

Its requests are encoded once; what the server refuses as too much is
asked for in halves from then on. A node that the server does not know makes its own tag Bad, once,
in a frame that is ours, and is left out until it is asked for again; any other status is the
value's own. A scan that cannot start in time is skipped and told, never queued.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import structlog
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.greeting import Greeting
from connectors.opcua.client import PreparedRead, ReadValues
from connectors.opcua.monitor import Item
from connectors.opcua.reception import Reception, ReceptionMemory
from connectors.opcua.session import UaLink, fault
from connectors.outbox import Outbox
from connectors.scan_clock import ScanClock
from gateway.core.arrays import StatusArray
from gateway.core.errors import DeviceError
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

_TOO_MUCH = frozenset(
    {
        StatusCodes.BadTooManyOperations,
        StatusCodes.BadRequestTooLarge,
        StatusCodes.BadResponseTooLarge,
        StatusCodes.BadEncodingLimitsExceeded,
    }
)
_REFUSALS = np.array(
    [
        StatusCodes.BadNodeIdUnknown,
        StatusCodes.BadNodeIdInvalid,
        StatusCodes.BadAttributeIdInvalid,
        StatusCodes.BadNotReadable,
        StatusCodes.BadUserAccessDenied,
        StatusCodes.BadIndexRangeInvalid,
    ],
    dtype=np.uint32,
)
"""A value with one of these is none: the server says that it will not give it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSurroundings:
    """What the pollers of one session share."""

    device: str
    """Name and address, for messages."""
    name: str
    """Of the connector."""
    link: UaLink
    sink: Sink
    greeting: Greeting
    reception: Reception
    memory: ReceptionMemory
    node_retry_s: float
    stop_s: float
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Batch:
    """Items that one request reads."""

    items: tuple[Item, ...]
    handles: StatusArray
    read: PreparedRead


class Poller:
    """Reads some items at one rate; more may join while it runs."""

    def __init__(self, period_ms: int, around: PollSurroundings) -> None:
        """Begin without items."""
        self._period_ms = period_ms
        self._around = around
        self._outbox = Outbox(around.sink)
        self._items: list[Item] = []
        self._batches: tuple[_Batch, ...] = ()
        self._size = around.link.traits.nodes_per_read
        self._refused: list[Item] = []
        self._codes: dict[int, int] = {}
        """Status of each refused item, by its handle."""
        self._next_retry_ns = 0
        self._has_items = asyncio.Event()

    def join(self, items: Sequence[Item]) -> None:
        """Read these too, from the next scan on; one that is read already stays as it is."""
        known = {item.handle for item in (*self._items, *self._refused)}
        self._items += [item for item in items if item.handle not in known]
        self._batches = ()
        if self._items:
            self._has_items.set()

    async def run(self) -> NoReturn:
        """Scan until cancelled.

        Raises:
            DeviceError: the server does not answer, or refuses to be read.
        """
        await self._has_items.wait()
        around = self._around
        clock = ScanClock(period_ns=self._period_ms * NS_PER_MS, clock=around.clock)
        self._put_off_retry()
        while True:
            slot = await clock.next_slot()
            if slot.skipped_count and self._items:
                now_ns = around.clock.now_ns()
                around.sink.skipped(
                    from_ns=now_ns - slot.skipped_count * self._period_ms * NS_PER_MS,
                    to_ns=now_ns,
                    count=slot.skipped_count * len(self._items),
                )
            if self._refused and around.clock.monotonic_ns() >= self._next_retry_ns:
                await around.link.refresh_namespaces()
                self._put_off_retry()
                refused, self._refused = self._refused, []
                self.join(refused)
            await self._scan()

    def _put_off_retry(self) -> None:
        retry_ns = round(self._around.node_retry_s * NS_PER_S)
        self._next_retry_ns = self._around.clock.monotonic_ns() + retry_ns

    async def _scan(self) -> None:
        """Read all items once and hand them over."""
        self._leave_out_strangers()
        if not self._batches:
            self._batches = self._split(self._items)
        waiting = deque(self._batches)
        running: dict[asyncio.Task[ReadValues], _Batch] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._around.link.traits.reads_in_flight:
                    batch = waiting.popleft()
                    running[asyncio.create_task(self._read(batch), name="read")] = batch
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for batch in self._collect(done, running):
                    again = self._halved(batch, waiting)
                    waiting = deque(again)
                await self._outbox.flush()
            await self._outbox.flush()
        except asyncio.CancelledError:
            await self._finish(running)
            raise
        except DeviceError:
            await self._finish({})  # what other reads brought before this one failed
            raise
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _read(self, batch: _Batch) -> ReadValues:
        sent_ns = self._around.clock.monotonic_ns()
        values = await self._around.link.read_columns(batch.read)
        self._around.memory.figures.note(sent_ns=sent_ns, answered_ns=values.arrival_ns)
        return values

    def _collect(
        self,
        done: set[asyncio.Task[ReadValues]],
        running: dict[asyncio.Task[ReadValues], _Batch],
    ) -> list[_Batch]:
        """Take in what was answered; return the batches that are too much for the server.

        Raises:
            DeviceError: a read failed; what the others brought is in the outbox.
        """
        failure: DeviceError | None = None
        too_much = []
        for task in done:
            batch = running.pop(task)
            match task.exception():
                case None:
                    self._around.greeting.say()
                    self._sort_in(batch, task.result())
                case UaStatusCodeError() as error:
                    if error.code in _TOO_MUCH and len(batch.items) > 1:
                        too_much.append(batch)
                    else:
                        failure = fault(self._around.device, "refuses a read", error)
                        failure.__cause__ = error
                case DeviceError() as error:
                    failure = error
                case BaseException() as error:
                    raise error
        if failure is not None:
            raise failure
        return too_much

    async def _finish(self, running: dict[asyncio.Task[ReadValues], _Batch]) -> None:
        """Hand over what the server was asked for already; ask for nothing more."""
        try:
            async with asyncio.timeout(self._around.stop_s):
                if running:
                    done, _ = await asyncio.wait(running)
                    self._collect(done, running)
                await self._outbox.flush()
        except (TimeoutError, DeviceError) as error:
            if self._outbox.sample_count:
                log.error(
                    "received_samples_dropped",
                    device=self._around.device,
                    count=self._outbox.sample_count,
                    reason=repr(error),
                    stage="receiving",
                )

    def _split(self, items: Sequence[Item]) -> tuple[_Batch, ...]:
        parts = [items[at : at + self._size] for at in range(0, len(items), self._size)]
        return tuple(
            _Batch(
                items=tuple(part),
                handles=np.array([item.handle for item in part], dtype=np.uint32),
                read=self._around.link.prepare_read(part),
            )
            for part in parts
        )

    def _halved(self, batch: _Batch, waiting: Sequence[_Batch]) -> tuple[_Batch, ...]:
        """Return what is still to be read, in smaller batches, which stay so from now on."""
        size = max(1, len(batch.items) // 2)
        if size < self._size:
            log.warning("reads_shortened", device=self._around.device, node_count=size)
            self._size = size
            self._batches = ()
        return self._split([item for one in (batch, *waiting) for item in one.items])

    def _sort_in(self, batch: _Batch, values: ReadValues) -> None:
        """Put the values into a frame, and what is newly refused into one of ours."""
        handles, status = batch.handles, values.changes.status
        changes = replace(values.changes, handles=handles)
        is_refused = np.isin(status, _REFUSALS)
        if is_refused.any():
            codes = dict(
                zip(handles[is_refused].tolist(), status[is_refused].tolist(), strict=True)
            )
            self._leave_out(codes)
            changes = changes.where(~is_refused)
        if self._codes:
            self._note_found(changes.handles.tolist())
        reception = self._around.reception
        self._outbox.put(
            *reception.frames(changes, received_ns=values.received_ns, arrival_ns=values.arrival_ns)
        )
        unfit = set(reception.take_unfit())
        if unfit:
            self._items = [item for item in self._items if item.handle not in unfit]
            self._batches = ()

    def _leave_out_strangers(self) -> None:
        """Leave out what stands in a namespace that the server does not have."""
        if self._batches:
            return
        link = self._around.link
        strangers = [item.handle for item in self._items if not link.knows(item.node)]
        if strangers:
            self._around.greeting.say()  # it told its namespaces
            self._leave_out(dict.fromkeys(strangers, int(Status.BAD_NODE_ID_UNKNOWN)))

    def _leave_out(self, codes: dict[int, int]) -> None:
        """Set refused items aside, and state what is newly refused."""
        refused = [item for item in self._items if item.handle in codes]
        self._refused += refused
        self._items = [item for item in self._items if item.handle not in codes]
        self._batches = ()
        news = {handle: code for handle, code in codes.items() if self._codes.get(handle) != code}
        if news:
            self._codes |= news
            self._outbox.put(self._around.reception.refused(refused, news))

    def _note_found(self, handles: Sequence[int]) -> None:
        for handle in self._codes.keys() & set(handles):
            del self._codes[handle]
            node = next((str(item.node) for item in self._items if item.handle == handle), "")
            log.info("node_found", device=self._around.device, node=node)
