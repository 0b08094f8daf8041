"""From the core types to the answers of the API. Pure."""

import math
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np

from gateway.api.answers import (
    AssetAnswer,
    BooksAnswer,
    CommandAnswer,
    ConfigurationAnswer,
    CoverageAnswer,
    EventAnswer,
    EvidenceAnswer,
    LedgerAnswer,
    LogAnswer,
    ModelAnswer,
    SignalAnswer,
    TagAnswer,
    TrendAnswer,
    TrendPoint,
)
from gateway.api.device_answers import DeviceAnswer, SetAsideAnswer
from gateway.api.uplink_answers import DeadLetterAnswer, DeliveryClassAnswer, UplinkAnswer
from gateway.api.view import GatewayView, Trend, Values
from gateway.core.commands import Command
from gateway.core.configuration_status import ConfigurationStatus
from gateway.core.device_status import DeviceStatus, SetAside
from gateway.core.events import Event, Evidence
from gateway.core.log_status import Books, LogStatus
from gateway.core.models import ModelStatus
from gateway.core.quality import Quality, Status
from gateway.core.records import LedgerEntry
from gateway.core.tags import Tag, TagId
from gateway.core.twin_state import Signal, TwinState
from gateway.core.uplink_status import ClassStatus, DeadLetter, UplinkStatus

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUALITY_NAMES: dict[Quality, Literal["good", "uncertain", "bad"]] = {
    Quality.GOOD: "good",
    Quality.UNCERTAIN: "uncertain",
    Quality.BAD: "bad",
}
STATE_NAMES: tuple[Literal["unknown", "off", "starting", "running"], ...] = (
    "unknown",
    "off",
    "starting",
    "running",
)
"""In the order of `OperatingState`."""
UPLINK_STATES: dict[bool | None, Literal["connecting", "ok", "failing"]] = {
    None: "connecting",
    True: "ok",
    False: "failing",
}


