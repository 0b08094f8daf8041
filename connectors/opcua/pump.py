"""Keeps publish requests with the server, and what they brought until it is taken.

The server answers a publish request when there is something to say; so there is always one with
it, and one more on the way. Notifications wait in a bounded inbox: when it is full, no request is
sent until it is emptied, and the server's own queues hold the values (they say so when they
overflow, in the status of the value). Silence counts for each subscription from its last message,
and only while the server could have spoken. When one is silent while another speaks, it alone is
lost, and the session stands.

The messages of a subscription are numbered (OPC 10000-4, 5.14.1.1: from 1, a keep-alive bears the
number of the next message). One that is skipped is asked for again before those behind it are
handed on; when the server does not have it any more, the subscription counts as lost. A server
that does so again within `TRUST_S` numbers its messages otherwise, and is no longer followed.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

import structlog

from connectors.messages import device_error
from connectors.opcua.client import Received
from connectors.opcua.session import NoSubscriptionError, Subscription, UaLink
from gateway.core.ports import Clock

REQUESTS = 2
INBOX_MAX = 8
REPUBLISHED_MAX = 50
"""More messages at once are not asked for again: the subscription counts as lost."""
TRUST_S = 600.0
SETTLE_S = 0.1
"""After the server confirmed the end, its last words are here or nowhere."""
SEQUENCE_MAX = 2**32 - 1
NS_PER_S = 1_000_000_000

log = structlog.get_logger()


@dataclass(slots=True)
class _Watched:
    """What the pump knows of one subscription."""

    limit_ns: int
    """Longest silence."""
    heard_ns: int
    """Last message, or when it could speak again; on the monotonic clock."""
    next_sequence: int = 1
    is_lost: bool = False


class PublishPump:
    """Runs from entering until leaving its context."""

    def __init__(self, link: UaLink, *, device: str, silence_s_max: float, clock: Clock) -> None:
        """Begin without a subscription."""
        self._link = link
        self._device = device
        self._silence_s_max = silence_s_max
        self._clock = clock
        self._watched: dict[int, _Watched] = {}
        self._heard_ns: int | None = None
        self._inbox: deque[Received] = deque()
        self._seen: list[tuple[int, int]] = []
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._has_subscription = asyncio.Event()
        self._sorting = asyncio.Lock()
        self._is_stopping = False
        self._unfetched_ns: int | None = None
        self._trusts_numbers = True
        self._askers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Return itself; requests begin with the first subscription."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all requests."""
        for asker in self._askers:
            asker.cancel()
        await asyncio.gather(*self._askers, return_exceptions=True)

    @property
    def subscriptions(self) -> tuple[int, ...]:
        """Those it listens to."""
        return tuple(self._watched)

    @property
    def lost(self) -> tuple[int, ...]:
        """Those that were lost while the session stands; `forget` them."""
        return tuple(number for number, each in self._watched.items() if each.is_lost)

    def listen(self, subscription: Subscription) -> None:
        """Expect messages of a subscription from now on."""
        silence_s = max(self._silence_s_max, 2 * subscription.keep_alive_s)
        self._watched[subscription.id] = _Watched(limit_ns=round(silence_s * NS_PER_S), heard_ns=0)
        self._restart_silence()
        self._has_subscription.set()
        if not self._askers:
            for number in range(REQUESTS):
                asker = asyncio.create_task(self._ask(), name=f"publish[{number}]")
                asker.add_done_callback(lambda _: self._has_news.set())
                self._askers.append(asker)

    def forget(self, subscription: int) -> None:
        """Expect nothing more of a subscription."""
        self._watched.pop(subscription, None)

    def wake(self) -> None:
        """Let `more` return."""
        self._has_news.set()

    def take(self) -> list[Received]:
        """Return what came since the last call, in its order."""
        taken = list(self._inbox)
        self._inbox.clear()
        self._has_news.clear()
        if not self._has_room.is_set():
            self._has_room.set()
            self._restart_silence()
        return taken

    async def more(self, *, wait_s: float) -> None:
        """Return when there is something to take, a subscription is lost, or after a time.

        Raises:
            DeviceError: all that came was taken, and the server is silent or ended the session.
        """
        if self._inbox or self.lost:
            return
        self._raise_failure()
        if not self._watched:
            await asyncio.sleep(wait_s)  # the server gave no subscription: all is polled
            return
        silence_s = (self._deadline_ns() - self._clock.monotonic_ns()) / NS_PER_S
        try:
            async with asyncio.timeout(min(wait_s, max(silence_s, 0))):
                await self._has_news.wait()
        except TimeoutError:
            if not self._inbox and silence_s <= wait_s:
                self._note_silence()
        if not self._inbox and not self.lost:
            self._raise_failure()

    async def stop(self) -> None:
        """Delete the subscriptions; what the server sent before is in the inbox then.

        Raises:
            DeviceError: no answer; the inbox holds what came so far.
        """
        self._is_stopping = True
        self._has_room.set()
        self._has_subscription.set()
        if self._watched:
            await self._link.unsubscribe(self.subscriptions)
            await asyncio.wait(self._askers, timeout=SETTLE_S)

    async def _ask(self) -> None:
        """Send one publish request after the other."""
        while not self._is_stopping:
            if not self._has_room.is_set() or not self._has_subscription.is_set():
                await self._has_room.wait()
                await self._has_subscription.wait()
                continue
            seen, self._seen = self._seen, []
            try:
                received = await self._link.next_notification(seen)
            except NoSubscriptionError:
                self._lose_all()
                continue
            if received is None:
                return  # the server takes fewer requests: the other one goes on
            # One at a time, in the order of their arrival: one may wait for those skipped.
            async with self._sorting:
                await self._sort_in(received)

    async def _sort_in(self, received: Received) -> None:
        """Put a message into the inbox, behind those that were skipped before it."""
        message = received.notification
        watched = self._watched.get(message.subscription)
        if watched is not None:
            skipped = (message.sequence - watched.next_sequence) % SEQUENCE_MAX
            # Half the circle and more is a number of the past, of a server that counts otherwise.
            if self._trusts_numbers and 0 < skipped < SEQUENCE_MAX // 2:
                await self._fetch_skipped(message.subscription, watched, skipped)
            if not message.is_keep_alive:
                watched.next_sequence = message.sequence % SEQUENCE_MAX + 1
            watched.heard_ns = received.arrival_ns
        self._heard_ns = received.received_ns
        if not message.is_keep_alive:
            self._seen.append((message.subscription, message.sequence))
        self._put(received)

    async def _fetch_skipped(self, subscription: int, watched: _Watched, count: int) -> None:
        """Ask again for messages that did not come."""
        fetched = 0
        while fetched < min(count, REPUBLISHED_MAX):
            sequence = watched.next_sequence
            message = await self._link.republish(subscription, sequence)
            if message is None:
                break
            self._seen.append((subscription, sequence))
            watched.next_sequence = sequence % SEQUENCE_MAX + 1
            self._put(
                Received(
                    notification=message,
                    received_ns=self._clock.now_ns(),
                    arrival_ns=self._clock.monotonic_ns(),
                )
            )
            fetched += 1
        if fetched < count:
            now_ns, before_ns = self._clock.monotonic_ns(), self._unfetched_ns
            self._trusts_numbers = before_ns is None or now_ns - before_ns > TRUST_S * NS_PER_S
            self._unfetched_ns = now_ns
            watched.is_lost |= self._trusts_numbers
        log.warning(
            "notifications_skipped",
            device=self._device,
            subscription=subscription,
            skipped=count,
            fetched=fetched,
            trusts_numbers=self._trusts_numbers,
            stage="receiving",
        )

    def _put(self, received: Received) -> None:
        self._inbox.append(received)
        if len(self._inbox) >= INBOX_MAX:
            self._has_room.clear()
        self._has_news.set()

    def _lose_all(self) -> None:
        self._has_subscription.clear()
        if self._is_stopping:
            return
        for watched in self._watched.values():
            watched.is_lost = True
        self._has_news.set()

    def _deadline_ns(self) -> int:
        """Return when the first subscription has been silent for too long."""
        return min(each.heard_ns + each.limit_ns for each in self._watched.values())

    def _restart_silence(self) -> None:
        """Count silence from now on: until now the server could not have spoken."""
        now_ns = self._clock.monotonic_ns()
        for watched in self._watched.values():
            watched.heard_ns = now_ns

    def _raise_failure(self) -> None:
        """Raise what ended a request, if anything did."""
        for asker in self._askers:
            if asker.done():
                asker.result()

    def _note_silence(self) -> None:
        """Find out whether a subscription alone is silent, or the server.

        Raises:
            DeviceError: the server said nothing else either.
        """
        now_ns = self._clock.monotonic_ns()
        for number, watched in self._watched.items():
            if now_ns - watched.heard_ns < watched.limit_ns:
                continue
            # The server spoke long after this one fell silent: the connection is sound.
            spoke_ns = max(each.heard_ns for each in self._watched.values())
            if spoke_ns - watched.heard_ns < watched.limit_ns / 2:
                self._raise_silence(number, watched)
            watched.is_lost = True

    def _raise_silence(self, subscription: int, watched: _Watched) -> NoReturn:
        """Raise that the server has been silent for too long."""
        raise device_error(
            self._device,
            f"has said nothing for {watched.limit_ns / NS_PER_S:g} s, no keep-alive either",
            check="Check its load and the network to it.",
            expert=f"subscription {subscription}, {len(self._askers)} publish requests waiting",
            since_ns=self._heard_ns,
        )
