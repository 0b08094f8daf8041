"""What is left of an asset's life, as far as anybody can tell."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Prognosis:
    """Time until an asset has to be stopped (ISO 13381-1)."""

    hours: float
    """Not negative."""
    low_hours: float
    """Lower end of the interval that holds nine of ten."""
    high_hours: float
    """Its upper end; infinite where there may be no end."""
