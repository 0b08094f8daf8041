"""The alarms that every asset has without anybody writing them."""

from collections.abc import Sequence

from analytics.limits import AlarmLimit, AlarmSettings, alarm_limit
from analytics.multivariate import SCORE_COLUMN
from gateway.core.rows import AssetId

ANOMALY_ALARM = AlarmSettings(
    when=f"{SCORE_COLUMN} > 1",
    delay_s=10,
    off_delay_s=30,
    dead_band=0.1,
    severity=600,
    text="Behaves unlike the healthy machine",
    advice="look at the signals with the largest shares",
)
"""The score is averaged over time already; the delay keeps what is over in seconds quiet."""

HEALTH_ALARM = AlarmSettings(
    when="health < 0.5",
    delay_s=30,
    off_delay_s=60,
    dead_band=0.1,
    severity=500,
    text="Health has fallen by half",
    advice="look at the worst sign of the asset",
)
"""Health is an average over time as well."""


def default_alarms(
    assets: Sequence[AssetId], *, columns: Sequence[str], has_scores: bool
) -> tuple[AlarmLimit, ...]:
    """Return the alarms of assets of one type.

    Args:
        assets: The assets.
        columns: Columns of their rows and of their twins' own.
        has_scores: Whether an anomaly detector scores them.
    """
    settings = {"health_low": HEALTH_ALARM}
    if has_scores:
        settings["anomaly"] = ANOMALY_ALARM
    return tuple(
        alarm_limit(asset, condition, alarm, signals={})
        for asset in assets
        for condition, alarm in settings.items()
    )
