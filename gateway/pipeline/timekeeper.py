"""Keeps the time: doubts about the gateway's clock, what it stamps, what is done when it is set.

While the clock is in doubt, everything is processed and decided as always, and its samples are
marked and held back from the uplinks, for `wait_s` at the longest: most of them cannot correct a
time that they have taken. When the clock is set, they are moved in the log and let go.

Every live frame bears its receipt on both clocks; so a frame tells by itself by which clock it was
stamped, however long it waited in the queue.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from gateway.core.clock_state import STEP_NS_MIN, ClockDoubt, ClockState, ClockStep, doubt_about
from gateway.core.events import Event, Evidence, Transition
from gateway.core.frame import ClockSource, Frame, Origin
from gateway.core.settings import Settings
from gateway.core.tags import TagTable
from gateway.core.times import utc_text
from gateway.pipeline.machine_clocks import MachineClocks
from gateway.store import Doubt, Opening, Shift
from gateway.store.rebasing import Rebasing
from gateway.wire.clock import WatchedClock

GATEWAY = "gateway"
"""Source of the events."""
IN_DOUBT = "clock_in_doubt"
JUMPED = "clock_jumped"
"""Conditions of the events."""
SHIFT_S = "shift_s"
"""Evidence of both: by how much the clock was set."""

_DOUBT_SEVERITY = 600
_SETTLED_SEVERITY = 100
_JUMP_SEVERITY = 400
_WHY = {
    ClockDoubt.BEFORE_RELEASE: "that is before this release was made",
    ClockDoubt.BEFORE_LOG: "that is before the last record of its log",
    ClockDoubt.UNSYNCHRONISED: "the system says that no time server has set it",
}


class ClockSettings(Settings):
    """How far the gateway's own clock is relied on."""

    trust: Literal["plausible", "kernel"] = "plausible"
    """`plausible` doubts a clock that is before the release or the last commit; `kernel` one that
    the system calls unsynchronised: better for a box without a battery, if it has a time server."""
    wait_s: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    """Longest time that samples wait for a clock in doubt to be set; alarms never wait."""
    device_off_s: Annotated[float, Field(ge=1, le=86_400)] = 30.0
    """A machine whose clock is further off than this is told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeNews:
    """What a look at the clock has brought."""

    event: Event
    shift_ns: int
    """By how much remembered times are to be moved."""
    shift: Shift | None = None
    """How the log's times are to be moved, after the event; None when they stay."""


