"""For how long the oldest live sample has been waiting, on the clock that never jumps. Pure."""

from collections import deque
from typing import Final

from gateway.core.records import Seq

MARK_PERIOD_NS: Final = 250_000_000
"""Between two marks; finer says nothing more about seconds."""
MARKS_MAX: Final = 1024
"""Marks kept; what is behind the last one looks younger than it is until the others are passed."""

_NS_PER_S: Final = 1_000_000_000


class Ages:
    """Remembers when which positions of the log were there already.

    Asked while a cursor goes on, it never says more than is true: what was committed between two
    looks counts from the second one.
    """

    def __init__(self) -> None:
        """Begin with an empty log."""
        self._marks: deque[tuple[Seq, int]] = deque()

    def seen(self, end: Seq, *, now_ns: int, age_s: float = 0.0) -> None:
        """Note that everything up to here is there now, for at least so long."""
        since_ns = now_ns - int(age_s * _NS_PER_S)
        if self._marks:
            last, marked_ns = self._marks[-1]
            if end <= last or now_ns - marked_ns < MARK_PERIOD_NS:
                return
        if len(self._marks) < MARKS_MAX:
            self._marks.append((end, since_ns))

    def age_s(self, cursor: Seq, *, now_ns: int) -> float:
        """Return the age of the oldest record behind a cursor; 0 when none is known."""
        while self._marks and self._marks[0][0] <= cursor:
            self._marks.popleft()
        return max(now_ns - self._marks[0][1], 0) / _NS_PER_S if self._marks else 0.0
