"""A gateway in memory that implements `GatewayView`: a small plant with a clogged filter.

Everything a screen shows follows from the clock given, so that pictures are equal every time.
"""

from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gateway.api.view import Identity, Subscription, Trend, Values
from gateway.core.alarm_metrics import AlarmMetrics
from gateway.core.alarms import Alarm, AlarmAction, AlarmId, AlarmOrder, AlarmState
from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.cases import Case, CaseId, Verdict
from gateway.core.commands import Command, CommandState
from gateway.core.configuration_status import ConfigurationStatus
from gateway.core.device_status import DeviceStatus
from gateway.core.errors import CommandError, ConfigError
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame
from gateway.core.log_status import Books, LogStatus
from gateway.core.models import ModelStage, ModelStatus
from gateway.core.quality import Status
from gateway.core.records import GatewayId, LedgerEntry, LedgerReason
from gateway.core.rows import AssetId
from gateway.core.tags import TagId, TagTable
from gateway.core.twin_state import Signal, TwinState
from gateway.core.uplink_status import DeadLetter, UplinkStatus
from tests.gateway.fake_news import News
from tests.gateway.fake_plant import DAY, NOW_NS, PLANT, AssetPlan, S, build_table
from tests.gateway.fake_situation import (
    CONFIGURATION_OF_THE_PLANT,
    LOG_OF_THE_PLANT,
    alarms_of_the_plant,
    cases_of_the_plant,
    dead_letters_of_the_plant,
    devices_of_the_plant,
    events_of_the_plant,
    metrics_of_the_plant,
    models_of_the_plant,
    uplinks_of_the_plant,
)

STALE_AFTER_S = 30
TREND_LENGTH = 120
UNSEEN = (AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED, AlarmState.LATCHED_UNACKNOWLEDGED)
OUTCOMES = {
    AlarmAction.ACKNOWLEDGE: (Transition.ACKNOWLEDGED, AlarmState.ACKNOWLEDGED),
    AlarmAction.RESET: (Transition.RESET, AlarmState.NORMAL),
    AlarmAction.SHELVE: (Transition.SHELVED, AlarmState.SHELVED),
    AlarmAction.UNSHELVE: (Transition.UNSHELVED, AlarmState.UNACKNOWLEDGED),
    AlarmAction.TAKE_OUT: (Transition.OUT_OF_SERVICE, AlarmState.OUT_OF_SERVICE),
    AlarmAction.PUT_BACK: (Transition.IN_SERVICE, AlarmState.UNACKNOWLEDGED),
}


