"""What a bundle says of a model that tells the faults of a machine from its vibration."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.core.manifest import MODEL_NAME_PATTERN, VERSION_PATTERN
from gateway.core.model_cost import ModelCost
from gateway.core.settings import Settings

FaultLabel = Literal[
    "none", "inner", "outer", "ball", "cage", "unbalance", "misalignment", "looseness"
]
"""Faults that can be told, and that there is none."""


class VibrationManifest(Settings):
    """A classifier of faults for machines of any speed and bearing: it sees no hertz and no g.

    The ONNX graph takes `rows` float32 (n, m) and returns `probability` float32 (n, k).
    """

    kind: Literal["vibration"] = "vibration"
    format: Literal[1] = 1
    """Version of this manifest's format."""
    name: Annotated[str, Field(pattern=MODEL_NAME_PATTERN)]
    """Name of the model over its versions, such as `pump-vibration`."""
    version: Annotated[str, Field(pattern=VERSION_PATTERN)]
    """`major.minor`; a release has a greater one than the release before."""
    labels: Annotated[tuple[FaultLabel, ...], Field(min_length=2)]
    """What each of the k probabilities is of."""
    columns: tuple[str, ...]
    """Names of the m values of a row."""
    neutral: tuple[float, ...]
    """What stands for a value that is not known, m of them."""
    trained_recordings: Annotated[int, Field(ge=2)]
    """Recordings that it was fitted on."""
    trained_windows: Annotated[int, Field(ge=2)]
    """Windows of those recordings."""
    training_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the rows of those windows."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """What was measured with whole recordings kept apart, by name."""
    cost: ModelCost | None = None
    """Of a diagnosis of 4,096 samples, from the waveform on; None while it is not measured."""