class Timekeeper:
    """Owns what is known of the gateway's clock; used by the pipeline, between two entries."""

    def __init__(
        self,
        clock: WatchedClock,
        settings: ClockSettings,
        *,
        table: TagTable,
        opening: Opening,
        rebasing: Rebasing,
        machine: str,
        is_synchronised: Callable[[], bool | None],
    ) -> None:
        """Begin with the clock as it stands, or with the doubt that an earlier start has left.

        Args:
            clock: Told whether it is to be trusted.
            settings: When it is, and how long samples wait.
            table: The tags.
            opening: What the log said when it was opened.
            rebasing: Holds back and moves what is in the log.
            machine: Names the machine's run since it was switched on; empty is unknown.
            is_synchronised: What the kernel says; asked only if the settings say so.
        """
        self.machines = MachineClocks(table, off_s=settings.device_off_s)
        """What is known of the machines' clocks."""
        self._clock = clock
        self._wait_s = settings.wait_s
        self._rebasing = rebasing
        self._ask = is_synchronised if settings.trust == "kernel" else _say_nothing
        self._begun_ns = clock.monotonic_ns()
        self._has_waited = False
        self._is_told = False
        self._step: ClockStep | None = None
        doubt = rebasing.doubt
        if doubt is not None and (doubt.machine != machine or not machine):
            rebasing.give_up()
            doubt = None
        self._state = self._first_state(doubt, opening)
        if self._state.doubt is not None and doubt is None:
            rebasing.begin(
                Doubt(
                    first=opening.first,
                    machine=machine,
                    offset_ns=self._state.offset_ns,
                    from_ns=opening.opened_ns,
                    known_ns=opening.known_ns,
                )
            )
        self._from_ns = opening.opened_ns if doubt is None else doubt.from_ns
        clock.is_trusted = self._state.doubt is None

    @property
    def reason(self) -> str:
        """Why times cannot be relied on, for a person; empty when they can."""
        doubt = self._state.doubt
        if doubt is None:
            return ""
        text = f"the gateway's clock shows {utc_text(self._clock.now_ns())}, and {_WHY[doubt]}"
        return text if self._has_waited else f"{text}: samples wait for it to be set"

    def has_news(self, frame: Frame) -> bool:
        """Return whether a frame was stamped by a clock that has been set since the last look."""
        return frame.arrival_ns != 0 and not _is_near(_offset_ns(frame), self._state.offset_ns)

    def look(self) -> TimeNews | None:
        """Look at the clock; returns what is new."""
        now_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        step = self._state.look(
            now_ns=now_ns, monotonic_ns=monotonic_ns, is_synchronised=self._ask()
        )
        if step is not None:
            self._step = step
            self._clock.is_trusted = not step.is_in_doubt
            return self._news(step, now_ns)
        if self._state.doubt is None:
            return None
        if not self._is_told:
            self._is_told = True
            return TimeNews(event=self._doubt_event(now_ns, Transition.RAISED), shift_ns=0)
        if not self._has_waited and monotonic_ns - self._begun_ns >= self._wait_s * 1e9:
            self._has_waited = True
            self._rebasing.release()
            return TimeNews(event=self._doubt_event(now_ns, Transition.NOTED), shift_ns=0)
        return None

    def settle(self, shift: Shift) -> None:
        """Have the log's times moved; once everything that they were decided with is appended."""
        self._rebasing.shift(shift)

    def stamped(self, frame: Frame) -> Frame:
        """Return a frame as it goes into the log: marked while the clock is in doubt.

        One that was stamped before the clock was set, and waited since, is moved at once.
        """
        if frame.origin is Origin.REPLAYED:
            return frame
        step = self._step
        if step is not None and self._is_of_former_clock(frame, step):
            frame = _moved(frame, step.shift_ns)
        if self._state.doubt is not None and frame.clock is not ClockSource.SOURCE:
            return replace(frame, clock=ClockSource.UNTRUSTED)
        return frame

    def _first_state(self, doubt: Doubt | None, opening: Opening) -> ClockState:
        now_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        if doubt is None:
            reason = doubt_about(now_ns, known_ns=opening.known_ns, is_synchronised=self._ask())
            return ClockState(
                offset_ns=now_ns - monotonic_ns, known_ns=opening.known_ns, doubt=reason
            )
        # As the earlier start left it: if the clock was set meanwhile, the next look finds it.
        showed_ns = doubt.offset_ns + monotonic_ns
        reason = doubt_about(showed_ns, known_ns=doubt.known_ns, is_synchronised=None)
        self._has_waited = not doubt.is_held
        self._is_told = True
        return ClockState(
            offset_ns=doubt.offset_ns,
            known_ns=doubt.known_ns,
            doubt=reason or ClockDoubt.UNSYNCHRONISED,
        )

    def _news(self, step: ClockStep, now_ns: int) -> TimeNews:
        shift_s = step.shift_ns / 1e9
        way = "forward" if shift_s > 0 else "back"
        text = f"The gateway's clock was set {way} by {abs(shift_s):.0f} s"
        if abs(step.shift_ns) < STEP_NS_MIN:
            text = f"The gateway's clock was right to {abs(shift_s):.1f} s"
        evidence = (Evidence(name=SHIFT_S, value=shift_s, unit="s"),)
        if not step.was_in_doubt:
            event = Event(
                time_ns=now_ns,
                source=GATEWAY,
                condition=JUMPED,
                severity=_JUMP_SEVERITY,
                text=f"{text}: times before and after do not fit together",
                evidence=evidence,
            )
            return TimeNews(event=event, shift_ns=step.shift_ns)
        shift = Shift(
            shift_ns=step.shift_ns,
            from_ns=self._from_ns,
            to_ns=step.until_ns,
            clock=ClockSource.UNTRUSTED if step.is_in_doubt else ClockSource.REBASED,
        )
        self._from_ns += step.shift_ns
        event = Event(
            time_ns=now_ns,
            source=GATEWAY,
            condition=IN_DOUBT,
            severity=_DOUBT_SEVERITY if step.is_in_doubt else _SETTLED_SEVERITY,
            transition=Transition.NOTED if step.is_in_doubt else Transition.RETURNED,
            text=f"{text}: what it stamped since the start is moved by that"
            + (f", and still {_WHY[self._state.doubt]}" if self._state.doubt else ""),
            evidence=evidence,
        )
        return TimeNews(event=event, shift_ns=step.shift_ns, shift=shift)

    def _doubt_event(self, now_ns: int, transition: Transition) -> Event:
        doubt = self._state.doubt
        assert doubt is not None
        text = f"The gateway's clock shows {utc_text(now_ns)}, and {_WHY[doubt]}: "
        if transition is Transition.RAISED:
            text += (
                f"its samples wait up to {self._wait_s:.0f} s for it to be set; look at the "
                "battery of its clock and at its time server"
            )
        else:
            text += "nobody has set it, so its samples go out as they are, marked as untrusted"
        return Event(
            time_ns=now_ns,
            source=GATEWAY,
            condition=IN_DOUBT,
            severity=_DOUBT_SEVERITY,
            transition=transition,
            text=text,
        )

    def _is_of_former_clock(self, frame: Frame, step: ClockStep) -> bool:
        if frame.arrival_ns == 0:
            return False
        return _is_near(_offset_ns(frame), self._state.offset_ns - step.shift_ns)


def shift_of(event: Event) -> int:
    """Return by how much an event says that the clock was set, in ns; 0 for any other event."""
    if event.source != GATEWAY or event.condition not in (IN_DOUBT, JUMPED):
        return 0
    return next((round(x.value * 1e9) for x in event.evidence if x.name == SHIFT_S), 0)


def are_of_one_clock(one: Frame, other: Frame) -> bool:
    """Return whether the gateway's clock was not set between the receipts of two live frames."""
    if not (one.arrival_ns and other.arrival_ns):
        return True
    return _is_near(_offset_ns(one), _offset_ns(other))


def _moved(frame: Frame, shift_ns: int) -> Frame:
    """Return a frame with the times that the gateway stamped moved."""
    moved = replace(frame, received_ns=frame.received_ns + shift_ns)
    if frame.clock is ClockSource.SOURCE:
        return moved
    return replace(moved, time_ns=frame.time_ns + shift_ns, clock=ClockSource.REBASED)


def _say_nothing() -> None:
    return None


def _offset_ns(frame: Frame) -> int:
    return frame.received_ns - frame.arrival_ns


def _is_near(one_ns: int, other_ns: int) -> bool:
    return abs(one_ns - other_ns) < STEP_NS_MIN // 2
