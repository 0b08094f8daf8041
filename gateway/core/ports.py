"""The ports: what the spine asks of connectors, twins, analytics and uplinks.

The packages behind the ports know these protocols and never one another; the two composition
roots (`gateway.service`, `cloud_sync.cloud.service`) put them together.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.alarm_metrics import AlarmMetrics
from gateway.core.alarms import Alarm, AlarmId, AlarmOrder
from gateway.core.arrays import IndexArray
from gateway.core.commands import Command
from gateway.core.device_status import ConnectorReport
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.gaps import Gaps, Healing
from gateway.core.models import CanaryReport, Comparison, ModelStatus
from gateway.core.pictures import Detection, Picture
from gateway.core.records import Boot, LedgerEntry, Record, Seq
from gateway.core.rows import AssetId, Rows
from gateway.core.tags import Tag, TagTable
from gateway.core.twin_state import TwinState


class Clock(Protocol):
    """The time; injected, so that tests can bring their own."""

    def now_ns(self) -> int:
        """Return wall time, UTC, nanoseconds since 1970: it may jump."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds on a clock that never jumps: for durations."""

    @property
    def is_trusted(self) -> bool:
        """Whether the wall time can be relied on, as far as is known."""


class Intake(Protocol):
    """Where everything enters the pipeline, in one order; the ingress queue implements it."""

    async def put(self, frame: Frame) -> None:
        """Add a frame; waits while the queue is full."""

    def note(self, entry: Frame | Event | LedgerEntry) -> None:
        """Add a small entry at once, whatever the fill."""


class Sink(Protocol):
    """Where a connector hands over what it received; made by the supervisor."""

    async def emit(self, frame: Frame) -> None:
        """Hand over one frame; waits while the ingress queue is full (back-pressure)."""

    def connected(self) -> None:
        """Say that the session stands and data is about to flow; once in a session."""

    def skipped(self, *, from_ns: int, to_ns: int, count: int) -> None:
        """Say that a scan could not start in time: `count` samples were not asked for."""

    def note(self, event: Event) -> None:
        """Tell of something that happened at the device, or to the connection; never waits."""

    def gaps(self) -> Gaps:
        """Return the gaps of the connector's tags that are to be read from its history.

        Always empty for a connector that is not built to read one.
        """

    def healed(self, healing: Healing) -> None:
        """Say that gaps were read from the history, as far as it has them; never waits."""


class Connector(Protocol):
    """A source of frames: one machine, or one server with many."""

    @property
    def name(self) -> str:
        """Name of the connector in the configuration; opens the ids of its tags."""

    @property
    def address(self) -> str:
        """Where it connects to, for a person."""

    @property
    def tags(self) -> tuple[Tag, ...]:
        """The tags it provides, in its own order; known without connecting."""

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        """Connect, and emit frames until cancelled.

        Cancellation is the order to stop: values that a server has already put on the wire are
        still emitted as far as a configured deadline allows, then the connection is closed.
        A new call makes everything anew; nothing is carried over from a failed session.

        Args:
            sink: Takes the frames.
            indices: Position in the tag table of each of `tags`, shape (len(tags),).
        Raises:
            DeviceError: the session cannot be made or was lost; the supervisor makes the tags
                Bad and calls again later.
        """

    async def write(self, tag: Tag, value: float) -> float:
        """Write one value in engineering units and return what is read back.

        Raises:
            DeviceError: there is no session, or the machine refuses.
        """

    def report(self) -> ConnectorReport:
        """Return what it knows of its own doings; cheap, and asked for at any time."""


class PictureSource(Protocol):
    """A camera."""

    @property
    def name(self) -> str:
        """Name of the camera in the configuration."""

    def pictures(self) -> AsyncIterator[Picture]:
        """Yield pictures; whoever is slow gets the newest, the others are counted as skipped."""


class PictureDetector(Protocol):
    """Finds objects on pictures; blocking, so called in a worker thread."""

    @property
    def model_version(self) -> str:
        """Name and version of the model in force."""

    def detect(self, encoded: bytes) -> tuple[Detection, ...]:
        """Return what is on a JPEG or PNG, the surest first.

        Raises:
            ModelError: the bytes are no picture, or the model fails on it.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinUpdate:
    """What one frame did to the twins of one type."""

    rows: tuple[Rows, ...]
    """Rows that became complete, in the order of time; often none or one."""
    frame: Frame | None
    """The same as samples of derived tags; None when there are no rows."""
    events: tuple[Event, ...] = ()
    """Such as a change of operating state."""


class Twin(Protocol):
    """The twins of all assets of one type. Pure: time comes from the data, no I/O."""

    @property
    def assets(self) -> tuple[AssetId, ...]:
        """The assets, in the order of the rows."""

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """The tags of its derived frames, `asset.column`."""

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions, once, before the first frame."""

    def update(self, frame: Frame) -> TwinUpdate:
        """Take in a frame of any tags and return what became known by it."""

    def state(self, asset: AssetId) -> TwinState:
        """Return one asset as known now."""

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint made under the same configuration.

        Raises:
            ValueError: it was made under another one; the state is unchanged.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """What one row set led to."""

    frame: Frame | None
    """Samples of the detector's derived tags, such as `asset.anomaly_score`."""
    events: tuple[Event, ...] = ()


