"""The anomaly detector: scores, their quality, and the versions of its model."""

from dataclasses import replace

import numpy as np
import pytest

from analytics.multivariate import signal_of
from gateway.core.frame import Origin
from gateway.core.ports import Detector, ModelHost
from gateway.core.quality import Status, is_bad
from gateway.core.rows import OperatingState
from gateway.core.tags import TagId
from gateway.core.twin_state import Signal, TwinState
from tests.analytics.frames import NS
from tests.analytics.models import (
    ASSETS,
    COLUMNS,
    detector,
    faulty,
    healthy,
    model,
    rows_at,
    run,
    scores,
    stretch,
    with_offset,
)


def test_it_is_what_the_ports_ask_for() -> None:
    host = detector()
    as_detector: Detector = host
    as_host: ModelHost = host
    assert as_detector.derived_tags[0].id == "P-101.anomaly_score"
    assert as_detector.derived_tags[0].is_derived
    assert as_host.model_name == "pump-anomaly"


class TestScores:
    def test_healthy_machines_are_quiet_and_a_fault_is_seen(self) -> None:
        host = detector(model())
        before = scores(run(host, stretch(300)))
        assert before.max() < 1
        after = scores(run(host, faulty(60, start_s=300)))
        assert after[-1, 1] > 1
        assert after[-1, 0] < 1
        assert after[-1, 2] < 1

    def test_frames_carry_the_rows_times_and_origin(self) -> None:
        (frame,) = run(detector(model()), stretch(1, start_s=9, origin=Origin.HISTORICAL))
        assert frame.time_ns.tolist() == [9 * NS] * 3
        assert (frame.received_ns, frame.arrival_ns) == (9 * NS, 7)
        assert frame.origin is Origin.HISTORICAL
        assert not frame.is_received
        assert frame.tag_index.tolist() == [0, 1, 2]

    def test_one_odd_row_is_no_alarm(self) -> None:
        host = detector(model())
        run(host, stretch(100))
        odd = with_offset(stretch(1, start_s=100)[0], 0, "current_a", 1e6)
        assert scores(run(host, [odd]))[0, 0] < 1

    def test_a_model_may_read_some_of_the_columns_in_its_own_order(self) -> None:
        """The twin has more columns, and in another order."""
        columns = ("extra", *reversed(COLUMNS))
        host = detector(model(), columns=columns)
        plain = detector(model())
        for rows in stretch(20):
            wide = np.column_stack([np.full(3, np.nan), rows.value[:, ::-1]])
            status = np.zeros(wide.shape, dtype=np.uint32)
            status[:, 0] = Status.BAD
            given = rows_at(rows.time_ns / NS, wide, status=status, columns=columns)
            frame, expected = host.update(given).frame, plain.update(rows).frame
            assert frame is not None
            assert expected is not None
            np.testing.assert_array_equal(expected.value, frame.value)


class TestQuality:
    def test_without_a_model_nothing_can_be_told(self) -> None:
        host = detector()
        frames = run(host, stretch(5))
        assert len(frames) == 5
        assert np.isnan(scores(frames)).all()
        assert set(frames[0].status.tolist()) == {Status.BAD_WAITING_FOR_INITIAL_DATA}
        state = twin_state()
        assert host.explain(state) == replace(state, score=None)
        assert host.evidence(TagId("P-101.anomaly_score")) == ()

    @pytest.mark.parametrize(
        "state", [OperatingState.UNKNOWN, OperatingState.OFF, OperatingState.STARTING]
    )
    def test_states_that_the_model_does_not_cover_are_bad(self, state: OperatingState) -> None:
        host = detector(model())
        rows = stretch(1)[0]
        states = [OperatingState.RUNNING, state, OperatingState.RUNNING]
        (frame,) = run(host, [rows_at(0, rows.value, state=states)])
        assert is_bad(frame.status).tolist() == [False, True, False]
        assert np.isnan(frame.value).tolist() == [False, True, False]

    def test_a_bad_input_makes_a_bad_score_with_its_code(self) -> None:
        host = detector(model())
        rows = stretch(1)[0]
        status = np.zeros((3, 4))
        status[2, 1] = Status.BAD_SENSOR_FAILURE
        (frame,) = run(host, [rows_at(0, rows.value, status=status)])
        assert frame.status.tolist() == [0, 0, Status.BAD_SENSOR_FAILURE]
        assert np.isnan(frame.value[2])

    def test_a_value_that_is_no_number_makes_a_bad_score(self) -> None:
        value = stretch(1)[0].value.copy()
        value[0, 0], value[1, 2] = np.nan, np.inf
        (frame,) = run(detector(model()), [rows_at(0, value)])
        assert is_bad(frame.status).tolist() == [True, True, False]

    def test_uncertain_inputs_make_an_uncertain_score(self) -> None:
        status = np.zeros((3, 4))
        status[0, 1] = Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
        (frame,) = run(detector(model()), [rows_at(0, stretch(1)[0].value, status=status)])
        assert frame.status[0] == Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
        assert np.isfinite(frame.value[0])

    def test_what_the_twin_is_still_learning_cannot_be_scored(self) -> None:
        status = np.zeros((3, 4))
        status[0, 0] = Status.UNCERTAIN
        (frame,) = run(detector(model()), [rows_at(0, stretch(1)[0].value, status=status)])
        assert frame.status[0] == Status.BAD_WAITING_FOR_INITIAL_DATA

    def test_a_constant_machine_is_scored(self) -> None:
        value = np.tile(healthy(1), (3, 1))
        frames = run(detector(model()), [rows_at(k, value) for k in range(50)])
        assert np.isfinite(scores(frames)).all()
        assert scores(frames).max() < 1


