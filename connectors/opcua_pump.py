"""Keeps publish requests with the server, and what they brought until it is taken.

The server answers a publish request when there is something to say; so there is always one with
it, and one more on the way. Notifications wait in a bounded inbox: when it is full, no request is
sent until it is emptied, and the server's own queues hold the values (they say so when they
overflow, in the status of the value). Silence counts for each subscription from its last message,
and only while the server could have spoken.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import NoReturn, Self

from connectors.messages import device_error
from connectors.opcua_client import Received
from connectors.opcua_session import Subscription, UaLink
from gateway.core.ports import Clock

REQUESTS = 2
INBOX_MAX = 8
SETTLE_S = 0.1
"""After the server confirmed the end, its last words are here or nowhere."""
NS_PER_S = 1_000_000_000


class PublishPump:
    """Runs from entering until leaving its context."""

    def __init__(self, link: UaLink, *, device: str, silence_s_max: float, clock: Clock) -> None:
        """Begin without a subscription."""
        self._link = link
        self._device = device
        self._silence_s_max = silence_s_max
        self._clock = clock
        self._deadlines_ns: dict[int, int] = {}
        self._limits_ns: dict[int, int] = {}
        self._heard_ns: int | None = None
        self._inbox: deque[Received] = deque()
        self._seen: list[tuple[int, int]] = []
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_stopping = False
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
        return tuple(self._limits_ns)

    def listen(self, subscription: Subscription) -> None:
        """Expect messages of a subscription from now on."""
        silence_s = max(self._silence_s_max, 2 * subscription.keep_alive_s)
        self._limits_ns[subscription.id] = round(silence_s * NS_PER_S)
        self._restart_silence()
        if not self._askers:
            for number in range(REQUESTS):
                asker = asyncio.create_task(self._ask(), name=f"publish[{number}]")
                asker.add_done_callback(lambda _: self._has_news.set())
                self._askers.append(asker)

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
        """Return when there is something to take, or after a time.

        Raises:
            DeviceError: all that came was taken, and the server is silent or ended the session.
        """
        if self._inbox:
            return
        self._raise_failure()
        if not self._deadlines_ns:
            await asyncio.sleep(wait_s)  # the server gave no subscription: all is polled
            return
        now_ns = self._clock.monotonic_ns()
        silence_s = (min(self._deadlines_ns.values()) - now_ns) / NS_PER_S
        try:
            async with asyncio.timeout(min(wait_s, max(silence_s, 0))):
                await self._has_news.wait()
        except TimeoutError:
            if not self._inbox and silence_s <= wait_s:
                self._raise_silence()
        if not self._inbox:
            self._raise_failure()

    async def stop(self) -> None:
        """Delete the subscriptions; what the server sent before is in the inbox then.

        Raises:
            DeviceError: no answer; the inbox holds what came so far.
        """
        self._is_stopping = True
        self._has_room.set()
        if self._limits_ns:
            await self._link.unsubscribe(self.subscriptions)
            await asyncio.wait(self._askers, timeout=SETTLE_S)

    async def _ask(self) -> None:
        """Send one publish request after the other."""
        while not self._is_stopping:
            if not self._has_room.is_set():
                await self._has_room.wait()
                continue
            seen, self._seen = self._seen, []
            received = await self._link.next_notification(seen)
            if received is None:
                return  # the server takes fewer requests: the other one goes on
            message = received.notification
            if not message.is_keep_alive:
                self._seen.append((message.subscription, message.sequence))
            self._heard(message.subscription, received)
            self._inbox.append(received)
            if len(self._inbox) >= INBOX_MAX:
                self._has_room.clear()
            self._has_news.set()

    def _heard(self, subscription: int, received: Received) -> None:
        self._heard_ns = received.received_ns
        limit_ns = self._limits_ns.get(subscription)
        if limit_ns is not None:
            self._deadlines_ns[subscription] = received.arrival_ns + limit_ns

    def _restart_silence(self) -> None:
        """Count silence from now on: until now the server could not have spoken."""
        now_ns = self._clock.monotonic_ns()
        self._deadlines_ns = {
            subscription: now_ns + limit_ns for subscription, limit_ns in self._limits_ns.items()
        }

    def _raise_failure(self) -> None:
        """Raise what ended a request, if anything did."""
        for asker in self._askers:
            if asker.done():
                asker.result()

    def _raise_silence(self) -> NoReturn:
        """Raise that a subscription has been silent for too long."""
        subscription = min(self._deadlines_ns, key=self._deadlines_ns.__getitem__)
        limit_s = self._limits_ns[subscription] / NS_PER_S
        raise device_error(
            self._device,
            f"has said nothing for {limit_s:g} s, no keep-alive either",
            check="Check its load and the network to it.",
            expert=f"subscription {subscription}, {len(self._askers)} publish requests waiting",
            since_ns=self._heard_ns,
        )
