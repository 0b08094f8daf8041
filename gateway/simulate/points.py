"""The measured points of the plant: one table for physics, servers, books and configuration.

OPC UA: node `ns=2;s=P101.Flow`, tag `pumps.P101.Flow`. Modbus TCP: holding registers of unit 1,
zero-based, float32 in two registers (ABCD), tag `compressor.K01.Flow`.
"""

from dataclasses import dataclass

from gateway.core.tags import TagId

PUMPS = ("P-101", "P-102")
COMPRESSORS = ("K-01",)
ASSETS = (*PUMPS, *COMPRESSORS)

PUMP_CONNECTOR = "pumps"
"""Name of the OPC UA connector in the generated configuration; opens the ids of its tags."""
COMPRESSOR_CONNECTOR = "compressor"
"""Name of the Modbus connector in the generated configuration."""

NAMESPACE_URI = "urn:edgewright:plant"
NAMESPACE_INDEX = 2
SETPOINT_NAME = "SpeedSetpoint"
SETPOINT_RPM_MIN = 1500.0
SETPOINT_RPM_MAX = 3000.0

MODBUS_UNIT = 1
POLL_COUNT_ADDRESS = 100
"""uint32, two registers: counts the responses that contain both of them."""
ALARM_WORD_ADDRESS = 102
"""uint16: see `gateway.simulate.compressor.alarm_word`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """What stands between the true value and the one that the controller shows."""

    role: str
    """Name of the signal, unit last."""
    name: str
    """Last part of its node and tag."""
    unit: str
    """UCUM code."""
    low: float
    """Lower end of the instrument's range."""
    high: float
    """Upper end of the instrument's range."""
    lag_s: float
    """Time constant of the instrument."""
    noise: float
    """Standard deviation of its noise, in `unit`."""
    accuracy: float
    """Bound on its bias, in `unit`; the true bias is drawn from the seed and hidden."""
    steps: float
    """Steps per unit of the converter: 100 shows hundredths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One sensor of one asset."""

    asset: str
    sensor: Sensor
    tag: TagId
    """Id in the generated configuration."""

    @property
    def key(self) -> str:
        """Name in `Plant.values()` and in recordings, such as `P-101.flow_m3h`."""
        return f"{self.asset}.{self.sensor.role}"

    @property
    def node(self) -> str:
        """String identifier of its OPC UA node, such as `P101.Flow`."""
        return node_of(self.asset, self.sensor.name)


def _sensor(
    role: str, name: str, unit: str, span: tuple[float, float], quality: tuple[float, ...]
) -> Sensor:
    lag_s, noise, accuracy, steps = quality
    return Sensor(
        role=role,
        name=name,
        unit=unit,
        low=span[0],
        high=span[1],
        lag_s=lag_s,
        noise=noise,
        accuracy=accuracy,
        steps=steps,
    )


# role, name, unit, (low, high), (lag s, noise, accuracy, steps per unit)
PUMP_SENSORS = (
    _sensor("speed_rpm", "Speed", "/min", (0, 3600), (0.3, 0.6, 1.0, 1)),
    _sensor("flow_m3h", "Flow", "m3/h", (0, 120), (1.5, 0.12, 0.4, 100)),
    _sensor("suction_pressure_bar", "SuctionPressure", "bar", (-1, 5), (0.4, 0.004, 0.01, 1000)),
    _sensor(
        "discharge_pressure_bar", "DischargePressure", "bar", (0, 16), (0.4, 0.012, 0.03, 1000)
    ),
    _sensor("filter_dp_bar", "FilterDp", "bar", (0, 2), (0.6, 0.001, 0.002, 1000)),
    _sensor("current_a", "Current", "A", (0, 60), (0.8, 0.08, 0.2, 100)),
    _sensor(
        "bearing_temperature_degc", "BearingTemperature", "Cel", (-20, 150), (8, 0.05, 0.5, 10)
    ),
    _sensor("fluid_temperature_degc", "FluidTemperature", "Cel", (-20, 150), (12, 0.04, 0.4, 10)),
    _sensor(
        "ambient_temperature_degc", "AmbientTemperature", "Cel", (-40, 80), (60, 0.04, 0.4, 10)
    ),
    _sensor("vibration_mm_s", "Vibration", "mm/s", (0, 25), (2.0, 0.02, 0.05, 100)),
)
COMPRESSOR_SENSORS = (
    _sensor("speed_rpm", "Speed", "/min", (0, 3600), (0.3, 0.8, 1.0, 1)),
    _sensor("flow_m3h", "Flow", "m3/h", (0, 800), (2.0, 0.9, 3.0, 10)),
    _sensor("inlet_dp_mbar", "InletDp", "mbar", (0, 250), (1.0, 0.15, 0.4, 100)),
    _sensor("inlet_temperature_degc", "InletTemperature", "Cel", (-40, 80), (30, 0.05, 0.4, 10)),
    _sensor(
        "discharge_pressure_bar", "DischargePressure", "bar", (0, 16), (0.5, 0.008, 0.02, 1000)
    ),
    _sensor(
        "discharge_temperature_degc", "DischargeTemperature", "Cel", (-20, 180), (10, 0.08, 0.6, 10)
    ),
    _sensor("oil_temperature_degc", "OilTemperature", "Cel", (-20, 150), (12, 0.08, 0.6, 10)),
    _sensor("current_a", "Current", "A", (0, 200), (0.8, 0.2, 0.6, 100)),
    _sensor("vibration_mm_s", "Vibration", "mm/s", (0, 25), (2.0, 0.03, 0.06, 100)),
)


def node_of(asset: str, name: str) -> str:
    """Return the string identifier of an asset's node: `P-101` and `Flow` give `P101.Flow`."""
    return f"{asset.replace('-', '')}.{name}"


def _points_of(asset: str, connector: str, sensors: tuple[Sensor, ...]) -> tuple[Point, ...]:
    return tuple(
        Point(asset=asset, sensor=sensor, tag=TagId(f"{connector}.{node_of(asset, sensor.name)}"))
        for sensor in sensors
    )


PUMP_POINTS = tuple(
    point for asset in PUMPS for point in _points_of(asset, PUMP_CONNECTOR, PUMP_SENSORS)
)
COMPRESSOR_POINTS = tuple(
    point
    for asset in COMPRESSORS
    for point in _points_of(asset, COMPRESSOR_CONNECTOR, COMPRESSOR_SENSORS)
)
POINTS = (*PUMP_POINTS, *COMPRESSOR_POINTS)
"""Every measured point, in the order of the physics and of recordings."""

POLL_COUNT_TAG = TagId(f"{COMPRESSOR_CONNECTOR}.K01.PollCount")
ALARM_WORD_TAG = TagId(f"{COMPRESSOR_CONNECTOR}.K01.AlarmWord")
MODBUS_TAGS = (*(point.tag for point in COMPRESSOR_POINTS), POLL_COUNT_TAG, ALARM_WORD_TAG)
"""Everything that the server offers, in the order of the values in `ModbusServer.show`, but for
the poll count, which is the server's own."""


def roles_of(asset: str) -> tuple[str, ...]:
    """Return the names of an asset's signals, in their order."""
    return tuple(point.sensor.role for point in POINTS if point.asset == asset)


def setpoint_tag(pump: str) -> TagId:
    """Return the tag of a pump's speed setpoint."""
    return TagId(f"{PUMP_CONNECTOR}.{node_of(pump, SETPOINT_NAME)}")
