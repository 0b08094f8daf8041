"""The cloud's counters for Prometheus, in a registry of their own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cloud_sync.cloud.ingest import Receipt
from cloud_sync.cloud.messages import LakeStatus


class CloudMetrics:
    """Counts what happens; gauges are set when somebody looks."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        self._records = Counter(
            "ingest_accepted_records_total",
            "Records taken, duplicates among them.",
            ["gateway"],
            registry=self._registry,
        )
        self._duplicates = Counter(
            "ingest_duplicate_records_total",
            "Records that had come before.",
            ["gateway"],
            registry=self._registry,
        )
        self._samples = Counter(
            "ingest_fresh_samples_total",
            "Raw samples taken for the first time.",
            ["gateway"],
            registry=self._registry,
        )
        self._historical = Counter(
            "ingest_historical_samples_total",
            "Those of them that filled a hole behind what had come before.",
            ["gateway"],
            registry=self._registry,
        )
        self._refusals = Counter(
            "api_refused_requests_total",
            "Requests refused, by status code.",
            ["status"],
            registry=self._registry,
        )
        self._lost_answers = Counter(
            "mqtt_lost_answers_total",
            "Answers that the broker did not take; the gateway sends the batch again.",
            registry=self._registry,
        )
        self._dropped = Counter(
            "mqtt_dropped_messages_total",
            "Messages that could not be kept until they were looked at.",
            registry=self._registry,
        )
        self._durations = Histogram(
            "ingest_batch_seconds",
            "Time from the whole body to the commit.",
            registry=self._registry,
        )
        self._written = Counter(
            "lake_written_rows_total", "Rows written to files.", registry=self._registry
        )
        self._retrainings = Counter(
            "retrain_runs_total", "Retrainings, by outcome.", ["outcome"], registry=self._registry
        )
        self._inbox = Gauge(
            "lake_inbox_bytes", "Acknowledged batches not in a file yet.", registry=self._registry
        )
        self._files = Gauge("lake_files", "Files in the lake.", registry=self._registry)
        self._spoilt = Gauge(
            "lake_spoilt_batches", "Batches no longer readable.", registry=self._registry
        )
        self._expiry = Gauge(
            "registry_expiry_seconds",
            "Time that a role's signature still holds.",
            ["role"],
            registry=self._registry,
        )

    def took(self, gateway: str, receipt: Receipt, *, duration_s: float) -> None:
        """Count a batch."""
        self._records.labels(gateway).inc(receipt.record_count)
        self._duplicates.labels(gateway).inc(receipt.duplicate_count)
        self._samples.labels(gateway).inc(receipt.fresh_sample_count)
        if receipt.is_historical:
            self._historical.labels(gateway).inc(receipt.fresh_sample_count)
        self._durations.observe(duration_s)

    def refused(self, status: int) -> None:
        """Count a refusal."""
        self._refusals.labels(str(status)).inc()

    def lost_answer(self) -> None:
        """Count an answer that did not get out."""
        self._lost_answers.inc()

    def dropped(self, message_count: int) -> None:
        """Count messages that were not looked at."""
        self._dropped.inc(message_count)

    def wrote(self, row_count: int) -> None:
        """Count rows that became part of a file."""
        self._written.inc(row_count)

    def retrained(self, outcome: str) -> None:
        """Count a retraining."""
        self._retrainings.labels(outcome).inc()

    def text(self, levels: LakeStatus, expiries_s: dict[str, float]) -> bytes:
        """Return everything in Prometheus' text format, the gauges as of now."""
        self._inbox.set(levels.inbox_size_bytes)
        self._files.set(levels.file_count)
        self._spoilt.set(levels.spoilt_batch_count)
        for role, expiry_s in expiries_s.items():
            self._expiry.labels(role).set(expiry_s)
        return generate_latest(self._registry)
