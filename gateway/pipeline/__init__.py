"""From the ingress queue through twins, detectors and alarms to the log (design D1, D2).

Order is fixed once, by the ingress queue. Each entry is decided in memory at once and appended to
the log together with what was decided from it, in one transaction; nothing waits for the disk.
"""

from gateway.pipeline.ingress import Ingress
from gateway.pipeline.latency import LatencyMeter
from gateway.pipeline.pipeline import Pipeline, Replayable
from gateway.pipeline.processor import Chain, Processor
from gateway.pipeline.timekeeper import ClockSettings, Timekeeper
from gateway.pipeline.values import LiveValues

__all__ = [
    "Chain",
    "ClockSettings",
    "Ingress",
    "LatencyMeter",
    "LiveValues",
    "Pipeline",
    "Processor",
    "Replayable",
    "Timekeeper",
]
