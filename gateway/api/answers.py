"""What the local API answers, as pydantic models; `/openapi.json` is made from them.

Times are UTC. A number that is not known is null, never NaN.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Base of every answer: it does not change, and a newer gateway may say more."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Refusal(Answer):
    """Why a request was not carried out."""

    error: str
    """What is wrong."""
    remedy: str
    """What to do about it."""


class HealthAnswer(Answer):
    """Whether the gateway does its work; the status code is 503 when it does not."""

    is_healthy: bool
    reasons: tuple[str, ...]
    """What is wrong; empty when all is well."""


class LogAnswer(Answer):
    """The record log as a buffer."""

    size_bytes: int
    size_bytes_max: int
    bytes_per_day: float
    """Growth at the present rate."""
    buffer_s: float | None
    """How long the log takes the present rate without any delivery; null while not known."""
    buffer_thinned_s: float | None
    """The same until samples are dropped, which are thinned before; an estimate."""
    fault: str
    """Why nothing can be written; empty when all is well."""
    doubt: str = ""
    """Why the times of new records cannot be relied on; empty when they can."""
    written_bytes: int | None
    """Written to the disk since the start; null where the system does not tell."""
    written_bytes_per_day: float | None
    """The same in a day at the rate since the start; null while that is not known."""


class BooksAnswer(Answer):
    """Raw samples counted at each step."""

    received: int
    """Decoded by the gateway."""
    stored: int
    """Committed to the log."""
    acknowledged: int
    """Confirmed by the far end."""
    lost: int
    """Counted in the loss ledger, apart from those that were thinned."""
    gap_count: int
    """Spans in which nobody listened or a device was away."""
    gap_s: float
    """Their lengths together, since this start."""
    healed: int = 0
    """Read later from the histories of machines, since this start; the gaps stay."""
    thinned: int = 0
    """Taken out for want of room; those delivered draw them within a stated error."""


class AlarmCounts(Answer):
    """Alarms by what they ask of a person."""

    unacknowledged: int
    """Nobody has seen them, active or not any more."""
    acknowledged: int
    """Seen, and active or latched."""
    shelved: int
    suppressed: int = 0
    """By design, while the plant is in a state in which they mean nothing."""
    out_of_service: int = 0


class ConfigurationAnswer(Answer):
    """Which configuration runs, and whether it may stay."""

    digest: str
    """Made from the file and its tag lists; empty where nobody keeps configurations."""
    since: datetime
    file: str
    """The file that it was read from."""
    start_file: str
    """The file that the next start takes."""
    is_on_trial: bool
    """Whether it has yet to prove itself."""
    trial_until: datetime | None
    """When it is decided whether it stays; null when it is decided, or not yet begun."""
    left_digest: str
    """The last one that was left again; empty when there is none, or another has stayed since."""
    left_at: datetime | None
    left_reason: str
    """Why, with the figures."""


class AppliedAnswer(Answer):
    """What became of the wish to apply a configuration."""

    digest: str
    """Of the file; empty when there are mistakes in it."""
    is_change: bool
    """Whether it is put on trial now; false when it is in force already, or refused."""
    mistakes: tuple[str, ...]
    """One line each, opening with the place; empty when there are none."""


class StatusAnswer(Answer):
    """The gateway at one glance."""

    gateway: str
    site: str
    version: str
    started: datetime
    now: datetime
    """The gateway's clock at this answer."""
    tag_count: int
    asset_count: int
    alarms: AlarmCounts
    log: LogAnswer
    books: BooksAnswer
    configuration: ConfigurationAnswer


class SignalAnswer(Answer):
    """One signal of an asset beside what its physics expects."""

    name: str
    """Role of the signal, unit last."""
    tag: str
    unit: str
    """UCUM code."""
    value: float | None
    quality: Literal["good", "uncertain", "bad"]
    status: int
    """OPC UA status code."""
    is_stale: bool
    time: datetime | None
    """Source time; null before the first value."""
    expected: float | None
    tolerance: float | None
    """Half width of the band in which the value is normal."""
    share: float | None
    """Part of the anomaly score that this signal explains, 0 to 1."""
    trend: tuple[float | None, ...] = ()
    """Last values, the oldest first; null where Bad. Only in the answer for one asset."""


