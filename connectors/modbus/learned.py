"""What was learned of one device, for all its scan groups; outlives a lost connection.

- Walls: gaps that it refused, and refused points of every group: no request reads across them.
- Areas that it answered in: there, exceptions 01 and 04 speak of addresses too.
- Limits: a longest request that it takes, when longer ones were refused again and again though
  every part of them was answered.
- Timing: what a request and a register cost.

`version` grows with everything that a plan depends on.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from connectors.modbus.bus_time import TimingLearner
from connectors.modbus.exchange import ExceptionCode
from connectors.modbus.plan import ReadRules, ReadTiming, Span
from connectors.modbus.registers import Area

TOO_LONG_COUNT_MIN = 2
"""Refusals without an address to blame before a request counts as too long."""


class Learned:
    """See the module's theory."""

    def __init__(self, rules: ReadRules, estimate: ReadTiming) -> None:
        """Begin with what the configuration says."""
        self._rules = rules
        self.timing = TimingLearner(estimate)
        self.version = 0
        self._walls: dict[Span, None] = {}
        self._aside: Counter[Span] = Counter()
        self._areas: set[Area] = set()
        self._too_long: Counter[Area] = Counter()
        self._registers_max = rules.registers_max
        self._bits_max = rules.bits_max

    @property
    def rules(self) -> ReadRules:
        """The device's rules as far as known."""
        return replace(
            self._rules,
            registers_max=self._registers_max,
            bits_max=self._bits_max,
            walls=(*self._rules.walls, *self._walls, *self._aside),
        )

    def answered(self, area: Area) -> None:
        """Note that the device gave values in an area."""
        self._areas.add(area)

    def is_about_addresses(self, exception_code: int, area: Area) -> bool:
        """Return whether parts of a refused request may be answered.

        Exceptions 02 and 03 say so. 01 and 04 say it of a device that gave values in that area
        before: some answer so to an address that they do not have. 05 and 06 speak of the moment,
        10 and 11 of the way to the device.
        """
        if exception_code in (
            ExceptionCode.ILLEGAL_DATA_ADDRESS,
            ExceptionCode.ILLEGAL_DATA_VALUE,
        ):
            return True
        return area in self._areas and exception_code in (
            ExceptionCode.ILLEGAL_FUNCTION,
            ExceptionCode.SERVER_DEVICE_FAILURE,
        )

    def wall_off(self, span: Span) -> None:
        """Never read across a gap again."""
        if span not in self._walls:
            self._walls[span] = None
            self.version += 1

    def set_aside(self, spans: Iterable[Span]) -> None:
        """Read across no point that was set aside."""
        self._aside.update(spans)
        self.version += 1

    def take_back(self, spans: Iterable[Span]) -> None:
        """Read points again that were set aside."""
        self._aside -= Counter(spans)
        self.version += 1

    def refused_as_whole(self, area: Area, *, longest_good: int, point_size_max: int) -> bool:
        """Note a refused request of which every part was answered.

        Args:
            area: Of the request.
            longest_good: Addresses of its longest part that was answered.
            point_size_max: Addresses of its longest point, alignment included.
        Returns:
            Whether requests are shorter from now on.
        """
        self._too_long[area] += 1
        if self._too_long[area] < TOO_LONG_COUNT_MIN:
            return False
        limit = max(longest_good, point_size_max)
        if area.is_bits:
            is_new, self._bits_max = limit < self._bits_max, min(limit, self._bits_max)
        else:
            is_new = limit < self._registers_max
            self._registers_max = min(limit, self._registers_max)
        self.version += is_new
        return is_new
