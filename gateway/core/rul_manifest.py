"""What a bundle of remaining life says of itself."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.core.manifest import MODEL_NAME_PATTERN, VERSION_PATTERN, RolloutRules
from gateway.core.model_cost import ModelCost
from gateway.core.settings import Settings

COLUMNS_MAX = 200
CONDITIONS_MAX = 20

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Numbers = Annotated[tuple[Finite, ...], Field(max_length=COLUMNS_MAX)]
Positions = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=COLUMNS_MAX)]

ROLLOUT = RolloutRules(
    shadow_rows=200,
    alarm_share_max=0.05,
    latency_ms_max=50.0,
    probation_rows=200,
    probation_alarm_share_max=0.1,
)
"""Rows are rare here and dear: one a period. Two good intervals of 90 % seldom lie apart."""


class ConditionTable(Settings):
    """Operating conditions, and what is usual in each."""

    selecting: Positions = ()
    """Positions of the columns that tell the conditions apart, s of them."""
    tolerance: Annotated[tuple[Positive, ...], Field(max_length=COLUMNS_MAX)] = ()
    """How far a value may be from a level of each of these columns."""
    levels: Annotated[tuple[Numbers, ...], Field(min_length=1, max_length=CONDITIONS_MAX)]
    """Of each condition, s numbers."""
    measured: Annotated[Positions, Field(min_length=1)]
    """Positions of the columns that may show wear, p of them."""
    center: tuple[Numbers, ...]
    """Of each condition, p numbers."""
    spread: tuple[tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...], ...]
    """Of each condition, p numbers; 0 where the column never varies."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse a table with rows of different lengths."""
        selecting, measured = len(self.selecting), len(self.measured)
        lengths = {
            "tolerance": [len(self.tolerance)] == [selecting],
            "levels": all(len(row) == selecting for row in self.levels),
            "center": [len(row) for row in self.center] == [measured] * len(self.levels),
            "spread": [len(row) for row in self.spread] == [measured] * len(self.levels),
        }
        wrong = [name for name, is_right in lengths.items() if not is_right]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} of the conditions has the wrong length")
        return self


class IntervalTable(Settings):
    """How far the truth lies from a prediction, by the prediction."""

    level: Annotated[float, Field(gt=0, lt=1)]
    """Share of the truths that the intervals hold."""
    at: Annotated[Numbers, Field(min_length=1)]
    """Predictions, rising."""
    below: Numbers
    """Truth minus prediction at the lower end, for each."""
    above: Numbers
    """The same at the upper end."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse a table with columns of different lengths."""
        if not len(self.at) == len(self.below) == len(self.above):
            raise ValueError("at, below and above of the intervals have different lengths")
        if list(self.at) != sorted(self.at):
            raise ValueError(f"at of the intervals must rise: {self.at}")
        return self


class RulManifest(Settings):
    """A model of remaining life, learnt from lives that were run to their end.

    The ONNX graph takes `statistics` float32 (n, f), as `WindowStatistics` makes them, and returns
    `life` float32 (n,), the remaining life as a share of `cap`.
    """

    kind: Literal["rul"] = "rul"
    format: Literal[1] = 1
    """Version of this manifest's format."""
    name: Annotated[str, Field(pattern=MODEL_NAME_PATTERN)]
    """Name of the model over its versions, such as `engine-life`."""
    version: Annotated[str, Field(pattern=VERSION_PATTERN)]
    """`major.minor`."""
    asset_type: str
    """The type of the machines it was learnt from."""
    columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=COLUMNS_MAX)]
    """Names of the columns of a row, m of them."""
    unit_column: str
    """Name of the column in the recordings that said which machine a row is of."""
    time_column: str
    """Name of the column in the recordings with the times."""
    time_unit: Literal["count", "hour"]
    """Unit of all times here: hours, or whatever the time column of the recording counts."""
    period: Positive
    """Usual time between rows."""
    cap: Positive
    """A remaining life beyond it is told as this much: it cannot be seen from here."""
    windows: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=10)]
    """Time constants of the averages, rising."""
    rows_min: Annotated[int, Field(ge=1)]
    """Rows of a machine before there is a figure."""
    conditions: ConditionTable
    """Operating conditions; a row of another one gives no figure."""
    intervals: IntervalTable
    """How sure a figure is."""
    trained_units: Annotated[int, Field(ge=1)]
    """Lives that it was learnt from."""
    trained_rows: Annotated[int, Field(ge=1)]
    """Rows of these lives."""
    training_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of those rows."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """What the training measured on lives left out, by name."""
    cost: ModelCost | None = None
    """Size and time, as measured where it was trained."""
    rollout: RolloutRules = ROLLOUT
    """When a gateway promotes it and when it returns; what counts as an alarm there is here an
    interval that lies wholly apart from that of the version beside it."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse positions beyond the columns, and windows that do not rise."""
        highest = max((*self.conditions.selecting, *self.conditions.measured))
        if highest >= len(self.columns):
            raise ValueError(f"the conditions name column {highest} of {len(self.columns)}")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError(f"the columns are repeated: {self.columns}")
        if list(self.windows) != sorted(set(self.windows)):
            raise ValueError(f"the windows must rise: {self.windows}")
        return self
