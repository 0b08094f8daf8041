"""The life cycle of one alarm: figure 4 of ISA-18.2-2016 as a state machine. Pure.

Theory. States A to F are what a person has seen of the condition. Three things lie over them and
silence the alarm, each of its own: out of service and shelved, which a person wants, and suppressed
by design. The alarm shows the first of these that holds. When the last one ends the alarm begins
again from its condition, as the figure has it: active is B, gone is A. An alarm that is active only
by its off-delay is gone already: it waits in A, and is raised if its condition comes back before
the delay is over. A latch outlives silence: an alarm that was announced and never reset is there
again as E.
"""

from dataclasses import dataclass
from typing import Final

from gateway.core.alarms import AlarmState
from gateway.core.events import Evidence

UNSEEN: Final = frozenset(
    (AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED, AlarmState.LATCHED_UNACKNOWLEDGED)
)
"""States that ask for an acknowledgement."""

WORST_FIRST: Final = (
    AlarmState.UNACKNOWLEDGED,
    AlarmState.LATCHED_UNACKNOWLEDGED,
    AlarmState.ACKNOWLEDGED,
    AlarmState.LATCHED_ACKNOWLEDGED,
    AlarmState.RETURNED,
    AlarmState.SHELVED,
    AlarmState.OUT_OF_SERVICE,
    AlarmState.SUPPRESSED,
)
"""The order in which the states ask for a person."""

_GONE: Final = {
    AlarmState.UNACKNOWLEDGED: AlarmState.RETURNED,
    AlarmState.ACKNOWLEDGED: AlarmState.NORMAL,
}
_GONE_LATCHED: Final = {
    AlarmState.UNACKNOWLEDGED: AlarmState.LATCHED_UNACKNOWLEDGED,
    AlarmState.ACKNOWLEDGED: AlarmState.LATCHED_ACKNOWLEDGED,
}
_SEEN: Final = {
    AlarmState.UNACKNOWLEDGED: AlarmState.ACKNOWLEDGED,
    AlarmState.RETURNED: AlarmState.NORMAL,
    AlarmState.LATCHED_UNACKNOWLEDGED: AlarmState.LATCHED_ACKNOWLEDGED,
}


@dataclass(slots=True, kw_only=True)
class Standing:
    """What one alarm remembers beyond its comparator."""

    state: AlarmState = AlarmState.NORMAL
    """One of A to F; A while something silences it."""
    raised_ns: int | None = None
    onset_ns: int | None = None
    shelved_until_ns: int | None = None
    evidence: tuple[Evidence, ...] = ()
    text: str = ""
    """What held when it was raised, and what to check."""
    is_latched: bool = False
    """Whether it was announced with a latch that nobody has reset."""
    is_suppressed: bool = False
    is_out_of_service: bool = False
    silenced_since_ns: int | None = None
    """Begin of what silences it now; None is nothing."""
    silenced_by: str = ""
    """Who shelved it or took it out of service."""
    silenced_reason: str = ""
    withheld: int = 0
    """How often its condition came while something silenced it."""
    is_quiet: bool = False
    """Whether its last raise was left to a flood's event."""
    is_told_chattering: bool = False
    """Whether an event said so that none has ended yet; silence ends it, too."""
    is_waiting: bool = False
    """Whether only its off-delay keeps it active since it is no longer silent."""
    group_order: int = 0

    @property
    def shown(self) -> AlarmState:
        """The state as a person sees it."""
        if self.is_out_of_service:
            return AlarmState.OUT_OF_SERVICE
        if self.shelved_until_ns is not None:
            return AlarmState.SHELVED
        return AlarmState.SUPPRESSED if self.is_suppressed else self.state

    @property
    def is_silent(self) -> bool:
        """Whether anything silences it."""
        return self.is_out_of_service or self.shelved_until_ns is not None or self.is_suppressed

    def raise_(self, *, latch: bool) -> None:
        """Take it to B from any of A to F: it is announced, also when it was seen before."""
        assert not self.is_silent
        self.state, self.is_waiting = AlarmState.UNACKNOWLEDGED, False
        self.is_latched = latch

    def return_(self) -> None:
        """Take in that its condition is gone: to A or D, and with a latch to E or F."""
        assert not self.is_silent
        self.state = (_GONE_LATCHED if self.is_latched else _GONE)[self.state]

    def acknowledge(self) -> bool:
        """Take in that a person has seen it; returns whether there was anything to see."""
        if self.is_silent or self.state not in _SEEN:
            return False
        self.state = _SEEN[self.state]
        return True

    def reset(self) -> bool:
        """Let go of the latch, from F to A; returns whether it could be."""
        if self.is_silent or self.state is not AlarmState.LATCHED_ACKNOWLEDGED:
            return False
        self.state, self.is_latched = AlarmState.NORMAL, False
        return True

    def silence(self, *, time_ns: int, operator: str = "", reason: str = "") -> None:
        """Begin to be silent, for another reason than before or at all."""
        if not self.is_silent:
            self.withheld = 0
        self.state, self.is_waiting = AlarmState.NORMAL, False
        self.is_told_chattering = False
        self.silenced_since_ns = time_ns
        self.silenced_by, self.silenced_reason = operator, reason

    def speak(self) -> None:
        """End to be silent; its condition and its latch say what it is now."""
        assert not self.is_silent
        self.silenced_since_ns, self.silenced_by, self.silenced_reason = None, "", ""
        self.state = AlarmState.NORMAL
