"""Health is the worst finding, a prognosis is told when it can be, a restart changes nothing."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.assessment import (
    FAILED_HEALTH,
    PHYSICS,
    SCORE,
    STALE_S,
    Assessment,
    score_health,
    zone_health,
)
from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.frame import Frame
from gateway.core.prognosis import RUL_COLUMNS, Prognosis
from gateway.core.quality import Status
from gateway.core.rows import AssetId, OperatingState
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.core.twin_state import TwinState

PUMP, OTHER = AssetId("P-101"), AssetId("P-102")
FINDINGS = [(PUMP, PHYSICS), (PUMP, SCORE), (OTHER, PHYSICS), (OTHER, SCORE)]
T0_NS = 1_767_225_600 * 10**9
LIVES = [f"{asset}.{column}" for asset in (PUMP, OTHER) for column in RUL_COLUMNS]
INPUTS = [*(f"{asset}.{finding.column}" for asset, finding in FINDINGS), *LIVES]


def new() -> tuple[Assessment, TagTable]:
    assessment = Assessment(FINDINGS)
    tags = [*(Tag(id=TagId(name), is_derived=True) for name in INPUTS), *assessment.derived_tags]
    table = TagTable.build(tags, epoch=ConfigEpoch(1))
    assessment.bind(table)
    return assessment, table


def frame(
    values: dict[str, float],
    at_s: float,
    *,
    bad: tuple[str, ...] = (),
    uncertain: tuple[str, ...] = (),
) -> Frame:
    status = dict.fromkeys(bad, Status.BAD) | dict.fromkeys(uncertain, Status.UNCERTAIN)
    return Frame(
        tag_index=index_column([INPUTS.index(name) for name in values]),
        time_ns=time_column([T0_NS + round(at_s * 1e9)] * len(values)),
        value=float_column(list(values.values())),
        status=status_column([status.get(name, Status.GOOD) for name in values]),
        received_ns=T0_NS + round(at_s * 1e9),
        is_received=False,
    )


def state(asset: AssetId) -> TwinState:
    return TwinState(
        asset=asset,
        asset_type="pump",
        state=OperatingState.RUNNING,
        health=None,
        score=None,
        as_of_ns=0,
        worst_sign="",
        advice="",
        signals=(),
    )


def told(found: Frame | None, table: TagTable) -> dict[str, float]:
    if found is None:
        return {}
    names = (table.tags[index].id for index in found.tag_index)
    return dict(zip(names, found.value.tolist(), strict=True))


def test_the_worst_finding_is_the_health_and_the_reasons_say_why() -> None:
    assessment, table = new()
    values = {"P-101.health": 0.8, "P-101.anomaly_score": 1.0, "P-102.health": 1.0}
    found = told(assessment.update(frame(values, 1)), table)
    assert found["P-101.health_index"] == pytest.approx(0.5)
    assert found["P-102.health_index"] == 1.0
    assert np.isnan(found["P-101.remaining_h"])
    pump = assessment.explain(state(PUMP))
    assert pump.health == pytest.approx(0.5)
    assert pump.reasons == (SCORE.words, PHYSICS.words)
    assert pump.prognosis is None
    assert assessment.explain(state(OTHER)).reasons == ()


def test_what_is_bad_or_stale_or_unknown_counts_for_nothing() -> None:
    assessment, table = new()
    values = {"P-101.health": 0.8, "P-101.anomaly_score": 3.0}
    found = told(assessment.update(frame(values, 1, bad=("P-101.anomaly_score",))), table)
    assert found["P-101.health_index"] == 0.8
    assert assessment.explain(state(OTHER)).health is None
    assert assessment.explain(state(AssetId("K-01"))) == state(AssetId("K-01"))
    assert assessment.update(frame({"P-102.health": 0.9}, 2)) is not None
    later = told(assessment.update(frame({"P-102.health": 0.9}, STALE_S + 10)), table)
    assert np.isnan(later["P-101.health_index"])


def test_the_index_is_written_when_it_moves_or_after_a_minute() -> None:
    assessment, table = new()
    assert assessment.update(frame({"P-101.health": 0.8}, 0)) is not None
    assert assessment.update(frame({"P-101.health": 0.801}, 10)) is None
    assert told(assessment.update(frame({"P-101.health": 0.78}, 20)), table)
    assert assessment.update(frame({"P-101.health": 0.78}, 50)) is None
    assert told(assessment.update(frame({"P-101.health": 0.78}, 81)), table)


def test_samples_of_nobody_are_nothing_new() -> None:
    assessment = Assessment([])
    table = TagTable.build([Tag(id=TagId("P-101.health"))], epoch=ConfigEpoch(1))
    assessment.bind(table)
    assert assessment.update(frame({"P-101.health": 0.8}, 0)) is None


def test_a_falling_health_has_a_prognosis() -> None:
    """Half a percent a minute: the time to the limit is told, with its interval, as samples too."""
    assessment, table = new()
    draw = np.random.default_rng(4)
    found: dict[str, float] = {}
    for k in range(80 * 6):
        health = 0.95 - 0.005 * k / 6 + draw.normal(0, 0.005)
        found |= told(assessment.update(frame({"P-101.health": health}, k * 10)), table)
    left = assessment.explain(state(PUMP)).prognosis
    assert left is not None
    true_h = (0.95 - 0.005 * 80 - FAILED_HEALTH) / 0.005 / 60
    assert left.hours == pytest.approx(true_h, rel=0.1)
    assert left.low_hours < left.hours < left.high_hours
    assert found["P-101.remaining_h"] == left.hours


LIFE = {"P-101.rul_h": 30.0, "P-101.rul_low_h": 20.0, "P-101.rul_high_h": 45.0}


def test_what_a_model_tells_of_the_life_goes_before_the_trend() -> None:
    """For as long as it is Good; then the trend is told again, as it stands by then."""
    assessment, table = new()
    for k in range(80 * 6):
        assessment.update(frame({"P-101.health": 0.95 - 0.005 * k / 6}, k * 10))
    trend = assessment.explain(state(PUMP)).prognosis
    assert trend is not None
    found = told(assessment.update(frame(LIFE, 4801)), table)
    assert found["P-101.remaining_h"] == 30.0
    assert found["P-101.remaining_low_h"] == 20.0
    assert found["P-101.remaining_high_h"] == 45.0
    model = Prognosis(hours=30.0, low_hours=20.0, high_hours=45.0)
    assert assessment.explain(state(PUMP)).prognosis == model
    found = told(assessment.update(frame(LIFE, 4802, bad=tuple(LIFE))), table)
    left = assessment.explain(state(PUMP)).prognosis
    assert left is not None
    assert found["P-101.remaining_h"] == left.hours == pytest.approx(trend.hours, abs=0.1)


def test_a_guess_of_a_life_is_no_prognosis_and_an_open_end_has_none() -> None:
    """Uncertain: no wear shows, or the upper end means *this much or more*."""
    assessment, table = new()
    guess = ("P-101.rul_h", "P-101.rul_high_h")
    found = told(assessment.update(frame(LIFE, 1, uncertain=guess)), table)
    assert np.isnan(found["P-101.remaining_h"])
    assert assessment.explain(state(PUMP)).prognosis is None
    found = told(assessment.update(frame(LIFE, 2, uncertain=guess[1:])), table)
    assert found["P-101.remaining_h"] == 30.0
    assert np.isnan(found["P-101.remaining_high_h"])
    left = assessment.explain(state(PUMP)).prognosis
    assert left == Prognosis(hours=30.0, low_hours=20.0, high_hours=np.inf)
    again, _ = new()
    again.restore(assessment.checkpoint())
    assert again.explain(state(PUMP)).prognosis == left


def test_a_checkpoint_of_an_older_version_starts_afresh() -> None:
    assessment, _ = new()
    content = json.loads(assessment.checkpoint())
    del content["lives"]
    with pytest.raises(ValueError, match="other assets"):
        assessment.restore(json.dumps(content).encode())


def test_a_checkpoint_goes_on_exactly_and_is_of_one_configuration() -> None:
    whole, table = new()
    half, _ = new()
    for k in range(90):
        values = {"P-101.health": 0.9 - k * 0.004, "P-102.anomaly_score": 0.5}
        first, second = whole.update(frame(values, k * 30)), half.update(frame(values, k * 30))
        assert told(first, table) == pytest.approx(told(second, table), nan_ok=True)
        if k == 40:
            kept = half.checkpoint()
            half, _ = new()
            half.restore(kept)
    with pytest.raises(ValueError, match="other assets"):
        Assessment([(PUMP, PHYSICS)]).restore(whole.checkpoint())


@given(st.floats(0, 1e6))
def test_more_of_an_anomaly_is_less_health(score: float) -> None:
    health = score_health(np.array([score, score + 0.1]))
    assert 0.0 <= health[1] <= health[0] <= 1.0


def test_the_scales_meet_where_a_person_has_to_act() -> None:
    assert score_health(np.array([0.5, 1.0])).tolist() == [1.0, 0.5]
    assert zone_health(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [1.0, 0.9, 0.5, 0.2]
