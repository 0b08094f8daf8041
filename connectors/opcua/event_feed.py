"""Brings a server's events to the sink: an own subscription, and a book over all sessions."""

from collections import deque
from collections.abc import Callable

import structlog

from connectors.opcua.client import Received
from connectors.opcua.event_link import EventLink
from connectors.opcua.events import EventBook, EventSettings, ServerEvent
from connectors.opcua.session import Subscription
from gateway.core.errors import DeviceError
from gateway.core.events import Event
from gateway.core.ports import Clock
from gateway.core.quality import Status

REFUSED = "events_refused"
"""Condition of the event that tells which nodes are not heard."""
REFUSED_SEVERITY = 400
TYPE_NAMES_MAX = 1000
NS_PER_S = 1_000_000_000

log = structlog.get_logger()


class EventFeed:
    """Hears the events of one server; lives as long as its connector."""

    def __init__(
        self,
        name: str,
        settings: EventSettings,
        *,
        publishing_ms: float,
        keep_alive_s: float,
        clock: Clock,
    ) -> None:
        """Begin without a session.

        Args:
            name: Of the connector.
            settings: Whose events, and which.
            publishing_ms: How often the server tells.
            keep_alive_s: How often it says that it is there.
            clock: Time.
        """
        self._name = name
        self._settings = settings
        self._publishing_ms = publishing_ms
        self._keep_alive_s = keep_alive_s
        self._clock = clock
        self._book = EventBook(name, settings)
        self._names: dict[str, str] = {}
        self._pending: deque[tuple[ServerEvent, Received]] = deque()
        self._link: EventLink | None = None
        self._subscription: Subscription | None = None
        self._note: Callable[[Event], None] = _unheard
        self._heard_since_ns = 0

    @property
    def subscription_id(self) -> int | None:
        """The subscription of this session; None when there is none."""
        return None if self._subscription is None else self._subscription.id

    async def start(self, link: EventLink, note: Callable[[Event], None]) -> Subscription | None:
        """Subscribe in a new session, and ask for what is active.

        Returns:
            The subscription; None when the server tells no events: its values go on.
        Raises:
            DeviceError: the connection is lost.
        """
        self._link, self._note, self._subscription = link, note, None
        self._book.begin_session()
        try:
            subscription = await link.subscribe(
                publishing_ms=self._publishing_ms, keep_alive_s=self._keep_alive_s
            )
            if subscription is None:
                self._refused("all nodes", "no room for a subscription")
                return None
            codes = await link.watch_events(subscription, self._settings.addresses)
        except DeviceError as error:
            # Were the connection lost, the values' own subscription would say so.
            self._refused("all nodes", str(error).partition("\n")[2])
            return None
        for node, code in zip(self._settings.nodes, codes, strict=True):
            if code >= Status.BAD:
                self._refused(node, f"status 0x{code:08X}")
        self._subscription = subscription
        self._heard_since_ns = self._clock.monotonic_ns()
        await self._refresh()
        return subscription

    def has_rested(self, rest_s: float) -> bool:
        """Return whether the subscription stood for so long."""
        return self._clock.monotonic_ns() - self._heard_since_ns >= rest_s * NS_PER_S

    def give_up(self) -> None:
        """Hear nothing more in this session: the server keeps ending the subscription."""
        self._subscription = None
        self._refused("all nodes", "it keeps ending the subscription")

    def take(self, received: Received) -> None:
        """Keep the events of a notification until `flush`."""
        self._pending += (
            (event, received)
            for event in received.notification.events
            if event.handle < len(self._settings.nodes)
        )

    async def flush(self) -> None:
        """Tell what was taken.

        Raises:
            DeviceError: the connection is lost.
        """
        while self._pending:
            event, received = self._pending[0]
            # When the connection breaks here, it waits for the next session.
            type_name = await self._type_name(event)
            self._pending.popleft()
            told = self._book.take(
                event,
                type_name=type_name,
                received_ns=received.received_ns,
                monotonic_ns=received.arrival_ns,
            )
            for each in told:
                self._note(each)
        flood = self._book.report_flood(
            now_ns=self._clock.now_ns(), monotonic_ns=self._clock.monotonic_ns()
        )
        if flood is not None:
            self._note(flood)
            log.warning("events_dropped", device=self._name, reason=flood.text, stage="receiving")
        if self._book.needs_refresh:
            await self._refresh()

    async def _refresh(self) -> None:
        """Ask for all conditions of interest; servers without conditions refuse, which is fine."""
        self._book.needs_refresh = False
        assert self._link is not None
        if self._subscription is None:
            return
        code = await self._link.refresh_conditions(self._subscription)
        if code >= Status.BAD:
            log.info("conditions_not_refreshed", device=self._name, status=f"0x{code:08X}")

    async def _type_name(self, event: ServerEvent) -> str:
        """Return the name of an event's type where one is needed."""
        if event.condition or not event.type or not self._book.is_wanted(event):
            return ""
        if event.type not in self._names and len(self._names) < TYPE_NAMES_MAX:
            assert self._link is not None
            self._names[event.type] = await self._link.name_of_type(event.type)
        return self._names.get(event.type, "")

    def _refused(self, what: str, expert: str) -> None:
        self._note(
            Event(
                time_ns=self._clock.now_ns(),
                source=self._name,
                condition=REFUSED,
                severity=REFUSED_SEVERITY,
                text=f"{self._name}: the server tells no events of {what} ({expert}): check "
                "`nodes` and the rights of the gateway's user",
            )
        )
        log.warning("events_refused", device=self._name, node=what, reason=expert)


def _unheard(_: Event) -> None:
    """Stand in for the sink before the first session."""
