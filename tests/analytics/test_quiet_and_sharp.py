"""The default alarms on the simulated plant: quiet on a healthy day, and every fault is found.

A twin learns its machine and a model is trained on one day and a bit; the next day must stay quiet,
and every fault must raise an alarm of the score, of health, or of a frozen sensor. The simulator's
physics is not the twin's: its hidden parameters are drawn from a seed.
"""

import tomllib
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from analytics.alarms import LimitAlarms
from analytics.defaults import default_alarms
from analytics.multivariate import AnomalyDetector
from analytics.training.anomaly import Purpose, train_anomaly
from gateway.cli.recordings import TwinRecording
from gateway.config import Config
from gateway.core.arrays import frozen
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame, Origin
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.recordings import Recording
from gateway.simulate.faults import Fault, FaultKind
from gateway.simulate.plant import KEYS, Plant
from gateway.simulate.plant_config import plant_tables
from gateway.wire.bundle import write_bundle

SEED = 4
HOUR_S = 3600
TRAINED_H = 27
TYPES = {"centrifugal_pump": "P-101", "compressor": "K-01"}
ONSET_S = 1200

pytestmark = pytest.mark.slow


def recorded(plant: Plant, duration_s: int) -> Recording:
    times, values = [], []
    for _ in range(duration_s):
        plant.step(1.0)
        times.append(plant.time_ns)
        values.append(list(plant.shown()))
    return Recording(
        time_ns=frozen(np.array(times, dtype=np.int64)),
        columns=tuple(KEYS),
        value=frozen(np.array(values)),
    )


def lines_of(recording: Recording, lines: Sequence[int] | slice) -> Recording:
    return Recording(
        time_ns=frozen(recording.time_ns[lines]),
        columns=recording.columns,
        value=frozen(recording.value[lines]),
    )


def config() -> Config:
    """The gateway's configuration for the plant, with what is on the nameplates."""
    tables = plant_tables(opcua_endpoint="opc.tcp://127.0.0.1:1", modbus_address="127.0.0.1:2")
    text = f'[gateway]\nid = "test"\n{tables.connectors}\n{tables.twins}'
    return Config.model_validate(tomllib.loads(text))


@cache
def two_days() -> Recording:
    return recorded(Plant(SEED), (TRAINED_H + 24) * HOUR_S)


@cache
def bundle_of(asset_type: str) -> bytes:
    first = lines_of(two_days(), slice(0, TRAINED_H * HOUR_S))
    columns, runs = TwinRecording(first, asset_type, config()).healthy_runs()
    purpose = Purpose(
        name="model", version="1.0", asset_type=asset_type, columns=columns, tolerance=1.0
    )
    return write_bundle(train_anomaly(runs, purpose).bundle)


def alarms_in(recording: Recording, asset_type: str) -> list[Event]:
    """What the chain twin, detector, alarms raises, as the service would put it together."""
    through = TwinRecording(recording, asset_type, config())
    twin = through.new_twin()
    detector = AnomalyDetector(
        model_name="model",
        asset_type=asset_type,
        assets=twin.assets,
        columns=twin.columns,
        monotonic_ns=lambda: 0,
    )
    limits = default_alarms(twin.assets, columns=twin.columns, has_scores=True)
    board = LimitAlarms(limits, reasons=[detector])
    names = [name for name in KEYS if f"recording.{name}" in twin.measured_tags]
    measured = [Tag(id=TagId(f"recording.{name}")) for name in names]
    table = TagTable.build(
        [*measured, *twin.derived_tags, *detector.derived_tags], epoch=ConfigEpoch(1)
    )
    for part in (twin, detector, board):
        part.bind(table)
    detector.activate(bundle_of(asset_type))
    tag_index = table.indices([tag.id for tag in measured])
    at = [KEYS.index(name) for name in names]
    events: list[Event] = []
    for time_ns, value in zip(recording.time_ns, recording.value, strict=True):
        frame = Frame(
            tag_index=tag_index,
            time_ns=np.full(len(at), time_ns),
            value=value[at],
            status=np.zeros(len(at), dtype=np.uint32),
            received_ns=int(time_ns),
            origin=Origin.LIVE,
        )
        update = twin.update(frame)
        frames = [frame, update.frame, *(detector.update(rows).frame for rows in update.rows)]
        for each in frames:
            events += [] if each is None else board.update(each)
    return [event for event in events if event.transition is Transition.RAISED]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("asset_type", TYPES)
def test_at_most_one_false_alarm_a_day_and_asset(asset_type: str) -> None:
    """Both days, every tenth second once the twin has learnt its machine; alarms of the second."""
    end = (TRAINED_H + 24) * HOUR_S
    begin_ns = two_days().time_ns[TRAINED_H * HOUR_S]
    raised = alarms_in(lines_of(two_days(), [*range(900), *range(900, end, 10)]), asset_type)
    raised = [event for event in raised if event.time_ns >= begin_ns]
    for asset in {event.source for event in raised}:
        assert len([event for event in raised if event.source == asset]) <= 1, raised


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("asset_type", "kind", "signal"),
    [
        ("centrifugal_pump", FaultKind.BEARING_WEAR, None),
        ("centrifugal_pump", FaultKind.CAVITATION, None),
        ("centrifugal_pump", FaultKind.CLOGGED_FILTER, None),
        ("centrifugal_pump", FaultKind.SENSOR_FROZEN, "vibration_mm_s"),
        ("centrifugal_pump", FaultKind.SENSOR_DRIFT, "flow_m3h"),
        ("centrifugal_pump", FaultKind.SENSOR_DRIFT, "fluid_temperature_degc"),
        ("compressor", FaultKind.BEARING_WEAR, None),
        ("compressor", FaultKind.CLOGGED_FILTER, None),
        ("compressor", FaultKind.SENSOR_FROZEN, "oil_temperature_degc"),
        ("compressor", FaultKind.SENSOR_DRIFT, "discharge_temperature_degc"),
    ],
)
def test_a_fault_of_half_the_size_is_found(
    asset_type: str, kind: FaultKind, signal: str | None
) -> None:
    """Not before it began, on its own asset, and with reasons."""
    asset = TYPES[asset_type]
    fault = Fault(kind=kind, asset=asset, onset_s=ONSET_S, growth_s=600, size=0.5, signal=signal)
    plant = Plant(SEED, [fault])
    begin_ns = plant.time_ns
    raised = alarms_in(recorded(plant, ONSET_S + 1200), asset_type)
    mine = [event for event in raised if event.source == asset]
    assert mine
    assert all(event.time_ns > begin_ns + ONSET_S * 10**9 for event in raised), raised
    assert mine[0].evidence
