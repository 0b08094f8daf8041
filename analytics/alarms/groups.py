"""First-out: which alarm of a group came first (ISA-18.2-2016, 3.1.53 and 10.8). Pure.

Theory. A trip raises dozens of alarms within a second, and the first of them is the cause. The
alarms of a group are numbered as they are raised. A sequence is over when none of its alarms is
active and none is latched; the next raise begins a new one. An alarm that comes again within a
sequence keeps its number.
"""

from collections.abc import Sequence

from analytics.alarms.lifecycle import Standing
from analytics.limits import AlarmLimit
from gateway.core.arrays import BoolArray


class FirstOut:
    """The groups of a board; the numbers themselves stand with the alarms."""

    def __init__(self, limits: Sequence[AlarmLimit]) -> None:
        """Note who belongs together."""
        self._group_of = tuple(limit.group for limit in limits)
        self._members: dict[str, list[int]] = {}
        for position, limit in enumerate(limits):
            if limit.group:
                self._members.setdefault(limit.group, []).append(position)

    def number(self, position: int, standing: Sequence[Standing], is_on: BoolArray) -> int:
        """Number an alarm that is being raised; 0 where it has no group.

        Args:
            position: The alarm; it does not count as one that goes on.
            standing: Of all alarms; their numbers of a sequence that is over are taken away.
            is_on: Whether each alarm is active, shape (n,), n at least the number of alarms.
        """
        members = self._members.get(self._group_of[position], ())
        if not members:
            return 0
        others = [k for k in members if k != position]
        goes_on = standing[position].is_latched or any(
            (is_on[k] and not standing[k].is_silent) or standing[k].is_latched for k in others
        )
        if not goes_on:
            for k in members:
                standing[k].group_order = 0
        elif standing[position].group_order:
            return standing[position].group_order
        return 1 + max(standing[k].group_order for k in members)
