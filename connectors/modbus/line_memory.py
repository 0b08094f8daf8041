"""What a line keeps from one connection to the next."""

from dataclasses import dataclass, field

from connectors.modbus.line_figures import BusyTime, Turnarounds


@dataclass(slots=True, kw_only=True)
class LineMemory:
    """Learned and counted by its connections, one after the other."""

    turnarounds: Turnarounds
    busy: BusyTime
    quiet_until_s: dict[int, float] = field(default_factory=dict)
    """When a unit may be asked again after it let its time pass; RTU only."""
    late_answer_count: int = 0
    """Answers that nobody waited for any more."""
    damaged_answer_count: int = 0
    """Answers on a serial line that did not match their check sums."""
