"""How many alarms there are against what a person can deal with, in one line. Pure."""

from gateway.api.alarm_answers import AlarmMetricsAnswer


def alarm_rate(metrics: AlarmMetricsAnswer) -> str:
    """Return what was announced in the last hour and what stands out, in a line for a person."""
    parts = [
        f"{metrics.last_hour} in the last hour, target {metrics.target_per_hour:g}",
        f"{metrics.per_hour:.1f} an hour this week",
    ]
    if metrics.flood_since is not None:
        parts.append("alarm flood")
    if metrics.chattering_now:
        parts.append(f"{len(metrics.chattering_now)} chattering")
    if metrics.stale:
        parts.append(f"{len(metrics.stale)} stale")
    return " · ".join(parts)
