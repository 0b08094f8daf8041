"""Alarms: limits on any tag, with the life cycle that ISA-18.2 gives them.

Theory. Every alarm watches one tag, measured or derived (`sensing`); here the switches become
states (`lifecycle`) and events. Conditions run in the time of the data. What concerns the person
runs by the gateway's own clock, as the receive times of the frames tell it: the end of shelving,
floods, and the figures of the journal.

Switches of one frame are carried out in the order of their times; of those at one instant the
suppressors come first.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from analytics.alarms.checkpoint import Remembered, pack, unpack
from analytics.alarms.flood import FLOOD_SEVERITY, FloodWatch
from analytics.alarms.groups import FirstOut
from analytics.alarms.journal import Journal, Kind, Present
from analytics.alarms.lifecycle import WORST_FIRST, Standing
from analytics.alarms.orders import ENDS_SILENCE, carry_out, refusal
from analytics.alarms.reasons import Adviser, Reasons, advised_text, evidence_of
from analytics.alarms.rules import AlarmRules
from analytics.alarms.sensing import Sensing
from analytics.alarms.telling import alarm_as_it_stands, plain_event, raised_event
from analytics.alarms.watches import Watches
from analytics.comparators import Switch
from analytics.instants import NS_PER_S
from analytics.limits import AlarmLimit
from gateway.core.alarm_metrics import AlarmMetrics
from gateway.core.alarms import Alarm, AlarmId, AlarmOrder, AlarmState
from gateway.core.errors import CommandError, ConfigError
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame
from gateway.core.tags import TagTable

_NO_EXPIRY_NS: Final = np.iinfo(np.int64).max


class LimitAlarms:
    """Every alarm of the gateway; implements the port `AlarmBoard`."""

    def __init__(
        self,
        limits: Sequence[AlarmLimit],
        *,
        rules: AlarmRules | None = None,
        reasons: Sequence[Reasons] = (),
        advisers: Sequence[Adviser] = (),
    ) -> None:
        """Begin with every alarm normal.

        Args:
            limits: The alarms, each id once.
            rules: What holds for all of them; None is the defaults.
            reasons: Asked for evidence when an alarm is raised.
            advisers: Asked what to check then; the first that knows replaces the limit's advice.
        Raises:
            ConfigError: two alarms have the same source and name, or one is to be suppressed by an
                alarm that is not there.
        """
        self._limits = tuple(limits)
        self._rules = rules or AlarmRules()
        self._position = {limit.id: k for k, limit in enumerate(self._limits)}
        if len(self._position) != len(self._limits):
            ids = [limit.id for limit in self._limits]
            raise ConfigError(*(f"alarm {i}: defined twice" for i in sorted(_repeated(ids))))
        self._reasons = tuple(reasons)
        self._advisers = tuple(advisers)
        self._standing = [Standing() for _ in self._limits]
        self._watches = Watches.build(self._limits)
        self._sensing = Sensing(self._watches, self._rules.chatter)
        self._is_on = self._sensing.comparators.is_on.copy()
        self._units = [""] * len(self._limits)
        self._groups = FirstOut(self._limits)
        self._journal = Journal([limit.id for limit in self._limits])
        self._flood = FloodWatch(
            begin_above=self._rules.flood_per_10min,
            end_below=self._rules.flood_end_per_10min,
            severity_min=self._rules.flood_severity_min,
        )
        self._expiry_ns: int = _NO_EXPIRY_NS
        self._is_any_waiting = False

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions.

        Raises:
            ConfigError: the table lacks tags that alarms watch; names every one.
        """
        missing = [
            f"alarm {limit.id}: there is no tag {tag!r}"
            for limit in self._limits
            for tag in limit.tags
            if tag not in table
        ]
        if missing:
            raise ConfigError(*missing)
        self._sensing.bind(table)
        self._units = [table.tags[table.index(limit.tag)].unit for limit in self._limits]

    def update(self, frame: Frame) -> tuple[Event, ...]:
        """Take in a frame of any tags and return the transitions it caused, in order of time."""
        if not self._limits or not len(frame):
            return ()
        now_ns = frame.received_ns
        self._journal.begin(now_ns)
        events = self._flood_ended(now_ns)
        for switch in sorted(self._sensing.switches(frame), key=self._turn):
            if switch.position < len(self._limits):
                events += self._switched(switch, now_ns)
            else:
                events += self._suppressing(switch, now_ns)
        events += self._expired(now_ns)
        events += self._back_again(now_ns)
        return tuple(sorted(events, key=lambda event: event.time_ns))

    def alarms(self) -> tuple[Alarm, ...]:
        """Return every alarm that is not normal, worst first."""
        standing = [
            alarm_as_it_stands(
                self._limits[k],
                each,
                is_active=bool(self._is_on[k]),
                is_chattering=bool(self._sensing.comparators.is_held[k]),
            )
            for k, each in enumerate(self._standing)
            if each.shown is not AlarmState.NORMAL
        ]
        standing.sort(key=lambda alarm: (WORST_FIRST.index(alarm.state), -alarm.severity))
        return tuple(standing)

    def has(self, alarm: AlarmId) -> bool:
        """Return whether there is such an alarm, normal or not."""
        return alarm in self._position

    def metrics(self, now_ns: int) -> AlarmMetrics:
        """Return how the alarms did in the last days, up to now by the gateway's clock."""
        stale_ns = round(self._rules.stale_h * 3600 * NS_PER_S)
        old = [
            (each.raised_ns, self._limits[k].id)
            for k, each in enumerate(self._standing)
            if self._is_on[k] and not each.is_silent and each.raised_ns is not None
            if now_ns - each.raised_ns > stale_ns
        ]
        held = np.flatnonzero(self._sensing.comparators.is_held[: len(self._limits)])
        present = Present(
            target_per_hour=self._rules.target_per_hour,
            chattering=tuple(self._limits[k].id for k in held),
            stale=tuple(alarm for _, alarm in sorted(old)),
        )
        return self._journal.metrics(now_ns, present)

    def act(self, order: AlarmOrder) -> tuple[Event, ...]:
        """Do to an alarm what a person wants; returns it as an event, and what follows from it.

        Raises:
            CommandError: there is no such alarm, or in its state this cannot be.
        """
        if order.alarm not in self._position:
            raise CommandError(f"there is no alarm {order.alarm!r}")
        position = self._position[order.alarm]
        standing, limit = self._standing[position], self._limits[position]
        why_not = refusal(standing, order, shelve_h_max=self._rules.shelve_h_max)
        if why_not:
            raise CommandError(f"alarm {order.alarm} {why_not}")
        transition = carry_out(standing, order)
        self._look_for_expiry()
        done = plain_event(
            limit,
            transition,
            order.time_ns,
            more=order.reason,
            operator=order.operator,
            reason=order.reason,
            until_ns=order.until_ns,
        )
        if transition not in ENDS_SILENCE:
            return (done,)
        return (done, *self._spoken(position, order.time_ns, now_ns=order.time_ns))

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set.

        What was told stays: when an alarm was raised, its onset, and since when it is silenced.
        """
        self._sensing.rebase(shift_ns)
        self._flood.rebase(shift_ns)
        self._journal.rebase(shift_ns)
        for standing in self._standing:
            if standing.shelved_until_ns is not None:
                standing.shelved_until_ns += shift_ns
        self._look_for_expiry()

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""
        return pack(self._remembered())

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; an alarm whose limit is new or has changed begins anew.

        Raises:
            ValueError: another version made it; the state is unchanged.
        """
        unpack(self._remembered(), checkpoint)
        self._is_on = self._sensing.comparators.is_on.copy()
        self._is_any_waiting = any(standing.is_waiting for standing in self._standing)
        self._look_for_expiry()

    def _turn(self, switch: Switch) -> tuple[int, bool, int]:
        """Return the sorting key of a switch among those of one frame."""
        return switch.time_ns, switch.position < len(self._limits), switch.position

    def _switched(self, switch: Switch, now_ns: int) -> list[Event]:
        """Carry the switch of an alarm's comparator into its state."""
        k, standing = switch.position, self._standing[switch.position]
        self._is_on[k] = switch.is_on
        if switch.is_on:
            standing.raised_ns, standing.onset_ns = switch.time_ns, switch.onset_ns
            standing.text = advised_text(self._limits[k], self._advisers)
            standing.evidence = evidence_of(
                self._limits[k], switch.value, unit=self._units[k], others=self._reasons
            )
        if standing.is_silent:
            standing.withheld += switch.is_on
            return []
        if not switch.is_on:
            was_waiting, standing.is_waiting = standing.is_waiting, False
            return [] if was_waiting else self._returned(switch, now_ns)
        events = self._raised(k, switch.time_ns, now_ns=now_ns)
        if switch.is_held:
            standing.is_told_chattering = True
            self._journal.note(Kind.CHATTERING, name=k, now_ns=now_ns)
            events.append(plain_event(self._limits[k], Transition.CHATTERING, switch.time_ns))
        return events

    def _raised(self, position: int, time_ns: int, *, now_ns: int) -> list[Event]:
        """Announce an alarm, or leave it to the event of a flood, which may begin with it."""
        limit, standing = self._limits[position], self._standing[position]
        standing.group_order = self._groups.number(position, self._standing, self._is_on)
        standing.raise_(latch=limit.latch)
        was_flood = self._flood.since_ns is not None
        standing.is_quiet = self._flood.note(
            limit.id,
            severity=limit.severity,
            is_first_out=standing.group_order == 1,
            now_ns=now_ns,
        )
        kind = Kind.COLLECTED if standing.is_quiet else Kind.ANNOUNCED
        self._journal.note(kind, name=position, severity=limit.severity, now_ns=now_ns)
        events = [raised_event(limit, standing, time_ns)]
        if self._flood.since_ns is not None and not was_flood:
            self._journal.note(Kind.FLOOD_BEGAN, severity=FLOOD_SEVERITY, now_ns=now_ns)
            events.append(self._flood.begun(now_ns))
        return events

    def _returned(self, switch: Switch, now_ns: int) -> list[Event]:
        k, standing = switch.position, self._standing[switch.position]
        limit = self._limits[k]
        is_unseen = standing.state is AlarmState.UNACKNOWLEDGED
        lasted_s = (switch.time_ns - (standing.raised_ns or switch.time_ns)) / NS_PER_S
        if is_unseen and lasted_s < self._rules.fleeting_s:
            self._journal.note(Kind.FLEETING, name=k, now_ns=now_ns)
        standing.return_()
        events = []
        if standing.is_told_chattering:
            standing.is_told_chattering = False
            events.append(plain_event(limit, Transition.CALMED, switch.time_ns))
        more = "latched until it is acknowledged and reset" if standing.is_latched else ""
        back = plain_event(
            limit, Transition.RETURNED, switch.time_ns, more=more, is_quiet=standing.is_quiet
        )
        return [*events, back]

    def _suppressing(self, switch: Switch, now_ns: int) -> list[Event]:
        """Carry the switch of a suppressor into the alarms that it suppresses."""
        self._is_on[switch.position] = switch.is_on
        events: list[Event] = []
        for k in self._watches.suppresses[switch.position - len(self._limits)]:
            standing = self._standing[k]
            by = [text for place, text in self._watches.suppressed_by[k] if self._is_on[place]]
            if bool(by) == standing.is_suppressed:
                continue
            if not by:
                standing.is_suppressed = False
                if not standing.is_silent:  # else a person silences it, and nothing changes
                    back = plain_event(
                        self._limits[k],
                        Transition.UNSUPPRESSED,
                        switch.time_ns,
                        more=_withheld(standing),
                    )
                    events += [back, *self._spoken(k, switch.time_ns, now_ns=now_ns)]
                continue
            if not standing.is_silent:
                events.append(self._suppressed(k, switch.time_ns, by[0]))
            standing.is_suppressed = True
        return events

    def _suppressed(self, position: int, time_ns: int, by: str) -> Event:
        standing = self._standing[position]
        standing.silence(time_ns=time_ns, reason=by)
        return plain_event(self._limits[position], Transition.SUPPRESSED, time_ns, more=by)

    def _spoken(self, position: int, time_ns: int, *, now_ns: int) -> list[Event]:
        """Return what an alarm has to say when one thing no longer silences it."""
        standing = self._standing[position]
        if standing.is_suppressed:
            by = next(
                text for place, text in self._watches.suppressed_by[position] if self._is_on[place]
            )
            return [self._suppressed(position, time_ns, by)]
        standing.speak()
        if self._is_on[position] and self._sensing.comparators.is_beyond[position]:
            return self._raised(position, time_ns, now_ns=now_ns)
        events = self._raised(position, time_ns, now_ns=now_ns) if standing.is_latched else []
        standing.is_waiting = bool(self._is_on[position])
        self._is_any_waiting |= standing.is_waiting
        if not events:
            return []
        standing.return_()
        gone = plain_event(
            self._limits[position],
            Transition.RETURNED,
            time_ns,
            more="latched until it is acknowledged and reset",
            is_quiet=standing.is_quiet,
        )
        return [*events, gone]

    def _back_again(self, now_ns: int) -> list[Event]:
        """Raise what waits for its off-delay and whose condition holds again: it is no switch."""
        if not self._is_any_waiting:
            return []
        comparators, events = self._sensing.comparators, list[Event]()
        waiting = [k for k, standing in enumerate(self._standing) if standing.is_waiting]
        for k in waiting:
            if comparators.is_beyond[k]:
                events += self._raised(k, int(comparators.since_ns[k]), now_ns=now_ns)
        self._is_any_waiting = any(self._standing[k].is_waiting for k in waiting)
        return events

    def _expired(self, now_ns: int) -> list[Event]:
        """Return the events of shelved alarms whose time is over."""
        if now_ns < self._expiry_ns:
            return []
        events: list[Event] = []
        for k, standing in enumerate(self._standing):
            until_ns = standing.shelved_until_ns
            if until_ns is not None and until_ns <= now_ns:
                standing.shelved_until_ns = None
                more = _withheld(standing)
                events.append(
                    plain_event(self._limits[k], Transition.UNSHELVED, until_ns, more=more)
                )
                events += self._spoken(k, until_ns, now_ns=now_ns)
        self._look_for_expiry()
        return events

    def _look_for_expiry(self) -> None:
        untils = (standing.shelved_until_ns for standing in self._standing)
        self._expiry_ns = min((u for u in untils if u is not None), default=_NO_EXPIRY_NS)

    def _flood_ended(self, now_ns: int) -> list[Event]:
        over = self._flood.ended(now_ns)
        if over is None:
            return []
        self._journal.note(Kind.FLOOD_ENDED, severity=FLOOD_SEVERITY, now_ns=over.time_ns)
        return [over]

    def _remembered(self) -> Remembered:
        return Remembered(
            limits=self._limits,
            watches=self._watches,
            sensing=self._sensing,
            standing=self._standing,
            flood=self._flood,
            journal=self._journal,
        )


def _withheld(standing: Standing) -> str:
    """Return how often it would have come meanwhile, in words; empty for never."""
    times = "once" if standing.withheld == 1 else f"{standing.withheld} times"
    return f"it came {times} meanwhile" if standing.withheld else ""


def _repeated(ids: Sequence[AlarmId]) -> set[AlarmId]:
    return {i for i in ids if ids.count(i) > 1}
