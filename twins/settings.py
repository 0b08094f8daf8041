"""What every twin's table in the configuration has in common."""

from typing import Annotated

from pydantic import Field

from gateway.core.settings import Settings

Positive = Annotated[float, Field(gt=0)]
"""A figure of a nameplate that cannot be zero."""


class AssetSettings(Settings):
    """The part of an asset's table that does not depend on its type."""

    period_s: Annotated[float, Field(ge=0.01, le=3600)] = 1.0
    """Time between the rows of the asset, in seconds of the data's own time."""
    stale_after_s: Annotated[float, Field(gt=0, le=86400)] = 60.0
    """Age from which a value counts as Uncertain, and an asset of which nothing is younger as
    Bad; above the longest silence of a source that reports only changes."""
    settling_s: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Time after a start until the asset counts as running."""
    commissioning_rows: Annotated[int, Field(ge=0, le=1_000_000)] = 600
    """Healthy running rows from which the twin learns its own parameters; 0 takes the nameplate
    as it is."""
    health_smoothing_s: Annotated[float, Field(gt=0, le=86400)] = 30.0
    """Time constant with which health follows the residuals."""
