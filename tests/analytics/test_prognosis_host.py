"""Remaining life on the gateway: figures with quality, versions, what is remembered."""

import numpy as np
import pytest

from analytics.prognosis.host import BROKEN_SEVERITY, JUDGED_SEVERITY, MISSED_SEVERITY
from analytics.prognosis.remaining_life import LIFE, RemainingLife
from analytics.prognosis.version import open_life_bundle
from analytics.runtime import Session
from gateway.core.errors import ModelError
from gateway.core.frame import Frame, Origin
from gateway.core.ports import ModelHost
from gateway.core.prognosis import Prognoser
from gateway.core.quality import Status, is_bad
from gateway.core.rows import AssetId, OperatingState
from tests.analytics.life_hosts import (
    ASSETS,
    HOUR_NS,
    T0_NS,
    life_bundle,
    life_host,
    life_rows,
    newest,
    pessimist,
    rows_at,
    run,
)
from tests.analytics.lives import CAP, COLUMNS, life
from tests.analytics.models import model as anomaly_bundle

LENGTH = min(len(life(seed).time) for seed in (100, 101))
"""Hours in `life_rows()`: the end of the shorter life."""
SHORTER = ASSETS[int(np.argmin([len(life(seed).time) for seed in (100, 101)]))]


def same(some: list[Frame], others: list[Frame]) -> bool:
    """Whether two runs told exactly the same."""
    return len(some) == len(others) and all(
        np.array_equal(a.value, b.value, equal_nan=True)
        and np.array_equal(a.status, b.status)
        and np.array_equal(a.tag_index, b.tag_index)
        and np.array_equal(a.time_ns, b.time_ns)
        for a, b in zip(some, others, strict=True)
    )


def test_it_is_what_the_ports_ask_for() -> None:
    host = life_host()
    as_prognoser: Prognoser = host
    as_host: ModelHost = host
    assert [tag.id for tag in as_prognoser.derived_tags][:3] == [
        "M-1.rul_h",
        "M-1.rul_low_h",
        "M-1.rul_high_h",
    ]
    assert {tag.unit for tag in as_prognoser.derived_tags} == {"h"}
    assert as_host.model_name == "machine-life"


