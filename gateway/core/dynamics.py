"""How an anomaly model of format 2 turns the last rows of an asset into one score."""

from typing import Annotated

from pydantic import Field, model_validator

from gateway.core.settings import Settings

STATISTICS_MAX = 16
"""Statistics in one model."""
HISTORY_ROWS_MAX = 256
"""Rows that a graph may look back."""


class Dynamics(Settings):
    """What a model of statistics needs beside its graph.

    Each row is standardised by a baseline that follows slow drift; the graph computes k statistics
    of the last rows; each is averaged over s lengths of time; each average is compared with its own
    tail on healthy rows, so that 1 is the stated false-alarm rate; the largest is the score.
    """

    measured: tuple[bool, ...]
    """Which of the manifest's columns are measurements; the graph reads those, m of them."""
    level: tuple[float, ...]
    """Trained level of each measured column, in its unit, m of them."""
    spread: tuple[Annotated[float, Field(gt=0)], ...]
    """Trained standard deviation of each, above 0."""
    moved: tuple[float, ...]
    """How far each level had moved at the end of the recordings, in spreads: a machine goes on from
    there."""
    widened: tuple[Annotated[float, Field(ge=1)], ...]
    """The spread at the end over the trained one."""
    follow_rows: Annotated[float, Field(gt=1)]
    """Rows in which a level moves by one spread at the most."""
    history_rows: Annotated[int, Field(ge=1, le=HISTORY_ROWS_MAX)]
    """Rows that the graph looks at."""
    statistics: Annotated[tuple[str, ...], Field(min_length=1, max_length=STATISTICS_MAX)]
    """Name of each statistic, k of them, in the order of the graph's output."""
    center: tuple[float, ...]
    """Mean of each statistic on healthy rows."""
    scales_rows: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    """Time constant of each average, s of them."""
    usual: tuple[float, ...]
    """Value of each average whose surprise is 0: k times s of them, the scales of the first
    statistic first."""
    width: tuple[Annotated[float, Field(gt=0)], ...]
    """How far the surprise of 1 lies above it."""

    @model_validator(mode="after")
    def _check_counts(self) -> "Dynamics":
        count = sum(self.measured)
        averages = len(self.statistics) * len(self.scales_rows)
        expected = (*4 * (count,), len(self.statistics), averages, averages)
        of_columns = (self.level, self.spread, self.moved, self.widened)
        lists = (*of_columns, self.center, self.usual, self.width)
        if count == 0 or tuple(map(len, lists)) != expected:
            raise ValueError(
                f"level, spread, moved, widened, center, usual and width have "
                f"{tuple(map(len, lists))} entries; {expected} are needed, and at least one "
                "measured column"
            )
        return self
