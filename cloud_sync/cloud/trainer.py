"""The child process of a retraining: rows from the lake, a candidate, a judgement."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from cloud_sync.cloud.messages import RetrainOutcome
from cloud_sync.cloud.rows import AlarmPeriod

JOB: Final = "job.json"
INCUMBENT: Final = "incumbent.ewm"
REPORT: Final = "report.json"
CANDIDATE: Final = "candidate.ewm"
"""Files in the folder that parent and child share."""


class _Paper(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TrainingJob(_Paper):
    """What the child is told, beside the bundle in force."""

    paths: tuple[Path, ...]
    """Files of the lake, the oldest first."""
    periods: tuple[AlarmPeriod, ...]
    """Times that are not known to be healthy."""
    version: str
    """Version that the candidate gets."""
    row_count_min: Annotated[int, Field(ge=1)]
    row_count_max: Annotated[int, Field(ge=1)]
    held_back_share: Annotated[float, Field(gt=0, lt=1)]


class TrainingReport(_Paper):
    """What the child tells."""

    outcome: RetrainOutcome
    """`RELEASED` when the candidate is better and the parent may release it."""
    text: str
    figures: dict[str, float] = Field(default_factory=dict)
