"""What an OPC UA server tells of alarms and events, as events of ours. Pure.

Theory (OPC 10000-9). A condition sends an event with its whole state whenever the state changes.
What changed is found by comparing with the state before: became active, returned, acknowledged,
or worse than it was. Repetitions say nothing new and are passed over, by the id that the server
gives to each event; so the same node may be heard twice, and a refresh costs nothing.

After a reconnect the server is asked to tell all conditions that are still of interest (5.5.7):
what begins between start and end of the refresh is compared like everything else, and an alarm
that we hold active and that the refresh does not name has returned while nobody listened.

A flood is bounded: so many events in ten seconds, and the rest is counted and told. What was not
told is not remembered either, so that a refresh after the flood brings it.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Annotated
from zlib import crc32

from pydantic import Field, field_validator

from connectors.opcua.nodes import NodeAddress, parse_node
from gateway.core.events import Event, Transition
from gateway.core.settings import Settings

SERVER_NODE = "i=2253"
"""The Server object: all events of a server can be heard there (OPC 10000-5, 8.3.2)."""
REFRESH_START = "i=2787"
REFRESH_END = "i=2788"
REFRESH_REQUIRED = "i=2789"
"""Event types of the refresh (OPC 10000-9, 5.11)."""
DROPPED = "events_dropped"
"""Condition of the event that tells how many were not taken."""
DROPPED_SEVERITY = 500
WINDOW_S = 10
EVENTS_SEEN_MAX = 4_096
"""Ids that are remembered to know repetitions, the newest."""
CONDITIONS_MAX = 10_000
"""Conditions whose state is remembered; beyond it each event is taken as it comes."""
TEXT_MAX = 500
NAME_MAX = 200
"""Characters of a server's words that are kept."""
SEVERITY_MIN, SEVERITY_MAX = 1, 1000
NS_APART = 1_000
"""Less than servers resolve."""
NS_PER_S = 1_000_000_000


