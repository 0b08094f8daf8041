"""The demo's report, and the promises that it checks."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from analytics.training.spoil import Flaw

DECISION_LATENCY_MS_MAX = 10.0


class Part(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Samples(Part):
    """The books: every figure counted where it happens."""

    offered: int
    """Values that the simulator's servers put into responses and notifications."""
    received: int
    """Decoded by the gateway's connectors."""
    stored: int
    """Committed to its log."""
    acknowledged: int
    """Confirmed by the cloud."""
    in_lake: int
    """Read back from the cloud's Parquet files."""
    gap: int
    """Offered inside a gap of the ledger, and not in the lake."""
    ledgered: int
    """Held by the gateway, lost, and in its ledger."""
    lost: int
    """Offered, and neither in the lake nor accounted for."""
    duplicated: int
    """In the lake more than once."""


class Outage(Part):
    """The time without the cloud."""

    seconds: float
    buffered: int
    """Raw samples that waited in the log when the link came back."""
    drained_in_seconds: float | None
    """From the link's return until all of them were acknowledged; None is never."""


class Latency(Part):
    """Milliseconds from a response's bytes to the decision published."""

    p50: float
    p99: float


class FoundFault(Part):
    """One injected fault, and what found it."""

    name: str
    asset: str
    onset_s: float
    """Since all runs."""
    detected_s: float | None
    """When the first alarm on the asset after the onset was raised; None is never."""
    delay_s: float | None
    condition: str | None
    """The alarm's condition."""


class ModelOutcome(Part):
    """One version of a model on the gateway."""

    name: str
    version: str
    stage: str
    """shadow, active, rejected, rolled_back or retired."""
    reason: str


class Resources(Part):
    """One figure for each process."""

    gateway: float
    cloud: float


class Report(Part):
    """What the demo found."""

    seed: int
    duration_s: float
    samples: Samples
    outage: Outage
    decision_latency_ms: Latency
    faults: tuple[FoundFault, ...]
    false_alarms: int
    """Alarms before the first onset, or on assets without a fault."""
    models: tuple[ModelOutcome, ...]
    memory_mb: Resources
    """Most resident memory seen."""
    cpu_s: Resources
    """Processor time used."""
    promises: dict[str, bool] = Field(default_factory=dict)
    """What the demo promises, and whether it held."""

    @property
    def is_kept(self) -> bool:
        """Whether every promise held."""
        return all(self.promises.values())


def promises_of(report: Report, *, better: str | None, bad: Mapping[str, str]) -> dict[str, bool]:
    """Return each promise and whether it held.

    Args:
        report: Everything but the promises.
        better: Version that the retraining released; None when there was none.
        bad: Versions of the bad models by their flaw; one that was never released is missing.
    """
    samples = report.samples
    stages = {model.version: model.stage for model in report.models}
    accounted = samples.in_lake + samples.gap + samples.ledgered
    return {
        "nothing lost": samples.lost == 0,
        "nothing twice": samples.duplicated == 0,
        "received is stored or ledgered": samples.stored + samples.ledgered >= samples.received,
        "stored is acknowledged": samples.acknowledged == samples.stored,
        "acknowledged is in the lake": samples.in_lake == samples.acknowledged,
        "offered is accounted for": accounted >= samples.offered,
        "every fault found": all(fault.detected_s is not None for fault in report.faults),
        "no false alarm": report.false_alarms == 0,
        "better model in force": better is not None and stages.get(better) == "active",
        **{
            f"{flaw} model kept out": stages.get(bad.get(flaw, "")) in ("rejected", "rolled_back")
            for flaw in Flaw
        },
        "decisions within 10 ms": report.decision_latency_ms.p99 < DECISION_LATENCY_MS_MAX,
    }
