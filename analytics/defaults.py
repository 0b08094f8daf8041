"""The alarms that every asset has without anybody writing them."""

from collections.abc import Sequence

from analytics.limits import AlarmLimit, AlarmSettings, alarm_limit
from analytics.multivariate import SCORE_COLUMN
from analytics.vibration.sensor import Sensor
from analytics.vibration.watch import FAULT_COUNT, FAULT_COUNT_MIN, ZONE
from gateway.core.rows import AssetId

ANOMALY_ALARM = AlarmSettings(
    when=f"{SCORE_COLUMN} > 1",
    delay_s=5,
    off_delay_s=60,
    dead_band=0.2,
    severity=600,
    text="Behaves unlike the healthy machine",
    advice="look at the signals with the largest shares",
)
"""The score is averaged over time already; the delay keeps what is over in seconds quiet."""

FROZEN_ALARM = AlarmSettings(
    when="frozen_signals >= 1",
    severity=450,
    text="A sensor shows the same number all the time",
    advice="look which signal of the asset does not move, check the sensor and its wiring",
)
"""The twin has given the signal more time than it ever needed: no delay on top of it."""

HEALTH_ALARM = AlarmSettings(
    when="health <= 0.5",
    delay_s=30,
    off_delay_s=60,
    dead_band=0.1,
    severity=500,
    text="Health has fallen by half",
    advice="look at the worst sign of the asset",
)
"""Health is an average over time as well; a frozen sensor brings it to exactly a half."""


def default_alarms(
    assets: Sequence[AssetId], *, columns: Sequence[str], has_scores: bool
) -> tuple[AlarmLimit, ...]:
    """Return the alarms of assets of one type.

    Args:
        assets: The assets.
        columns: Of their rows; without a residual among them there is no health to watch.
        has_scores: Whether an anomaly detector scores them.
    """
    has_health = any("_residual" in column for column in columns)
    watched = assets if has_health else ()
    healths = [alarm_limit(asset, "health_low", HEALTH_ALARM, signals={}) for asset in watched]
    frozen = [alarm_limit(asset, "sensor_frozen", FROZEN_ALARM, signals={}) for asset in assets]
    return (*healths, *frozen, *(anomaly_alarms(assets) if has_scores else ()))


def vibration_alarms(sensors: Sequence[Sensor]) -> tuple[AlarmLimit, ...]:
    """Return the alarms of vibration sensors: the zones, and a fault that was seen again."""
    found = []
    for sensor in sensors:
        where = sensor.name.replace("_", " ")
        found += [
            _sensor_alarm(sensor, ZONE, 3, 500, f"Vibration at {where} is in zone C or worse"),
            _sensor_alarm(sensor, ZONE, 4, 800, f"Vibration at {where} is in zone D"),
            _sensor_alarm(
                sensor, FAULT_COUNT, FAULT_COUNT_MIN, 600, f"Vibration at {where} speaks of a fault"
            ),
        ]
    return tuple(found)


def _sensor_alarm(sensor: Sensor, column: str, limit: int, severity: int, text: str) -> AlarmLimit:
    tag = f"{sensor.prefix}{column}"
    name = f"{sensor.name}_" + ("fault" if column == FAULT_COUNT else f"zone_{'abcd'[limit - 1]}")
    settings = AlarmSettings(
        when=f"{tag} >= {limit}",
        severity=severity,
        text=text,
        advice="look at the spectrum, compare it with the last ones",
    )
    return alarm_limit(sensor.asset, name, settings, signals={})


def anomaly_alarms(assets: Sequence[AssetId]) -> tuple[AlarmLimit, ...]:
    """Return the alarm on the anomaly score of each asset."""
    return tuple(alarm_limit(asset, "anomaly", ANOMALY_ALARM, signals={}) for asset in assets)
