"""What the local API needs of the gateway; the service implements it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.core.alarm_metrics import AlarmMetrics
from gateway.core.alarms import Alarm, AlarmId, AlarmOrder
from gateway.core.arrays import BoolArray, FloatArray, IndexArray, StatusArray, TimeArray, frozen
from gateway.core.cases import Case, CaseId, Verdict
from gateway.core.commands import Command
from gateway.core.configuration_status import ConfigurationStatus
from gateway.core.device_status import DeviceStatus
from gateway.core.events import Event
from gateway.core.log_status import Books, LogStatus
from gateway.core.models import ModelStatus
from gateway.core.records import GatewayId, LedgerEntry
from gateway.core.tags import TagId, TagTable
from gateway.core.twin_state import TwinState
from gateway.core.uplink_status import DeadLetter, UplinkStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which gateway this is."""

    gateway: GatewayId
    site: str
    """Where it stands in the plant, `enterprise/site/area/line`."""
    version: str
    """Of the software."""
    started_ns: int
    """UTC."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """The last value of every tag, in the order of the tag table; arrays of shape (n,)."""

    time_ns: TimeArray
    """Source time; 0 before the first sample."""
    value: FloatArray
    """NaN before the first sample and where Bad."""
    status: StatusArray
    """OPC UA status codes."""
    is_stale: BoolArray
    """Whether no sample came for longer than the tag allows."""

    def __post_init__(self) -> None:
        """Switch writing off."""
        for column in (self.time_ns, self.value, self.status, self.is_stale):
            frozen(column)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trend:
    """The last samples of one tag in memory, the oldest first; arrays of shape (k,)."""

    time_ns: TimeArray
    value: FloatArray
    status: StatusArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """All that became new since a subscriber last asked, as one: the newest values only."""

    tag_index: IndexArray
    """Tags with a new value, each once."""
    events: tuple[Event, ...]
    """The oldest first."""
    missed_events: int
    """Events that are no longer in memory, because the subscriber was slow."""


class Subscription(Protocol):
    """One reader of what becomes new. It has no queue: whoever is slow gets the newest state."""

    async def changed(self) -> Change:
        """Wait until there is something new, and return all of it."""


class GatewayView(Protocol):
    """The running gateway as the local API shows it.

    Reading never waits: every method but the actions answers from memory, within a millisecond.
    """

    @property
    def identity(self) -> Identity:
        """Which gateway this is."""

    def now_ns(self) -> int:
        """Return wall time, UTC."""

    def table(self) -> TagTable:
        """Return the tags of the running epoch, derived ones included."""

    def values(self) -> Values:
        """Return the last value of every tag."""

    def trend(self, tag: TagId) -> Trend:
        """Return the last samples of a tag, from memory.

        Raises:
            KeyError: there is no such tag.
        """

    def twin_states(self) -> tuple[TwinState, ...]:
        """Return every asset."""

    def alarms(self) -> tuple[Alarm, ...]:
        """Return every alarm that is not normal, the worst first."""

    def has_alarm(self, alarm: AlarmId) -> bool:
        """Return whether there is such an alarm, normal or not."""

    def alarm_metrics(self) -> AlarmMetrics:
        """Return how the alarms did in the last days."""

    def devices(self) -> tuple[DeviceStatus, ...]:
        """Return every device, in the order of the configuration."""

    def uplinks(self) -> tuple[UplinkStatus, ...]:
        """Return every uplink, in the order of the configuration."""

    def models(self) -> tuple[ModelStatus, ...]:
        """Return every version of every model, by name, the newest first."""

    def configuration(self) -> ConfigurationStatus:
        """Return which configuration runs, and whether it may stay."""

    def log(self) -> LogStatus:
        """Return the state of the record log."""

    def books(self) -> Books:
        """Return the sample counts."""

    def ledger(self, count: int) -> tuple[LedgerEntry, ...]:
        """Return up to `count` of the latest losses and gaps, the newest first."""

    def events(self, count: int) -> tuple[Event, ...]:
        """Return up to `count` of the latest events, the newest first."""

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Follow what becomes new from now on, until the context is left."""

    async def act_on_alarm(self, order: AlarmOrder) -> Event:
        """Do to an alarm what a person wants.

        Raises:
            CommandError: there is no such alarm, or in its state this cannot be.
        """

    def cases(self) -> tuple[Case, ...]:
        """Return the open cases, the most severe first, then the closed ones."""

    async def decide(self, case: CaseId, verdict: Verdict, *, note: str, operator: str) -> Event:
        """Note what a technician found.

        Raises:
            CommandError: there is no such case.
        """

    async def trust(self, device: str, sha256: str, *, operator: str) -> Event:
        """Trust the certificate that a device has shown; it is connected to at its next try.

        Raises:
            CommandError: no such certificate was refused, or the disk refuses.
        """

    async def dead_letters(self, uplink: str, *, count_max: int) -> tuple[DeadLetter, ...]:
        """Return what an uplink will never take, the oldest records first.

        Raises:
            CommandError: the letters cannot be read.
        """

    async def send_dead_letters_again(self, uplink: str, *, operator: str) -> int:
        """Send the oldest dead letters of an uplink once more; returns how many were taken.

        Raises:
            CommandError: the far end does not answer, or the letters cannot be read.
        """

    async def promote(self, model: str, *, operator: str) -> None:
        """Put the version in shadow in force now, whatever its rules say.

        Raises:
            CommandError: there is no version in shadow.
            ModelError: it cannot be put in force.
        """

    async def roll_back(self, model: str, *, operator: str) -> None:
        """Put the former version in force again.

        Raises:
            CommandError: there is no former version.
            ModelError: it cannot be put in force.
        """

    async def submit(self, command: Command) -> Command:
        """Carry out a command and return it in its final state.

        Raises:
            CommandError: it is refused before anything was written.
        """

    async def apply(self, file: Path | None, *, operator: str) -> str:
        """Check a configuration file and put it on trial, soon after this returns.

        Args:
            file: None is the file that the gateway was started with.
            operator: Who wants it.
        Returns:
            Digest of the configuration; that of the one in force when they are the same.
        Raises:
            ConfigError: one line for each mistake; nothing changes.
            CommandError: not now.
        """
