"""One session of the OPC UA connector: subscriptions, their values, and their end.

A subscription that is lost while the session stands is made anew in it. Its tags become Bad first,
once, behind all that came of it before; its initial values make them Good again.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import structlog

from connectors.greeting import Greeting
from connectors.messages import device_error
from connectors.opcua.client import Received
from connectors.opcua.event_feed import EventFeed
from connectors.opcua.event_link import EventLink
from connectors.opcua.items import Changes
from connectors.opcua.monitor import ITEMS_RAN_OUT, Item
from connectors.opcua.polls import Polls
from connectors.opcua.pump import PublishPump
from connectors.opcua.reception import Reception
from connectors.opcua.session import Subscription
from connectors.outbox import Outbox
from gateway.core.arrays import IndexArray
from gateway.core.errors import DeviceError
from gateway.core.events import Event
from gateway.core.frame import Frame, join_alike
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status

NS_PER_S = 1_000_000_000
LOST_SEVERITY = 300

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

    name: str
    """Name of the connector."""
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

    plan: Plan
    subscription: Subscription
    missing: list[Item]
    renewed_ns: int | None = None
    """When it was last made anew, on the monotonic clock."""


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
            watch = _Watch(plan, subscription, list(plan.items))
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
            self._outbox.put(self._around.reception.refused(wanted, news))

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
            await self._renew(self._check(messages) | set(self._pump.lost))

    async def _renew(self, lost: set[int]) -> None:
        """Make subscriptions anew in the same session.

        Raises:
            DeviceError: the session is lost, or the server keeps ending subscriptions.
        """
        while lost:
            number = lost.pop()
            if self._around.events is not None and number == self._around.events.subscription_id:
                await self._renew_events(self._around.events, number)
                continue
            watch = next((each for each in self._watches if each.subscription.id == number), None)
            if watch is None:
                continue
            now_ns = self._around.clock.monotonic_ns()
            rest_ns = self._around.silence_s_max * NS_PER_S
            if watch.renewed_ns is not None and now_ns - watch.renewed_ns < rest_ns:
                raise device_error(
                    self._around.device,
                    "ends one subscription after the other",
                    check="Check its load and its limits.",
                    expert=f"subscription {number}",
                )
            watch.renewed_ns = now_ns
            # The server may have ended it; what it sent before its answer is here then.
            with suppress(DeviceError):
                await self._around.link.unsubscribe([number])
            messages = self._pump.take()
            self._sort_in(messages)
            lost |= self._check(messages) - {number}
            self._pump.forget(number)
            await self._make_anew(watch)

    async def _renew_events(self, events: EventFeed, number: int) -> None:
        """Subscribe to events again; a server that ends that, too, tells none in this session."""
        self._pump.forget(number)
        if events.has_rested(self._around.silence_s_max):
            await self._hear_events()
        else:
            events.give_up()

    async def _make_anew(self, watch: _Watch) -> None:
        """State that the tags of a lost subscription are Bad, and subscribe again."""
        watched = [item.handle for item in watch.plan.items if item.handle not in self._refusals]
        count = len(watched)
        log.warning(
            "subscription_lost",
            device=self._around.device,
            subscription=watch.subscription.id,
            tags=count,
            stage="receiving",
        )
        self._around.sink.note(
            Event(
                time_ns=self._around.clock.now_ns(),
                source=self._around.name,
                condition="subscription_lost",
                severity=LOST_SEVERITY,
                text=f"{self._around.name} ended a subscription of {count} tags, "
                "while the session stands; it is made anew",
            )
        )
        self._outbox.put(
            self._around.reception.stated(dict.fromkeys(watched, Status.BAD_NO_COMMUNICATION))
        )
        subscription = await self._around.link.subscribe(
            publishing_ms=watch.plan.publishing_ms, keep_alive_s=watch.plan.keep_alive_s
        )
        if subscription is None:
            self._watches.remove(watch)
            self._around.polls.take_over(watch.plan.items)
            return
        watch.subscription = subscription
        self._pump.listen(subscription)
        watch.missing = list(watch.plan.items)
        await self._watch_missing(watch)

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
            frame
            for received in messages
            for changes in received.notification.changes
            for frame in self._received_frames(changes, received)
        ]
        self._outbox.put(*join_alike(frames))
        if self._around.events is not None:
            for received in messages:
                self._around.events.take(received)

    async def _tell_events(self) -> None:
        if self._around.events is not None:
            await self._around.events.flush()

    def _received_frames(self, changes: Changes, received: Received) -> list[Frame]:
        """Return changes as samples."""
        return self._around.reception.frames(
            changes, received_ns=received.received_ns, arrival_ns=received.arrival_ns
        )

    def _check(self, messages: Sequence[Received]) -> set[int]:
        """Return the subscriptions that the server closed.

        Raises:
            DeviceError: it reports values that were not asked for.
        """
        closed: set[int] = set()
        for received in messages:
            if received.notification.closed_status is not None:
                closed.add(received.notification.subscription)
            for changes in received.notification.changes:
                handle = int(changes.handles.max(initial=0))
                if handle >= len(self._around.indices):
                    raise device_error(
                        self._around.device,
                        "reports a value that nobody asked for",
                        check="Tell the maker of the server.",
                        expert=f"client handle {handle} of {len(self._around.indices)}",
                    )
        return closed
