"""Watches the assets of one model for drift, and asks for a new version when one has drifted."""

import json
from typing import Final

import numpy as np

from analytics.drift import PSI_MAJOR, Drift, DriftMonitor
from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.drift_reference import MODEL_DRIFT, DriftReference
from gateway.core.events import Event, Evidence
from gateway.core.manifest import AnomalyManifest
from gateway.core.rows import AssetId

SEVERITY: Final = 300
"""To be seen to, but not at once: the machine is well, its model is old."""
COLUMNS_TOLD_MAX: Final = 5

_ARRAYS: Final = ("counts", "rows", "alarm_rows", "began_ns", "agreeing")


class DriftWatch:
    """Keeps the monitor of the version in force; a new version begins anew."""

    def __init__(self, assets: tuple[AssetId, ...]) -> None:
        """Begin without a version.

        Args:
            assets: In the order of the rows.
        """
        self._assets = assets
        self._digest = ""
        self._monitor: DriftMonitor | None = None
        self._restored: dict[str, object] | None = None

    def update(
        self,
        manifest: AnomalyManifest,
        digest: str,
        *,
        time_ns: int,
        value: FloatArray,
        score: FloatArray,
        counts: BoolArray,
    ) -> tuple[Event, ...]:
        """Take in rows and return what is to be told of them.

        Args:
            manifest: Of the version in force.
            digest: Of its bundle.
            time_ns: Of the rows.
            value: The version's columns, shape (n, m).
            score: Averaged over time, shape (n,).
            counts: Which rows the version scored, shape (n,).
        """
        if manifest.reference is None:
            return ()
        if digest != self._digest:
            self._begin(manifest.reference, digest, manifest.period_s)
        assert self._monitor is not None
        found = self._monitor.update(time_ns, value, score, counts)
        return tuple(self._event(each, manifest, time_ns) for each in found)

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        if self._monitor is not None:
            self._monitor.rebase(shift_ns)

    def checkpoint(self) -> str:
        """Return all that `restore` needs to go on exactly from here."""
        monitor = self._monitor
        if monitor is None:
            return "" if self._restored is None else json.dumps(self._restored)
        arrays = {name: getattr(monitor, name).tolist() for name in _ARRAYS}
        return json.dumps({"digest": self._digest, "newest_ns": monitor.newest_ns, **arrays})

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint as soon as the version that it is of scores again."""
        self._digest, self._monitor = "", None
        self._restored = json.loads(checkpoint) if checkpoint else None

    def _begin(self, reference: DriftReference, digest: str, period_s: float) -> None:
        monitor = DriftMonitor(reference, asset_count=len(self._assets), period_s=period_s)
        saved, self._restored = self._restored, None
        if saved is not None and saved["digest"] == digest:
            for name in _ARRAYS:
                setattr(monitor, name, np.array(saved[name], dtype=np.int64))
            newest_ns = saved["newest_ns"]
            assert isinstance(newest_ns, int)
            monitor.newest_ns = newest_ns
        self._digest, self._monitor = digest, monitor

    def _event(self, drift: Drift, manifest: AnomalyManifest, time_ns: int) -> Event:
        asset = self._assets[drift.position]
        names = (*manifest.columns, "score")
        order = np.argsort(-drift.psi, kind="stable")[:COLUMNS_TOLD_MAX]
        moved = [int(k) for k in order if drift.psi[k] >= PSI_MAJOR]
        words = ", ".join(names[k] for k in moved)
        return Event(
            time_ns=time_ns,
            source=manifest.name,
            condition=MODEL_DRIFT,
            severity=SEVERITY,
            text=(
                f"{asset} has moved away from what {manifest.name} {manifest.version} was trained "
                f"on, without a fault: {words}; a new version is due"
            ),
            evidence=tuple(
                Evidence(name=f"{asset}.{names[k]}", value=float(drift.psi[k]), expected=PSI_MAJOR)
                for k in moved
            ),
        )