class EventSettings(Settings):
    """Alarms and events that the server tells."""

    nodes: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)] = (SERVER_NODE,)
    """Whose events: objects of the server; `i=2253`, the server itself, tells all."""
    severity_min: Annotated[int, Field(ge=SEVERITY_MIN, le=SEVERITY_MAX)] = 1
    """Events below it are left out, unless they end an alarm that was told."""
    per_second_max: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most events in a second, over ten seconds; the rest is counted and told."""

    @field_validator("nodes")
    @classmethod
    def _check_nodes(cls, nodes: tuple[str, ...]) -> tuple[str, ...]:
        for node in nodes:
            parse_node(node)
        if len(set(nodes)) < len(nodes):
            raise ValueError("a node stands there twice")
        return nodes

    @property
    def addresses(self) -> tuple[NodeAddress, ...]:
        """The nodes, parsed."""
        return tuple(parse_node(node) for node in self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """An event as the server gave it; what it left out is empty, 0 or None."""

    handle: int
    """Which of the nodes told it: its position in the settings."""
    id: bytes
    """The server's own id of this event."""
    type: str
    """Node id of the event's type."""
    source: str
    """Name of what it happened to."""
    time_ns: int
    """When it happened, UTC; 0 is not said."""
    text: str
    severity: int
    """As given, also outside of 1 to 1000."""
    condition: str = ""
    """Name of the condition; empty for a plain event."""
    condition_id: str = ""
    """Node id of the condition's instance."""
    is_active: bool | None = None
    """None for what has no such state."""
    is_acknowledged: bool | None = None
    is_retained: bool | None = None
    """Whether the condition is still of interest."""
    is_branch: bool = False
    """Whether it speaks of an earlier state of the condition that still wants an answer."""
    operator: str = ""
    """Who changed the condition last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """The last that was told of a condition."""

    handles: frozenset[int]
    """The nodes that tell of it."""
    source: str
    condition: str
    is_active: bool
    is_acknowledged: bool | None
    severity: int
    text: str


class EventBook:
    """Turns a server's events into ours; lives as long as its connector."""

    def __init__(self, connector: str, settings: EventSettings) -> None:
        """Begin without a condition.

        Args:
            connector: Opens the source of each event.
            settings: What is left out.
        """
        self._connector = connector
        self._settings = settings
        self._told: dict[str, _Told] = {}
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._unnamed: dict[int, set[str]] = {}
        """In a refresh: what a node told before, and has not named yet."""
        self._window_begin_ns = 0
        self._window_count = 0
        self._flood_begin_ns = 0
        self._dropped_count = 0
        self.needs_refresh = False
        """Whether the server wants to be asked, or something was dropped."""

    def begin_session(self) -> None:
        """Forget a refresh that a lost session never ended."""
        self._unnamed.clear()
        self.needs_refresh = False

    def is_wanted(self, event: ServerEvent) -> bool:
        """Tell whether an event is worth looking up its type's name."""
        is_known = self._key(event) in self._told
        return is_known or max(event.severity, SEVERITY_MIN) >= self._settings.severity_min

    def take(
        self, event: ServerEvent, *, type_name: str, received_ns: int, monotonic_ns: int
    ) -> tuple[Event, ...]:
        """Return what an event means; nothing for a repetition, or in a flood.

        Args:
            event: The server's.
            type_name: Browse name of its type; empty is not known.
            received_ns: When it came, UTC.
            monotonic_ns: The same, for the rate.
        """
        if event.type == REFRESH_START:
            self._unnamed[event.handle] = {
                key for key, told in self._told.items() if event.handle in told.handles
            }
        elif event.type == REFRESH_END:
            return self._end_refresh(event.handle, received_ns)
        elif event.type == REFRESH_REQUIRED:
            self.needs_refresh = True
        else:
            return self._compare(event, type_name, received_ns, monotonic_ns)
        return ()

    def report_flood(self, *, now_ns: int, monotonic_ns: int) -> Event | None:
        """Return what tells of dropped events, once their ten seconds are over; else None."""
        is_over = monotonic_ns - self._flood_begin_ns >= WINDOW_S * NS_PER_S
        if not self._dropped_count or not is_over:
            return None
        count, self._dropped_count = self._dropped_count, 0
        self.needs_refresh = True
        return Event(
            time_ns=now_ns,
            source=self._connector,
            condition=DROPPED,
            severity=DROPPED_SEVERITY,
            text=f"{self._connector}: {count} events of the server were not taken: more than "
            f"{self._settings.per_second_max} a second over {WINDOW_S} s",
        )

    def _compare(
        self, event: ServerEvent, type_name: str, received_ns: int, monotonic_ns: int
    ) -> tuple[Event, ...]:
        """Return what is new in an event, and remember it."""
        key = self._key(event)
        self._unnamed.get(event.handle, set()).discard(key)
        told = self._told.get(key)
        if told is not None and event.handle not in told.handles:
            told = replace(told, handles=told.handles | {event.handle})
            self._told[key] = told
        if event.id in self._seen or (told is None and not self.is_wanted(event)):
            return ()
        severity = min(max(event.severity, SEVERITY_MIN), SEVERITY_MAX)
        condition = condition_name(event.condition or type_name or "event")
        text = event.text.strip()[:TEXT_MAX] or event.condition or type_name or condition
        transition = _transition(event, told, severity=severity, text=text)
        if told is not None and _is_repetition(event, told, severity=severity, text=text):
            return ()
        if not self._has_room(monotonic_ns):
            return ()
        if event.id:
            self._seen[event.id] = None
            if len(self._seen) > EVENTS_SEEN_MAX:
                self._seen.popitem(last=False)
        name = event.source.strip()[:NAME_MAX]
        source = f"{self._connector}/{name}" if name else self._connector
        ours = Event(
            time_ns=_distinct_ns(event, transition, received_ns),
            source=source,
            condition=condition,
            severity=severity,
            transition=transition,
            text=_with_operator(event, transition, text),
        )
        self._remember(key, event, replace(ours, text=text))
        return (ours,)

    def _remember(self, key: str, event: ServerEvent, ours: Event) -> None:
        """Keep the state of a condition as long as there is something to say about it."""
        if event.is_branch or (
            event.is_active is None and ours.transition is not Transition.RETURNED
        ):
            return
        if event.is_active is None or (not event.is_active and event.is_acknowledged is not False):
            self._told.pop(key, None)
        elif key in self._told or len(self._told) < CONDITIONS_MAX:
            told = self._told.get(key)
            self._told[key] = _Told(
                handles=told.handles if told is not None else frozenset({event.handle}),
                source=ours.source,
                condition=ours.condition,
                is_active=event.is_active,
                is_acknowledged=event.is_acknowledged,
                severity=ours.severity,
                text=ours.text,
            )

    def _end_refresh(self, handle: int, received_ns: int) -> tuple[Event, ...]:
        """Return what ended while nobody listened: active with us, and not named any more."""
        events = []
        for key in sorted(self._unnamed.pop(handle, set()) & self._told.keys()):
            told = self._told.pop(key)
            if told.is_active:
                text = f"{told.text} (no longer active; found when the server was asked again)"
                events.append(
                    Event(
                        time_ns=received_ns,
                        source=told.source,
                        condition=told.condition,
                        severity=told.severity,
                        transition=Transition.RETURNED,
                        text=text,
                    )
                )
        return tuple(events)

    def _has_room(self, monotonic_ns: int) -> bool:
        """Count an event against the rate; a drop is counted as well."""
        if monotonic_ns - self._window_begin_ns >= WINDOW_S * NS_PER_S:
            self._window_begin_ns, self._window_count = monotonic_ns, 0
        if self._window_count >= WINDOW_S * self._settings.per_second_max:
            if not self._dropped_count:
                self._flood_begin_ns = monotonic_ns
            self._dropped_count += 1
            return False
        self._window_count += 1
        return True

    @staticmethod
    def _key(event: ServerEvent) -> str:
        return event.condition_id or f"{event.source}\0{event.condition or event.type}"


