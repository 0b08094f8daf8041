"""The estimator on the gateway: causal, bounded, honest about what it cannot tell."""

import json
import math

import numpy as np
import pytest

from analytics.prognosis.remaining_life import Lives, RemainingLife
from gateway.core.errors import ModelError
from gateway.core.rul_manifest import RulManifest
from gateway.wire.bundle import Bundle, read_bundle
from tests.analytics.lives import CAP, COLUMNS, life, rows_of, trained
from tests.analytics.models import model as anomaly_model

NEW = [life(seed) for seed in range(100, 104)]
"""Lives that the model has not seen."""


def bundle() -> tuple[RulManifest, Bundle]:
    whole = trained().bundle
    assert isinstance(whole.manifest, RulManifest)
    return whole.manifest, whole


def host(asset_count: int = 1) -> RemainingLife:
    manifest, whole = bundle()
    return RemainingLife(manifest, whole.model, asset_count=asset_count)


def follow(own: RemainingLife, seed: int, *, rows: slice = slice(None)) -> list[Lives]:
    """Give the rows of a life to a host of one asset."""
    whole = life(seed)
    return [
        own.update(np.array([0]), np.array([time]), value[np.newaxis])
        for time, value in zip(whole.time[rows], whole.value[rows], strict=True)
    ]


def same(some: Lives, others: Lives) -> bool:
    pairs = ((some.rul, others.rul), (some.low, others.low), (some.high, others.high))
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs) and bool(
        np.array_equal(some.is_known, others.is_known)
    )


def test_a_new_machine_has_a_figure_once_there_are_enough_rows() -> None:
    manifest, _ = bundle()
    lives = follow(host(), 100, rows=slice(0, 20))
    told = [not math.isnan(each.rul[0]) for each in lives]
    assert told == [False] * (manifest.rows_min - 1) + [True] * (20 - manifest.rows_min + 1)


def test_a_healthy_machine_is_not_known_and_a_worn_one_is() -> None:
    for seed in range(100, 104):
        lives = follow(host(), seed)
        assert not any(each.is_known[0] for each in lives[:20])
        assert lives[-1].is_known[0]
        assert lives[-1].high[0] < CAP / 2


def test_the_end_is_foretold_within_a_few_cycles() -> None:
    """A quarter of the cap before it, on lives that the model has not seen."""
    errors = [follow(host(), seed)[-11].rul[0] - CAP / 4 for seed in range(100, 110)]
    assert np.median(np.abs(errors)) <= 0.1 * CAP


def test_figures_lie_in_their_interval_and_within_the_cap() -> None:
    for each in follow(host(), 100)[20:]:
        assert 0 <= each.low[0] <= each.rul[0] <= each.high[0] <= CAP


def test_no_row_sees_a_later_one() -> None:
    whole = follow(host(), 100)
    part = follow(host(), 100, rows=slice(0, 40))
    assert all(same(a, b) for a, b in zip(whole, part, strict=False))


def test_machines_together_give_what_each_gives_alone() -> None:
    """Parity of a batch and single rows is that of float32."""
    together = host(4)
    alone = [follow(host(), seed) for seed in range(100, 104)]
    for k in range(min(len(each.time) for each in NEW)):
        taken = together.update(np.arange(4), *rows_of(NEW, k))
        for j in range(4):
            np.testing.assert_allclose(taken.rul[j], alone[j][k].rul[0], atol=1e-3)
            assert taken.is_known[j] == alone[j][k].is_known[0]


def test_it_goes_on_from_a_checkpoint_as_if_nothing_had_been() -> None:
    first = host()
    follow(first, 100, rows=slice(0, 50))
    second = host()
    second.restore(first.checkpoint())
    rest = slice(50, None)
    for a, b in zip(follow(first, 100, rows=rest), follow(second, 100, rows=rest), strict=True):
        assert same(a, b)


def test_a_checkpoint_of_other_assets_is_refused_and_changes_nothing() -> None:
    one, two = host(1), host(2)
    follow(one, 100, rows=slice(0, 30))
    before = one.checkpoint()
    with pytest.raises(ValueError, match="another model"):
        one.restore(two.checkpoint())
    assert one.checkpoint() == before


def test_a_checkpoint_of_a_machine_without_rows_is_json() -> None:
    """JSON has no NaN; other programs read it, too."""
    assert json.loads(host().checkpoint(), parse_constant=pytest.fail)["newest"] == [None]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_bad_input_gives_no_figure_and_does_no_harm(wrong: float) -> None:
    with_it, without = host(), host()
    follow(with_it, 100, rows=slice(0, 30))
    follow(without, 100, rows=slice(0, 30))
    row = life(100).value[30:31].copy()
    row[0, COLUMNS.index("shake")] = wrong
    taken = with_it.update(np.array([0]), np.array([30.5]), row)
    assert math.isnan(taken.rul[0])
    assert math.isnan(taken.low[0])
    assert not taken.is_known[0]
    assert with_it.checkpoint() == without.checkpoint()


@pytest.mark.parametrize("moment", [30.0, 5.0])
def test_a_row_that_is_not_later_is_ignored(moment: float) -> None:
    own = host()
    follow(own, 100, rows=slice(0, 30))
    before = own.checkpoint()
    taken = own.update(np.array([0]), np.array([moment]), life(100).value[31:32])
    assert math.isnan(taken.rul[0])
    assert own.checkpoint() == before


def test_a_condition_that_was_never_seen_gives_no_figure() -> None:
    own = host()
    follow(own, 100, rows=slice(0, 30))
    row = life(100).value[30:31] * 5
    assert math.isnan(own.update(np.array([0]), np.array([31.0]), row).rul[0])


def test_values_far_beyond_all_that_was_seen_give_a_figure_that_can_be() -> None:
    own = host()
    for k in range(40):
        row = life(100).value[:1].copy()
        row[0, 2:] += 1e12
        taken = own.update(np.array([0]), np.array([float(k)]), row)
    assert 0 <= taken.rul[0] <= CAP


def test_a_repaired_machine_begins_anew() -> None:
    own = host()
    follow(own, 100)
    own.forget(np.array([True]))
    assert own.checkpoint() == host().checkpoint()


def test_no_rows_give_no_figures() -> None:
    taken = host().update(np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros((0, len(COLUMNS))))
    assert len(taken.rul) == 0


def test_the_graph_of_another_kind_is_refused() -> None:
    manifest, _ = bundle()
    with pytest.raises(ModelError, match="not statistics and life"):
        RemainingLife(manifest, read_bundle(anomaly_model()).model, asset_count=1)