class TestFigures:
    def test_without_a_model_it_is_told_once_that_nothing_is_known(self) -> None:
        host = life_host()
        (frame,) = run(host, life_rows(end=5))
        assert set(frame.status.tolist()) == {Status.BAD_WAITING_FOR_INITIAL_DATA}
        assert np.isnan(frame.value).all()
        assert host.coverage is None

    def test_a_young_machine_waits_a_healthy_one_is_a_guess_and_a_worn_one_is_known(self) -> None:
        host = life_host(life_bundle())
        waiting = run(host, life_rows(end=5))
        assert len(waiting) == 1
        assert is_bad(waiting[0].status).all()
        healthy = run(host, life_rows(begin=5, end=20))
        assert newest(host, healthy, "M-1.rul_h")[1] == Status.UNCERTAIN
        low, status = newest(host, healthy, "M-1.rul_low_h")
        assert (status, low > 0) == (Status.GOOD, True)
        assert newest(host, healthy, "M-1.rul_high_h") == (CAP, Status.UNCERTAIN)
        worn = run(host, life_rows(begin=20))
        told = [newest(host, worn, f"{SHORTER}.{name}") for name in COLUMNS_TOLD]
        assert [status for _, status in told] == [Status.GOOD] * 3
        (hours, _), (low, _), (high, _) = told
        assert low <= hours <= high < CAP / 2

    def test_rows_that_come_more_often_than_in_the_training_change_nothing(self) -> None:
        """A twin has a row every few seconds; the model takes one a period."""
        expected = run(life_host(life_bundle()), life_rows())
        told = run(life_host(life_bundle()), life_rows(per_hour=12))
        times = {int(frame.time_ns[0]) for frame in expected}
        assert same([frame for frame in told if int(frame.time_ns[0]) in times], expected)

    def test_a_figure_that_stands_is_told_again_after_ten_minutes(self) -> None:
        """A model's next row may be hours away; after a restart nobody waits for it."""
        host = life_host(life_bundle())
        before = run(host, life_rows(end=30))[-1]
        rows = life_rows(begin=30, end=31)[0].value
        again = run(host, [rows_at(29 + minute / 60, rows) for minute in range(1, 50)])
        minutes = [(int(frame.time_ns[0]) - T0_NS) / HOUR_NS * 60 - 29 * 60 for frame in again]
        assert minutes == pytest.approx([10, 20, 30, 40], abs=1.1)
        for frame in again:
            assert np.array_equal(frame.value, before.value)

    def test_it_is_the_estimator_of_the_offline_score(self) -> None:
        """The figures are those that the same rows have when a recording is scored."""
        bundle, manifest = open_life_bundle(life_bundle())
        offline = RemainingLife(manifest, bundle.model, asset_count=2)
        host = life_host(life_bundle())
        for rows in life_rows():
            time = np.full(2, rows.time_ns / HOUR_NS)
            lives = offline.update(np.arange(2), time, rows.value)
            frame = host.update(rows)
            if frame is not None and np.isfinite(lives.rul).all():
                expected = np.column_stack((lives.rul, lives.low, lives.high)).ravel()
                np.testing.assert_array_equal(frame.value, expected)

    def test_a_machine_that_stands_has_no_figure_and_does_not_age_by_rows(self) -> None:
        host = life_host(life_bundle())
        run(host, life_rows(end=30))
        (off,) = run(host, life_rows(begin=30, end=33, state=OperatingState.OFF))
        assert set(off.status.tolist()) == {Status.BAD_OUT_OF_SERVICE}
        assert np.isnan(off.value).all()
        (again,) = run(host, life_rows(begin=33, end=34))
        assert np.isfinite(again.value).all()

    def test_the_last_figure_comes_back_with_the_machine_before_the_next_row_is_due(self) -> None:
        host = life_host(life_bundle())
        before = run(host, life_rows(end=30))[-1]
        value = life_rows(begin=30, end=31)[0].value
        off = [OperatingState.OFF] * 2
        assert len(run(host, [rows_at(29.2, value, state=off)])) == 1
        (again,) = run(host, [rows_at(29.4, value)])
        assert np.array_equal(again.value, before.value)
        assert np.array_equal(again.status, before.status)

    @pytest.mark.parametrize(
        ("status", "told"),
        [
            (Status.BAD_SENSOR_FAILURE, Status.BAD_SENSOR_FAILURE),
            (Status.UNCERTAIN, Status.BAD_WAITING_FOR_INITIAL_DATA),
        ],
        ids=["bad", "still being learnt"],
    )
    def test_inputs_that_are_no_evidence_make_it_bad(self, status: Status, told: Status) -> None:
        host = life_host(life_bundle())
        run(host, life_rows(end=20))
        (frame,) = run(host, life_rows(begin=20, end=22, status=status))
        assert set(frame.status.tolist()) == {told}

    def test_uncertain_inputs_make_uncertain_figures(self) -> None:
        host = life_host(life_bundle())
        odd = Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
        frames = run(host, life_rows(status=odd))
        assert newest(host, frames, f"{SHORTER}.rul_h")[1] == odd

    def test_a_condition_that_the_training_never_saw_is_out_of_service(self) -> None:
        host = life_host(life_bundle())
        run(host, life_rows(end=20))
        value = life_rows(begin=20, end=21)[0].value.copy()
        value[0, COLUMNS.index("load")] = 999.0
        (frame,) = run(host, [rows_at(20, value)])
        assert frame.status[:3].tolist() == [Status.BAD_OUT_OF_SERVICE] * 3
        assert not is_bad(frame.status[3:]).any()

    def test_rows_that_are_not_newer_are_ignored(self) -> None:
        host = life_host(life_bundle())
        run(host, life_rows(end=20))
        assert run(host, life_rows(begin=10, end=20)) == []

    def test_the_frame_has_times_and_origin_of_its_rows(self) -> None:
        (frame,) = run(life_host(), life_rows(begin=3, end=4, origin=Origin.HISTORICAL))
        assert set(frame.time_ns.tolist()) == {T0_NS + 3 * HOUR_NS}
        assert (frame.origin, frame.is_received, frame.arrival_ns) == (Origin.HISTORICAL, False, 7)


COLUMNS_TOLD = ("rul_h", "rul_low_h", "rul_high_h")


