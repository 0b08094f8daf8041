"""How the bandwidth is shared between the present and the backlog. Pure."""


class Share:
    """Lets the backlog have all that is free, and no more than its share where the rest is needed.

    While nothing waits in front, the backlog may send. From when something does until nothing does
    again, the bytes of both are counted, and the backlog waits while it had more than its part.
    """

    def __init__(self, share: float) -> None:
        """Begin with nothing waiting in front; the share is from 0 to 1."""
        assert 0.0 <= share <= 1.0, share
        self._share = share
        self._is_busy = False
        self._front_bytes = 0
        self._back_bytes = 0

    def front_is_busy(self) -> None:
        """Note that something waits in front; the count goes on if something did before."""
        if not self._is_busy:
            self._is_busy = True
            self._front_bytes = self._back_bytes = 0

    def front_is_level(self) -> None:
        """Note that nothing waits in front."""
        self._is_busy = False

    def front_sent(self, size_bytes: int) -> None:
        """Count a batch of the present."""
        self._front_bytes += size_bytes

    def back_sent(self, size_bytes: int) -> None:
        """Count a batch of the backlog."""
        self._back_bytes += size_bytes

    @property
    def may_send(self) -> bool:
        """Whether the backlog may have the next batch."""
        is_in_its_part = self._back_bytes * (1 - self._share) <= self._front_bytes * self._share
        return is_in_its_part or not self._is_busy
