"""Watches the vibration of machines while they run: waveforms in, indicators and faults out.

A waveform (`gathering`) becomes a row of indicators, its zone, and a diagnosis. Each is a derived
sample at the time of the waveform's last value, with a trend, limits and history like any other
tag. One odd waveform is no fault: `fault_count` is how many in a row spoke of the same one,
clearly.
"""

import json
from collections.abc import Sequence
from typing import Final, TypedDict

import numpy as np

from analytics.vibration.diagnosis import BEARING_FAULTS, FAULTS, diagnose
from analytics.vibration.gathering import Gathering, SavedGathering, Waveform
from analytics.vibration.indicators import NAMES
from analytics.vibration.sensor import Sensor
from analytics.vibration.spectrum import G_M_S2
from gateway.core.arrays import FloatArray, IndexArray, index_column
from gateway.core.cases import Diagnosis
from gateway.core.events import Evidence
from gateway.core.frame import Frame
from gateway.core.quality import Status, is_bad
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagId, TagTable

ZONE: Final = "zone"
FAULT_SHARE: Final = "fault_probability"
FAULT_COUNT: Final = "fault_count"
COLUMNS: Final = (*NAMES, ZONE, FAULT_SHARE, FAULT_COUNT)
"""Derived tags of each sensor, behind `asset.sensor_`."""
FAULT_COUNT_MIN: Final = 3
"""Waveforms in a row that must speak of one fault."""
CLEAR: Final = 0.8
"""Probability from which a waveform speaks of a fault clearly."""

SPEED_AGE_S_MAX: Final = 60.0
"""An older speed is not the waveform's."""

_ZONES: Final = ("A", "B", "C", "D")
_UNITS: Final = (("_mm_s", "mm/s"), ("_g", "[g]"), ("_db", "dB"))
_CHECKS: Final = {
    "inner": "listen to the bearing, plan to change it",
    "outer": "listen to the bearing, plan to change it",
    "ball": "listen to the bearing, plan to change it",
    "cage": "look at the bearing's lubrication, plan to change it",
    "unbalance": "look for dirt or damage on the rotor, balance it",
    "misalignment": "check the alignment of the coupling",
    "looseness": "check the bolts and the foundation",
}
_CAUSES: Final = {
    "inner": "inner race of the bearing",
    "outer": "outer race of the bearing",
    "ball": "rolling elements of the bearing",
    "cage": "cage of the bearing",
}