class AssetAnswer(Answer):
    """One asset as its twin knows it."""

    asset: str
    asset_type: str
    state: Literal["unknown", "off", "starting", "running"]
    health: float | None
    """0 (failed) to 1 (as new)."""
    health_trend: tuple[float | None, ...]
    """Last values of health, the oldest first."""
    score: float | None
    """Anomaly score over its threshold: above 1 is anomalous."""
    as_of: datetime | None
    """Time of the newest data in it."""
    worst_sign: str
    reasons: tuple[str, ...]
    """Why the health is not what it should be, the weightiest first."""
    remaining_h: float | None
    """Hours until it has to be stopped; null where nobody can tell."""
    remaining_low_h: float | None
    """Lower end of the interval that holds nine of ten."""
    remaining_high_h: float | None
    """Upper end; null where there may be no end."""
    advice: str
    bad_count: int
    """Signals that are Bad or stale."""
    signal_count: int


class AssetList(Answer):
    """Every asset."""

    assets: tuple[AssetAnswer, ...]


class AssetDetail(Answer):
    """One asset with its signals and what happened to it lately."""

    summary: AssetAnswer
    signals: tuple[SignalAnswer, ...]
    events: tuple["EventAnswer", ...]
    """The newest first."""


class TagAnswer(Answer):
    """The last value of one tag."""

    tag: str
    unit: str
    """UCUM code."""
    value: float | None
    quality: Literal["good", "uncertain", "bad"]
    status: int
    """OPC UA status code."""
    is_stale: bool
    time: datetime | None
    """Source time; null before the first value."""
    is_writable: bool
    low: float | None
    """Lower end of the range; null where there is none. What is written must lie inside."""
    high: float | None
    """Upper end of the range."""


class TagList(Answer):
    """A page of tags."""

    count: int
    """All tags that match, also those on other pages."""
    tags: tuple[TagAnswer, ...]


class TrendPoint(Answer):
    """One sample."""

    time: datetime
    value: float | None
    status: int
    """OPC UA status code."""


class TrendAnswer(Answer):
    """The last samples of one tag, as far as memory has them."""

    tag: str
    unit: str
    """UCUM code."""
    points: tuple[TrendPoint, ...]
    """The oldest first."""


class EvidenceAnswer(Answer):
    """One reason."""

    name: str
    value: float | None
    expected: float | None
    share: float | None
    unit: str
    """UCUM code."""


class EventAnswer(Answer):
    """Something that happened."""

    id: str
    time: datetime
    source: str
    condition: str
    severity: int
    """1 to 1000."""
    transition: str
    text: str
    operator: str
    """Who did it; empty when the gateway did."""
    reason: str = ""
    """Why a person did it, in their words."""
    is_quiet: bool = False
    """Whether it is part of a flood, and announced by the flood's event instead."""
    group: str = ""
    """Group of alarms whose order of raising is kept; empty is none."""
    group_order: int = 0
    """Place in that order: 1 is the first out, 0 is none."""


class EventList(Answer):
    """The latest events, the newest first."""

    events: tuple[EventAnswer, ...]


class LedgerAnswer(Answer):
    """Samples that are missing, and why."""

    reason: str
    is_gap: bool
    """Whether they were never held, as against held and lost."""
    source: str
    """Connector; `*` is all of them."""
    begin: datetime
    end: datetime
    count: int | None
    """Samples missing; null where only the span is known."""
    tag_count: int
    """Tags concerned; 0 is all tags of the source."""


class LedgerList(Answer):
    """The latest losses and gaps, the newest first."""

    entries: tuple[LedgerAnswer, ...]


class CoverageAnswer(Answer):
    """How often the intervals of a model of remaining life held the truth."""

    told: float
    """Share that is promised, 0 to 1."""
    judged: int
    """Lives that ended since the version came."""
    held: int
    """Those of them whose interval held the truth."""


class ModelAnswer(Answer):
    """One version of one model on this gateway."""

    name: str
    version: str
    stage: Literal["shadow", "active", "rejected", "rolled_back", "retired"]
    since: datetime
    reason: str
    rows: int
    """Rows it has scored in this stage."""
    rows_needed: int
    """Rows after which the stage is decided; 0 where nothing is to be decided."""
    coverage: CoverageAnswer | None = None
    """Of a model of remaining life in force."""


class ModelList(Answer):
    """Every version of every model, by name, the newest first."""

    models: tuple[ModelAnswer, ...]


class CommandAnswer(Answer):
    """What became of a command."""

    id: str
    tag: str
    value: float
    state: Literal["init", "executing", "successful", "failed"]
    reason: str
    """Why it failed; empty otherwise."""
    read_back: float | None
    operator: str


class StreamLine(Answer):
    """One line of the stream: all that became new since the line before, newest values only."""

    now: datetime
    values: tuple[TagAnswer, ...]
    events: tuple[EventAnswer, ...]
    """The oldest first."""
    missed_events: int
    """Events left out because the reader was slow; they are in the log."""
    late_s: float
    """How long the reader kept the gateway waiting; values in between were left out."""
