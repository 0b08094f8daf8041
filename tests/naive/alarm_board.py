"""The alarm board as plain loops: one comparator an alarm, figure 4 of ISA-18.2 as a table."""

import math
from collections import Counter
from dataclasses import dataclass, field

from analytics.limits import AlarmLimit, Suppressor
from tests.naive.comparators import NaiveComparator

MINUTE_NS = 60 * 1_000_000_000
HOUR_NS = 60 * MINUTE_NS
NEVER_NS = -(1 << 63)

TABLE = {
    ("A", "on"): "B",
    ("B", "acknowledge"): "C",
    ("B", "off"): "D",
    ("C", "off"): "A",
    ("D", "acknowledge"): "A",
    ("D", "on"): "B",
    ("E", "acknowledge"): "F",
    ("E", "on"): "B",
    ("F", "on"): "B",
    ("F", "reset"): "A",
}
LATCHED = {"D": "E", "A": "F"}
"""Where a latched alarm goes instead when its condition goes."""

Told = tuple[int, str, str, bool, int]
"""Time, condition, transition, whether it is quiet, place in its group."""


@dataclass
class NaiveAlarm:
    limit: AlarmLimit
    comparator: NaiveComparator
    suppressors: list[int]
    """Places among the board's suppressors."""
    letter: str = "A"
    is_on: bool = False
    is_latched: bool = False
    is_suppressed: bool = False
    shelved_until_ns: int | None = None
    is_out: bool = False
    is_quiet: bool = False
    is_told_chattering: bool = False
    is_waiting: bool = False
    order: int = 0

    @property
    def shown(self) -> str:
        if self.is_out:
            return "I"
        if self.shelved_until_ns is not None:
            return "G"
        return "H" if self.is_suppressed else self.letter

    @property
    def is_silent(self) -> bool:
        return self.shown in "GHI"


@dataclass
class NaiveSuppressor:
    tag: str
    comparator: NaiveComparator
    states: tuple[int, ...] = ()
    is_on: bool = False


@dataclass
class NaiveFlood:
    begin_above: int = 10
    end_below: int = 5
    severity_min: int = 700
    raises_ns: list[int] = field(default_factory=list)
    is_on: bool = False
    collected: Counter[str] = field(default_factory=Counter)

    def lately(self, now_ns: int) -> int:
        self.raises_ns = [time for time in self.raises_ns if time > now_ns - 10 * MINUTE_NS]
        return len(self.raises_ns)

    def take(self, severity: int, order: int, name: str, now_ns: int) -> bool:
        self.raises_ns.append(now_ns)
        self.is_on |= self.lately(now_ns) > self.begin_above
        is_quiet = self.is_on and severity < self.severity_min and order != 1
        if is_quiet:
            self.collected[name] += 1
        return is_quiet

    def end(self, now_ns: int) -> int | None:
        """The first instant up to now at which few enough have come lately."""
        if not self.is_on:
            return None
        for time_ns in sorted({time + 10 * MINUTE_NS for time in self.raises_ns}):
            left = sum(time > time_ns - 10 * MINUTE_NS for time in self.raises_ns)
            if time_ns <= now_ns and left < self.end_below:
                self.is_on = False
                self.collected.clear()
                return time_ns
        return None


