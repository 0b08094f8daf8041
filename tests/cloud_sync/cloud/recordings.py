"""Derived rows of pumps, as their twins would write them, and models made of such rows."""

from collections.abc import Sequence

import numpy as np

from analytics.training.anomaly import Purpose, train_anomaly
from gateway.core.arrays import FloatArray, float_column, index_column, status_column, time_column
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame
from gateway.core.ports import Batch
from gateway.core.quality import Status
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.rows import OperatingState
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.wire.batches import encode_batch
from gateway.wire.bundle import write_bundle
from gateway.wire.documents import encode_event
from gateway.wire.frames import encode_frame
from tests.cloud_sync.cloud.batches import GATEWAY, SECOND_NS, START_NS

COLUMNS = ("flow_residual_m3h", "vibration_mm_s", "current_residual_a")
MODEL = "pump-anomaly"
STATE_COLUMN = len(COLUMNS)


def healthy_rows(count: int, *, load: float = 1.0, seed: int = 1) -> FloatArray:
    """Rows whose columns are tied together; the load moves all of them."""
    dice = np.random.default_rng(seed)
    loads = load * (1 + 0.2 * np.sin(np.arange(count) / 40) + 0.05 * dice.normal(size=count))
    noise = 0.05 * dice.normal(size=(count, len(COLUMNS)))
    return np.stack([loads, 2 + 0.5 * loads, 10 * loads], axis=1) + noise


def model_bytes(rows: FloatArray, *, version: str = "1.0") -> bytes:
    """A bundle trained on these rows."""
    purpose = Purpose(
        name=MODEL, version=version, asset_type="centrifugal_pump", columns=COLUMNS, smoothing_s=5.0
    )
    return write_bundle(train_anomaly([rows], purpose).bundle)


def derived_table(assets: Sequence[str]) -> TagTable:
    """The derived tags of these assets."""
    tags = [TagId(f"{asset}.{name}") for asset in assets for name in (*COLUMNS, "state")]
    return TagTable.build([Tag(id=tag, is_derived=True) for tag in tags], epoch=ConfigEpoch(1))


def derived_batch(
    rows_by_asset: dict[str, FloatArray],
    *,
    first_seq: int = 1,
    state: OperatingState = OperatingState.RUNNING,
    bad_rows: Sequence[int] = (),
    events: Sequence[Event] = (),
) -> bytes:
    """One record a tick with the columns and the state of all assets; ticks are seconds."""
    assets = list(rows_by_asset)
    table = derived_table(assets)
    wide = np.concatenate(
        [np.column_stack([rows, np.full(len(rows), state)]) for rows in rows_by_asset.values()],
        axis=1,
    )
    records = [
        Record(
            boot=Boot(1),
            seq=Seq(first_seq + tick),
            kind=RecordKind.DERIVED,
            body=_body(row, first_seq + tick, is_bad=tick in bad_rows),
        )
        for tick, row in enumerate(wide)
    ]
    after = first_seq + len(wide)
    records += [
        Record(
            boot=Boot(1),
            seq=Seq(after + number),
            kind=RecordKind.EVENT,
            body=encode_event(event),
        )
        for number, event in enumerate(events)
    ]
    return encode_batch(Batch(gateway=GATEWAY, records=tuple(records), tables=(table,)))


def tick_ns(seq: int) -> int:
    """The time of a tick."""
    return START_NS + seq * SECOND_NS


def alarm(asset: str, seq: int, transition: Transition, *, onset: int | None = None) -> Event:
    """An alarm of an asset at a tick."""
    return Event(
        time_ns=tick_ns(seq),
        source=asset,
        condition="vibration_high",
        severity=700,
        transition=transition,
        text="Vibration.",
        onset_ns=None if onset is None else tick_ns(onset),
    )


def _body(row: FloatArray, seq: int, *, is_bad: bool) -> bytes:
    status = np.zeros(len(row))
    if is_bad:
        status[0] = Status.BAD_SENSOR_FAILURE
    return encode_frame(
        Frame(
            tag_index=index_column(np.arange(len(row))),
            time_ns=time_column(np.full(len(row), tick_ns(seq))),
            value=float_column(np.where(status, np.nan, row)),
            status=status_column(status),
            received_ns=tick_ns(seq),
            is_received=False,
        ),
        epoch=ConfigEpoch(1),
    )
