"""Which addresses of an area a device has, found by asking. Pure.

Steps of `STEP` addresses are asked for as a whole. One that is refused is sampled at single
addresses: when none of them answers, it counts as empty; otherwise its halves are asked for, and
so on. Islands between the samples can be missed; the price of certainty would be a request for
every address.
"""

from collections.abc import Iterable

from connectors.modbus.plan import Span
from connectors.modbus.registers import Area

STEP = 100
SAMPLE_COUNT = 5
SMALL = 8
"""A stretch of so many addresses is halved without samples."""


class AddressSearch:
    """The search in one area: `ask`, then `take` the answer, until `ask` is None."""

    def __init__(self, area: Area, *, last: int) -> None:
        """Begin with nothing known of the addresses from 0 to `last`."""
        self._area = area
        self._waiting = [
            Span(area=area, first=first, end=min(first + STEP, last + 1))
            for first in range(0, last + 1, STEP)
        ][::-1]
        self._sampled: Span | None = None
        self._samples: list[int] = []
        self._found: list[Span] = []

    @property
    def ask(self) -> Span | None:
        """What to ask for next."""
        if self._samples:
            return Span(area=self._area, first=self._samples[-1], end=self._samples[-1] + 1)
        return self._waiting[-1] if self._waiting else None

    @property
    def found(self) -> tuple[Span, ...]:
        """What answered so far, in order, neighbours joined."""
        return _joined(self._found)

    def take(self, *, is_answered: bool) -> None:
        """Take in the answer to `ask`."""
        asked = self.ask
        assert asked is not None
        if is_answered:
            self._found.append(asked)
        if self._samples:
            self._samples.pop()
            assert self._sampled is not None
            if is_answered:
                self._samples.clear()
                self._halve(self._sampled)
            return
        self._waiting.pop()
        size = asked.end - asked.first
        if is_answered or size == 1:
            return
        if size <= SMALL:
            self._halve(asked)
            return
        self._sampled = asked
        self._samples = [
            asked.first + (size - 1) * index // (SAMPLE_COUNT - 1) for index in range(SAMPLE_COUNT)
        ][::-1]

    def stop(self) -> None:
        """Ask for nothing more."""
        self._waiting.clear()
        self._samples.clear()

    def _halve(self, span: Span) -> None:
        middle = (span.first + span.end) // 2
        self._waiting.append(Span(area=span.area, first=middle, end=span.end))
        self._waiting.append(Span(area=span.area, first=span.first, end=middle))


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.first):
        if joined and span.first <= joined[-1].end:
            last = joined.pop()
            end = max(last.end, span.end)
            joined.append(Span(area=last.area, first=last.first, end=end))
        else:
            joined.append(span)
    return tuple(joined)
