"""Is one unit dead, or the connection to all of them? Pure.

Nobody can see the difference at once: a unit that says nothing may be switched off, and a
connection may stand with nothing at its other end. The connection counts as dead

- when every unit with a session has let its time pass, and none has answered since; or
- after `SILENCES_MAX` silences in a row, with no answer of any in between, of units that did answer
  on this connection: then those that were not asked meanwhile are not waited for. Units that never
  answered do not count, so that a dead one does not end the connection of one seldom asked.
"""

from collections.abc import Set as AbstractSet

SILENCES_MAX = 3
"""Silences in a row before units that were not asked are no longer waited for."""


class Silences:
    """What the units of one connection said, and did not say."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self._answered_units: set[int] = set()
        self._silent_units: set[int] = set()
        self._count = 0

    def answered(self, unit: int) -> None:
        """Note an answer, in time or late."""
        self._answered_units.add(unit)
        self._silent_units.clear()
        self._count = 0

    def passed(self, unit: int) -> None:
        """Note that a unit let its time pass."""
        self._silent_units.add(unit)
        self._count += unit in self._answered_units

    def is_connection_dead(self, open_units: AbstractSet[int]) -> bool:
        """Return whether to give the connection up.

        Args:
            open_units: Those with a session, the silent one with them.
        """
        return open_units <= self._silent_units or self._count >= SILENCES_MAX
