"""One session of the OPC UA connector: subscriptions, their values, and their end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import structlog

from connectors.greeting import Greeting
from connectors.messages import device_error
from connectors.opcua_client import Received
from connectors.opcua_event_feed import EventFeed
from connectors.opcua_event_link import EventLink
from connectors.opcua_items import Changes
from connectors.opcua_monitor import ITEMS_RAN_OUT, Item
from connectors.opcua_polls import Polls
from connectors.opcua_pump import PublishPump
from connectors.opcua_reception import Reception
from connectors.opcua_session import Subscription
from connectors.outbox import Outbox
from gateway.core.arrays import IndexArray
from gateway.core.errors import DeviceError
from gateway.core.frame import Frame, join_frames
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status

NS_PER_S = 1_000_000_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One subscription to be made."""

    publishing_ms: float
    keep_alive_s: float
    items: tuple[Item, ...]
    """Their handles are positions among the connector's tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a session needs beside its plans."""

    device: str
    """Name and address, for messages."""
    link: EventLink
    sink: Sink
    indices: IndexArray
    """Position in the tag table of each of the connector's tags."""
    greeting: Greeting
    reception: Reception
    polls: Polls
    """Take over what the server cannot watch."""
    silence_s_max: float
    node_retry_s: float
    stop_s: float
    clock: Clock
    events: EventFeed | None
    """None when no events are wanted."""


@dataclass(slots=True)
class _Watch:
    """A subscription, and the items that the server does not know."""

    subscription: Subscription
    missing: list[Item]


