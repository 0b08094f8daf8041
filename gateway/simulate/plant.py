"""The whole plant: two pumps and a compressor, their sensors and faults, stepped in any time.

    plant = Plant(seed=7, faults=[Fault(kind=FaultKind.CAVITATION, asset="P-101", onset_s=60)])
    plant.step(1.0)
    plant.values()["P-101.flow_m3h"]

The same seed, faults and steps give the same values. Noise and disturbances do not depend on the
faults: two plants of one seed differ by their faults alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from gateway.simulate.chance import Hidden, Normals
from gateway.simulate.compressor import Compressor
from gateway.simulate.faults import SENSOR_FAULTS, SERVER_FAULTS, Fault, FaultKind
from gateway.simulate.points import POINTS, PUMPS
from gateway.simulate.sensors import SensorBank
from gateway.simulate.station import DAY_S, Station, Weather

START_NS = 1_767_229_200_000_000_000
"""2026-01-01 01:00 UTC: where virtual time begins unless told otherwise."""
STEP_S_MAX = 10.0
NS_PER_S = 1_000_000_000
WARM_UP_STEPS = 900
"""Steps of 10 s before the start: the plant has been running for hours."""
KEYS = tuple(point.key for point in POINTS)


class Plant:
    """The plant now; `step` moves it on."""

    def __init__(
        self, seed: int, faults: Sequence[Fault] = (), *, start_ns: int = START_NS
    ) -> None:
        """Draw the hidden parameters from the seed and let the plant warm up.

        Args:
            seed: Whatever number; the same number is the same plant.
            faults: What will go wrong; server faults concern the servers and are left to them.
            start_ns: UTC; the time of day matters to demand and ambient temperature.
        """
        streams = np.random.SeedSequence(seed).spawn(3)
        hidden = Hidden(np.random.default_rng(streams[0]))
        normals = Normals(np.random.default_rng(streams[1]))
        self._weather = Weather(hidden, normals)
        ambient_degc = self._weather.ambient_degc
        self._station = Station(hidden, normals, ambient_degc=ambient_degc)
        self._compressor = Compressor(hidden, normals, ambient_degc=ambient_degc)
        self._sensors = SensorBank(POINTS, np.random.default_rng(streams[2]))
        self._faults: tuple[Fault, ...] = ()
        self._start_ns = start_ns
        self._elapsed_ns = -int(WARM_UP_STEPS * STEP_S_MAX) * NS_PER_S
        self._shown: list[float] = []
        for _ in range(WARM_UP_STEPS):
            self.step(STEP_S_MAX)
        self._faults = tuple(fault for fault in faults if fault.kind not in SERVER_FAULTS)

    @property
    def time_ns(self) -> int:
        """The plant's time, UTC."""
        return self._start_ns + self._elapsed_ns

    @property
    def elapsed_s(self) -> float:
        """The plant's time since its start: what onsets of faults count in."""
        return self._elapsed_ns / NS_PER_S

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults of machines and sensors, begun or not."""
        return self._faults

    @property
    def alarm_word(self) -> int:
        """Alarms of the compressor's own controller; see `Compressor.alarm_word`."""
        return self._compressor.alarm_word

    def values(self) -> Mapping[str, float]:
        """Return what the sensors show, such as `P-101.flow_m3h`, in the order of `POINTS`."""
        return dict(zip(KEYS, self._shown, strict=True))

    def shown(self) -> Sequence[float]:
        """Return what the sensors show in the order of `POINTS`."""
        return self._shown

    def setpoint_rpm(self, pump: str) -> float:
        """Return a pump's speed setpoint."""
        return self._station.pumps[PUMPS.index(pump)].setpoint_rpm

    def set_setpoint_rpm(self, pump: str, value: float) -> None:
        """Set a pump's speed by hand, within the drive's limits."""
        self._station.set_speed(PUMPS.index(pump), value)

    def inject(self, fault: Fault) -> None:
        """Add a fault of a machine or a sensor."""
        assert fault.kind not in SERVER_FAULTS, fault.kind
        self._faults = (*self._faults, fault)

    def repair(self) -> None:
        """Remove all faults; the machines are as before, but need their time to cool."""
        self._faults = ()

    def step(self, dt_s: float) -> None:
        """Go on by a time of up to 10 s."""
        assert 0.0 < dt_s <= STEP_S_MAX, dt_s
        self._elapsed_ns += round(dt_s * NS_PER_S)
        elapsed_s = self._elapsed_ns / NS_PER_S
        day_s = (self._start_ns + self._elapsed_ns) / NS_PER_S % DAY_S
        sensor_faults = self._break_machines(elapsed_s) if self._faults else ()
        weather = self._weather
        weather.step(dt_s, day_s=day_s)
        air, voltage = weather.ambient_degc, weather.voltage
        self._station.step(
            dt_s, elapsed_s=elapsed_s, day_s=day_s, ambient_degc=air, voltage=voltage
        )
        self._compressor.step(dt_s, day_s=day_s, ambient_degc=air, voltage=voltage)
        self._shown = self._sensors.step(self._true_values(), dt_s, sensor_faults, elapsed_s)

    def _break_machines(self, elapsed_s: float) -> Sequence[Fault]:
        """Tell the machines how bad they are; return the faults that are the sensors'."""
        wear: dict[str, float] = {}
        blockage: dict[str, float] = {}
        clogging: dict[str, float] = {}
        for fault in self._faults:
            growth = fault.growth(elapsed_s)
            if fault.kind is FaultKind.BEARING_WEAR:
                wear[fault.asset] = max(wear.get(fault.asset, 0.0), growth * fault.size)
            elif fault.kind is FaultKind.CAVITATION:
                bar = growth * (1.05 + 0.55 * fault.size)
                blockage[fault.asset] = max(blockage.get(fault.asset, 0.0), bar)
            elif fault.kind is FaultKind.CLOGGED_FILTER:
                share = growth * (0.12 + 0.88 * fault.size)
                clogging[fault.asset] = max(clogging.get(fault.asset, 0.0), share)
        for name, pump in zip(PUMPS, self._station.pumps, strict=True):
            pump.faults.wear = wear.get(name, 0.0)
            pump.faults.blockage_bar = blockage.get(name, 0.0)
            pump.faults.clogging = clogging.get(name, 0.0)
        self._compressor.wear = wear.get("K-01", 0.0)
        self._compressor.clogging = clogging.get("K-01", 0.0)
        return [fault for fault in self._faults if fault.kind in SENSOR_FAULTS]

    def _true_values(self) -> list[float]:
        """Return the true values in the order of `POINTS`."""
        values: list[float] = []
        air = self._weather.ambient_degc
        for pump in self._station.pumps:
            values += (
                pump.speed_rpm,
                pump.flow,
                pump.suction_bar,
                pump.discharge_bar,
                pump.filter_dp_bar,
                pump.motor.current_a,
                pump.bearing_degc,
                pump.casing_degc,
                air + 0.02 * (pump.motor.winding_degc - air),
                pump.vibration,
            )
        machine = self._compressor
        values += (
            machine.speed_rpm,
            machine.flow,
            machine.inlet_dp_mbar,
            machine.inlet_degc,
            machine.pressure_bar,
            machine.discharge_degc,
            machine.oil_degc,
            machine.motor.current_a,
            machine.vibration,
        )
        return values
