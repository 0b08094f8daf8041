"""What is left of an asset's life, as far as anybody can tell, and the port of what tells it."""

from dataclasses import dataclass
from typing import Final, Protocol

from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.rows import AssetId, Rows
from gateway.core.tags import Tag, TagTable

RUL: Final = "rul_h"
RUL_LOW: Final = "rul_low_h"
RUL_HIGH: Final = "rul_high_h"
RUL_COLUMNS: Final = (RUL, RUL_LOW, RUL_HIGH)
"""Derived tags of an asset whose remaining life a model tells, in hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prognosis:
    """Time until an asset has to be stopped (ISO 13381-1)."""

    hours: float
    """Not negative."""
    low_hours: float
    """Lower end of the interval that holds nine of ten."""
    high_hours: float
    """Its upper end; infinite where there may be no end."""


class Prognoser(Protocol):
    """Tells the remaining life of all assets of one type. Pure: time comes from the data."""

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """The tags of its frames."""

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions, once, before the first row."""

    def update(self, rows: Rows) -> Frame | None:
        """Take in the rows of all assets at one instant; None is nothing new."""

    def end_life(self, asset: AssetId, *, opened_ns: int, closed_ns: int) -> tuple[Event, ...]:
        """Judge what was told of an asset that failed and was put right, and begin anew with it.

        Args:
            asset: Of any type; those of other types are none of its business.
            opened_ns: When its case was opened, in the time of the data.
            closed_ns: When the case was closed.
        """

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint made under the same configuration.

        Raises:
            ValueError: it was made under another one; the state is unchanged.
        """
