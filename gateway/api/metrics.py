"""The counters of the gateway in the format of Prometheus, read from the view when asked for."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.api.view import GatewayView
from gateway.core.device_status import DeviceState, DeviceStatus
from gateway.core.models import ModelStatus
from gateway.core.uplink_status import UplinkStatus

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def render_metrics(view: GatewayView) -> bytes:
    """Return all counters as text."""
    # A registry of our own: the library's default one is state of the whole process.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ViewCollector(view))
    return generate_latest(registry)


class ViewCollector(Collector):
    """Reads the view; nothing is counted twice and nothing is kept here."""

    def __init__(self, view: GatewayView) -> None:
        """Remember where to read."""
        self._view = view

    def collect(self) -> Iterable[Metric]:
        """Yield every metric."""
        yield from self._gateway()
        yield from _devices(self._view.devices())
        yield from _uplinks(self._view.uplinks())
        yield from self._assets()
        yield from self._alarms()
        yield from _lives(self._view.models())

    def _gateway(self) -> Iterable[Metric]:
        log, books, identity = self._view.log(), self._view.books(), self._view.identity
        yield GaugeMetricFamily(
            "gateway_start_time_seconds", "Start, UTC", value=identity.started_ns / 1e9
        )
        yield GaugeMetricFamily("log_size_bytes", "Record log on disk", value=log.size_bytes)
        yield GaugeMetricFamily("log_size_max_bytes", "Its bound", value=log.size_bytes_max)
        yield GaugeMetricFamily("log_is_faulty", "1: cannot write", value=bool(log.fault))
        if log.buffer_s is not None:
            yield GaugeMetricFamily(
                "log_buffer_seconds", "Lasts so long without delivery", value=log.buffer_s
            )
        if log.buffer_thinned_s is not None:
            yield GaugeMetricFamily(
                "log_buffer_thinned_seconds",
                "Lasts about so long with thinning",
                value=log.buffer_thinned_s,
            )
        if log.written_bytes is not None:
            yield CounterMetricFamily(
                "log_written_bytes", "By the log to the disk, since the start", log.written_bytes
            )
        configuration = self._view.configuration()
        yield GaugeMetricFamily(
            "configuration_is_on_trial", "1: not decided yet", value=configuration.is_on_trial
        )
        samples = CounterMetricFamily("books_samples", "Raw samples by step", labels=["step"])
        samples.add_metric(["received"], books.received)
        samples.add_metric(["stored"], books.stored)
        samples.add_metric(["acknowledged"], books.acknowledged)
        samples.add_metric(["lost"], books.lost)
        samples.add_metric(["thinned"], books.thinned)
        samples.add_metric(["healed"], books.healed)
        yield samples
        yield CounterMetricFamily("books_gaps", "Gaps in the ledger", value=books.gap_count)
        yield CounterMetricFamily("books_gap_seconds", "Their lengths", value=books.gap_s)

    def _assets(self) -> Iterable[Metric]:
        health = GaugeMetricFamily("asset_health_ratio", "0 failed to 1 new", labels=["asset"])
        score = GaugeMetricFamily("asset_score_ratio", "Above 1: anomalous", labels=["asset"])
        for state in self._view.twin_states():
            if state.health is not None:
                health.add_metric([state.asset], state.health)
            if state.score is not None:
                score.add_metric([state.asset], state.score)
        yield health
        yield score

    def _alarms(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("alarms_count", "Alarms by state", labels=["state"])
        states = [alarm.state for alarm in self._view.alarms()]
        for state in sorted(set(states)):
            family.add_metric([state.value], states.count(state))
        yield family
        metrics = self._view.alarm_metrics()
        gauges = (
            ("alarms_announced_last_hour", "Announced in the last hour", metrics.last_hour),
            ("alarms_announced_per_hour", "Average of the last 7 days", metrics.per_hour),
            ("alarms_target_per_hour", "What is wanted of it", metrics.target_per_hour),
            ("alarms_peak_per_10min", "Most raised in 10 minutes", metrics.peak_raised_per_10min),
            ("alarms_flood_ratio", "Part of the last 7 days in a flood", metrics.flood_share),
            ("alarms_is_flood", "1: a flood goes on", metrics.flood_since_ns is not None),
            ("alarms_chattering_count", "Held until calm", len(metrics.chattering_now)),
            ("alarms_stale_count", "Standing for too long", len(metrics.stale)),
        )
        for name, about, value in gauges:
            yield GaugeMetricFamily(name, about, value=float(value))


def _lives(models: tuple[ModelStatus, ...]) -> Iterable[Metric]:
    """Yield how often intervals of remaining life held; a share of none is left out."""
    labels = ["model", "version"]
    judged = GaugeMetricFamily("model_judged_lives", "Ended, and foretold", labels=labels)
    held = GaugeMetricFamily("model_held_ratio", "Intervals that held", labels=labels)
    promised = GaugeMetricFamily("model_promised_ratio", "What they promise", labels=labels)
    for model in models:
        if model.coverage is None:
            continue
        of = [model.name, model.version]
        judged.add_metric(of, model.coverage.judged)
        promised.add_metric(of, model.coverage.told)
        if model.coverage.judged:
            held.add_metric(of, model.coverage.held / model.coverage.judged)
    return judged, held, promised


def _devices(devices: tuple[DeviceStatus, ...]) -> Iterable[Metric]:
    ok = GaugeMetricFamily("device_is_ok", "1: connected", labels=["device"])
    samples = CounterMetricFamily("device_samples", "Samples received", labels=["device"])
    skipped = CounterMetricFamily("device_skipped_samples", "Not asked for", labels=["device"])
    aside = GaugeMetricFamily("device_set_aside_points", "Refused", labels=["device"])
    for device in devices:
        ok.add_metric([device.name], device.state is DeviceState.OK)
        samples.add_metric([device.name], device.sample_count)
        skipped.add_metric([device.name], device.skipped_count)
        aside.add_metric([device.name], len(device.report.set_aside))
    return ok, samples, skipped, aside, *_reports(devices)


def _reports(devices: tuple[DeviceStatus, ...]) -> Iterable[Metric]:
    """Yield what the connectors say of themselves; what one does not know is left out."""
    latency = GaugeMetricFamily("device_latency_seconds", "Of one request", labels=["device"])
    requests = GaugeMetricFamily("device_requests_per_second", "Sent", labels=["device"])
    busy = GaugeMetricFamily("device_busy_ratio", "Of the line, 0 to 1", labels=["device"])
    expiry = GaugeMetricFamily(
        "device_certificate_expiry_timestamp_seconds", "UTC, the earlier side", labels=["device"]
    )
    for device in devices:
        report = device.report
        if report.latency_ms is not None:
            latency.add_metric([device.name], report.latency_ms / 1000)
        if report.requests_per_s is not None:
            requests.add_metric([device.name], report.requests_per_s)
        if report.busy_share is not None:
            busy.add_metric([device.name], report.busy_share)
        if report.certificate_expires_ns is not None:
            expiry.add_metric([device.name], report.certificate_expires_ns / 1e9)
    return latency, requests, busy, expiry


def _uplinks(uplinks: tuple[UplinkStatus, ...]) -> Iterable[Metric]:
    ok = GaugeMetricFamily("uplink_is_ok", "1: delivering", labels=["uplink"])
    lag = GaugeMetricFamily("uplink_lag_seconds", "Oldest unconfirmed", labels=["uplink"])
    waiting = GaugeMetricFamily("uplink_lag_records", "Unconfirmed", labels=["uplink"])
    records = CounterMetricFamily("uplink_records", "Confirmed", labels=["uplink"])
    dead = CounterMetricFamily("uplink_dead_letter_records", "Never taken", labels=["uplink"])
    today = GaugeMetricFamily("uplink_today_bytes", "Sent since midnight UTC", labels=["uplink"])
    budget = GaugeMetricFamily("uplink_budget_bytes", "Allowed in a day", labels=["uplink"])
    for uplink in uplinks:
        ok.add_metric([uplink.name], bool(uplink.is_connected))
        lag.add_metric([uplink.name], uplink.lag_s)
        waiting.add_metric([uplink.name], uplink.lag_records)
        records.add_metric([uplink.name], uplink.acknowledged_records)
        dead.add_metric([uplink.name], uplink.dead_letters)
        today.add_metric([uplink.name], uplink.bytes_today)
        if uplink.budget_bytes_per_day is not None:
            budget.add_metric([uplink.name], uplink.budget_bytes_per_day)
    return ok, lag, waiting, records, dead, today, budget, *_classes(uplinks)


def _classes(uplinks: tuple[UplinkStatus, ...]) -> Iterable[Metric]:
    labels = ["uplink", "class"]
    lag = GaugeMetricFamily("uplink_class_lag_seconds", "Oldest unconfirmed", labels=labels)
    waiting = GaugeMetricFamily("uplink_class_lag_records", "Unconfirmed", labels=labels)
    samples = CounterMetricFamily("uplink_class_samples", "Confirmed", labels=labels)
    for uplink in uplinks:
        for each in uplink.classes:
            lag.add_metric([uplink.name, each.name], each.lag_s)
            waiting.add_metric([uplink.name, each.name], each.lag_records)
            samples.add_metric([uplink.name, each.name], each.acknowledged_samples)
    return lag, waiting, samples
