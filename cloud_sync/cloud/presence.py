"""Which gateways are connected, as the broker tells it.

Kept in memory: the broker keeps each gateway's last word and gives it again with every connection,
and while the broker is away nothing is known.
"""

from gateway.core.ports import Clock


class Presence:
    """Knows who is online, and since when it is known."""

    def __init__(self, *, clock: Clock) -> None:
        """Know nothing."""
        self._clock = clock
        self._states: dict[str, tuple[bool, int]] = {}

    def note(self, gateway: str, *, is_online: bool) -> None:
        """Take the word of the broker; the same again changes nothing."""
        known = self._states.get(gateway)
        if known is None or known[0] != is_online:
            self._states[gateway] = (is_online, self._clock.now_ns())

    def forget(self) -> None:
        """Know nothing any more: the broker is away."""
        self._states.clear()

    def of(self, gateway: str) -> tuple[bool | None, int | None]:
        """Return whether a gateway is online, and since when; None is not known."""
        return self._states.get(gateway, (None, None))
