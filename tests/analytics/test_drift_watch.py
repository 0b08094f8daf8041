"""Drift of the version in force: told with its columns, kept over restarts, begun anew."""

import numpy as np

from analytics.drift import WINDOW_S
from analytics.drift_watch import DriftWatch
from analytics.training.drift_reference import drift_reference
from gateway.core.drift_reference import MODEL_DRIFT
from gateway.core.events import Event
from gateway.core.manifest import AnomalyManifest
from gateway.core.rows import AssetId

PERIOD_S = 60.0
DAY = int(WINDOW_S / PERIOD_S)
T0_NS = 1_767_225_600 * 10**9
ASSETS = (AssetId("P-101"), AssetId("P-102"))


def manifest(*, has_reference: bool = True) -> AnomalyManifest:
    draw = np.random.default_rng(1)
    rows = draw.normal(size=(4 * DAY, 2))
    scores = np.abs(draw.normal(0.4, 0.1, 4 * DAY))
    reference = drift_reference(rows, scores, period_s=PERIOD_S) if has_reference else None
    return AnomalyManifest(
        name="pump-anomaly",
        version="1.3",
        asset_type="centrifugal_pump",
        columns=("flow", "head"),
        period_s=PERIOD_S,
        trained_rows=4 * DAY,
        training_sha256="0" * 64,
        reference=reference,
    )


def play(
    watch: DriftWatch, about: AnomalyManifest, digest: str, *, first: int, end: int
) -> list[Event]:
    """Feed rows of two assets; the head of the second has moved by one standard deviation."""
    told: list[Event] = []
    for k in range(first, end):
        draw = np.random.default_rng(k)
        value = draw.normal(size=(2, 2))
        value[1, 1] += 1.0
        told += watch.update(
            about,
            digest,
            time_ns=T0_NS + round(k * PERIOD_S * 1e9),
            value=value,
            score=np.abs(draw.normal(0.4, 0.1, 2)),
            counts=np.ones(2, dtype=np.bool_),
        )
    return told


def test_what_moved_is_told_once_under_the_model_s_name() -> None:
    (event,) = play(DriftWatch(ASSETS), manifest(), "a", first=0, end=4 * DAY)
    assert (event.source, event.condition) == ("pump-anomaly", MODEL_DRIFT)
    assert "P-102 has moved away from what pump-anomaly 1.3 was trained on" in event.text
    assert ": head; a new version is due" in event.text
    assert [each.name for each in event.evidence] == ["P-102.head"]
    assert event.evidence[0].value > 0.25


def test_a_restart_goes_on_where_it_was_and_another_version_begins_anew() -> None:
    about = manifest()
    cut = DAY + 300
    whole = play(DriftWatch(ASSETS), about, "a", first=0, end=3 * DAY)
    first = DriftWatch(ASSETS)
    assert not play(first, about, "a", first=0, end=cut)
    kept = first.checkpoint()
    again = DriftWatch(ASSETS)
    again.restore(kept)
    assert again.checkpoint() == kept
    assert play(again, about, "a", first=cut, end=3 * DAY) == whole
    other = DriftWatch(ASSETS)
    other.restore(kept)
    assert not play(other, about, "b", first=cut, end=cut + DAY + 10)


def test_a_model_without_a_reference_tells_nothing() -> None:
    watch = DriftWatch(ASSETS)
    assert not play(watch, manifest(has_reference=False), "a", first=0, end=10)
    watch.restore("")
    assert watch.checkpoint() == ""
