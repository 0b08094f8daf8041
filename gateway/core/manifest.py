"""What a model bundle says of itself.

A bundle (`.ewm`) is a zip archive of `manifest.json`, `model.onnx` and, for an anomaly model,
`canary.npz`. It carries no signature: trust comes from TUF metadata that names its hash.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.core.drift_reference import DriftReference
from gateway.core.dynamics import Dynamics
from gateway.core.model_cost import ModelCost
from gateway.core.settings import Settings

MODEL_NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
VERSION_PATTERN = r"^\d{1,6}\.\d{1,6}$"


class RolloutRules(Settings):
    """When a gateway puts this version in force, and when it goes back, without asking anyone."""

    shadow_rows: Annotated[int, Field(ge=1)] = 600
    """Rows of running machines that the version must score in shadow before a decision."""
    alarm_share_max: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Largest share of shadow rows on which it alarms while the incumbent does not."""
    missed_share_max: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Largest share of the incumbent's alarm rows on which it stays silent."""
    latency_ms_max: Annotated[float, Field(gt=0)] = 5.0
    """Largest 99th percentile of the time that one scoring call may take."""
    probation_rows: Annotated[int, Field(ge=0)] = 600
    """Rows after promotion during which the former version stays ready to take over."""
    probation_alarm_share_max: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Largest share of probation rows on which it alarms and the former version does not."""


class Method(StrEnum):
    """How an anomaly model scores."""

    DISTANCE = "distance"
    """One row at a time: how far it lies from what is known of its columns. The graph takes `rows`
    float32 (n, m) and returns `score` float32 (n,), already divided by the calibrated threshold,
    and `contribution` float32 (n, m), not negative; the score is averaged over time."""
    STATISTICS = "statistics"
    """The last rows together: the graph takes `history` float32 (n, L, m) of standardised values,
    the oldest row first, and returns `statistic` float32 (n, k) and `contribution` float32
    (n, k, m), not negative; `Dynamics` says what becomes of them."""
    MEMORY = "memory"
    """One column: how far the present is from all that it has done. The graph has no input and
    returns what the training saw."""


class AnomalyManifest(Settings):
    """An anomaly model: rows of features in, one score a row out, above 1 is anomalous."""

    kind: Literal["anomaly"] = "anomaly"
    format: Literal[1, 2] = 1
    """Version of this manifest's format: 1 for models of distance, 2 for the others."""
    method: Method = Method.DISTANCE
    """How it scores, and so what its graph takes and returns."""
    dynamics: Dynamics | None = None
    """For a model of statistics, and for no other."""
    name: Annotated[str, Field(pattern=MODEL_NAME_PATTERN)]
    """Name of the model over its versions, such as `pump-anomaly`."""
    version: Annotated[str, Field(pattern=VERSION_PATTERN)]
    """`major.minor`; a release has a greater one than the release before."""
    asset_type: str
    """The twin type whose rows it scores."""
    columns: tuple[str, ...]
    """Feature names in the order of the graph's input; m of them."""
    states: tuple[str, ...] = ("running",)
    """Operating states it covers; in any other it says that it cannot tell."""
    period_s: Annotated[float, Field(gt=0)] = 1.0
    """Time between the rows it was trained on."""
    is_averaged: bool = False
    """Whether those rows were means over that time: then it reads such means, however fast rows
    come."""
    smoothing_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Time constant of the average over time that the threshold was calibrated for."""
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation that every column may have on a healthy machine whatever a recording
    shows, for training anew; 0 is unknown."""
    false_alarm_share: Annotated[float, Field(gt=0, lt=0.1)] = 0.001
    """Share of healthy rows that may score above 1, by the rows that it was calibrated on."""
    trained_rows: Annotated[int, Field(ge=1)]
    """Rows that it was fitted on."""
    training_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of those rows."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """What the training measured on held-back rows, by name."""
    cost: ModelCost | None = None
    """What it costs to carry and to run, as measured after the training."""
    reference: DriftReference | None = None
    """How its training rows were distributed; None of a model that cannot tell drift."""
    rollout: RolloutRules = RolloutRules()
    """When a gateway promotes it and when it returns."""

    @model_validator(mode="after")
    def _check_method(self) -> "AnomalyManifest":
        if (self.format == 1) != (self.method is Method.DISTANCE):
            raise ValueError(f"format {self.format} with a model of {self.method}")
        if (self.dynamics is not None) != (self.method is Method.STATISTICS):
            raise ValueError(f"a model of {self.method} {_WITHOUT[self.dynamics is None]} dynamics")
        if self.dynamics is not None and len(self.dynamics.measured) != len(self.columns):
            raise ValueError(
                f"dynamics of {len(self.dynamics.measured)} columns for {len(self.columns)}"
            )
        if self.method is Method.MEMORY and len(self.columns) != 1:
            raise ValueError(f"a model of memory has one column, not {len(self.columns)}")
        return self


_WITHOUT = {True: "without", False: "with"}


class VisionManifest(Settings):
    """An object detector, described wholly: nothing about it is in code."""

    kind: Literal["vision"] = "vision"
    format: Literal[1] = 1
    """Version of this manifest's format."""
    name: Annotated[str, Field(pattern=MODEL_NAME_PATTERN)]
    """Name of the model over its versions."""
    version: Annotated[str, Field(pattern=VERSION_PATTERN)]
    """`major.minor`."""
    labels: tuple[str, ...]
    """Class names in the order of the scores."""
    input_name: str
    """Name of the graph's input, float32 (1, 3, height, width)."""
    width_px: Annotated[int, Field(ge=16, le=4096)]
    """Width of the input."""
    height_px: Annotated[int, Field(ge=16, le=4096)]
    """Height of the input."""
    colour_order: Literal["bgr", "rgb"]
    """Order of the three channels."""
    resize: Literal["letterbox", "stretch"]
    """`letterbox` keeps the aspect, the image in the top-left corner; `stretch` does not."""
    fill: Annotated[int, Field(ge=0, le=255)] = 114
    """Grey level of a letterbox's empty part."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Taken from each channel, 0 to 255, in `colour_order`."""
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Then each channel is divided by this."""
    decoder: Literal["yolox", "ultraface"]
    """How the outputs become boxes."""
    score_min: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Boxes below it are left out."""
    overlap_max: Annotated[float, Field(ge=0, le=1)] = 0.45
    """Intersection over union above which the weaker of two boxes of one label is left out."""
    model_sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None
    """Digest of the ONNX file it describes; lets a bare file be matched to its manifest."""