@dataclass
class NaiveAlarmBoard:
    alarms: list[NaiveAlarm]
    suppressors: list[NaiveSuppressor]
    flood: NaiveFlood = field(default_factory=NaiveFlood)
    clocks_ns: dict[str, int] = field(default_factory=dict)
    by_tag: dict[str, list[tuple[bool, int]]] = field(default_factory=dict)
    by_clock: dict[str, list[tuple[bool, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, limits: list[AlarmLimit], chatter: tuple[int, int, int]) -> "NaiveAlarmBoard":
        """A board with raises, window and hold of the chatter rule; no alarm suppresses another."""
        alarms: list[NaiveAlarm] = []
        suppressors: list[NaiveSuppressor] = []
        for limit in limits:
            own = []
            for each in limit.suppressors:
                assert each.tag is not None
                at = 0.5 if each.states else _strict(each)
                comparator = NaiveComparator(at, each.is_above, 0.0, 0, limit.suppress_off_delay_ns)
                own.append(len(suppressors))
                suppressors.append(
                    NaiveSuppressor(tag=each.tag, comparator=comparator, states=each.states)
                )
            comparator = NaiveComparator(
                _strict(limit),
                limit.is_above,
                limit.dead_band,
                limit.delay_ns,
                limit.off_delay_ns,
                *chatter,
            )
            alarms.append(NaiveAlarm(limit=limit, comparator=comparator, suppressors=own))
        return cls(alarms=alarms, suppressors=suppressors)

    def __post_init__(self) -> None:
        for k, alarm in enumerate(self.alarms):
            self.by_tag.setdefault(alarm.limit.tag, []).append((True, k))
            self.by_clock.setdefault(_clock_of(alarm.limit.tag), []).append((True, k))
        for k, suppressor in enumerate(self.suppressors):
            self.by_tag.setdefault(suppressor.tag, []).append((False, k))
            self.by_clock.setdefault(_clock_of(suppressor.tag), []).append((False, k))

    def take(self, samples: list[tuple[str, int, float]], received_ns: int) -> list[Told]:
        """Take in a frame of (tag, time, value); returns what was told, in order of time."""
        told: list[Told] = []
        end_ns = self.flood.end(received_ns)
        if end_ns is not None:
            told.append((end_ns, "alarm_flood", "returned", False, 0))
        for is_alarm, k, (time_ns, _, is_on, is_news) in sorted(
            self._switches(samples), key=lambda entry: (entry[2][0], entry[0], entry[1])
        ):
            if is_alarm:
                told += self._switch(self.alarms[k], time_ns, is_on, is_news, received_ns)
            else:
                told += self._suppress(k, time_ns, is_on, received_ns)
        for alarm in self.alarms:
            until_ns = alarm.shelved_until_ns
            if until_ns is not None and until_ns <= received_ns:
                alarm.shelved_until_ns = None
                told.append(self._tell(alarm, until_ns, "unshelved"))
                told += self._speak(alarm, until_ns, received_ns)
        for alarm in self.alarms:
            if alarm.is_waiting and not alarm.is_silent and alarm.comparator.is_beyond:
                told += self._raise(alarm, alarm.comparator.since_ns, received_ns)
        return sorted(told, key=lambda entry: entry[0])

    def act(self, k: int, action: str, time_ns: int, until_ns: int | None = None) -> list[Told]:
        """Do what a person wants; nothing is told where it cannot be."""
        alarm = self.alarms[k]
        if action in ("acknowledge", "reset"):
            if (alarm.shown, action) not in TABLE:
                return []
            alarm.letter = TABLE[alarm.letter, action]
            alarm.is_latched &= action != "reset"
            done = "acknowledged" if action == "acknowledge" else "reset"
            return [self._tell(alarm, time_ns, done)]
        if action == "shelve" and not alarm.is_out and until_ns is not None:
            if not time_ns < until_ns <= time_ns + 24 * HOUR_NS:
                return []
            alarm.letter, alarm.shelved_until_ns = "A", until_ns
            alarm.is_told_chattering = alarm.is_waiting = False
            return [self._tell(alarm, time_ns, "shelved")]
        if action == "take_out" and not alarm.is_out:
            alarm.letter, alarm.shelved_until_ns, alarm.is_out = "A", None, True
            alarm.is_told_chattering = alarm.is_waiting = False
            return [self._tell(alarm, time_ns, "out_of_service")]
        if action == "unshelve" and alarm.shown == "G":
            alarm.shelved_until_ns = None
            return [
                self._tell(alarm, time_ns, "unshelved"),
                *self._speak(alarm, time_ns, time_ns),
            ]
        if action == "put_back" and alarm.is_out:
            alarm.is_out = False
            return [
                self._tell(alarm, time_ns, "in_service"),
                *self._speak(alarm, time_ns, time_ns),
            ]
        return []

    def _switches(
        self, samples: list[tuple[str, int, float]]
    ) -> list[tuple[bool, int, tuple[int, int, bool, bool]]]:
        found: list[tuple[bool, int, tuple[int, int, bool, bool]]] = []
        for tag, sample_ns, value in samples:
            clock, time_ns = _clock_of(tag), sample_ns
            if not math.isnan(value):
                self.clocks_ns[clock] = max(self.clocks_ns.get(clock, time_ns), time_ns)
            else:  # the Bad edge that a gateway states bears another clock than the device's
                time_ns = min(time_ns, self.clocks_ns.get(clock, NEVER_NS))
            for is_alarm, k in self.by_tag.get(tag, ()):
                seen = value
                if not is_alarm and self.suppressors[k].states and not math.isnan(value):
                    seen = float(value in self.suppressors[k].states)
                comparator = self._comparator(is_alarm, k)
                found += [(is_alarm, k, each) for each in comparator.sample(time_ns, seen, False)]
        for clock in {_clock_of(tag) for tag, _, _ in samples} & self.clocks_ns.keys():
            for is_alarm, k in self.by_clock.get(clock, ()):
                comparator = self._comparator(is_alarm, k)
                switches = comparator.advance(self.clocks_ns[clock])
                found += [(is_alarm, k, each) for each in switches]
        return found

    def _comparator(self, is_alarm: bool, k: int) -> NaiveComparator:
        return self.alarms[k].comparator if is_alarm else self.suppressors[k].comparator

    def _switch(
        self, alarm: NaiveAlarm, time_ns: int, is_on: bool, is_news: bool, received_ns: int
    ) -> list[Told]:
        alarm.is_on = is_on
        if alarm.is_silent:
            return []
        if is_on:
            told = self._raise(alarm, time_ns, received_ns)
            if is_news:
                alarm.is_told_chattering = True
                told.append(self._tell(alarm, time_ns, "chattering"))
            return told
        if alarm.is_waiting:
            alarm.is_waiting = False
            return []
        told = []
        if alarm.is_told_chattering:
            alarm.is_told_chattering = False
            told.append(self._tell(alarm, time_ns, "calmed"))
        return [*told, self._return(alarm, time_ns)]

    def _raise(self, alarm: NaiveAlarm, time_ns: int, received_ns: int) -> list[Told]:
        alarm.order = self._order(alarm)
        alarm.letter, alarm.is_waiting = TABLE[alarm.letter, "on"], False
        alarm.is_latched = alarm.limit.latch
        was_flood = self.flood.is_on
        name = alarm.limit.id
        alarm.is_quiet = self.flood.take(alarm.limit.severity, alarm.order, name, received_ns)
        told = [(time_ns, alarm.limit.condition, "raised", alarm.is_quiet, alarm.order)]
        if self.flood.is_on and not was_flood:
            told.append((received_ns, "alarm_flood", "raised", False, 0))
        return told

    def _return(self, alarm: NaiveAlarm, time_ns: int) -> Told:
        alarm.letter = TABLE[alarm.letter, "off"]
        if alarm.is_latched:
            alarm.letter = LATCHED[alarm.letter]
        return (time_ns, alarm.limit.condition, "returned", alarm.is_quiet, 0)

    def _suppress(self, k: int, time_ns: int, is_on: bool, received_ns: int) -> list[Told]:
        self.suppressors[k].is_on = is_on
        told: list[Told] = []
        for alarm in self.alarms:
            if k not in alarm.suppressors:
                continue
            holds = any(self.suppressors[j].is_on for j in alarm.suppressors)
            before = alarm.shown
            if holds == alarm.is_suppressed:
                continue
            alarm.is_suppressed = holds
            if before in "GI":
                continue
            if holds:
                alarm.letter, alarm.is_told_chattering, alarm.is_waiting = "A", False, False
                told.append(self._tell(alarm, time_ns, "suppressed"))
            else:
                told.append(self._tell(alarm, time_ns, "unsuppressed"))
                told += self._speak(alarm, time_ns, received_ns)
        return told

    def _speak(self, alarm: NaiveAlarm, time_ns: int, received_ns: int) -> list[Told]:
        if alarm.is_suppressed:
            return [self._tell(alarm, time_ns, "suppressed")]
        if alarm.is_on and alarm.comparator.is_beyond:
            return self._raise(alarm, time_ns, received_ns)
        told = []
        if alarm.is_latched:
            told = [*self._raise(alarm, time_ns, received_ns), self._return(alarm, time_ns)]
        alarm.is_waiting = alarm.is_on
        return told

    def _order(self, alarm: NaiveAlarm) -> int:
        if not alarm.limit.group:
            return 0
        members = [each for each in self.alarms if each.limit.group == alarm.limit.group]
        if not alarm.is_latched and not any(
            each.is_latched or (each.is_on and not each.is_silent)
            for each in members
            if each is not alarm
        ):
            for each in members:
                each.order = 0
        return alarm.order or 1 + max(each.order for each in members)

    def _tell(self, alarm: NaiveAlarm, time_ns: int, what: str) -> Told:
        return (time_ns, alarm.limit.condition, what, False, 0)


def _strict(limit: AlarmLimit | Suppressor) -> float:
    """The limit beyond which is strictly beyond."""
    if not limit.includes_limit:
        return limit.limit
    return math.nextafter(limit.limit, -math.inf if limit.is_above else math.inf)


def _clock_of(tag: str) -> str:
    return tag.partition(".")[0]
