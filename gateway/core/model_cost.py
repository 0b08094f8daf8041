"""What a model costs on the machine that runs it."""

from typing import Annotated

from pydantic import Field

from gateway.core.settings import Settings


class ModelCost(Settings):
    """Size and time of one model, measured where it was trained, on one core."""

    size_bytes: Annotated[int, Field(ge=0)]
    """Of the graph and all tables: what the bundle adds to the gateway's disk."""
    row_ms_p50: Annotated[float, Field(ge=0)]
    """Median time of one row of one asset, everything included."""
    row_ms_p99: Annotated[float, Field(ge=0)]
    """99th percentile of that time."""
