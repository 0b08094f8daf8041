"""What the life cycle of a model needs to know of the model's runner, and what it reports."""

from dataclasses import dataclass
from enum import StrEnum


class ModelStage(StrEnum):
    """Where a version of a model stands on this gateway."""

    SHADOW = "shadow"
    """Runs beside the version in force; its alarms are counted, not raised."""
    ACTIVE = "active"
    """In force."""
    REJECTED = "rejected"
    """Never was in force: a rule refused it."""
    ROLLED_BACK = "rolled_back"
    """Was in force, and a rule took it out again."""
    RETIRED = "retired"
    """Was in force until a better one came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeCoverage:
    """How often the intervals of a model of remaining life held, once the truth was known."""

    told: float
    """Share that is promised, 0 to 1."""
    judged: int
    """Lives that ended since the version came."""
    held: int
    """Those of them whose interval held the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One version of one model on this gateway."""

    name: str
    version: str
    stage: ModelStage
    since_ns: int
    """When it entered this stage, UTC."""
    reason: str
    """Why it is in this stage, in a sentence with the figures."""
    rows: int = 0
    """Rows it has scored in this stage."""
    rows_needed: int = 0
    """Rows after which the stage is decided; 0 where nothing is to be decided."""
    coverage: LifeCoverage | None = None
    """Of a model of remaining life in force; None for all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """How a version did on the known faults and healthy rows that its bundle carries."""

    fault_count: int
    """Known faults in the bundle."""
    missed: tuple[str, ...]
    """Names of those on which it stayed silent."""
    latency_ms_p99: float
    """99th percentile of one scoring call."""
    is_finite: bool
    """Whether every score was a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions on the same rows since the last time somebody asked.

    In shadow: the candidate against the version in force. In probation: the version in force
    against the former one. `trial` is the newer of the two, `reference` the older.
    """

    rows: int = 0
    """Rows of covered operating states that both scored."""
    trial_only_alarms: int = 0
    """Rows on which only the trial alarmed."""
    reference_alarms: int = 0
    """Rows on which the reference alarmed."""
    missed_alarms: int = 0
    """Rows on which the reference alarmed and the trial did not."""
    not_finite: int = 0
    """Rows on which the trial gave no number."""
    latencies_ms: tuple[float, ...] = ()
    """Time of the trial's scoring calls, the newest 1,000 at the most."""
