"""A small machine whose signals hang together, models trained on it, and rows to score."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from analytics.multivariate import AnomalyDetector
from analytics.training.anomaly import Purpose, train_anomaly
from gateway.core.arrays import FloatArray, frozen
from gateway.core.frame import Frame, Origin
from gateway.core.quality import Status
from gateway.core.rows import AssetId, OperatingState, Rows
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.wire.bundle import write_bundle
from tests.analytics.frames import NS

COLUMNS = ("flow_residual_m3h", "current_a", "bearing_temperature_residual_k", "vibration_mm_s")
ASSETS = (AssetId("P-101"), AssetId("P-102"), AssetId("P-103"))
NAME = "pump-anomaly"
TYPE = "centrifugal_pump"


def healthy(count: int, *, seed: int = 1) -> FloatArray:
    """Rows of a healthy machine about zero: the load moves three of the four signals together."""
    dice = np.random.default_rng(seed)
    load = 0.2 * np.sin(np.arange(count) / 60) + 0.05 * dice.normal(size=count)
    noise = dice.normal(size=(count, 4)) * [0.5, 0.2, 0.3, 0.05]
    return np.stack([0 * load, 20 * load, 5 * load, load], axis=1) + noise


def purpose(version: str = "1.0") -> Purpose:
    """For columns whose tolerance is known: a model of distance."""
    return Purpose(name=NAME, version=version, asset_type=TYPE, columns=COLUMNS, tolerance=1.0)


def plain_purpose(version: str = "1.0") -> Purpose:
    """For columns of which nothing is known: a model of statistics."""
    return replace(purpose(version), tolerance=0.0)


@cache
def model(version: str = "1.0", *, seed: int = 1) -> bytes:
    """The bytes of a good bundle of distance."""
    return write_bundle(train_anomaly([healthy(2000, seed=seed)], purpose(version)).bundle)


@cache
def plain_model(version: str = "1.0", *, seed: int = 1) -> bytes:
    """The bytes of a good bundle of statistics."""
    return write_bundle(train_anomaly([healthy(2000, seed=seed)], plain_purpose(version)).bundle)


class Stopwatch:
    """A monotonic clock that goes on a microsecond each time it is read."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        self.now_ns += 1000
        return self.now_ns


def table_for(assets: Sequence[AssetId] = ASSETS) -> TagTable:
    tags = [Tag(id=TagId(f"{asset}.anomaly_score"), is_derived=True) for asset in assets]
    tags += [Tag(id=TagId(f"{asset}.vibration_mm_s"), unit="mm/s") for asset in assets]
    return TagTable.build(tags, epoch=ConfigEpoch(1))


def detector(
    *versions: bytes, assets: Sequence[AssetId] = ASSETS, columns: Sequence[str] = COLUMNS
) -> AnomalyDetector:
    """A bound detector; of the versions given, the first is active, the second a candidate."""
    made = AnomalyDetector(
        model_name=NAME,
        asset_type=TYPE,
        assets=assets,
        columns=columns,
        monotonic_ns=Stopwatch(),
    )
    made.bind(table_for(assets))
    if versions:
        made.activate(versions[0])
    for candidate in versions[1:]:
        made.set_candidate(candidate)
    return made


def rows_at(
    time_s: float,
    value: FloatArray,
    *,
    status: ArrayLike = Status.GOOD,
    state: OperatingState | Sequence[OperatingState] = OperatingState.RUNNING,
    origin: Origin = Origin.LIVE,
    columns: Sequence[str] = COLUMNS,
) -> Rows:
    """Rows of all assets at one instant; value of shape (n, m)."""
    codes = np.broadcast_to(np.asarray(status), value.shape).astype(np.uint32)
    time_ns = round(time_s * NS)
    return Rows(
        asset_type=TYPE,
        assets=ASSETS[: len(value)],
        columns=tuple(columns),
        time_ns=time_ns,
        value=frozen(value.copy()),
        status=frozen(codes),
        state=frozen(np.broadcast_to(np.asarray(state, np.uint8), (len(value),)).copy()),
        received_ns=time_ns,
        arrival_ns=7,
        origin=origin,
    )


def stretch(
    count: int, *, seed: int = 5, start_s: int = 0, origin: Origin = Origin.LIVE
) -> list[Rows]:
    """Healthy rows of three assets, one row set a second."""
    values = [healthy(count, seed=seed + k) for k in range(len(ASSETS))]
    return [
        rows_at(start_s + i, np.stack([each[i] for each in values]), origin=origin)
        for i in range(count)
    ]


def with_offset(rows: Rows, asset: int, column: str, offset: float) -> Rows:
    """The same rows with one value moved."""
    value = rows.value.copy()
    value[asset, rows.columns.index(column)] += offset
    return rows_at(rows.time_ns / NS, value, state=[OperatingState(s) for s in rows.state])


def run(host: AnomalyDetector, rows: Sequence[Rows]) -> list[Frame]:
    frames = [host.update(each).frame for each in rows]
    return [frame for frame in frames if frame is not None]


def scores(frames: Sequence[Frame]) -> FloatArray:
    return np.stack([frame.value for frame in frames])


def faulty(count: int, *, asset: int = 1, start_s: int = 0) -> list[Rows]:
    """One asset's bearing is far too warm."""
    column = "bearing_temperature_residual_k"
    return [with_offset(rows, asset, column, 20.0) for rows in stretch(count, start_s=start_s)]
