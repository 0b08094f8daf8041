"""Finds the engine for a model."""

from typing import assert_never

from analytics.anomaly.distance_engine import DistanceEngine
from analytics.anomaly.engine import Engine
from analytics.anomaly.memory_engine import MemoryEngine
from analytics.anomaly.statistics_engine import StatisticsEngine
from gateway.core.manifest import AnomalyManifest, Method


def open_engine(model: bytes, manifest: AnomalyManifest, *, asset_count: int) -> Engine:
    """Return what runs a model for n assets.

    Raises:
        ModelError: the graph is damaged, or not that of such a model.
    """
    match manifest.method:
        case Method.DISTANCE:
            return DistanceEngine(model, manifest, asset_count=asset_count)
        case Method.STATISTICS:
            return StatisticsEngine(model, manifest, asset_count=asset_count)
        case Method.MEMORY:
            return MemoryEngine(model, asset_count=asset_count)
        case _:
            assert_never(manifest.method)
