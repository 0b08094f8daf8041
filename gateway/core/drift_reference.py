"""How the rows were distributed that a model was trained on, for telling later that they moved."""

from typing import Annotated, Final

from pydantic import Field, model_validator

from gateway.core.settings import Settings

BINS: Final = 10
MODEL_DRIFT: Final = "model_drift"
"""Condition of the event that tells it; its source is the model."""


class Distribution(Settings):
    """One column, in bins that held about the same share of the training rows each."""

    edges: tuple[float, ...]
    """Upper edges of all bins but the last, never falling; a value on an edge is below it."""
    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    """Part of the training rows in each bin; one more than edges."""

    @model_validator(mode="after")
    def _fits(self) -> "Distribution":
        if len(self.shares) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges make {len(self.edges) + 1} bins")
        if any(a > b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("the edges must not fall")
        return self


class DriftReference(Settings):
    """All columns of a model, and its score."""

    columns: tuple[Distribution, ...]
    """In the order of the model's columns."""
    score: Distribution
    """Of the score averaged over time, on rows that the fit did not see."""
    independent_rows: Annotated[float, Field(gt=0)]
    """Rows that said something new: neighbouring rows say much the same."""
