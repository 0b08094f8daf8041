"""Which of a line's addresses to try: the first, or the backup. Pure.

The address in use stays in use. It is left when it cannot be reached, or when a connection to it
ended because nothing was answered any more. The backup is also left when its connection ends in
any other trouble, or after it was good for long enough: then the next connection tries the first
address again.
"""

from enum import Enum, auto


class Ending(Enum):
    """How a connection ended."""

    WANTED = auto()
    """We closed it."""
    BROKEN = auto()
    """The other side closed it, or sent what cannot be understood."""
    SILENT = auto()
    """Nothing was answered any more."""


class AddressChoice:
    """Chooses between an address and its backup; times are seconds on the monotonic clock."""

    def __init__(self, count: int, *, backup_s_min: float) -> None:
        """Begin with the first of `count` addresses, one or two."""
        assert 1 <= count <= 2, count
        self._count = count
        self._backup_s_min = backup_s_min
        self._current = 0
        self._opened_s = 0.0

    @property
    def current(self) -> int:
        """Index of the address in use, or to try next."""
        return self._current

    def order(self) -> list[int]:
        """Return the addresses in the order to try them."""
        return [self._current, *(each for each in range(self._count) if each != self._current)]

    def opened(self, index: int, now_s: float) -> None:
        """Note that a connection to an address stands."""
        self._current = index
        self._opened_s = now_s

    def ended(self, ending: Ending, now_s: float) -> None:
        """Note how the connection ended."""
        if self._current == 0:
            if ending is Ending.SILENT and self._count > 1:
                self._current = 1
        elif ending is not Ending.WANTED or now_s - self._opened_s >= self._backup_s_min:
            self._current = 0
