"""FEMTO: six bearings run to their end, not part of the project. Each is left out once."""

from pathlib import Path

import numpy as np
import pytest

from analytics.prognosis.remaining_life import RemainingLife
from analytics.training.rul import Life, RulPurpose, train_rul
from gateway.core.arrays import BoolArray
from gateway.core.rul_manifest import RulManifest

FEMTO = Path(__file__).parent.parent.parent.parent / "shared" / "data" / "femto"
SNAPSHOT_S = 10.0
EARLY_SHARE, LATE_SHARE = 0.60, 0.99
"""Of a life: where the onset of wear is to be told."""

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not FEMTO.is_dir(), reason="the recordings are not part of the project"),
]


def bearings() -> tuple[list[Life], tuple[str, ...]]:
    lives = []
    names: tuple[str, ...] = ()
    for path in sorted(FEMTO.glob("Bearing*.npz")):
        with np.load(path) as stored:
            lives.append(
                Life(
                    unit=path.stem,
                    time=stored["snapshot"].astype(np.float64) * SNAPSHOT_S,
                    value=stored["features"].astype(np.float64),
                )
            )
            names = tuple(str(name) for name in stored["feature_names"])
    return lives, names


def known_rows(others: list[Life], names: tuple[str, ...], life: Life) -> BoolArray:
    """At which snapshots the remaining life of a bearing is known, learnt from the others."""
    purpose = RulPurpose(name="bearing-life", version="1.0", asset_type="bearing", columns=names)
    made = train_rul(others, purpose).bundle
    assert isinstance(made.manifest, RulManifest)
    host = RemainingLife(made.manifest, made.model, asset_count=1)
    at = np.zeros(1, dtype=np.intp)
    return np.array(
        [
            bool(host.update(at, np.array([time]), row[np.newaxis]).is_known[0])
            for time, row in zip(life.time, life.value, strict=True)
        ]
    )


def test_wear_is_told_in_good_time_and_at_most_once_before() -> None:
    """With the configuration that C-MAPSS is run with, and the cap that nobody gave."""
    lives, names = bearings()
    for left_out in lives:
        is_known = known_rows([each for each in lives if each is not left_out], names, left_out)
        age = left_out.time - left_out.time[0]
        edges = (age / age[-1])[np.flatnonzero(np.diff(is_known.astype(int), prepend=0) == 1)]
        assert (edges < EARLY_SHARE).sum() <= 1, left_out.unit
        assert ((edges >= EARLY_SHARE) & (edges <= LATE_SHARE)).any(), left_out.unit
