"""Assets without physics: their signals pass through as columns, for recordings and trials."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gateway.core.arrays import FloatArray, StatusArray
from gateway.core.quality import is_good
from gateway.core.tags import TagId
from twins.model import Explanation, Extra, Relation, Signature
from twins.settings import AssetSettings

Column = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Name of a column, unit last."""


class GenericSettings(AssetSettings):
    """An asset of any kind: it runs while all of its tags are Good."""

    type: Literal["generic"] = "generic"
    """Kind of asset."""
    tags: Annotated[dict[Column, TagId], Field(min_length=1)]
    """The tag of each column."""
    settling_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Time for which all tags must be Good until the asset counts as running."""


class GenericAssets:
    """All n assets with the same columns and no physics; implements `AssetModel`."""

    asset_type = "generic"
    relations: tuple[Relation, ...] = ()
    extras: tuple[Extra, ...] = ()
    signatures: tuple[Signature, ...] = ()

    def __init__(self, settings: Sequence[GenericSettings]) -> None:
        """Take the columns from the first; all have the same."""
        self._count = len(settings)
        self.roles: tuple[str, ...] = tuple(settings[0].tags)
        self.inputs = self.roles

    @property
    def fallback(self) -> FloatArray:
        """Nothing stands for a missing value, shape (n, k)."""
        return np.full((self._count, len(self.roles)), np.nan)

    @property
    def noise(self) -> FloatArray:
        """No residuals, shape (n, 0)."""
        return np.empty((self._count, 0))

    def load(self, value: FloatArray, status: StatusArray) -> FloatArray:
        """Return 1 where all inputs are Good, NaN elsewhere, shape (n,)."""
        del value
        return np.where(is_good(status).all(axis=1), 1.0, np.nan)

    def explain(self, value: FloatArray) -> Explanation:
        """Return terms of no relations."""
        nothing = np.empty((len(value), 0))
        return Explanation(terms=nothing[:, :, None], lag_s=nothing, extras=nothing)