class Detector(Protocol):
    """Scores the rows of one asset type. Pure, but for measuring its own latency."""

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """The tags of its frames."""

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions, once, before the first row."""

    def update(self, rows: Rows) -> Detected:
        """Score the rows of all assets at one instant, in one call of the model."""

    def explain(self, state: TwinState) -> TwinState:
        """Return the twin's state with score, shares and worst sign filled in."""

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint made under the same configuration."""


class AlarmBoard(Protocol):
    """All alarms of the gateway: limits on any tag, with ISA-18.2 states. Pure."""

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions, once, before the first frame."""

    def update(self, frame: Frame) -> tuple[Event, ...]:
        """Take in a frame of any tags and return the transitions it caused."""

    def alarms(self) -> tuple[Alarm, ...]:
        """Return every alarm that is not normal, worst first."""

    def has(self, alarm: AlarmId) -> bool:
        """Return whether there is such an alarm, normal or not."""

    def metrics(self, now_ns: int) -> AlarmMetrics:
        """Return how the alarms did in the last days, up to now by the gateway's clock."""

    def act(self, order: AlarmOrder) -> tuple[Event, ...]:
        """Do to an alarm what a person wants; returns it as an event, and what follows from it.

        Raises:
            CommandError: there is no such alarm, or in its state this cannot be.
        """

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint made under the same configuration."""


class ModelHost(Protocol):
    """Runs the versions of one model; the anomaly detector implements it.

    At any time there is at most one active version, one candidate and one former version.
    """

    @property
    def model_name(self) -> str:
        """Name of the model it runs, such as `pump-anomaly`."""

    def try_out(self, bundle: bytes) -> CanaryReport:
        """Run a bundle's canary cases, outside the chain; may take a second: use a thread.

        Raises:
            ModelError: the bundle is damaged, or not for this host.
        """

    def activate(self, bundle: bytes) -> None:
        """Put a version in force at the next row, with no version beside it."""

    def set_candidate(self, bundle: bytes | None) -> None:
        """Let a version score in shadow from the next row on, or end the shadow."""

    def promote(self) -> None:
        """Swap candidate and active between two rows; the old one becomes the former version."""

    def roll_back(self) -> None:
        """Put the former version in force again between two rows."""

    def end_probation(self) -> None:
        """Let the former version go."""

    def take_comparison(self) -> Comparison:
        """Return what was counted since the last call, and begin anew."""


class ModelReader(Protocol):
    """Tells about the models on this gateway."""

    def models(self) -> tuple[ModelStatus, ...]:
        """Return every version known, by name, the newest first."""


class TwinReader(Protocol):
    """Tells about the assets; the pipeline implements it."""

    def twin_states(self) -> tuple[TwinState, ...]:
        """Return every asset as known now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records on their way north, with all that is needed to read them alone."""

    gateway: str
    """Sender."""
    records: tuple[Record, ...]
    """In the order of seq; not empty."""
    tables: tuple[TagTable, ...]
    """The tag tables of the epochs that the records were written under."""
    is_historical: bool = False
    """Whether it fills a hole behind what was delivered already: for books and trends, never to
    act upon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """What the far end has safely taken; partial success is a value."""

    accepted: int
    """Records confirmed, counted from the front of the batch."""
    sample_count: int
    """Raw samples in those records, as counted by the far end."""
    duplicate_count: int
    """Records among them that the far end had already."""
    size_bytes: int = 0
    """Bytes of the batch as they went over the wire; 0 where the uplink cannot tell."""


class Uplink(Protocol):
    """A far end that takes batches. Raises `UplinkError` when it does not."""

    @property
    def name(self) -> str:
        """Name of the uplink in the configuration; also of its cursor."""

    @property
    def address(self) -> str:
        """Where it delivers to, for a person."""

    async def send(self, batch: Batch) -> SendResult:
        """Deliver one batch and wait for the far end's commit.

        It may be called again while it waits: what is of the past goes out beside the present.

        Raises:
            UplinkError: refused or no answer; nothing is known to have been taken.
            RefusedBatchError: a record in it will never be taken; the others may be.
        """

    async def aclose(self) -> None:
        """Close connections."""


class CommandSink(Protocol):
    """Takes commands from outside: the local API, the cloud, a twin."""

    async def submit(self, command: Command) -> Command:
        """Carry out a command and return it in its final state.

        Raises:
            CommandError: it is refused before anything was written.
        """


class RecordReader(Protocol):
    """Reads the log; for uplinks, export and replay."""

    async def read(self, *, after: Seq, size_bytes_max: int) -> Sequence[Record]:
        """Return records after a position, in order, at least one if there is any."""

    async def table_of(self, record: Record) -> TagTable:
        """Return the tag table that a record was written under."""

    @property
    def boot(self) -> Boot:
        """The running boot."""
