"""Alarms: limits on any tag, with the states that ISA-18.2 gives them.

Theory. Every alarm watches one tag, measured or derived. The numerics are in
`analytics.comparators`; here the switches become states and events. Time is the data's: the
delays of an alarm run on the newest source time of its connector or asset (the part of the tag's
id before the first dot), so that an alarm on a tag that no longer changes still comes up while
its neighbours move, and a clock that is wrong in one device touches no other. Shelving, which a
person asks for by the wall clock, ends by the receive times of the frames.

Bad values neither raise nor clear. Late samples are ignored, and a source time far ahead of its
receipt is not believed (`analytics.instants`). When a sample bears an older time than its tag's
newest one but was received after that time, the source's clock was set back: all that is
remembered in that clock's time moves with it, so that delays go on.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Final, Protocol

import numpy as np
from pydantic import TypeAdapter

from analytics.alarm_wiring import AlarmWiring
from analytics.comparators import Comparators, PositionArray, Switch
from analytics.instants import NEVER_NS, believed_ns
from analytics.limits import AlarmLimit
from gateway.core.alarms import Alarm, AlarmId, AlarmState
from gateway.core.arrays import FloatArray, TimeArray, rebased
from gateway.core.errors import CommandError, ConfigError
from gateway.core.events import Event, Evidence, Transition
from gateway.core.frame import Frame, Origin
from gateway.core.quality import is_bad
from gateway.core.tags import TagId, TagTable

_SAYS: Final = {
    Transition.RAISED: "raised",
    Transition.RETURNED: "back to normal",
    Transition.ACKNOWLEDGED: "acknowledged",
    Transition.SHELVED: "shelved",
    Transition.UNSHELVED: "no longer shelved",
}
_WORST_FIRST: Final = (
    AlarmState.UNACKNOWLEDGED,
    AlarmState.ACKNOWLEDGED,
    AlarmState.RETURNED,
    AlarmState.SHELVED,
)


class Reasons(Protocol):
    """Whoever can say why a derived tag has its value, such as an anomaly detector."""

    def evidence(self, tag: TagId) -> tuple[Evidence, ...]:
        """Return the reasons, the weightiest first; empty for a tag it knows nothing of."""


class Adviser(Protocol):
    """Whoever can say what a computed tag's value may mean, such as a twin."""

    def advice(self, tag: TagId) -> str:
        """Return what to check, for a person; empty for a tag it knows nothing of."""


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What one alarm remembers beyond its comparator."""

    state: AlarmState = AlarmState.NORMAL
    raised_ns: int | None = None
    onset_ns: int | None = None
    shelved_until_ns: int | None = None
    evidence: tuple[Evidence, ...] = ()
    text: str = ""
    """What held when it was raised, and what to check."""


_STANDING_CODEC: Final = TypeAdapter(list[_Standing])

_REMEMBERED: Final = (
    "is_on",
    "is_beyond",
    "is_known",
    "since_ns",
    "resumed_ns",
    "newest_ns",
    "value",
)
"""The arrays of `Comparators` that change."""


class LimitAlarms:
    """Every alarm of the gateway; implements the port `AlarmBoard`."""

    def __init__(
        self,
        limits: Sequence[AlarmLimit],
        *,
        reasons: Sequence[Reasons] = (),
        advisers: Sequence[Adviser] = (),
    ) -> None:
        """Begin with every alarm normal.

        Args:
            limits: The alarms, each id once.
            reasons: Asked for evidence when an alarm is raised.
            advisers: Asked what to check then; the first that knows replaces the limit's advice.
        Raises:
            ConfigError: two alarms have the same source and name.
        """
        self._limits = tuple(limits)
        self._position = {limit.id: k for k, limit in enumerate(self._limits)}
        if len(self._position) != len(self._limits):
            ids = [limit.id for limit in self._limits]
            raise ConfigError(*(f"alarm {i}: defined twice" for i in sorted(_repeated(ids))))
        self._reasons = tuple(reasons)
        self._advisers = tuple(advisers)
        self._standing = [_Standing() for _ in self._limits]
        self._comparators = _comparators(self._limits)
        sources = sorted({_clock_of(limit.tag) for limit in self._limits})
        self._clocks = {name: k for k, name in enumerate(sources)}
        self._clock = np.array([self._clocks[_clock_of(limit.tag)] for limit in limits], np.intp)
        self._now_ns: TimeArray = np.full(len(sources), NEVER_NS, dtype=np.int64)
        self._units = [""] * len(self._limits)
        self._wiring: AlarmWiring | None = None

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions.

        Raises:
            ConfigError: the table lacks tags that alarms watch; names every one.
        """
        missing = [limit for limit in self._limits if limit.tag not in table]
        if missing:
            raise ConfigError(*(f"alarm {x.id}: there is no tag {x.tag!r}" for x in missing))
        tags = table.indices([limit.tag for limit in self._limits])
        clock_of_tag = [self._clocks.get(_clock_of(tag.id), -1) for tag in table.tags]
        self._wiring = AlarmWiring.build(tags, np.array(clock_of_tag, np.intp))
        self._units = [table.tags[index].unit for index in tags]

    def update(self, frame: Frame) -> tuple[Event, ...]:
        """Take in a frame of any tags and return the transitions it caused, in order of time."""
        assert self._wiring is not None, "bind comes first"
        if not self._limits or not len(frame):
            return ()
        time_ns = believed_ns(frame.time_ns, received_ns=frame.received_ns)
        bad = is_bad(frame.status) | np.isnan(frame.value)
        sample, position = self._wiring.watching(frame.tag_index)
        if frame.origin is not Origin.HISTORICAL and len(sample):
            seen = ~bad[sample]
            self._follow_set_back(
                position[seen], time_ns[sample[seen]], received_ns=frame.received_ns
            )
        clock = self._wiring.clock_of_tag[frame.tag_index]
        ticks = (clock >= 0) & ~bad
        if ticks.any():
            np.maximum.at(self._now_ns, clock[ticks], time_ns[ticks])
        now_ns = self._now_ns[self._clock]
        switches: list[Switch] = []
        if len(sample):
            # A Bad edge that the gateway states bears the gateway's clock, not the device's.
            seen_ns = np.where(
                bad[sample], np.minimum(time_ns[sample], now_ns[position]), time_ns[sample]
            )
            switches = self._comparators.feed(position, seen_ns, frame.value[sample], bad[sample])
        switches += self._comparators.advance(now_ns)
        events = [event for switch in switches for event in self._switched(switch)]
        events += self._expired(frame.received_ns)
        return tuple(sorted(events, key=lambda event: event.time_ns))

    def alarms(self) -> tuple[Alarm, ...]:
        """Return every alarm that is not normal, worst first."""
        found = [self._alarm(k) for k in range(len(self._limits))]
        standing = [alarm for alarm in found if alarm.state is not AlarmState.NORMAL]
        standing.sort(key=lambda alarm: (_WORST_FIRST.index(alarm.state), -alarm.severity))
        return tuple(standing)

    def acknowledge(self, alarm: AlarmId, *, time_ns: int, operator: str) -> Event:
        """Note that a person has seen it.

        Raises:
            CommandError: there is no such alarm, or nothing to acknowledge.
        """
        position = self._known(alarm)
        standing = self._standing[position]
        if standing.state is AlarmState.UNACKNOWLEDGED:
            standing.state = AlarmState.ACKNOWLEDGED
        elif standing.state is AlarmState.RETURNED:
            standing.state = AlarmState.NORMAL
        else:
            raise CommandError(f"alarm {alarm} is {standing.state}: nothing to acknowledge")
        return self._event(position, Transition.ACKNOWLEDGED, time_ns, operator=operator)

    def shelve(self, alarm: AlarmId, *, time_ns: int, until_ns: int, operator: str) -> Event:
        """Silence it until a time, whatever its condition does meanwhile.

        Raises:
            CommandError: there is no such alarm, or the time is not ahead.
        """
        position = self._known(alarm)
        if until_ns <= time_ns:
            raise CommandError(f"alarm {alarm}: the time to shelve it until is not ahead")
        standing = self._standing[position]
        standing.state, standing.shelved_until_ns = AlarmState.SHELVED, until_ns
        event = self._event(position, Transition.SHELVED, time_ns, operator=operator)
        return replace(event, until_ns=until_ns)

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set.

        What was told stays: when an alarm was raised, and its onset.
        """
        self._now_ns = rebased(self._now_ns, shift_ns)
        self._comparators.rebase(shift_ns)
        for standing in self._standing:
            if standing.shelved_until_ns is not None:
                standing.shelved_until_ns += shift_ns

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""
        comparators = self._comparators
        content = {
            "limits": self._fingerprints(),
            "now_ns": {name: int(self._now_ns[k]) for name, k in self._clocks.items()},
            "comparators": {name: getattr(comparators, name).tolist() for name in _REMEMBERED},
            "standing": _STANDING_CODEC.dump_python(self._standing, mode="json"),
        }
        return json.dumps(content).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; an alarm whose limit is new or has changed begins anew.

        Raises:
            ValueError: another version made it; the state is unchanged.
        """
        content = json.loads(checkpoint)
        if "limits" not in content:
            raise ValueError("the checkpoint of the alarms is of another version")
        before = {digest: k for k, digest in enumerate(content["limits"])}
        pairs = [(k, before.get(digest)) for k, digest in enumerate(self._fingerprints())]
        old = [there for _, there in pairs if there is not None]
        kept = [here for here, there in pairs if there is not None]
        for name, k in self._clocks.items():
            self._now_ns[k] = content["now_ns"].get(name, self._now_ns[k])
        for name in _REMEMBERED:
            remembered = getattr(self._comparators, name)
            remembered[kept] = np.array(content["comparators"][name], dtype=remembered.dtype)[old]
        standing = _STANDING_CODEC.validate_python(content["standing"])
        for here, there in zip(kept, old, strict=True):
            self._standing[here] = standing[there]

    def _follow_set_back(
        self, position: PositionArray, time_ns: TimeArray, *, received_ns: int
    ) -> None:
        """Move what is remembered of clocks that were set back, so that good samples are new."""
        back_ns = self._comparators.set_back_ns(position, time_ns, received_ns=received_ns)
        if back_ns.any():
            shift_ns = np.zeros(len(self._now_ns), dtype=np.int64)
            np.minimum.at(shift_ns, self._clock[position], back_ns)
            self._now_ns = rebased(self._now_ns, shift_ns)
            self._comparators.rebase(shift_ns[self._clock])

    def _switched(self, switch: Switch) -> tuple[Event, ...]:
        """Carry a comparator's switch into the state of its alarm."""
        k, standing = switch.position, self._standing[switch.position]
        if switch.is_on:
            standing.raised_ns, standing.onset_ns = switch.time_ns, switch.onset_ns
            standing.evidence = self._evidence(k, switch.value)
            standing.text = self._text(k)
        if standing.state is AlarmState.SHELVED:
            return ()
        if switch.is_on:
            standing.state = AlarmState.UNACKNOWLEDGED
            return (self._raised(k, switch.time_ns),)
        is_seen = standing.state is AlarmState.ACKNOWLEDGED
        standing.state = AlarmState.NORMAL if is_seen else AlarmState.RETURNED
        return (self._event(k, Transition.RETURNED, switch.time_ns),)

    def _expired(self, received_ns: int) -> list[Event]:
        """Return the events of shelved alarms whose time is over."""
        events: list[Event] = []
        for k, standing in enumerate(self._standing):
            until_ns = standing.shelved_until_ns
            if until_ns is not None and until_ns <= received_ns:
                events += self._unshelved(k, until_ns)
        return events

    def _unshelved(self, position: int, time_ns: int) -> tuple[Event, ...]:
        standing = self._standing[position]
        standing.shelved_until_ns = None
        back = self._event(position, Transition.UNSHELVED, time_ns)
        if not self._comparators.is_on[position]:
            standing.state = AlarmState.NORMAL
            return (back,)
        standing.state = AlarmState.UNACKNOWLEDGED
        return (back, self._raised(position, time_ns))

    def _raised(self, position: int, time_ns: int) -> Event:
        standing = self._standing[position]
        event = self._event(position, Transition.RAISED, time_ns)
        return replace(
            event, text=standing.text, onset_ns=standing.onset_ns, evidence=standing.evidence
        )

    def _event(
        self, position: int, transition: Transition, time_ns: int, *, operator: str = ""
    ) -> Event:
        limit = self._limits[position]
        return Event(
            time_ns=time_ns,
            source=limit.source,
            condition=limit.condition,
            severity=limit.severity,
            transition=transition,
            text=f"{limit.text}: {_SAYS[transition]}",
            operator=operator,
        )

    def _text(self, position: int) -> str:
        limit = self._limits[position]
        found = (adviser.advice(limit.tag) for adviser in self._advisers)
        advice = next((each for each in found if each), limit.advice)
        return f"{limit.text}; {advice}" if advice else limit.text

    def _evidence(self, position: int, value: float) -> tuple[Evidence, ...]:
        limit = self._limits[position]
        own = Evidence(
            name=limit.tag, value=value, expected=limit.limit, unit=self._units[position]
        )
        found = (source.evidence(limit.tag) for source in self._reasons)
        return (own, *(reason for reasons in found for reason in reasons))

    def _alarm(self, position: int) -> Alarm:
        limit, standing = self._limits[position], self._standing[position]
        return Alarm(
            id=limit.id,
            source=limit.source,
            condition=limit.condition,
            severity=limit.severity,
            state=standing.state,
            active=bool(self._comparators.is_on[position]),
            raised_ns=standing.raised_ns,
            onset_ns=standing.onset_ns,
            shelved_until_ns=standing.shelved_until_ns,
            text=standing.text or limit.text_with_advice,
            evidence=standing.evidence,
        )

    def _known(self, alarm: AlarmId) -> int:
        if alarm not in self._position:
            raise CommandError(f"there is no alarm {alarm!r}")
        return self._position[alarm]

    def _fingerprints(self) -> list[str]:
        """Return for each alarm a digest of what gives its remembered values their meaning."""
        contents = (json.dumps(asdict(limit)).encode() for limit in self._limits)
        return [blake2b(content, digest_size=16).hexdigest() for content in contents]


def _comparators(limits: Sequence[AlarmLimit]) -> Comparators:
    is_above = np.array([limit.is_above for limit in limits], dtype=np.bool_)
    value = np.array([limit.limit for limit in limits], dtype=np.float64)
    # Beyond is strictly beyond; a limit that belongs to it moves by the smallest step there is.
    nudged: FloatArray = np.nextafter(value, np.where(is_above, -np.inf, np.inf))
    includes = np.array([limit.includes_limit for limit in limits], dtype=np.bool_)
    return Comparators(
        limit=np.where(includes, nudged, value),
        is_above=is_above,
        dead_band=np.array([limit.dead_band for limit in limits], dtype=np.float64),
        on_delay_ns=np.array([limit.delay_ns for limit in limits], dtype=np.int64),
        off_delay_ns=np.array([limit.off_delay_ns for limit in limits], dtype=np.int64),
    )


def _clock_of(tag: TagId) -> str:
    """Return the connector or asset that a tag's id opens with."""
    return tag.partition(".")[0]


def _repeated(ids: Sequence[AlarmId]) -> set[AlarmId]:
    return {i for i in ids if ids.count(i) > 1}
