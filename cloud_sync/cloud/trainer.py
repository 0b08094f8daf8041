"""The child process of a retraining: rows from the lake, a candidate, a judgement.

The rows of all assets are parted at one instant. The older ones train the candidate; the newer
ones, which neither version has seen, judge it beside the version in force, together with the known
faults of the candidate's canary cases. What follows is `analytics.training.evaluation`'s to say.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from analytics.scoring import open_bundle
from analytics.training.anomaly import Purpose, train_anomaly
from analytics.training.evaluation import Evaluation, compare, evaluate
from cloud_sync.cloud.messages import RetrainOutcome
from cloud_sync.cloud.rows import AlarmPeriod, Run, read_healthy_rows, split_by_time
from gateway.core.arrays import frozen
from gateway.core.errors import GatewayError
from gateway.core.manifest import AnomalyManifest
from gateway.recordings.pace import period_means
from gateway.wire.bundle import write_bundle

JOB: Final = "job.json"
INCUMBENT: Final = "incumbent.ewm"
REPORT: Final = "report.json"
CANDIDATE: Final = "candidate.ewm"
"""Files in the folder that parent and child share."""
NICENESS: Final = 15
"""Any other work of the machine goes first."""


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


def train_candidate(job: TrainingJob, incumbent: bytes) -> tuple[TrainingReport, bytes | None]:
    """Return the judgement, and the candidate's bundle if it is better.

    Raises:
        ModelError: a bundle is damaged, or the rows do not make a model; says why.
        StoreError: a file of the lake cannot be read.
    """
    _, manifest = open_bundle(incumbent)
    runs = read_healthy_rows(
        job.paths,
        columns=manifest.columns,
        periods=job.periods,
        row_count_max=job.row_count_max,
    )
    if manifest.is_averaged:
        runs = tuple(_averaged(run, period_s=manifest.period_s) for run in runs)
    figures = {
        "rows": float(sum(map(len, runs))),
        "rows_in_alarm": float(sum(run.alarm_row_count for run in runs)),
        "assets": float(len(runs)),
    }
    if figures["rows"] < job.row_count_min:
        text = (
            f"{figures['rows']:.0f} healthy rows of running assets are too few: "
            f"{job.row_count_min} are needed"
        )
        return TrainingReport(
            outcome=RetrainOutcome.TOO_FEW_ROWS, text=text, figures=figures
        ), None  # fmt: skip
    older, newer = split_by_time(runs, held_back_share=job.held_back_share)
    trained = train_anomaly([run.value for run in older], _purpose(manifest, job.version))
    candidate = write_bundle(trained.bundle)
    assert trained.bundle.canary is not None, "an anomaly model has canary cases"
    ours, theirs = (
        evaluate(
            bundle,
            [run.value for run in newer],
            columns=manifest.columns,
            faults=trained.bundle.canary,
        )
        for bundle in (candidate, incumbent)
    )
    verdict = compare(ours, theirs)
    outcome = RetrainOutcome.RELEASED if verdict.is_better else RetrainOutcome.NOT_BETTER
    word = "better" if verdict.is_better else "not better"
    report = TrainingReport(
        outcome=outcome,
        text=f"{job.version} is {word} than {manifest.version}: {verdict.reason}",
        figures={**figures, **_split_figures(older, newer), **_score_figures(ours, theirs)},
    )
    return report, candidate if verdict.is_better else None


def main(folder: Path) -> None:
    """Do the job in a folder and leave report and candidate there."""
    # A service's sandbox may forbid to change one's priority.
    with suppress(PermissionError):
        os.nice(NICENESS)
    job = TrainingJob.model_validate_json((folder / JOB).read_bytes())
    try:
        report, candidate = train_candidate(job, (folder / INCUMBENT).read_bytes())
    except GatewayError as error:
        report, candidate = TrainingReport(outcome=RetrainOutcome.FAILED, text=str(error)), None
    if candidate is not None:
        (folder / CANDIDATE).write_bytes(candidate)
    (folder / REPORT).write_text(report.model_dump_json(), encoding="utf-8")


def _averaged(run: Run, *, period_s: float) -> Run:
    time_ns, value = period_means(run.time_ns, run.value, period_s=period_s)
    return replace(run, time_ns=frozen(time_ns), value=frozen(value))


def _purpose(manifest: AnomalyManifest, version: str) -> Purpose:
    """Return the purpose of the version in force; the rows are of running assets only."""
    return Purpose(
        name=manifest.name,
        version=version,
        asset_type=manifest.asset_type,
        columns=manifest.columns,
        period_s=manifest.period_s,
        is_averaged=manifest.is_averaged,
        smoothing_s=manifest.smoothing_s,
        tolerance=manifest.tolerance,
        false_alarm_share=manifest.false_alarm_share,
        rollout=manifest.rollout,
    )


def _split_figures(older: Sequence[Run], newer: Sequence[Run]) -> dict[str, float]:
    return {
        "rows_trained": float(sum(map(len, older))),
        "rows_held_back": float(sum(map(len, newer))),
    }


def _score_figures(ours: Evaluation, theirs: Evaluation) -> dict[str, float]:
    return {
        "candidate_alarm_share": ours.alarm_share,
        "incumbent_alarm_share": theirs.alarm_share,
        "candidate_separation": ours.separation,
        "incumbent_separation": theirs.separation,
        "candidate_missed_faults": float(len(ours.missed)),
        "incumbent_missed_faults": float(len(theirs.missed)),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
