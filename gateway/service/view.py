"""The running gateway as the local API shows it."""

import asyncio
import importlib.metadata
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.keeper import ModelKeeper
from gateway.api.view import Identity, Subscription, Trend, Values
from gateway.commands import CommandDesk
from gateway.config import Config
from gateway.core.alarm_metrics import AlarmMetrics
from gateway.core.alarms import Alarm, AlarmId, AlarmOrder
from gateway.core.cases import Case, CaseId, Verdict
from gateway.core.commands import Command
from gateway.core.configuration_status import ConfigurationStatus
from gateway.core.device_status import DeviceStatus
from gateway.core.errors import CommandError, StoreError, UplinkError
from gateway.core.events import Event
from gateway.core.log_status import Books, LogStatus
from gateway.core.models import ModelStage, ModelStatus
from gateway.core.ports import Clock
from gateway.core.records import GatewayId, LedgerEntry
from gateway.core.tags import TagId, TagTable
from gateway.core.twin_state import TwinState
from gateway.core.uplink_status import DeadLetter, UplinkStatus
from gateway.pipeline import Ingress, Pipeline
from gateway.service.build import Parts
from gateway.service.changes import Changes
from gateway.service.feed import Feed
from gateway.service.gauge import LogGauge
from gateway.service.trust import TRUSTED, TRUSTED_SEVERITY, trust_server
from gateway.service.vision import Vision
from gateway.supervisor import DeviceSupervisor