def condition_name(name: str) -> str:
    """Return a name in our way of writing: `Level High` and `LevelHighType` are `level_high`."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.removesuffix("Type"))
    return re.sub(r"\W+", "_", name).strip("_").lower()[:NAME_MAX] or "event"


def _distinct_ns(event: ServerEvent, transition: Transition, received_ns: int) -> int:
    """Return the time of an event.

    Plain events of one kind may share a millisecond, and their time is all that tells them apart:
    they are put some nanoseconds, always the same ones, behind it.
    """
    time_ns = event.time_ns or received_ns
    return time_ns + crc32(event.id) % NS_APART if transition is Transition.NOTED else time_ns


def _with_operator(event: ServerEvent, transition: Transition, text: str) -> str:
    """Return the text, with who acknowledged: not our operator, whose acts are done again."""
    is_named = transition is Transition.ACKNOWLEDGED and event.operator
    return f"{text} (acknowledged by {event.operator[:NAME_MAX]})" if is_named else text


def _is_repetition(event: ServerEvent, told: _Told, *, severity: int, text: str) -> bool:
    """Tell whether an event says what is known, under a new id.

    A refresh does that, and servers that send an event for each of several states of a condition
    that changed together.
    """
    return (event.is_active, event.is_acknowledged, severity, text) == (
        told.is_active,
        told.is_acknowledged,
        told.severity,
        told.text,
    )


def _transition(event: ServerEvent, told: _Told | None, *, severity: int, text: str) -> Transition:
    """Return what an event does to the state of its condition."""
    was_active = told is not None and told.is_active
    if event.is_branch:
        return Transition.NOTED
    if event.is_active is None:
        # A condition that is switched off has no such state any more (OPC 10000-9, 5.5.2).
        is_off = was_active and event.is_retained is False
        return Transition.RETURNED if is_off else Transition.NOTED
    if event.is_active and not was_active:
        return Transition.RAISED
    # One that nobody here knows and that is over has been told before a restart of ours.
    if not event.is_active and (was_active or told is None):
        return Transition.RETURNED
    assert told is not None
    if event.is_acknowledged and told.is_acknowledged is False:
        return Transition.ACKNOWLEDGED
    is_other = (severity, text) != (told.severity, told.text)
    return Transition.RAISED if event.is_active and is_other else Transition.NOTED
