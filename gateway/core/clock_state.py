"""Whether the gateway's own clock can be relied on, and when it was set. Pure.

Theory. The wall clock may stand anywhere: a box without a battery boots in 1970 or where its clock
stopped, and is set when a time server is reached. The monotonic clock only runs. Their difference,
the *offset*, changes when the wall clock is set, and by how much it changes is how wrong it was.

In doubt is a clock that shows a time before this release was made, or before the log's last
commit: that cannot be. Where the kernel is asked, in doubt is what it calls unsynchronised. Doubts
arise at the start only: a time server that is away for a day makes no clock wrong. They end when
the clock is set to a time that can be, or when the kernel says that it is synchronised; never by
mere waiting: a clock that is an hour behind passes every time that the log knows, an hour late.
"""

from dataclasses import dataclass
from enum import StrEnum

EARLIEST_NS = 1_767_225_600_000_000_000
"""2026-01-01 UTC: no release that has this line is older."""
STEP_NS_MIN = 2_000_000_000
"""Smaller steps are what time servers do all day."""


class ClockDoubt(StrEnum):
    """Why the clock cannot be relied on."""

    BEFORE_RELEASE = "before_release"
    """It shows a time at which this release was not there yet."""
    BEFORE_LOG = "before_log"
    """It shows a time before the last commit."""
    UNSYNCHRONISED = "unsynchronised"
    """The kernel says that no time server was reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """The clock was set, or is no longer in doubt; or both."""

    shift_ns: int
    """By how much it was set; little or nothing when only the doubt has ended."""
    until_ns: int
    """Last time that it showed before, UTC."""
    was_in_doubt: bool
    """Whether it could not be relied on before."""
    is_in_doubt: bool
    """Whether it still cannot."""


def doubt_about(now_ns: int, *, known_ns: int, is_synchronised: bool | None) -> ClockDoubt | None:
    """Return why a clock that shows a time cannot be relied on; None when nothing is against it.

    Args:
        now_ns: What it shows, UTC.
        known_ns: A time that is over for sure, such as that of the last commit; 0 is unknown.
        is_synchronised: What the kernel says; None when it is not asked.
    """
    if is_synchronised is not None:
        return None if is_synchronised else ClockDoubt.UNSYNCHRONISED
    if now_ns < EARLIEST_NS:
        return ClockDoubt.BEFORE_RELEASE
    if now_ns < known_ns:
        return ClockDoubt.BEFORE_LOG
    return None


class ClockState:
    """Follows the two clocks from look to look."""

    def __init__(self, *, offset_ns: int, known_ns: int, doubt: ClockDoubt | None) -> None:
        """Begin with a clock as it stands.

        Args:
            offset_ns: Wall time minus monotonic time.
            known_ns: A time that is over for sure; 0 is unknown.
            doubt: Why it cannot be relied on; None when it can.
        """
        self.offset_ns = offset_ns
        """Wall time minus monotonic time, at the last look."""
        self.doubt = doubt
        """Why the clock cannot be relied on; None when it can."""
        self._known_ns = known_ns

    def look(
        self, *, now_ns: int, monotonic_ns: int, is_synchronised: bool | None
    ) -> ClockStep | None:
        """Compare now; slow corrections are followed without a word.

        Args:
            now_ns: Wall time, UTC.
            monotonic_ns: Monotonic time, of the same instant.
            is_synchronised: What the kernel says; None when it is not asked.
        """
        before_ns, was_in_doubt = self.offset_ns, self.doubt is not None
        self.offset_ns = now_ns - monotonic_ns
        shift_ns = self.offset_ns - before_ns
        is_step = abs(shift_ns) >= STEP_NS_MIN
        if was_in_doubt and (is_step or is_synchronised is not None):
            self.doubt = doubt_about(
                now_ns, known_ns=self._known_ns, is_synchronised=is_synchronised
            )
        is_in_doubt = self.doubt is not None
        if not is_step and was_in_doubt == is_in_doubt:
            return None
        return ClockStep(
            shift_ns=shift_ns,
            until_ns=before_ns + monotonic_ns,
            was_in_doubt=was_in_doubt,
            is_in_doubt=is_in_doubt,
        )