class TestRefusals:
    @pytest.mark.parametrize(
        ("bundle", "words"),
        [
            (life_bundle(time_unit="count", time_column="cycle"), "counts 'cycle'"),
            (life_bundle(name="other-life"), "here machine-life for machine is run"),
            (life_bundle(asset_type="fan"), "is for fan"),
            (life_bundle(columns=(*COLUMNS[:-1], "torque")), "the columns torque"),
            (anomaly_bundle(), "is a anomaly model, not one of remaining life"),
            (b"nothing", "damaged"),
        ],
        ids=["no hours", "other name", "other type", "other columns", "other kind", "damaged"],
    )
    def test_a_bundle_that_is_not_for_it_is_refused_in_a_sentence(
        self, bundle: bytes, words: str
    ) -> None:
        host = life_host(life_bundle())
        for refuses in (host.activate, host.set_candidate, host.try_out):
            with pytest.raises(ModelError, match=words):
                refuses(bundle)
        assert host.coverage is not None, "the version in force stays"


class TestVersions:
    def test_the_trial_before_runs_the_model_in_the_middle_of_its_training(self) -> None:
        report = life_host().try_out(life_bundle())
        assert (report.fault_count, report.missed, report.is_finite) == (0, (), True)
        assert report.latency_ms_p99 == pytest.approx(0.001)

    def test_two_versions_that_agree_are_counted_so(self) -> None:
        host = life_host(life_bundle(), life_bundle("1.1"))
        run(host, life_rows())
        seen = host.take_comparison()
        _, manifest = open_life_bundle(life_bundle())
        assert seen.rows == (LENGTH - manifest.rows_min + 1) * 2
        assert seen.trial_only_alarms == seen.not_finite == seen.reference_alarms == 0
        assert len(seen.latencies_ms) == LENGTH
        assert host.take_comparison().rows == 0

    def test_a_candidate_that_tells_another_life_is_counted_and_tells_nothing(self) -> None:
        host = life_host(life_bundle(), pessimist())
        shadowed = run(host, life_rows())
        assert host.take_comparison().trial_only_alarms > LENGTH
        assert same(shadowed, run(life_host(life_bundle()), life_rows()))

    def test_a_candidate_that_breaks_on_a_row_is_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = life_host(life_bundle(), life_bundle("1.1"))
        run(host, life_rows(end=20))
        host.take_comparison()
        nothing = {LIFE: np.full(2, np.nan, dtype=np.float32)}
        monkeypatch.setattr(Session, "run", lambda *_: nothing)
        (frame,) = run(host, life_rows(begin=20, end=22))
        assert set(frame.status.tolist()) == {Status.BAD_UNEXPECTED_ERROR}
        assert np.isnan(frame.value).all()
        assert host.take_comparison().not_finite == 4
        monkeypatch.undo()
        (frame,) = run(host, life_rows(begin=22, end=23))
        assert np.isfinite(frame.value).all()

    def test_replayed_rows_are_not_counted_again(self) -> None:
        host = life_host(life_bundle(), life_bundle("1.1"))
        run(host, life_rows(origin=Origin.REPLAYED))
        assert host.take_comparison().rows == 0

    def test_a_swap_goes_on_with_the_past_of_the_shadow(self) -> None:
        host = life_host(life_bundle(), life_bundle("1.1"))
        run(host, life_rows(end=40))
        host.promote()
        after = run(host, life_rows(begin=40))
        alone = life_host(life_bundle("1.1"))
        run(alone, life_rows(end=40))
        assert same(after, run(alone, life_rows(begin=40)))
        host.roll_back()
        host.end_probation()


