"""What reading costs on a line: measured, and foretold. Pure.

A request takes `request_ms + register_ms x registers`. Before anything was measured both are
estimated: on a network from experience, on a serial line from its rate (Modbus over Serial Line
2.5.1: 11 bits a character, 3.5 characters of silence around an ADU).

Measured are the times between answers. Each number of registers has a median of its own, so that
one disturbed scan moves nothing; the slope through the medians is the median of the slopes of all
pairs (Theil 1950, Sen 1968).

Whether schedules can be kept is the question of fixed priorities without interruption: a scan of
period T may wait for one request that is on the wire already, and for every scan of a shorter
period that begins meanwhile (Joseph and Pandya 1986). It is in time when it ends within T.
"""

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.modbus.plan import Block, ReadTiming, plan_cost_ms

TCP_TIMING = ReadTiming(request_ms=5.0, register_ms=0.02)
"""On a network, before anything is known of the device."""
DEVICE_MS = 5.0
"""What a serial device takes to think, before anything is known of it."""
BITS_PER_CHARACTER = 11
SILENCE_CHARACTERS = 3.5
SILENCE_MS_MIN = 1.75
"""Modbus over Serial Line 2.5.1.1: from 19,200 baud on the silence is fixed."""
OVERHEAD_CHARACTERS = 8 + 5
"""Of a request, and of an answer without its values."""

SAMPLES_PER_SIZE = 15
SIZES_MAX = 32
"""Numbers of registers that are remembered; the one that was first seen longest ago goes."""
SAMPLES_MIN = 5
"""Measurements of a size before it counts."""
HOPELESS_FACTOR = 10
"""Periods after which a scan that is not done is never done."""


def serial_timing(baud_bd: int) -> ReadTiming:
    """Return what reading costs on a serial line, before anything is known of the device."""
    character_ms = 1000.0 * BITS_PER_CHARACTER / baud_bd
    silence_ms = max(SILENCE_CHARACTERS * character_ms, SILENCE_MS_MIN)
    return ReadTiming(
        request_ms=OVERHEAD_CHARACTERS * character_ms + 2 * silence_ms + DEVICE_MS,
        register_ms=2 * character_ms,
    )


class TimingLearner:
    """Learns what a device takes, from the answers that it gives."""

    def __init__(self, estimate: ReadTiming) -> None:
        """Begin with an estimate."""
        self._estimate = estimate
        self._samples: dict[float, deque[float]] = {}

    def note(self, registers: float, took_ms: float) -> None:
        """Take in how long one answer took."""
        samples = self._samples.get(registers)
        if samples is None:
            samples = self._samples[registers] = deque(maxlen=SAMPLES_PER_SIZE)
            if len(self._samples) > SIZES_MAX:
                del self._samples[next(iter(self._samples))]
        samples.append(took_ms)

    @property
    def is_learned(self) -> bool:
        """Whether anything was measured often enough to count."""
        return any(len(samples) >= SAMPLES_MIN for samples in self._samples.values())

    def timing(self) -> ReadTiming:
        """Return what reading costs as far as known; the estimate where nothing is."""
        medians = sorted(
            (registers, statistics.median(samples))
            for registers, samples in self._samples.items()
            if len(samples) >= SAMPLES_MIN
        )
        if not medians:
            return self._estimate
        slopes = [
            (later_ms - earlier_ms) / (more - fewer)
            for index, (fewer, earlier_ms) in enumerate(medians)
            for more, later_ms in medians[index + 1 :]
        ]
        register_ms = statistics.median(slopes) if slopes else self._estimate.register_ms
        # A single size cannot tell the two apart: no register costs more than its whole request.
        ceiling_ms = min(took_ms / max(registers, 1.0) for registers, took_ms in medians)
        register_ms = min(max(register_ms, 0.0), ceiling_ms)
        request_ms = statistics.median(
            took_ms - register_ms * registers for registers, took_ms in medians
        )
        return ReadTiming(request_ms=max(request_ms, 0.0), register_ms=register_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLoad:
    """What one group asks for."""

    name: str
    """Empty for the connector's own rate."""
    period_ms: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupForecast:
    """What the scans of one group will take."""

    name: str
    period_ms: int
    scan_ms: float
    """Time of the line that one scan needs."""
    done_ms: float
    """From its begin to its last answer at the worst, with the other groups on the line;
    infinite when it is never done."""

    @property
    def is_kept(self) -> bool:
        """Whether every scan ends before the next one begins."""
        return self.done_ms <= self.period_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class BusForecast:
    """What all groups of a connector will take."""

    groups: tuple[GroupForecast, ...]
    """By period, the shortest first."""
    busy_share: float
    """Part of the time that the line is busy with them; above 1 it cannot be."""


def forecast(groups: Sequence[GroupLoad], timing: ReadTiming) -> BusForecast:
    """Return how long the scans of all groups take, and whether they are in time."""
    ordered = sorted(groups, key=lambda group: group.period_ms)
    costs_ms = [plan_cost_ms(group.blocks, timing) for group in ordered]
    longest_ms = [
        max((timing.cost_ms(block) for block in group.blocks), default=0.0) for group in ordered
    ]
    found = []
    for index, group in enumerate(ordered):
        shorter = [
            (costs_ms[other], ordered[other].period_ms)
            for other in range(len(ordered))
            if other != index and ordered[other].period_ms <= group.period_ms
        ]
        blocking_ms = max(longest_ms[index + 1 :], default=0.0)
        found.append(
            GroupForecast(
                name=group.name,
                period_ms=group.period_ms,
                scan_ms=costs_ms[index],
                done_ms=_done_ms(costs_ms[index], blocking_ms, shorter, group.period_ms),
            )
        )
    return BusForecast(
        groups=tuple(found),
        busy_share=sum(
            cost_ms / group.period_ms for cost_ms, group in zip(costs_ms, ordered, strict=True)
        ),
    )


def tight_text(group: GroupForecast) -> str:
    """Return for a person what a group needs and what it was given."""
    name = f"group {group.name}" if group.name else "tags without a group"
    if math.isinf(group.done_ms):
        needs = f"one scan needs {group.scan_ms:.0f} ms, and the other groups leave no time for it"
    elif group.done_ms > group.scan_ms:
        needs = f"one scan needs {group.scan_ms:.0f} ms, {group.done_ms:.0f} ms with other groups"
    else:
        needs = f"one scan needs {group.scan_ms:.0f} ms"
    return f"{name}: {needs}; the period is {group.period_ms} ms"


def _done_ms(
    cost_ms: float, blocking_ms: float, shorter: Sequence[tuple[float, int]], period_ms: int
) -> float:
    """Return the fixed point of the response time; infinite when it is far beyond the period."""
    done_ms = cost_ms + blocking_ms
    while done_ms <= HOPELESS_FACTOR * period_ms:
        again_ms = (
            cost_ms
            + blocking_ms
            + sum(math.ceil(done_ms / other_ms) * each_ms for each_ms, other_ms in shorter)
        )
        if again_ms <= done_ms:
            return done_ms
        done_ms = again_ms
    return math.inf if shorter else done_ms
