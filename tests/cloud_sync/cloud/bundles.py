"""Bundles for the tests of the registry; their graph is never run there."""

import numpy as np

from gateway.core.manifest import AnomalyManifest
from gateway.wire.bundle import Bundle, Canary, write_bundle


def bundle_bytes(name: str = "pump-anomaly", version: str = "1.0", model: bytes = b"a") -> bytes:
    manifest = AnomalyManifest(
        name=name,
        version=version,
        asset_type="centrifugal_pump",
        columns=("flow_residual_m3h", "vibration_mm_s"),
        trained_rows=10,
        training_sha256="0" * 64,
    )
    canary = Canary(
        healthy=np.zeros((4, 2), np.float32),
        faults=np.ones((1, 3, 2), np.float32),
        fault_names=("bearing_wear",),
    )
    return write_bundle(Bundle(manifest=manifest, model=model, canary=canary))