def moment(time_ns: int) -> datetime:
    """Return a time as a date, to the microsecond."""
    return EPOCH + timedelta(microseconds=time_ns // 1000)


def moment_or_none(time_ns: int | None) -> datetime | None:
    """Return a time as a date; 0 and None are *never*."""
    return moment(time_ns) if time_ns else None


def number_or_none(value: float | None) -> float | None:
    """Return the value where it is a finite number."""
    return value if value is not None and math.isfinite(value) else None


def quality_name(status: int) -> Literal["good", "uncertain", "bad"]:
    """Return the quality that a status code stands for."""
    return QUALITY_NAMES[Quality(min(status >> 30, Quality.BAD))]


def trend_values(trend: Trend) -> tuple[float | None, ...]:
    """Return the values of a trend; None where Bad."""
    bad = trend.status >= np.uint32(Status.BAD)
    pairs = zip(trend.value.tolist(), bad.tolist(), strict=True)
    return tuple(None if is_bad else number_or_none(value) for value, is_bad in pairs)


def tag_answer(tag: Tag, index: int, values: Values) -> TagAnswer:
    """Return the last value of a tag at a position of the table."""
    status = int(values.status[index])
    return TagAnswer(
        tag=tag.id,
        unit=tag.unit,
        value=number_or_none(float(values.value[index])),
        quality=quality_name(status),
        status=status,
        is_stale=bool(values.is_stale[index]),
        time=moment_or_none(int(values.time_ns[index])),
        is_writable=tag.writable,
        low=number_or_none(tag.low),
        high=number_or_none(tag.high),
    )


def trend_answer(tag: Tag, trend: Trend) -> TrendAnswer:
    """Return the samples that memory has of a tag."""
    columns = zip(trend.time_ns.tolist(), trend_values(trend), trend.status.tolist(), strict=True)
    points = (TrendPoint(time=moment(t), value=v, status=s) for t, v, s in columns)
    return TrendAnswer(tag=tag.id, unit=tag.unit, points=tuple(points))


def asset_answer(state: TwinState, view: GatewayView, values: Values) -> AssetAnswer:
    """Return an asset without its signals."""
    health_tag = TagId(f"{state.asset}.health_index")
    left = state.prognosis
    has_trend = health_tag in view.table()
    troubled = (is_troubled(signal, view, values) for signal in state.signals)
    return AssetAnswer(
        asset=state.asset,
        asset_type=state.asset_type,
        state=STATE_NAMES[state.state],
        health=number_or_none(state.health),
        health_trend=trend_values(view.trend(health_tag)) if has_trend else (),
        score=number_or_none(state.score),
        as_of=moment_or_none(state.as_of_ns),
        worst_sign=state.worst_sign,
        reasons=state.reasons,
        remaining_h=left.hours if left else None,
        remaining_low_h=left.low_hours if left else None,
        remaining_high_h=number_or_none(left.high_hours) if left else None,
        advice=state.advice,
        bad_count=sum(troubled),
        signal_count=len(state.signals),
    )


def signal_answer(signal: Signal, view: GatewayView, values: Values) -> SignalAnswer:
    """Return a signal with its short trend."""
    known = signal.tag in view.table()
    return SignalAnswer(
        name=signal.name,
        tag=signal.tag,
        unit=signal.unit,
        value=number_or_none(signal.value),
        quality=quality_name(signal.status),
        status=signal.status,
        is_stale=is_stale(signal, view, values),
        time=moment_or_none(signal.time_ns),
        expected=number_or_none(signal.expected),
        tolerance=number_or_none(signal.tolerance),
        share=number_or_none(signal.share),
        trend=trend_values(view.trend(signal.tag)) if known else (),
    )


def is_stale(signal: Signal, view: GatewayView, values: Values) -> bool:
    """Return whether no sample came for the signal's tag for too long."""
    table = view.table()
    return signal.tag in table and bool(values.is_stale[table.index(signal.tag)])


def is_troubled(signal: Signal, view: GatewayView, values: Values) -> bool:
    """Return whether a signal is Bad or stale."""
    return signal.status >= Status.BAD or is_stale(signal, view, values)


def evidence_answer(evidence: Evidence) -> EvidenceAnswer:
    """Return one reason."""
    return EvidenceAnswer(
        name=evidence.name,
        value=number_or_none(evidence.value),
        expected=number_or_none(evidence.expected),
        share=number_or_none(evidence.share),
        unit=evidence.unit,
    )


def event_answer(event: Event) -> EventAnswer:
    """Return one event."""
    return EventAnswer(
        id=event.id,
        time=moment(event.time_ns),
        source=event.source,
        condition=event.condition,
        severity=event.severity,
        transition=event.transition.value,
        text=event.text,
        operator=event.operator,
        reason=event.reason,
        is_quiet=event.is_quiet,
        group=event.group,
        group_order=event.group_order,
    )


def device_answer(device: DeviceStatus) -> DeviceAnswer:
    """Return one device."""
    report = device.report
    return DeviceAnswer(
        name=device.name,
        address=device.address,
        state=device.state.value,
        since=moment(device.since_ns),
        reason=device.reason,
        detail=device.detail,
        retry=moment_or_none(device.retry_ns),
        tag_count=device.tag_count,
        frame_count=device.frame_count,
        frames_per_s=device.frames_per_s,
        sample_count=device.sample_count,
        skipped_count=device.skipped_count,
        latency_ms=number_or_none(report.latency_ms),
        requests_per_s=number_or_none(report.requests_per_s),
        busy_share=number_or_none(report.busy_share),
        set_aside=tuple(map(set_aside_answer, report.set_aside)),
        certificate_expires=moment_or_none(report.certificate_expires_ns),
        untrusted_certificate=report.untrusted_certificate,
    )


def set_aside_answer(point: SetAside) -> SetAsideAnswer:
    """Return one point that a device refuses."""
    return SetAsideAnswer(
        tag=point.tag,
        address=point.address,
        reason=point.reason,
        since=moment(point.since_ns),
        retry=moment(point.retry_ns),
    )


def uplink_answer(uplink: UplinkStatus) -> UplinkAnswer:
    """Return one uplink."""
    return UplinkAnswer(
        name=uplink.name,
        address=uplink.address,
        state=UPLINK_STATES[uplink.is_connected],
        since=moment_or_none(uplink.since_ns),
        reason=uplink.error,
        detail=uplink.error_detail,
        retry=moment_or_none(uplink.retry_ns),
        lag_records=uplink.lag_records,
        lag_s=uplink.lag_s,
        acknowledged_records=uplink.acknowledged_records,
        acknowledged_samples=uplink.acknowledged_samples,
        duplicate_records=uplink.duplicate_records,
        dead_letters=uplink.dead_letters,
        bytes_today=uplink.bytes_today,
        outage_s=uplink.outage_s,
        drained_records=uplink.drained_records,
        budget_bytes_per_day=uplink.budget_bytes_per_day,
        classes=tuple(delivery_class_answer(each) for each in uplink.classes),
    )


def delivery_class_answer(status: ClassStatus) -> DeliveryClassAnswer:
    """Return one class of an uplink."""
    return DeliveryClassAnswer(
        name=status.name.value,
        lag_records=status.lag_records,
        lag_s=status.lag_s,
        acknowledged_records=status.acknowledged_records,
        acknowledged_samples=status.acknowledged_samples,
        drain_s=status.drain_s,
    )


def dead_letter_answer(letter: DeadLetter) -> DeadLetterAnswer:
    """Return one record that a far end will never take."""
    return DeadLetterAnswer(
        boot=letter.boot,
        seq=letter.seq,
        kind=letter.kind.name,
        size_bytes=letter.size_bytes,
        reason=letter.reason,
        time=moment(letter.time_ns),
        is_historical=letter.is_historical,
    )


def ledger_answer(entry: LedgerEntry) -> LedgerAnswer:
    """Return one loss or gap."""
    return LedgerAnswer(
        reason=entry.reason.value,
        is_gap=entry.reason.is_gap,
        source=entry.source,
        begin=moment(entry.from_ns),
        end=moment(entry.to_ns),
        count=entry.count,
        tag_count=len(entry.tags),
    )


def model_answer(model: ModelStatus) -> ModelAnswer:
    """Return one version of a model."""
    return ModelAnswer(
        name=model.name,
        version=model.version,
        stage=model.stage.value,
        since=moment(model.since_ns),
        reason=model.reason,
        rows=model.rows,
        rows_needed=model.rows_needed,
        coverage=None
        if model.coverage is None
        else CoverageAnswer(
            told=model.coverage.told, judged=model.coverage.judged, held=model.coverage.held
        ),
    )


def command_answer(command: Command) -> CommandAnswer:
    """Return what became of a command."""
    return CommandAnswer(
        id=command.id,
        tag=command.tag,
        value=command.value,
        state=command.state.value,
        reason=command.reason,
        read_back=number_or_none(command.read_back),
        operator=command.operator,
    )


def configuration_answer(configuration: ConfigurationStatus) -> ConfigurationAnswer:
    """Return which configuration runs."""
    left = configuration.returned
    return ConfigurationAnswer(
        digest=configuration.digest,
        since=moment(configuration.since_ns),
        file=configuration.file,
        start_file=configuration.start_file,
        is_on_trial=configuration.is_on_trial,
        trial_until=moment_or_none(configuration.trial_until_ns),
        left_digest=left.digest if left else "",
        left_at=moment(left.time_ns) if left else None,
        left_reason=left.reason if left else "",
    )


def log_answer(log: LogStatus) -> LogAnswer:
    """Return the state of the log."""
    return LogAnswer(
        size_bytes=log.size_bytes,
        size_bytes_max=log.size_bytes_max,
        bytes_per_day=log.bytes_per_day,
        buffer_s=number_or_none(log.buffer_s),
        buffer_thinned_s=number_or_none(log.buffer_thinned_s),
        fault=log.fault,
        doubt=log.doubt,
        written_bytes=log.written_bytes,
        written_bytes_per_day=number_or_none(log.written_bytes_per_day),
    )


def books_answer(books: Books) -> BooksAnswer:
    """Return the sample counts."""
    return BooksAnswer(
        received=books.received,
        stored=books.stored,
        acknowledged=books.acknowledged,
        lost=books.lost,
        gap_count=books.gap_count,
        gap_s=books.gap_s,
        healed=books.healed,
        thinned=books.thinned,
    )