class TestContract:
    def test_late_and_repeated_rows_are_ignored(self) -> None:
        host = detector(model())
        run(host, stretch(10))
        before = host.checkpoint()
        assert run(host, stretch(10)) == []
        assert host.checkpoint() == before

    def test_a_glitch_of_a_clock_does_not_deafen(self) -> None:
        host = detector(model())
        glitch = replace(stretch(1)[0], time_ns=4 * 10**18, received_ns=0)
        run(host, [glitch])
        assert len(run(host, stretch(1, start_s=61))) == 1

    def test_rows_are_not_changed(self) -> None:
        rows = stretch(1)[0]
        before = rows.value.copy(), rows.status.copy(), rows.state.copy()
        detector(model(), model("1.1")).update(rows)
        for copy, column in zip(before, (rows.value, rows.status, rows.state), strict=True):
            np.testing.assert_array_equal(copy, column)

    def test_the_same_rows_give_the_same_scores(self) -> None:
        rows = [*stretch(50), *faulty(50, start_s=50)]
        first = scores(run(detector(model()), rows))
        np.testing.assert_array_equal(first, scores(run(detector(model()), rows)))

    @pytest.mark.parametrize("is_loaded_first", [True, False])
    def test_a_restored_detector_goes_on_exactly(self, *, is_loaded_first: bool) -> None:
        """Whether its models are loaded before the checkpoint or after it."""
        rows = [*stretch(30), *faulty(40, start_s=30)]
        host = detector(model(), model("1.1", seed=2))
        run(host, rows[:40])
        again = detector()
        if not is_loaded_first:
            again.restore(host.checkpoint())
        again.activate(model())
        again.set_candidate(model("1.1", seed=2))
        if is_loaded_first:
            again.restore(host.checkpoint())
        assert again.checkpoint() == host.checkpoint()
        expected = scores(run(host, rows[40:]))
        np.testing.assert_array_equal(expected, scores(run(again, rows[40:])))
        again.promote()
        host.promote()
        rest = stretch(20, start_s=70)
        np.testing.assert_array_equal(scores(run(host, rest)), scores(run(again, rest)))

    def test_a_checkpoint_of_another_configuration_is_refused(self) -> None:
        with pytest.raises(ValueError, match="another configuration"):
            detector().restore(detector(assets=ASSETS[:1]).checkpoint())


def twin_state(**fields: object) -> TwinState:
    signals = tuple(
        Signal(name=name, tag=TagId(name), unit="", value=1.0, status=0, time_ns=0)
        for name in ("flow_m3h", "current_a", "bearing_temperature_degc", "vibration_mm_s")
    )
    state = TwinState(
        asset=ASSETS[1],
        asset_type="centrifugal_pump",
        state=OperatingState.RUNNING,
        health=0.9,
        score=None,
        as_of_ns=0,
        worst_sign="",
        advice="",
        signals=signals,
    )
    return replace(state, **fields)  # type: ignore[arg-type]  # fields of tests are right


class TestExplaining:
    def test_score_shares_and_sign_are_filled_in(self) -> None:
        host = detector(model())
        frames = run(host, faulty(60))
        state = host.explain(twin_state())
        assert state.score == frames[-1].value[1]
        shares = {signal.name: signal.share for signal in state.signals}
        assert sum(share or 0 for share in shares.values()) == pytest.approx(1)
        assert shares["bearing_temperature_degc"] == max(share or 0 for share in shares.values())
        assert state.worst_sign.startswith("bearing_temperature_residual_k is unusual")

    def test_the_twins_own_sign_stays(self) -> None:
        host = detector(model())
        run(host, faulty(60))
        assert host.explain(twin_state(worst_sign="bearing +9 sigma")).worst_sign == (
            "bearing +9 sigma"
        )

    def test_other_assets_are_left_alone(self) -> None:
        host = detector(model(), assets=ASSETS[:1])
        assert host.explain(twin_state()) == twin_state()

    def test_evidence_names_the_tags_the_weightiest_first(self) -> None:
        host = detector(model())
        run(host, faulty(60))
        reasons = host.evidence(TagId("P-102.anomaly_score"))
        assert reasons[0].name == "P-102.bearing_temperature_residual_k"
        assert reasons[0].value > 15
        shares = [reason.share or 0 for reason in reasons]
        assert shares == sorted(shares, reverse=True)
        assert host.evidence(TagId("P-102.vibration_mm_s")) == ()

    @pytest.mark.parametrize(
        ("column", "signal"),
        [
            ("flow_m3h", "flow_m3h"),
            ("flow_residual_m3h", "flow_m3h"),
            ("oil_temperature_residual_k", "oil_temperature_degc"),
            ("discharge_temperature_residual_k", "discharge_temperature_degc"),
            ("npsh_margin_m", None),
            ("flow", None),
        ],
    )
    def test_columns_speak_of_signals(self, column: str, signal: str | None) -> None:
        signals = ["flow_m3h", "oil_temperature_degc", "discharge_temperature_degc"]
        assert signal_of(column, signals) == signal
