"""Bad models in good order: each fails where a gateway looks for it."""

import time

import numpy as np
import pytest

from analytics.multivariate import AnomalyDetector
from analytics.training.spoil import Flaw, spoil
from gateway.core.errors import ModelError
from gateway.core.manifest import RolloutRules
from gateway.wire.bundle import read_bundle
from tests.analytics.models import (
    ASSETS,
    COLUMNS,
    NAME,
    TYPE,
    detector,
    model,
    stretch,
    table_for,
)


@pytest.mark.parametrize("flaw", list(Flaw))
def test_the_bundle_itself_is_in_order(flaw: Flaw) -> None:
    spoilt, good = read_bundle(spoil(model(), flaw, version="1.9")), read_bundle(model())
    assert spoilt.manifest == good.manifest.model_copy(update={"version": "1.9"})
    assert spoilt.model != good.model


def test_the_noisy_one_passes_the_canary() -> None:
    report = detector().try_out(spoil(model(), Flaw.NOISY, version="1.9"))
    assert report.missed == ()


def test_the_slow_one_gives_the_same_scores_but_is_too_slow() -> None:
    """Wall time on purpose: what is promised is that it is slower than a gateway allows."""
    slow = AnomalyDetector(
        model_name=NAME,
        asset_type=TYPE,
        assets=ASSETS,
        columns=COLUMNS,
        monotonic_ns=time.monotonic_ns,
    )
    slow.bind(table_for())
    spoilt = spoil(model(), Flaw.SLOW, version="1.9")
    report = slow.try_out(spoilt)
    assert report.missed == ()
    assert report.latency_ms_p99 > 2 * RolloutRules().latency_ms_max
    assert slow.try_out(model()).latency_ms_p99 < RolloutRules().latency_ms_max
    slow.activate(spoilt)
    expected = detector(model())
    for rows in stretch(3):
        frame, other = slow.update(rows).frame, expected.update(rows).frame
        assert frame is not None
        assert other is not None
        np.testing.assert_array_equal(frame.value, other.value)


def test_a_vision_model_is_refused() -> None:
    with pytest.raises(ModelError):
        spoil(b"no bundle", Flaw.NOISY, version="1.1")
