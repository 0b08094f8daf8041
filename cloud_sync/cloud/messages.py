"""What the sync API says and is told, as JSON; the OpenAPI document is made from these."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.cases import Verdict
from gateway.core.manifest import MODEL_NAME_PATTERN


class Message(BaseModel):
    """Base of every message."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Problem(Message):
    """Why a request was refused; nothing of it was done."""

    error: str
    """What is wrong."""
    remedy: str
    """What to do about it."""


class Refusal(Problem):
    """The same over MQTT, where no status and no header stand beside it."""

    code: int
    """What would be the status over HTTP."""
    retry_after_s: int | None
    """When to come back; null is up to the gateway."""


class Accepted(Message):
    """A batch is on disk."""

    accepted: int
    """Records in the batch."""
    sample_count: int
    """Raw samples in them, whether new or known already."""
    duplicate_count: int
    """Records among them that had come before."""


class GatewayStatus(Message):
    """What came from one gateway so far; each record counts once, a block is one."""

    gateway: str
    record_count: int
    """Records of all kinds."""
    sample_count: int
    """Raw samples."""
    duplicate_count: int
    """Records that came again and were not kept again."""
    loss_count: int
    """Ledger entries about samples that the gateway had and lost."""
    gap_count: int
    """Ledger entries about samples that nobody ever held."""
    event_count: int
    """Events."""
    last_received_ns: int
    """When the last batch came, UTC, nanoseconds since 1970."""
    is_online: bool | None = None
    """Whether it is connected to the broker; null is not known, as for gateways that use HTTP."""
    online_changed_ns: int | None = None
    """Since when the cloud knows so, UTC, nanoseconds since 1970."""


class LakeStatus(Message):
    """How much is where."""

    file_count: int
    """Parquet files."""
    file_row_count: int
    """Rows in them: raw, stated and derived samples."""
    file_size_bytes: int
    """Their size."""
    inbox_batch_count: int
    """Acknowledged batches that are not in a file yet."""
    inbox_row_count: int
    """Rows in those."""
    inbox_size_bytes: int
    """Size of those."""
    spoilt_batch_count: int
    """Acknowledged batches that can no longer be read: a disk that fails; 0 is right."""


class Status(Message):
    """How the cloud is."""

    gateways: tuple[GatewayStatus, ...]
    """Gateways that have sent something; a gateway's own token shows only itself."""
    lake: LakeStatus
    """The data lake."""
    registry_expiry_s: dict[str, float]
    """Seconds that the signature of each role of the model registry still holds."""


class ModelRelease(Message):
    """One released version of one model."""

    name: str
    version: str
    """`major.minor`."""
    target: str
    """Path in the TUF repository, `models/<name>/<name>-<version>.ewm`."""
    sha256: str
    """Digest of the bundle, hexadecimal."""
    size_bytes: int
    """Size of the bundle."""


class ModelList(Message):
    """All releases, by name, the newest first."""

    models: tuple[ModelRelease, ...]


class RetrainOutcome(StrEnum):
    """What a retraining led to."""

    RELEASED = "released"
    """The candidate was better and is the new version."""
    NOT_BETTER = "not_better"
    """The candidate was not better; the version in force stays so."""
    TOO_FEW_ROWS = "too_few_rows"
    """The lake does not hold enough healthy rows."""
    FAILED = "failed"
    """The training broke off; the text says why."""


class RetrainRequest(Message):
    """Asks for a new version of a released model from the samples in the lake."""

    model: Annotated[str, Field(pattern=MODEL_NAME_PATTERN)]
    """Name of the model, such as `pump-anomaly`."""


class RetrainRun(Message):
    """What came of one retraining."""

    model: str
    started_ns: int
    """UTC, nanoseconds since 1970."""
    duration_s: float
    outcome: RetrainOutcome
    text: str
    """The outcome in a sentence with its figures."""
    incumbent: str
    """Version in force when it began."""
    released: str | None
    """Version that was released; null when none was."""
    figures: dict[str, float]
    """What was counted and measured, by name."""


class RetrainList(Message):
    """Retrainings, the newest first."""

    runs: tuple[RetrainRun, ...]


class EventEntry(Message):
    """One event of a gateway."""

    gateway: str
    id: str
    """Made from the event's content."""
    time_ns: int
    """UTC, nanoseconds since 1970."""
    source: str
    """Asset, device or `gateway`."""
    condition: str
    severity: int
    """1 to 1000."""
    transition: str
    """What it did to the condition, such as `raised` or `returned`."""
    onset_ns: int | None
    """When the cause began; null is unknown."""
    operator: str
    """Who did it; empty when the gateway did."""
    text: str
    """One sentence for a person."""


class EventList(Message):
    """Events, the newest first."""

    events: tuple[EventEntry, ...]


class LabelEntry(Message):
    """What a technician found behind the case of an asset."""

    gateway: str
    asset: str
    verdict: Verdict
    from_ns: int
    """When the case was opened, UTC."""
    to_ns: int | None
    """When it was closed; null while it is open."""


class LabelList(Message):
    """Labels, the newest first."""

    labels: tuple[LabelEntry, ...]


class LossEntry(Message):
    """Samples that are missing, and why."""

    gateway: str
    reason: str
    source: str
    """Connector; `*` is all of them."""
    from_ns: int
    """UTC, inclusive."""
    to_ns: int
    """UTC, exclusive."""
    count: int | None
    """Samples missing; null where only the span is known."""
    tags: tuple[str, ...]
    """Tags concerned; empty is all of the source."""
    error_percent: float | None
    """Of a tag's range: how far a line between the samples kept may miss one that was thinned out;
    null for other reasons."""


class LossList(Message):
    """Entries of the loss ledger, the newest first."""

    entries: tuple[LossEntry, ...]


class Health(Message):
    """The process answers and its database takes a transaction."""

    status: str
    """`ok`."""
