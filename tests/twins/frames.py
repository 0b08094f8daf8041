"""Frames, twins and plants for the tests of the twins."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

import numpy as np

from gateway.core.frame import Frame
from gateway.core.ports import TwinUpdate
from gateway.core.quality import Status
from gateway.core.rows import AssetId, Rows
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.simulate.plant import Plant
from twins import AssetTwin, CentrifugalPumpSettings, CompressorSettings, TwinSettings, build_twins
from twins.centrifugal_pump import PumpRole
from twins.compressor import CompressorRole

START_NS = 1_767_225_600_000_000_000
"""2026-01-01, a whole second."""
SECOND_NS = 1_000_000_000

PUMP_ROLES: tuple[str, ...] = get_args(PumpRole)
COMPRESSOR_ROLES: tuple[str, ...] = get_args(CompressorRole)

HEALTHY_PUMP = {
    "speed_rpm": 2950.0,
    "flow_m3h": 80.0,
    "suction_pressure_bar": 0.4,
    "discharge_pressure_bar": 5.3,
    "filter_dp_bar": 0.1,
    "current_a": 28.0,
    "bearing_temperature_degc": 42.0,
    "fluid_temperature_degc": 25.0,
    "ambient_temperature_degc": 20.0,
    "vibration_mm_s": 1.5,
}
"""About the rated point of the default nameplate."""


def measured(asset: str, role: str) -> TagId:
    return TagId(f"plant.{asset}.{role}")


def pump(**changes: object) -> CentrifugalPumpSettings:
    tags = {role: measured("P-101", role) for role in PUMP_ROLES}
    return CentrifugalPumpSettings.model_validate({"tags": tags, **changes})


def plant_settings(*, commissioning_rows: int, **changes: object) -> dict[AssetId, TwinSettings]:
    """Two pumps and a compressor with the default nameplates."""
    common = {"commissioning_rows": commissioning_rows, **changes}
    pumps = {
        AssetId(name): CentrifugalPumpSettings.model_validate(
            {"tags": {role: measured(name, role) for role in PUMP_ROLES}, **common}
        )
        for name in ("P-101", "P-102")
    }
    compressor = CompressorSettings.model_validate(
        {"tags": {role: measured("K-01", role) for role in COMPRESSOR_ROLES}, **common}
    )
    return {**pumps, AssetId("K-01"): compressor}


def bound(twins: Sequence[AssetTwin]) -> TagTable:
    """Bind the twins to a table of all their tags, with foreign ones in between."""
    ids = dict.fromkeys(tag for twin in twins for tag in twin.measured_tags)
    tags = [Tag(id=TagId("foreign.first"))]
    tags += [Tag(id=tag) for tag in ids]
    tags += [Tag(id=TagId("foreign.last"))]
    tags += [tag for twin in twins for tag in twin.derived_tags]
    table = TagTable.build(tags, epoch=ConfigEpoch(1))
    for twin in twins:
        twin.bind(table)
    return table


def lone_pump(**changes: object) -> tuple[AssetTwin, TagTable]:
    (twin,) = build_twins({AssetId("P-101"): pump(**changes)})
    return twin, bound([twin])


def frame_of(
    table: TagTable,
    samples: Iterable[tuple[TagId, int, float]],
    *,
    status: int = Status.GOOD,
    received_ns: int = 0,
) -> Frame:
    """One frame of (tag, time in ns, value)."""
    listed = list(samples)
    return Frame(
        tag_index=table.indices([tag for tag, _, _ in listed]),
        time_ns=np.array([time_ns for _, time_ns, _ in listed], dtype=np.int64),
        value=np.array([value for _, _, value in listed], dtype=np.float64),
        status=np.full(len(listed), status, dtype=np.uint32),
        received_ns=received_ns,
    )


def pump_frame(table: TagTable, second: float, values: Mapping[str, float] | None = None) -> Frame:
    """One frame of a pump's signals, all at one time after the start."""
    time_ns = START_NS + round(second * SECOND_NS)
    given = HEALTHY_PUMP | dict(values or {})
    return frame_of(table, ((measured("P-101", role), time_ns, v) for role, v in given.items()))


def noisy_pump_frames(
    table: TagTable,
    count: int,
    *,
    first: int = 0,
    seed: int = 1,
    values: Mapping[str, float] | None = None,
) -> list[Frame]:
    """A pump once a second, healthy but for the values given, with 0.2 % noise on every signal."""
    rng = np.random.default_rng(seed)
    given = HEALTHY_PUMP | dict(values or {})
    return [
        pump_frame(
            table,
            second,
            {role: v * (1.0 + 0.002 * rng.standard_normal()) for role, v in given.items()},
        )
        for second in range(first, first + count)
    ]


def plant_frames(plant: Plant, table: TagTable, *, rows: int, step_s: float) -> Iterator[Frame]:
    """What the plant's sensors show, once a step."""
    names = [TagId(f"plant.{name}") for name in plant.values()]
    index = table.indices(names)
    for _ in range(rows):
        plant.step(step_s)
        yield Frame(
            tag_index=index.copy(),
            time_ns=np.full(len(index), plant.time_ns, dtype=np.int64),
            value=np.array(list(plant.values().values())),
            status=np.zeros(len(index), dtype=np.uint32),
            received_ns=plant.time_ns,
        )


def run(twin: AssetTwin, frames: Iterable[Frame]) -> tuple[Rows, ...]:
    """Feed all frames and return all rows."""
    return tuple(row for frame in frames for row in twin.update(frame).rows)


def assert_same_update(expected: TwinUpdate, actual: TwinUpdate) -> None:
    """Equal to the bit, NaN equal to NaN."""
    assert expected.events == actual.events
    assert len(expected.rows) == len(actual.rows)
    for one, other in zip(expected.rows, actual.rows, strict=True):
        assert one.time_ns == other.time_ns
        np.testing.assert_array_equal(one.value, other.value)
        np.testing.assert_array_equal(one.status, other.status)
        np.testing.assert_array_equal(one.state, other.state)
    assert (expected.frame is None) is (actual.frame is None)
    if expected.frame is not None and actual.frame is not None:
        for column in ("tag_index", "time_ns", "value", "status"):
            np.testing.assert_array_equal(
                getattr(expected.frame, column), getattr(actual.frame, column)
            )
