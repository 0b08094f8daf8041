"""Heals gaps from the server's history, beside the live values of a session.

Theory. The sink knows what is missing of each tag: the stretch between two values that are held.
Gaps are read in batches of nodes, page by page in the order of time, and handed over as historical
frames; the sink's book moves each gap's beginning behind what the log has of it. So whatever ends
a session, the next one goes on where this one was, and no value is handed over twice. Values at
the ends of a gap are held already: they are left out, to the microsecond that the library knows.

Live values come first: between two calls the healer rests in proportion to what they took. A
history that cannot be read costs no session: it is told once and tried again later.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NoReturn

import numpy as np
import structlog

from connectors.opcua.history_read import NS_PER_US, HistoryAsk, HistoryReader
from connectors.opcua.history_settings import HistorySettings
from connectors.opcua.library import HistoryPage
from connectors.opcua.nodes import NodeAddress
from connectors.opcua.session import UaLink
from gateway.core.arrays import BoolArray, IndexArray, TimeArray, index_column, time_column
from gateway.core.errors import DeviceError
from gateway.core.frame import Frame, Origin, join_frames
from gateway.core.gaps import Gaps, Healing, join_gaps
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status

NODES_PER_CALL_MAX = 20
PAGE_SIZE_MIN = 10
"""Values of a node in one call, at least."""
RETRY_S = 60.0
"""After a call that failed."""
RELEASE_S = 1.0
"""Longest wait when a server is told to forget pages."""
NS_PER_S = 1_000_000_000

log = structlog.get_logger()


@dataclass(slots=True)
class _Count:
    """What a round came to."""

    samples: int = 0
    refused: int = 0


class Healer:
    """Reads the history of one connector's tags during one session."""

    def __init__(
        self,
        link: UaLink,
        sink: Sink,
        nodes: Sequence[NodeAddress | None],
        indices: IndexArray,
        *,
        settings: HistorySettings,
        device: str,
        clock: Clock,
    ) -> None:
        """Begin with nothing known of the server's history.

        Args:
            link: The session.
            sink: Knows the gaps and takes the values.
            nodes: The node of each tag; None where its history does not hold single numbers.
            indices: Its position in the tag table.
            settings: How fast and how far back.
            device: For messages.
            clock: Time.
        """
        self._reader = HistoryReader(link, device=device)
        self._link = link
        self._sink = sink
        self._nodes = tuple(nodes)
        self._indices = indices
        self._settings = settings
        self._device = device
        self._clock = clock
        self._nodes_per_call = 1
        self._readable: BoolArray | None = None

    async def run(self) -> NoReturn:
        """Heal what there is to heal until cancelled."""
        has_failed = False
        while True:
            await asyncio.sleep(RETRY_S if has_failed else self._settings.history_delay_s)
            gaps = self._sink.gaps()
            if len(gaps) == 0:
                continue
            try:
                await self._heal(gaps)
                has_failed = False
            except DeviceError as error:
                if not has_failed:
                    log.warning(
                        "history_not_read",
                        device=self._device,
                        reason=str(error),
                        gaps=len(gaps),
                        retry_s=RETRY_S,
                        stage="receiving",
                    )
                has_failed = True

    async def _heal(self, gaps: Gaps) -> None:
        """Read all of these gaps, and say what came of it.

        Raises:
            DeviceError: a call failed; what was read until then is handed over.
        """
        if self._readable is None:
            self._readable = await self._reader.is_readable(self._nodes)
            limit = await self._reader.nodes_per_call()
            self._nodes_per_call = min(limit, NODES_PER_CALL_MAX) if limit else NODES_PER_CALL_MAX
        readable = gaps.where(self._readable[gaps.position])
        refused = len(set(gaps.position.tolist())) - len(set(readable.position.tolist()))
        count = _Count(refused=refused)
        for batch in batches(readable, size_max=self._nodes_per_call):
            await self._read(batch, count)
        healing = Healing(
            number=int(gaps.number.max()),
            from_ns=int(gaps.from_ns.min()),
            to_ns=int(gaps.to_ns.max()),
            sample_count=count.samples,
            tag_count=len(set(gaps.position.tolist())) - count.refused,
            refused_count=count.refused,
        )
        self._sink.healed(healing)
        log.info(
            "history_read",
            device=self._device,
            samples=count.samples,
            tags=healing.tag_count,
            tags_refused=healing.refused_count,
        )

    async def _read(self, batch: Gaps, count: _Count) -> None:
        """Read one batch to its end."""
        while len(batch):
            batch = await self._read_pages(batch, count)

    async def _read_pages(self, batch: Gaps, count: _Count) -> Gaps:
        """Read page after page, with a rest after each.

        Returns:
            What is left of gaps whose last page was full: some servers give as many values as
            they were asked for, and no way to go on.
        """
        oldest_ns = self._clock.now_ns() - round(self._settings.history_span_s_max * NS_PER_S)
        from_ns = max(int(batch.from_ns.min()), oldest_ns)
        to_ns = int(batch.to_ns.max())
        size = max(PAGE_SIZE_MIN, self._settings.history_samples_max // len(batch))
        asks: list[HistoryAsk] = []
        for position in batch.position.tolist():
            node = self._nodes[position]
            node_id = None if node is None else self._link.node_id(node)
            assert node_id is not None, "it was readable"
            asks.append(HistoryAsk(node=node_id))
        rest: list[Gaps] = []
        while asks:
            begun_ns = self._clock.monotonic_ns()
            pages: tuple[HistoryPage, ...] = ()
            try:
                pages = await self._reader.read(asks, from_ns=from_ns, to_ns=to_ns, count=size)
                took_s = (self._clock.monotonic_ns() - begun_ns) / NS_PER_S
                count.samples += await self._hand_over(batch, pages)
                self._reader.check(pages)
                share = self._settings.history_share_max
                await asyncio.sleep(took_s * (1 - share) / share)
            except (asyncio.CancelledError, DeviceError):
                await self._release(asks, pages)
                raise
            count.refused += sum(page.status >= Status.BAD for page in pages)
            rest.append(what_is_left(batch, pages, size=size))
            has_more = np.array([bool(page.continuation) for page in pages], dtype=np.bool_)
            batch, asks = batch.where(has_more), _next_asks(asks, pages)
        return join_gaps(rest)

    async def _hand_over(self, batch: Gaps, pages: Sequence[HistoryPage]) -> int:
        """Hand over what lies inside the gaps; returns how many values that is."""
        received_ns = self._clock.now_ns()
        frames = [
            frame
            for k, page in enumerate(pages)
            if len(frame := self._frame(batch, k, page, received_ns=received_ns))
        ]
        if not frames:
            return 0
        frame = join_frames(frames)
        await self._sink.emit(frame)
        return len(frame)

    def _frame(self, batch: Gaps, k: int, page: HistoryPage, *, received_ns: int) -> Frame:
        changes, time_ns = page.changes, _times(page)
        index = self._indices[batch.position[k]]
        return Frame(
            tag_index=index_column(np.full(len(time_ns), index)),
            time_ns=time_ns,
            value=changes.value,
            status=changes.status,
            received_ns=received_ns,
            origin=Origin.HISTORICAL,
        ).where(is_inside(time_ns, from_ns=int(batch.from_ns[k]), to_ns=int(batch.to_ns[k])))

    async def _release(self, asks: Sequence[HistoryAsk], pages: Sequence[HistoryPage]) -> None:
        """Let the server forget the pages that were not read; it may be gone."""
        rest = [ask for ask in (_next_asks(asks, pages) if pages else asks) if ask.continuation]
        if not rest:
            return
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._reader.release(rest)
        except (TimeoutError, DeviceError) as error:
            log.info("history_not_released", device=self._device, reason=repr(error))


def batches(gaps: Gaps, *, size_max: int) -> Iterator[Gaps]:
    """Yield gaps that are read in one call: of like beginnings, each tag once, in their order.

    One call has one span for all of its nodes, so gaps that begin together belong together.
    """
    by_tag = np.argsort(gaps.position, kind="stable")
    tags = gaps.position[by_tag]
    nth_of_tag = np.empty(len(gaps), dtype=np.int64)
    nth_of_tag[by_tag] = np.arange(len(gaps)) - np.searchsorted(tags, tags)
    order = np.lexsort((gaps.from_ns, nth_of_tag))
    bounds = np.flatnonzero(np.diff(nth_of_tag[order], prepend=-1, append=-1))
    for first, last in pairwise(bounds.tolist()):
        for begin in range(first, last, size_max):
            yield gaps.where(order[begin : min(begin + size_max, last)])


def is_inside(time_ns: TimeArray, *, from_ns: int, to_ns: int) -> BoolArray:
    """Return which times lie between two that are held, to the microsecond, shape (n,)."""
    time_us = time_ns // NS_PER_US
    return np.asarray((time_us > from_ns // NS_PER_US) & (time_us < to_ns // NS_PER_US))


def what_is_left(batch: Gaps, pages: Sequence[HistoryPage], *, size: int) -> Gaps:
    """Return the gaps, from the newest value read, whose page is full and has none behind it.

    Args:
        batch: The gaps that were asked for.
        pages: One for each of them.
        size: Values that were asked for.
    """
    newest_ns = time_column([_times(page).max(initial=0) for page in pages])
    is_full = np.array(
        [not page.continuation and len(page.changes.value) >= size for page in pages],
        dtype=np.bool_,
    )
    # Without this, a page that repeats itself would be asked for again for ever.
    is_left = is_full & (newest_ns > batch.from_ns) & (newest_ns < batch.to_ns)
    return replace(batch, from_ns=newest_ns).where(is_left)


def _times(page: HistoryPage) -> TimeArray:
    """Return the source's times, else the server's, shape (n,)."""
    changes = page.changes
    return np.where(changes.source_ns != 0, changes.source_ns, changes.server_ns)


def _next_asks(asks: Sequence[HistoryAsk], pages: Sequence[HistoryPage]) -> list[HistoryAsk]:
    """Return what asks for the pages that follow."""
    return [
        HistoryAsk(node=ask.node, continuation=page.continuation)
        for ask, page in zip(asks, pages, strict=True)
        if page.continuation
    ]