@dataclass
class FakeView:
    """Implements `GatewayView`; `clock_ns` moves only when told."""

    clock_ns: int = NOW_NS
    plant: tuple[AssetPlan, ...] = PLANT
    extra_tags: int = 0
    alarm_list: list[Alarm] = field(default_factory=lambda: list(alarms_of_the_plant()))
    case_list: list[Case] = field(default_factory=lambda: list(cases_of_the_plant()))
    dead_letter_list: list[DeadLetter] = field(
        default_factory=lambda: list(dead_letters_of_the_plant())
    )
    model_list: list[ModelStatus] = field(default_factory=lambda: list(models_of_the_plant()))
    log_status: LogStatus = LOG_OF_THE_PLANT
    more_devices: tuple[DeviceStatus, ...] = ()
    trusted: list[str] = field(default_factory=list)
    configuration_status: ConfigurationStatus = CONFIGURATION_OF_THE_PLANT
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Fill the live picture with the plant's recent past."""
        self.tags = build_table(self.plant, extra_tags=self.extra_tags)
        count = len(self.tags)
        self.time_ns = np.zeros(count, dtype=np.int64)
        self.value = np.full(count, np.nan)
        self.status = np.full(count, Status.BAD_WAITING_FOR_INITIAL_DATA, dtype=np.uint32)
        self.trends: list[deque[tuple[int, float, int]]] = [
            deque(maxlen=TREND_LENGTH) for _ in range(count)
        ]
        self.news = News(count)
        for step in range(24):
            self.take_frame(self.frame_at(step, of=24))
        self.news.take_events(events_of_the_plant(self.clock_ns))

    def take_frame(self, frame: Frame) -> None:
        """Do what the pipeline does with a frame."""
        self.time_ns[frame.tag_index] = frame.time_ns
        self.value[frame.tag_index] = frame.value
        self.status[frame.tag_index] = frame.status
        columns = (frame.tag_index, frame.time_ns, frame.value, frame.status)
        for index, *sample in zip(*(column.tolist() for column in columns), strict=True):
            self.trends[index].append(tuple(sample))
        self.news.take_frame(frame)

    def frame_at(self, step: int, *, of: int) -> Frame:
        """Return all values some steps ago; the drift grows towards the last step."""
        grown = ((step + 1) / of) ** 2
        index, value, status, time_ns = [], [], [], []
        table = self.tags
        ago_ns = (of - 1 - step) * S
        for plan in self.plant:
            wobble = 0.004 * np.sin(0.9 * step + np.arange(len(plan.signals)))
            for signal, noise in zip(plan.signals, wobble, strict=True):
                good = signal.status < Status.BAD
                index.append(table.index(TagId(f"{plan.prefix}.{signal.node}")))
                drifted = signal.normal * (1 + noise) + signal.drift * grown
                value.append(drifted if good else np.nan)
                status.append(signal.status)
                time_ns.append(self.clock_ns - ago_ns - round(signal.silent_s * S))
            if plan.health is not None:
                index.append(table.index(TagId(f"{plan.asset}.health_index")))
                value.append(plan.health_before + (plan.health - plan.health_before) * grown)
                status.append(Status.GOOD)
                time_ns.append(self.clock_ns - ago_ns)
        return Frame(
            tag_index=index_column(index),
            time_ns=time_column(time_ns),
            value=float_column(value),
            status=status_column(status),
            received_ns=self.clock_ns - ago_ns,
        )

    @property
    def identity(self) -> Identity:
        return Identity(
            gateway=GatewayId("pumphouse-1"),
            site="acme/ulm/utilities/pumphouse",
            version="0.1.0",
            started_ns=NOW_NS - 41 * DAY,
        )

    def now_ns(self) -> int:
        return self.clock_ns

    def table(self) -> TagTable:
        return self.tags

    def values(self) -> Values:
        age_ns = self.clock_ns - self.time_ns
        return Values(
            time_ns=self.time_ns.copy(),
            value=self.value.copy(),
            status=self.status.copy(),
            is_stale=(self.time_ns > 0) & (age_ns > STALE_AFTER_S * S),
        )

    def trend(self, tag: TagId) -> Trend:
        samples = self.trends[self.tags.index(tag)]
        return Trend(
            time_ns=time_column([time_ns for time_ns, _, _ in samples]),
            value=float_column([value for _, value, _ in samples]),
            status=status_column([status for _, _, status in samples]),
        )

    def twin_states(self) -> tuple[TwinState, ...]:
        return tuple(self._twin_state(plan) for plan in self.plant)

    def _twin_state(self, plan: AssetPlan) -> TwinState:
        values, table = self.values(), self.tags
        signals = []
        for signal in plan.signals:
            tag = TagId(f"{plan.prefix}.{signal.node}")
            index = table.index(tag)
            signals.append(
                Signal(
                    name=signal.name,
                    tag=tag,
                    unit=signal.unit,
                    value=float(values.value[index]),
                    status=int(values.status[index]),
                    time_ns=int(values.time_ns[index]),
                    expected=signal.normal if signal.tolerance else None,
                    tolerance=signal.tolerance,
                    share=signal.share,
                )
            )
        return TwinState(
            asset=AssetId(plan.asset),
            asset_type=plan.asset_type,
            state=plan.state,
            health=plan.health,
            score=plan.score,
            as_of_ns=self.clock_ns - S // 2,
            worst_sign=plan.worst_sign,
            advice=plan.advice,
            reasons=plan.reasons,
            prognosis=plan.prognosis,
            signals=tuple(signals),
        )

    def alarms(self) -> tuple[Alarm, ...]:
        return tuple(self.alarm_list)

    def devices(self) -> tuple[DeviceStatus, ...]:
        return (*devices_of_the_plant(self.clock_ns), *self.more_devices)

    def uplinks(self) -> tuple[UplinkStatus, ...]:
        return uplinks_of_the_plant()

    async def dead_letters(self, uplink: str, *, count_max: int) -> tuple[DeadLetter, ...]:
        return tuple(self.dead_letter_list[:count_max])

    async def send_dead_letters_again(self, uplink: str, *, operator: str) -> int:
        assert operator
        return bool(self.dead_letter_list) and bool(self.dead_letter_list.pop(0))

    def models(self) -> tuple[ModelStatus, ...]:
        return tuple(self.model_list)

    def configuration(self) -> ConfigurationStatus:
        return self.configuration_status

    def log(self) -> LogStatus:
        return self.log_status

    def books(self) -> Books:
        return Books(
            received=98_211_462,
            stored=98_211_431,
            acknowledged=98_211_400,
            lost=0,
            gap_count=1,
            gap_s=94.0,
        )

    def ledger(self, count: int) -> tuple[LedgerEntry, ...]:
        gap = LedgerEntry(
            reason=LedgerReason.DEVICE_LOST,
            source="compressor",
            from_ns=NOW_NS - 2 * DAY,
            to_ns=NOW_NS - 2 * DAY + 94 * S,
            count=None,
        )
        return (gap,)[:count]

    def events(self, count: int) -> tuple[Event, ...]:
        return self.news.events(count)

    def subscribe(self) -> AbstractContextManager[Subscription]:
        return self.news.subscribe()

    def has_alarm(self, alarm: AlarmId) -> bool:
        return any(each.id == alarm for each in self.alarm_list)

    def alarm_metrics(self) -> AlarmMetrics:
        return metrics_of_the_plant(self.clock_ns)

    async def act_on_alarm(self, order: AlarmOrder) -> Event:
        index, found = self._alarm(order.alarm)
        transition, state = OUTCOMES[order.action]
        if order.action is AlarmAction.ACKNOWLEDGE and found.state not in UNSEEN:
            raise CommandError(f"{found.id} is {found.state}: there is nothing to acknowledge")
        self.alarm_list[index] = replace(
            found,
            state=state,
            shelved_until_ns=order.until_ns,
            silenced_by=order.operator,
            silenced_reason=order.reason,
        )
        return self._note(found, transition, order)

    def _alarm(self, wanted: AlarmId) -> tuple[int, Alarm]:
        return next((i, a) for i, a in enumerate(self.alarm_list) if a.id == wanted)

    def _note(self, alarm: Alarm, transition: Transition, order: AlarmOrder) -> Event:
        event = Event(
            time_ns=self.clock_ns,
            source=alarm.source,
            condition=alarm.condition,
            severity=alarm.severity,
            transition=transition,
            text=alarm.text,
            operator=order.operator,
            reason=order.reason,
        )
        self.news.take_events([event])
        return event

    def cases(self) -> tuple[Case, ...]:
        return tuple(self.case_list)

    async def decide(self, case: CaseId, verdict: Verdict, *, note: str, operator: str) -> Event:
        index = next(k for k, each in enumerate(self.case_list) if each.id == case)
        decided = replace(self.case_list[index], verdict=verdict, note=note, operator=operator)
        self.case_list[index] = decided
        event = Event(
            time_ns=self.clock_ns,
            source=decided.asset,
            condition=verdict.condition,
            severity=decided.severity,
            text=f"case {case}: {verdict}",
            operator=operator,
        )
        self.news.take_events([event])
        return event

    async def trust(self, device: str, sha256: str, *, operator: str) -> Event:
        self.trusted.append(sha256)
        event = Event(
            time_ns=self.clock_ns,
            source=device,
            condition="certificate_trusted",
            severity=300,
            text=f"the certificate of {device} is trusted: SHA-256 {sha256}",
            operator=operator,
        )
        self.news.take_events([event])
        return event

    async def promote(self, model: str, *, operator: str) -> None:
        for index, version in enumerate(self.model_list):
            if version.name == model and version.stage is ModelStage.SHADOW:
                self._move(index, ModelStage.ACTIVE, f"promoted by {operator}")
            elif version.name == model and version.stage is ModelStage.ACTIVE:
                self._move(index, ModelStage.RETIRED, "a newer version came")

    async def roll_back(self, model: str, *, operator: str) -> None:
        for index, version in enumerate(self.model_list):
            if version.name == model and version.stage is ModelStage.ACTIVE:
                self._move(index, ModelStage.ROLLED_BACK, f"rolled back by {operator}")
            elif version.name == model and version.stage is ModelStage.RETIRED:
                self._move(index, ModelStage.ACTIVE, "the version after it was rolled back")

    def _move(self, index: int, stage: ModelStage, reason: str) -> None:
        self.model_list[index] = replace(
            self.model_list[index],
            stage=stage,
            reason=reason,
            since_ns=self.clock_ns,
            rows_needed=0,
        )

    async def submit(self, command: Command) -> Command:
        self.commands.append(command)
        tag = self.tags.tags[self.tags.index(command.tag)]
        if not tag.writable:
            raise CommandError(f"{tag.id} is not declared writable")
        return replace(command, state=CommandState.SUCCESSFUL, read_back=command.value)

    async def apply(self, file: Path | None, *, operator: str) -> str:
        if file is not None and file.name.startswith("wrong"):
            raise ConfigError("gateway.id: is missing", "connectors.pumps.tags: is missing")
        if file is None:
            return self.configuration_status.digest
        self.configuration_status = replace(
            self.configuration_status,
            digest="b07c1d22f7a9",
            since_ns=self.clock_ns,
            file=str(file),
        )
        return self.configuration_status.digest
