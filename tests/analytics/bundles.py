"""Small bundles for the tests, without a graph in them."""

import numpy as np

from gateway.core.manifest import AnomalyManifest
from gateway.wire.bundle import Bundle, Canary

MODEL = b"not a graph, but some bytes"


def small_manifest(**fields: object) -> AnomalyManifest:
    given = {
        "name": "pump-anomaly",
        "version": "1.0",
        "asset_type": "generic",
        "columns": ("flow_m3h", "current_a"),
        "trained_rows": 600,
        "training_sha256": "0" * 64,
        "metrics": {"b": 2.0, "a": 1.0},
    }
    return AnomalyManifest.model_validate({**given, **fields})


def small_canary() -> Canary:
    generator = np.random.default_rng(7)
    return Canary(
        healthy=generator.normal(size=(5, 2)).astype(np.float32),
        faults=generator.normal(size=(3, 4, 2)).astype(np.float32),
        fault_names=("flow_m3h falls", "current_a rises", "beides à la fois"),
    )


def small_bundle() -> Bundle:
    return Bundle(manifest=small_manifest(), model=MODEL, canary=small_canary())
