"""Which order the bytes of a value are in, guessed from readings. Pure.

Of the four orders the right one gives numbers as machines have them: finite, neither tiny nor
huge, and much the same a moment later. A wrong one takes its exponent from what are the last
digits, so it is far off or jumps. Where several look alike, the one nearest to everyday magnitudes
wins, then the one with the fewest digits; where nothing tells them apart, none is named.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from connectors.modbus.registers import BlockDecoder, ByteOrder, Point

MAGNITUDE_MIN = 1e-6
MAGNITUDE_MAX = 1e9
"""Outside of these a number is implausible, when nothing is known of its range."""
EVERYDAY_MIN = 1e-2
EVERYDAY_MAX = 1e5
CHANGE_MAX = 0.2
"""Change between two readings, of the greater of both, that is still little."""

_Rank: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReading:
    """What one order makes of the readings."""

    order: ByteOrder
    values: tuple[float, ...]
    """Of the last reading."""
    is_plausible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderGuess:
    """What all orders make of them."""

    readings: tuple[OrderReading, ...]
    best: ByteOrder | None
    """None when nothing tells the orders apart, or none is plausible."""


def guess_order(
    points: Sequence[Point],
    payloads: Sequence[bytes],
    *,
    low: float | None = None,
    high: float | None = None,
) -> OrderGuess:
    """Return which order makes the most plausible numbers.

    Args:
        points: Of one number type, side by side; their own order does not count.
        payloads: Two readings or more of their registers, a moment apart; one will do, with
            less certainty.
        low: Least value that makes sense; None is unknown.
        high: Greatest value that makes sense; None is unknown.
    """
    assert points
    assert payloads
    readings, ranks = [], {}
    for order in ByteOrder:
        ordered = [replace(point, order=order) for point in points]
        decoder = BlockDecoder(ordered, start=points[0].address)
        # All points are of one kind, so the decoder keeps them in their order.
        rows = [tuple(map(float, decoder.decode(payload))) for payload in payloads]
        is_plausible = all(
            _is_plausible(value, low=low, high=high) for row in rows for value in row
        )
        readings.append(OrderReading(order=order, values=rows[-1], is_plausible=is_plausible))
        if is_plausible:
            ranks[order] = _rank(rows)
    return OrderGuess(readings=tuple(readings), best=_best(ranks, readings))


def _best(ranks: dict[ByteOrder, _Rank], readings: Sequence[OrderReading]) -> ByteOrder | None:
    if not ranks:
        return None
    values = {reading.order: reading.values for reading in readings}
    ordered = sorted(ranks, key=lambda order: ranks[order])
    first = ordered[0]
    rivals = [order for order in ordered[1:] if ranks[order] == ranks[first]]
    return None if rivals or _is_one(values) else first


def _is_one(values: dict[ByteOrder, tuple[float, ...]]) -> bool:
    """Whether all orders say the same, as they do of zeros."""
    return len(set(values.values())) == 1


def _is_plausible(value: float, *, low: float | None, high: float | None) -> bool:
    if not math.isfinite(value):
        return False
    if low is not None or high is not None:
        return (low is None or value >= low) and (high is None or value <= high)
    return value == 0 or MAGNITUDE_MIN <= abs(value) <= MAGNITUDE_MAX


def _rank(rows: Sequence[Sequence[float]]) -> _Rank:
    """Return how odd the numbers are, the weightiest reason first."""
    columns = list(zip(*rows, strict=True))
    changes = [
        abs(later - earlier) / max(abs(later), abs(earlier))
        for column in columns
        for earlier, later in pairwise(column)
        if later != earlier
    ]
    jumps = sum(change > CHANGE_MAX for change in changes)
    numbers = [abs(value) for row in rows for value in row if value]
    distance = sum(
        max(math.log10(EVERYDAY_MIN / number), math.log10(number / EVERYDAY_MAX), 0.0)
        for number in numbers
    )
    digits = sum(len(f"{number:.7g}".partition("e")[0].rstrip("0")) for number in numbers)
    return (float(jumps), round(distance, 3), float(digits))
