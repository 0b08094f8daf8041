"""How the OPC UA connector reads what it missed from the server's history."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.core.settings import Settings


class HistorySettings(Settings):
    """Healing of gaps; see `history`."""

    history: Literal["heal", "off"] = "heal"
    """Read what was missed from the server's history, for nodes that have one, or leave the gap."""
    history_delay_s: Annotated[float, Field(ge=0.05, le=3600)] = 2.0
    """How long after a value the server may need until it is in its history."""
    history_span_s_max: Annotated[float, Field(ge=1, le=31_536_000)] = 604_800.0
    """Longest time back; the older part of a longer gap is not read."""
    history_samples_max: Annotated[int, Field(ge=10, le=100_000)] = 1000
    """Values asked for in one call."""
    history_share_max: Annotated[float, Field(ge=0.01, le=1)] = 0.5
    """Largest part of the time that reading history may take, so that live values come first."""