class VibrationWatch:
    """Watches n sensors; implements the port `Watch`. Pure: time comes from the data."""

    def __init__(self, sensors: Sequence[Sensor]) -> None:
        """Begin with no waveform."""
        self._sensors = tuple(sensors)
        self._machines = [sensor.settings.machine for sensor in self._sensors]
        self._states = [_State(sensor) for sensor in self._sensors]
        self._place_of_tag: dict[int, list[int]] = {}
        self._speed_of_tag: dict[int, list[int]] = {}
        self._is_watched: IndexArray = index_column([])
        self._own: IndexArray = index_column([])

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """The indicators of each sensor, `asset.sensor_indicator`."""
        return tuple(
            Tag(id=TagId(f"{sensor.prefix}{column}"), is_derived=True, unit=_unit_of(column))
            for sensor in self._sensors
            for column in COLUMNS
        )

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions, once, before the first frame."""
        self._place_of_tag, self._speed_of_tag = {}, {}
        watched = np.zeros(len(table.tags), dtype=np.int32)
        for k, sensor in enumerate(self._sensors):
            index = table.index(sensor.settings.tag)
            self._place_of_tag.setdefault(index, []).append(k)
            watched[index] = 1
            if sensor.settings.speed is not None:
                index = table.index(sensor.settings.speed)
                self._speed_of_tag.setdefault(index, []).append(k)
                watched[index] = 1
        self._is_watched = watched
        self._own = table.indices([tag.id for tag in self.derived_tags])

    def update(self, frame: Frame) -> Frame | None:
        """Take in a frame of any tags and return the indicators of finished waveforms, if any."""
        if not self._sensors:
            return None
        at = np.flatnonzero(self._is_watched[frame.tag_index])
        if not len(at):
            return None
        tags = frame.tag_index[at]
        rows: list[tuple[int, int, FloatArray]] = []
        for index in np.unique(tags).tolist():
            mine = at[tags == index]
            value, time_ns = frame.value[mine], frame.time_ns[mine]
            usable = ~is_bad(frame.status[mine]) & np.isfinite(value)
            for k in self._speed_of_tag.get(index, ()):
                self._states[k].hear_speed(
                    float(value[-1]) / 60.0 if usable[-1] else np.nan, int(time_ns[-1])
                )
            for k in self._place_of_tag.get(index, ()):
                waveforms = self._states[k].gathering.take(time_ns, value, usable)
                rows += [(k, each.end_ns, self._row(k, each)) for each in waveforms]
        return self._frame(frame, rows) if rows else None

    def diagnosis(self, asset: AssetId) -> Diagnosis | None:
        """Return what the vibration of an asset says now; None while it says nothing clearly."""
        told = [
            (state.share, k)
            for k, state in enumerate(self._states)
            if self._sensors[k].asset == asset and state.count >= FAULT_COUNT_MIN
        ]
        if not told:
            return None
        share, k = max(told)
        fault = FAULTS[self._states[k].fault]
        name = self._sensors[k].name.replace("_", " ")
        return Diagnosis(
            cause=f"likely: {_CAUSES.get(fault, fault)} at {name} ({share:.0%})",
            check=_CHECKS[fault],
        )

    def advice(self, tag: TagId) -> str:
        """Return what to check, for an alarm on a tag of a sensor; empty when nothing is known."""
        k = self._sensor_of(tag)
        found = None if k is None else self.diagnosis(self._sensors[k].asset)
        return found.sentence if found else ""

    def evidence(self, tag: TagId) -> tuple[Evidence, ...]:
        """Return the figures behind an alarm on a tag of a sensor, the weightiest first."""
        k = self._sensor_of(tag)
        if k is None or self._states[k].row is None:
            return ()
        row, prefix = self._states[k].row, self._sensors[k].prefix
        assert row is not None
        fault = FAULTS[self._states[k].fault]
        names = ["velocity_rms_mm_s", "rms_g", "kurtosis"]
        if fault in BEARING_FAULTS:
            mine = [name for name in NAMES if name.startswith(fault) and name.endswith("_db")]
            names = [*sorted(mine, key=lambda name: -_value(row, name))[:2], *names]
        return tuple(
            Evidence(name=f"{prefix}{name}", value=value, unit=_unit_of(name))
            for name in names
            if np.isfinite(value := _value(row, name))
        )

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        for state in self._states:
            state.rebase(shift_ns)

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""
        content = {
            "sensors": self._configuration(),
            "states": [state.save() for state in self._states],
        }
        return json.dumps(content).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: it was made under another configuration; the state is unchanged.
        """
        content = json.loads(checkpoint)
        if content["sensors"] != self._configuration():
            raise ValueError("the checkpoint is of other vibration sensors")
        for state, saved in zip(self._states, content["states"], strict=True):
            state.load(saved)

    def _row(self, k: int, waveform: Waveform) -> FloatArray:
        """Diagnose a waveform; returns a value for each of `COLUMNS`."""
        state = self._states[k]
        found = diagnose(
            waveform.value, waveform.rate_hz, state.speed_hz(waveform.end_ns), self._machines[k]
        )
        state.judge(found.probabilities)
        row = np.append(
            found.indicators.value,
            [
                _ZONES.index(found.zone) + 1.0,
                1.0 - found.probability("none"),
                float(state.count),
            ],
        )
        state.row = row
        return row

    def _frame(self, frame: Frame, rows: Sequence[tuple[int, int, FloatArray]]) -> Frame:
        own = self._own.reshape(-1, len(COLUMNS))
        value = np.concatenate([row for _, _, row in rows])
        known = np.isfinite(value)
        return Frame(
            tag_index=np.concatenate([own[k] for k, _, _ in rows]),
            time_ns=np.repeat(np.array([end for _, end, _ in rows], np.int64), len(COLUMNS)),
            value=np.where(known, value, np.nan),
            status=np.where(known, Status.GOOD, Status.BAD_OUT_OF_SERVICE).astype(np.uint32),
            received_ns=frame.received_ns,
            arrival_ns=frame.arrival_ns,
            origin=frame.origin,
            is_received=False,
            clock=frame.clock,
        )

    def _sensor_of(self, tag: TagId) -> int | None:
        return next(
            (k for k, each in enumerate(self._sensors) if tag.startswith(each.prefix)), None
        )

    def _configuration(self) -> list[str]:
        return [f"{each.prefix}{each.settings.model_dump_json()}" for each in self._sensors]


