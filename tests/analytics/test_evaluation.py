"""Two versions on the same rows: which one is better, and why."""

from dataclasses import replace

import numpy as np
import pytest

from analytics.training.anomaly import train_anomaly
from analytics.training.evaluation import Evaluation, compare, evaluate
from analytics.training.spoil import Flaw, spoil
from gateway.core.errors import ModelError
from gateway.wire.bundle import Canary, read_bundle, write_bundle
from tests.analytics.models import COLUMNS, healthy, model, plain_purpose


def faults() -> Canary:
    canary = read_bundle(model()).canary
    assert canary is not None
    return canary


def measured(data: bytes) -> Evaluation:
    return evaluate(data, [healthy(2000, seed=8)], columns=COLUMNS, faults=faults())


def figures(**fields: object) -> Evaluation:
    given = {"version": "1.0", "rows": 1000, "alarm_share": 0.0, "missed": (), "separation": 3.0}
    return Evaluation(**{**given, **fields})  # type: ignore[arg-type]  # figures are right


def test_a_good_version_is_quiet_and_finds_the_faults() -> None:
    evaluation = measured(model())
    assert evaluation.rows == 2000
    assert evaluation.alarm_share == 0
    assert evaluation.missed == ()
    assert evaluation.separation > 1


def test_the_threshold_alone_does_not_change_the_separation() -> None:
    """A version that only multiplies its scores separates faults no better."""
    silent = measured(spoil(model(), Flaw.SILENT, version="1.1"))
    assert silent.separation == pytest.approx(measured(model()).separation, rel=1e-4)
    assert len(silent.missed) == len(faults().fault_names)


@pytest.mark.parametrize("flaw", [Flaw.NOISY, Flaw.SILENT])
def test_a_spoilt_version_is_not_better(flaw: Flaw) -> None:
    candidate = measured(spoil(model(), flaw, version="1.1"))
    assert not compare(candidate, measured(model())).is_better


def test_a_version_is_not_better_than_itself() -> None:
    verdict = compare(measured(model()), measured(model()))
    assert not verdict.is_better
    assert "separation" in verdict.reason


def test_a_version_that_knows_more_of_the_machine_is_better() -> None:
    """The first saw one load only; the second saw them all and raises fewer false alarms."""
    narrow = healthy(3000, seed=2)
    narrow = narrow[np.abs(narrow[:, 1]) < 0.7]
    first = write_bundle(train_anomaly([narrow], plain_purpose("1.0")).bundle)
    second = write_bundle(train_anomaly([healthy(3000, seed=2)], plain_purpose("1.1")).bundle)
    assert measured(first).alarm_share > 0.01
    verdict = compare(measured(second), measured(first))
    assert verdict.is_better
    assert "false alarms" in verdict.reason
    assert not compare(measured(first), measured(second)).is_better


def test_a_version_may_read_some_of_the_columns() -> None:
    wide = np.column_stack([np.full(2000, 7.0), healthy(2000, seed=8)])
    known = faults()
    shape = known.faults.shape
    wide_faults = Canary(
        healthy=np.column_stack([np.zeros(len(known.healthy)), known.healthy]).astype(np.float32),
        faults=np.concatenate([np.zeros((*shape[:2], 1)), known.faults], 2).astype(np.float32),
        fault_names=known.fault_names,
    )
    given = evaluate(model(), [wide], columns=("extra", *COLUMNS), faults=wide_faults)
    assert given == measured(model())


def test_missing_columns_and_no_rows_are_refused() -> None:
    with pytest.raises(ModelError, match="current_a"):
        evaluate(model(), [healthy(10)[:, :1]], columns=COLUMNS[:1], faults=faults())
    with pytest.raises(ModelError, match="no rows"):
        evaluate(model(), [], columns=COLUMNS, faults=faults())


@pytest.mark.parametrize(
    ("candidate", "is_better", "word"),
    [
        ({"missed": ("a",)}, False, "misses a"),
        ({"alarm_share": 0.02}, False, "false alarms"),
        ({"separation": 2.6}, False, "separation"),
        ({"separation": float("nan")}, False, "separation"),
        ({}, False, "separation"),
        ({"separation": 3.2}, True, "separation"),
        ({"alarm_share": 0.001, "separation": 2.8}, True, "false alarms"),
        ({"alarm_share": 0.009}, False, "separation"),
    ],
)
def test_the_rule(candidate: dict[str, object], *, is_better: bool, word: str) -> None:
    incumbent = figures(alarm_share=0.01)
    changed = replace(incumbent, **candidate)  # type: ignore[arg-type]  # see the table
    verdict = compare(changed, incumbent)
    assert (verdict.is_better, word in verdict.reason) == (is_better, True), verdict


def test_a_fault_more_is_better() -> None:
    verdict = compare(figures(), figures(missed=("a", "b")))
    assert verdict.is_better
    assert "finds a" in verdict.reason


def test_chance_alone_is_no_false_alarm() -> None:
    assert compare(figures(alarm_share=0.0005, separation=4.0), figures()).is_better