class Subscriber:
    """Runs one session."""

    def __init__(self, plans: Sequence[Plan], around: Surroundings) -> None:
        """Begin without a subscription."""
        self._plans = plans
        self._around = around
        self._outbox = Outbox(around.sink)
        self._watches: list[_Watch] = []
        self._refusals: dict[int, int] = {}
        """Status of each item that is not watched, by its handle."""
        self._items_per_call = 1
        self._pump = PublishPump(
            around.link,
            device=around.device,
            silence_s_max=around.silence_s_max,
            clock=around.clock,
        )

    async def run(self) -> NoReturn:
        """Subscribe, and hand on values until cancelled.

        Raises:
            DeviceError: the session is lost.
        """
        async with self._pump:
            try:
                await self._subscribe()
                self._around.polls.tell_taken_over()
                self._around.greeting.say()
                await self._deliver()
            except asyncio.CancelledError:
                await self._finish()
                raise

    async def _subscribe(self) -> None:
        """Make all subscriptions with their items."""
        link = self._around.link
        await link.refresh_namespaces()
        self._items_per_call = link.traits.items_per_call
        for plan in self._plans:
            subscription = await link.subscribe(
                publishing_ms=plan.publishing_ms, keep_alive_s=plan.keep_alive_s
            )
            if subscription is None:
                self._around.polls.take_over(plan.items)
                continue
            self._pump.listen(subscription)
            watch = _Watch(subscription, list(plan.items))
            self._watches.append(watch)
            await self._watch_missing(watch)
        await self._hear_events()

    async def _hear_events(self) -> None:
        """Subscribe to the server's events, if they are wanted."""
        if self._around.events is None:
            return
        heard = await self._around.events.start(self._around.link, self._around.sink.note)
        if heard is not None:
            self._pump.listen(heard)

    async def _watch_missing(self, watch: _Watch) -> None:
        """Ask for the items that are not watched yet; state what is newly refused."""
        wanted, watch.missing = watch.missing, []
        codes: list[int] = []
        for begin in range(0, len(wanted), self._items_per_call):
            part = wanted[begin : begin + self._items_per_call]
            codes += await self._around.link.watch(watch.subscription, part)
        news: dict[int, int] = {}
        ran_out = [item for item, code in zip(wanted, codes, strict=True) if code == ITEMS_RAN_OUT]
        self._around.polls.take_over(ran_out)
        for item, code in zip(wanted, codes, strict=True):
            if code == ITEMS_RAN_OUT:
                continue
            if code >= Status.BAD:
                watch.missing.append(item)
                if self._refusals.get(item.handle) != code:
                    news[item.handle] = code
            elif self._refusals.pop(item.handle, None) is not None:
                log.info("node_found", device=self._around.device, node=str(item.node))
        if news:
            self._refusals |= news
            log.warning(
                "nodes_refused",
                device=self._around.device,
                count=len(news),
                first=str(next(item.node for item in wanted if item.handle in news)),
                status=f"0x{next(iter(news.values())):08X}",
                stage="receiving",
            )
            self._outbox.put(self._around.reception.refused(news))

    async def _deliver(self) -> NoReturn:
        """Hand on what comes; ask for refused nodes again now and then."""
        retry_ns = round(self._around.node_retry_s * NS_PER_S)
        next_retry_ns = self._around.clock.monotonic_ns() + retry_ns
        while True:
            await self._outbox.flush()
            wait_ns = next_retry_ns - self._around.clock.monotonic_ns()
            if wait_ns <= 0:
                await self._retry_refused()
                next_retry_ns = self._around.clock.monotonic_ns() + retry_ns
                continue
            await self._pump.more(wait_s=wait_ns / NS_PER_S)
            messages = self._pump.take()
            self._sort_in(messages)
            unfit = self._around.reception.take_unfit()  # now: pollers find theirs as well
            await self._outbox.flush()
            await self._tell_events()
            if unfit:
                await self._around.link.unwatch(unfit)
            self._check(messages)

    async def _retry_refused(self) -> None:
        """Ask for refused nodes again; their namespaces may have come by now."""
        waiting = [watch for watch in self._watches if watch.missing]
        if waiting:
            await self._around.link.refresh_namespaces()
        for watch in waiting:
            await self._watch_missing(watch)

    async def _finish(self) -> None:
        """End the subscriptions and hand on all that the server sent before."""
        try:
            async with asyncio.timeout(self._around.stop_s):
                await self._pump.stop()
        except (TimeoutError, DeviceError) as error:
            log.warning("unsubscribe_failed", device=self._around.device, reason=repr(error))
        try:
            async with asyncio.timeout(self._around.stop_s):
                self._sort_in(self._pump.take())
                await self._outbox.flush()
                await self._tell_events()
        except DeviceError as error:
            log.warning("events_not_told", device=self._around.device, reason=repr(error))
        except TimeoutError:
            log.error(
                "received_samples_dropped",
                device=self._around.device,
                count=self._outbox.sample_count,
                stage="receiving",
            )

    def _sort_in(self, messages: Sequence[Received]) -> None:
        """Put the changes of all messages into one frame, and their events aside."""
        frames = [
            self._received_frame(changes, received)
            for received in messages
            for changes in received.notification.changes
        ]
        if frames:
            self._outbox.put(join_frames(frames))
        if self._around.events is not None:
            for received in messages:
                self._around.events.take(received)

    async def _tell_events(self) -> None:
        if self._around.events is not None:
            await self._around.events.flush()

    def _received_frame(self, changes: Changes, received: Received) -> Frame:
        """Return changes as samples."""
        return self._around.reception.frame(
            changes, received_ns=received.received_ns, arrival_ns=received.arrival_ns
        )

    def _check(self, messages: Sequence[Received]) -> None:
        """Look for what ends a session in messages whose values were handed on.

        Raises:
            DeviceError: a subscription was closed, or its values are not those asked for.
        """
        for received in messages:
            status = received.notification.closed_status
            if status is not None:
                raise device_error(
                    self._around.device,
                    "closed a subscription",
                    check="Check its load and its limits.",
                    expert=f"status 0x{status:08X}",
                )
            for changes in received.notification.changes:
                handle = int(changes.handles.max(initial=0))
                if handle >= len(self._around.indices):
                    raise device_error(
                        self._around.device,
                        "reports a value that nobody asked for",
                        check="Tell the maker of the server.",
                        expert=f"client handle {handle} of {len(self._around.indices)}",
                    )
