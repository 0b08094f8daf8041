"""The learned classifier of faults, out of its bundle."""

import numpy as np

from analytics.runtime import Session
from analytics.vibration.diagnosis import MODEL_COLUMNS
from gateway.core.arrays import FloatArray
from gateway.core.errors import ModelError
from gateway.core.vibration_manifest import FaultLabel, VibrationManifest
from gateway.wire.bundle import read_bundle

ROWS = "rows"
PROBABILITY = "probability"
"""Names in the graph; see `VibrationManifest`."""


class LearnedClassifier:
    """Implements `Classifier` with the graph of a bundle; not for two threads at once."""

    def __init__(self, data: bytes) -> None:
        """Load a bundle.

        Args:
            data: The bytes of an `.ewm` file.
        Raises:
            ModelError: it is damaged, of another kind, or made for other columns.
        """
        bundle = read_bundle(data)
        if not isinstance(bundle.manifest, VibrationManifest):
            raise ModelError(
                f"{bundle.manifest.name} is a {bundle.manifest.kind} model; a vibration model "
                "comes from `edgewright train vibration`"
            )
        self.manifest = bundle.manifest
        if self.manifest.columns != MODEL_COLUMNS:
            raise ModelError(
                f"{self.manifest.name} {self.manifest.version} reads other columns than this "
                "version makes: train it anew"
            )
        self._neutral = np.array(self.manifest.neutral)
        self._session = Session(bundle.model)
        if set(self._session.inputs) != {ROWS} or PROBABILITY not in self._session.outputs:
            raise ModelError(f"{self.manifest.name} has not the inputs and outputs of its kind")
        self.probabilities(self._neutral[None])

    @property
    def labels(self) -> tuple[FaultLabel, ...]:
        """Faults it knows, k."""
        return self.manifest.labels

    def probabilities(self, rows: FloatArray) -> FloatArray:
        """Return probabilities, shape (n, k), of rows of `MODEL_COLUMNS`, shape (n, m).

        Raises:
            ModelError: the graph fails, or returns another shape or what is no number.
        """
        known = np.where(np.isfinite(rows), rows, self._neutral).astype(np.float32)
        result = self._session.run({ROWS: known})[PROBABILITY]
        if result.shape != (len(rows), len(self.labels)) or not np.isfinite(result).all():
            raise ModelError(
                f"the model returns {result.shape} for {len(rows)} rows, or no numbers"
            )
        return result.astype(np.float64)