class ServiceView:
    """Implements `GatewayView` and answers from memory; built once all parts run."""

    def __init__(
        self,
        config: Config,
        *,
        table: TagTable,
        ingress: Ingress,
        pipeline: Pipeline,
        parts: Parts,
        supervisors: Sequence[DeviceSupervisor],
        deliveries: Sequence[Delivery],
        keeper: ModelKeeper | None,
        vision: Vision,
        desk: CommandDesk,
        feed: Feed,
        gauge: LogGauge,
        changes: Changes | None,
        clock: Clock,
    ) -> None:
        """Show these parts."""
        self._table = table
        self._ingress = ingress
        self._pipeline = pipeline
        self._board = parts.board
        self._supervisors = tuple(supervisors)
        self._deliveries = tuple(deliveries)
        self._keeper = keeper
        self._lives = parts.lives
        self._vision = vision
        self._desk = desk
        self._feed = feed
        self._gauge = gauge
        self._changes = changes
        self._clock = clock
        self._state_folder = config.gateway.state_folder
        self.identity = Identity(
            gateway=GatewayId(config.gateway.id),
            site=config.gateway.site,
            version=importlib.metadata.version("edgewright"),
            started_ns=clock.now_ns(),
        )

    def now_ns(self) -> int:
        """Return wall time, UTC."""
        return self._clock.now_ns()

    def table(self) -> TagTable:
        """Return the tags of the running epoch, derived ones included."""
        return self._table

    def values(self) -> Values:
        """Return the last value of every tag."""
        live = self._pipeline.values
        return Values(
            time_ns=live.time_ns.copy(),
            value=live.value.copy(),
            status=live.status.copy(),
            is_stale=live.is_stale(now_ns=self._clock.now_ns()),
        )

    def trend(self, tag: TagId) -> Trend:
        """Return the last samples of a tag, from memory.

        Raises:
            KeyError: there is no such tag.
        """
        time_ns, value, status = self._pipeline.values.trend(self._table.index(tag))
        return Trend(time_ns=time_ns, value=value, status=status)

    def twin_states(self) -> tuple[TwinState, ...]:
        """Return every asset."""
        return self._pipeline.twin_states()

    def alarms(self) -> tuple[Alarm, ...]:
        """Return every alarm that is not normal, the worst first."""
        return self._board.alarms()

    def has_alarm(self, alarm: AlarmId) -> bool:
        """Return whether there is such an alarm, normal or not."""
        return self._board.has(alarm)

    def alarm_metrics(self) -> AlarmMetrics:
        """Return how the alarms did in the last days."""
        return self._board.metrics(self._clock.now_ns())

    def devices(self) -> tuple[DeviceStatus, ...]:
        """Return every device, in the order of the configuration."""
        return tuple(supervisor.status() for supervisor in self._supervisors)

    def uplinks(self) -> tuple[UplinkStatus, ...]:
        """Return every uplink, in the order of the configuration."""
        return tuple(delivery.status() for delivery in self._deliveries)

    def models(self) -> tuple[ModelStatus, ...]:
        """Return every version of every kept model, then the vision models in force."""
        kept = self._keeper.models() if self._keeper else ()
        coverage = {life.model_name: life.coverage for life in self._lives}
        told = (
            replace(status, coverage=coverage.get(status.name))
            if status.stage is ModelStage.ACTIVE
            else status
            for status in kept
        )
        return (*told, *self._vision.models())

    def configuration(self) -> ConfigurationStatus:
        """Return which configuration runs, and whether it may stay."""
        if self._changes is None:
            return ConfigurationStatus(digest="", since_ns=self.identity.started_ns, file="")
        return self._changes.status()

    def log(self) -> LogStatus:
        """Return the state of the record log."""
        return self._gauge.status()

    def books(self) -> Books:
        """Return the sample counts."""
        return self._gauge.books(received=self._ingress.received_samples)

    def ledger(self, count: int) -> tuple[LedgerEntry, ...]:
        """Return up to `count` of the latest losses and gaps, the newest first."""
        return self._feed.ledger(count)

    def events(self, count: int) -> tuple[Event, ...]:
        """Return up to `count` of the latest events, the newest first."""
        return self._feed.events(count)

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Follow what becomes new from now on, until the context is left."""
        return self._feed.follow()

    async def act_on_alarm(self, order: AlarmOrder) -> Event:
        """Do to an alarm what a person wants; see `GatewayView`."""
        return self._pipeline.act_on_alarm(order)

    def cases(self) -> tuple[Case, ...]:
        """Return the cases, open ones first."""
        return self._pipeline.cases()

    async def decide(self, case: CaseId, verdict: Verdict, *, note: str, operator: str) -> Event:
        """Note what a technician found; see `GatewayView`."""
        return self._pipeline.decide(case, verdict, note=note, operator=operator)

    async def trust(self, device: str, sha256: str, *, operator: str) -> Event:
        """Trust the certificate that a device has shown; see `GatewayView`."""
        await asyncio.to_thread(trust_server, self._state_folder, sha256)
        event = Event(
            time_ns=self._clock.now_ns(),
            source=device,
            condition=TRUSTED,
            severity=TRUSTED_SEVERITY,
            text=f"the certificate of {device} is trusted: SHA-256 {sha256}",
            operator=operator,
        )
        self._ingress.note(event)
        return event

    async def dead_letters(self, uplink: str, *, count_max: int) -> tuple[DeadLetter, ...]:
        """Return what an uplink will never take; see `GatewayView`."""
        try:
            return await self._delivery(uplink).dead_letters(count_max=count_max)
        except StoreError as error:
            raise CommandError(str(error)) from error

    async def send_dead_letters_again(self, uplink: str, *, operator: str) -> int:
        """Send the oldest dead letters of an uplink once more; see `GatewayView`."""
        try:
            return await self._delivery(uplink).send_dead_letters_again(operator=operator)
        except (UplinkError, StoreError) as error:
            raise CommandError(f"the dead letters stay: {error}") from error

    async def promote(self, model: str, *, operator: str) -> None:
        """Put the version in shadow in force now; see `GatewayView`."""
        await self._models().promote_now(model, operator=operator)

    async def roll_back(self, model: str, *, operator: str) -> None:
        """Put the former version in force again; see `GatewayView`."""
        await self._models().roll_back_now(model, operator=operator)

    async def submit(self, command: Command) -> Command:
        """Carry out a command; see `GatewayView`."""
        return await self._desk.submit(command)

    async def apply(self, file: Path | None, *, operator: str) -> str:
        """Put a new configuration on trial; see `GatewayView`."""
        if self._changes is None:
            raise CommandError("this gateway takes no new configuration while it runs")
        return await self._changes.apply(file, operator=operator)

    def _delivery(self, uplink: str) -> Delivery:
        return next(each for each in self._deliveries if each.status().name == uplink)

    def _models(self) -> ModelKeeper:
        if self._keeper is None:
            raise CommandError("no models are configured: add a [models] table")
        return self._keeper