class _Saved(TypedDict):
    gathering: SavedGathering
    speed: tuple[float, int]
    fault: tuple[int, float, int]
    row: list[float] | None


class _State:
    """What is known of one sensor."""

    def __init__(self, sensor: Sensor) -> None:
        settings = sensor.settings
        self._settings = settings
        self.gathering = Gathering(
            samples=settings.samples, scale=1.0 if settings.unit == "g" else 1.0 / G_M_S2
        )
        self._speed_hz = np.nan
        self._speed_ns = 0
        self.fault = 0
        """Position in `FAULTS` of what the last waveforms spoke of."""
        self.share = 0.0
        """Its probability in the last one."""
        self.count = 0
        """Waveforms in a row that spoke of it clearly."""
        self.row: FloatArray | None = None
        """Of the last waveform, for `COLUMNS`."""

    def hear_speed(self, speed_hz: float, time_ns: int) -> None:
        """Note the speed of the shaft; NaN is not known."""
        self._speed_hz, self._speed_ns = speed_hz, time_ns

    def speed_hz(self, end_ns: int) -> float | None:
        """Return the turns of the shaft in a second when a waveform ended."""
        if self._settings.speed is None:
            rpm = self._settings.speed_rpm
            return None if rpm is None else rpm / 60.0
        is_fresh = abs(end_ns - self._speed_ns) <= SPEED_AGE_S_MAX * 1e9
        return self._speed_hz if is_fresh and np.isfinite(self._speed_hz) else None

    def judge(self, probabilities: FloatArray) -> None:
        """Count what a waveform speaks of."""
        fault = int(np.argmax(probabilities))
        is_clear = FAULTS[fault] != "none" and probabilities[fault] >= CLEAR
        self.count = (self.count + 1 if fault == self.fault else 1) if is_clear else 0
        self.fault, self.share = fault, float(probabilities[fault])

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time."""
        self.gathering.rebase(shift_ns)
        if self._speed_ns:
            self._speed_ns += shift_ns

    def save(self) -> _Saved:
        """Return all that `load` needs."""
        return {
            "gathering": self.gathering.save(),
            "speed": (self._speed_hz, self._speed_ns),
            "fault": (self.fault, self.share, self.count),
            "row": None if self.row is None else self.row.tolist(),
        }

    def load(self, saved: _Saved) -> None:
        """Go on from what `save` returned."""
        self.gathering.load(saved["gathering"])
        self._speed_hz, self._speed_ns = saved["speed"]
        self.fault, self.share, self.count = saved["fault"]
        self.row = None if saved["row"] is None else np.array(saved["row"])


def _value(row: FloatArray, column: str) -> float:
    return float(row[COLUMNS.index(column)])


def _unit_of(column: str) -> str:
    """Return the UCUM code of an indicator's unit, which its name ends with."""
    return next((code for ending, code in _UNITS if column.endswith(ending)), "")