class TestMemory:
    def test_a_restart_in_the_middle_changes_nothing(self) -> None:
        whole = life_host(life_bundle())
        run(whole, life_rows(end=50))
        expected = run(whole, life_rows(begin=50))
        first = life_host(life_bundle())
        run(first, life_rows(end=50))
        second = life_host()
        second.restore(first.checkpoint())
        second.activate(life_bundle())
        assert same(run(second, life_rows(begin=50)), expected)
        assert second.checkpoint() == whole.checkpoint()
        args = {"opened_ns": T0_NS, "closed_ns": T0_NS + (LENGTH + 1) * HOUR_NS}
        assert second.end_life(SHORTER, **args) == whole.end_life(SHORTER, **args)

    def test_a_checkpoint_of_other_assets_is_refused(self) -> None:
        with pytest.raises(ValueError, match="another configuration"):
            life_host(assets=ASSETS[:1]).restore(life_host().checkpoint())

    def test_a_clock_that_was_set_moves_everything(self) -> None:
        """All later times are moved alike, and so nothing else changes."""
        shift_h = 1000
        plain, moved = life_host(life_bundle()), life_host(life_bundle())
        run(plain, life_rows(end=40))
        run(moved, life_rows(end=40))
        moved.rebase(shift_h * HOUR_NS)
        expected = run(plain, life_rows(begin=40))
        values = [each.value for each in life_rows(begin=40)]
        got = run(moved, [rows_at(40 + k + shift_h, value) for k, value in enumerate(values)])
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one.value, other.value, rtol=1e-4)


class TestJudging:
    def test_a_life_that_ended_is_judged_once_and_the_machine_is_new(self) -> None:
        host = life_host(life_bundle())
        run(host, life_rows())
        end_ns = T0_NS + (LENGTH - 1) * HOUR_NS
        (event,) = host.end_life(SHORTER, opened_ns=end_ns - HOUR_NS, closed_ns=end_ns)
        assert (event.source, event.condition, event.time_ns) == (SHORTER, "life_judged", end_ns)
        assert event.severity == JUDGED_SEVERITY
        assert "machine-life 1.0 had told" in event.text
        assert "of 1 of 1 lives (90% promised)" in event.text
        assert host.coverage is not None
        assert (host.coverage.judged, host.coverage.held) == (1, 1)
        value = life_rows(end=1)[0].value
        (frame,) = run(host, [rows_at(LENGTH, value)])
        named = [tag.id.startswith(SHORTER) for tag in host.derived_tags]
        told = dict(zip(frame.tag_index.tolist(), frame.status.tolist(), strict=True))
        for index, is_own in enumerate(named):
            assert (told[index] == Status.BAD_WAITING_FOR_INITIAL_DATA) == is_own

    def test_the_end_is_when_the_machine_was_last_stopped_within_the_case(self) -> None:
        """The days until somebody repairs it and writes it down are no part of its life."""
        host = life_host(life_bundle())
        run(host, life_rows())
        value = life_rows(end=1)[0].value
        run(host, [rows_at(LENGTH, value, state=[OperatingState.OFF] * 2)])
        stopped_ns = T0_NS + LENGTH * HOUR_NS
        late = host.end_life(
            SHORTER, opened_ns=stopped_ns - HOUR_NS, closed_ns=stopped_ns + 500 * HOUR_NS
        )
        prompt = life_host(life_bundle())
        run(prompt, life_rows())
        at_once = prompt.end_life(SHORTER, opened_ns=stopped_ns, closed_ns=stopped_ns)
        assert late[0].text == at_once[0].text

    def test_an_end_that_nobody_foresaw_is_told_and_not_counted(self) -> None:
        host = life_host(life_bundle())
        run(host, life_rows(end=15))
        end_ns = T0_NS + 15 * HOUR_NS
        (event,) = host.end_life(ASSETS[0], opened_ns=end_ns, closed_ns=end_ns)
        assert event.severity == MISSED_SEVERITY
        assert event.text == "machine-life 1.0 had told no end of M-1 before it failed"
        assert host.coverage is not None
        assert host.coverage.judged == 0

    def test_a_model_whose_intervals_never_hold_is_told_as_broken(self) -> None:
        host = life_host(pessimist())
        severities = []
        offset = 0
        for _ in range(12):
            values = [each.value for each in life_rows()]
            run(host, [rows_at(offset + k, value) for k, value in enumerate(values)])
            # Much later than what it told.
            offset += len(values) + 100
            end_ns = T0_NS + (offset - 1) * HOUR_NS
            (event,) = host.end_life(SHORTER, opened_ns=end_ns, closed_ns=end_ns)
            severities.append(event.severity)
        assert severities[0] == MISSED_SEVERITY
        assert severities[-1] == BROKEN_SEVERITY
        assert "train it anew" in event.text

    def test_an_asset_of_another_type_is_none_of_its_business(self) -> None:
        host = life_host(life_bundle())
        assert host.end_life(AssetId("K-1"), opened_ns=0, closed_ns=1) == ()
