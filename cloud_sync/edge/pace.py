"""How many bytes the next batch may have: as many as the link carries in good time. Pure."""

from typing import Final

_START_SIZE_BYTES: Final = 256 * 1024


class Pace:
    """Doubles the size of batches while they arrive quickly, and halves it when they do not.

    A link of 64 kbit/s never takes a batch of a megabyte within a timeout, and a fast one drains a
    long outage only with large batches. So the size follows the link, between two bounds. A batch
    that is small because there is nothing more to send says nothing about the link.
    """

    def __init__(self, *, size_bytes_min: int, size_bytes_max: int, target_s: float) -> None:
        """Begin in between; `target_s` is the time that a batch may take."""
        assert 0 < size_bytes_min <= size_bytes_max, (size_bytes_min, size_bytes_max)
        self._size_bytes_min = size_bytes_min
        self._size_bytes_max = size_bytes_max
        self._target_s = target_s
        self.size_bytes = max(size_bytes_min, min(_START_SIZE_BYTES, size_bytes_max))
        """Bound for the next batch."""

    def arrived(self, *, size_bytes: int, duration_s: float) -> None:
        """Note a batch that was confirmed after this time."""
        if duration_s > self._target_s:
            self.failed()
        elif duration_s < self._target_s / 2 and size_bytes > self.size_bytes / 2:
            self.size_bytes = min(2 * self.size_bytes, self._size_bytes_max)

    def failed(self) -> None:
        """Note a batch that did not arrive, or was too large for the far end."""
        self.size_bytes = max(self.size_bytes // 2, self._size_bytes_min)
