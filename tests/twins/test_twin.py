"""The twin as a whole: what every twin promises, and what a row says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.frame import Frame, Origin
from gateway.core.ports import Twin
from gateway.core.quality import Quality, Status, is_bad, quality_of
from gateway.core.rows import AssetId, OperatingState, Rows
from gateway.core.tags import TagId, TagTable
from tests.twins.frames import (
    HEALTHY_PUMP,
    SECOND_NS,
    START_NS,
    assert_same_update,
    bound,
    frame_of,
    lone_pump,
    measured,
    noisy_pump_frames,
    pump_frame,
    run,
)
from twins import AssetTwin, GenericSettings, build_twins

P101 = AssetId("P-101")


def cell(row: Rows, twin: AssetTwin, column: str) -> tuple[float, Quality]:
    c = twin.columns.index(column)
    return float(row.value[0, c]), Quality(int(quality_of(row.status)[0, c]))


def commissioned() -> tuple[AssetTwin, TagTable]:
    twin, table = lone_pump(commissioning_rows=30, settling_s=3)
    run(twin, noisy_pump_frames(table, 60))
    return twin, table


def spoilt(frames: list[Frame], table: TagTable, *, seed: int) -> list[Frame]:
    """The frames late, repeated, reordered, Bad, without a number and with a silence in them."""
    rng = np.random.default_rng(seed)
    found = []
    for frame in frames:
        order = rng.permutation(len(frame))
        status = np.where(rng.random(len(frame)) < 0.05, Status.BAD_DEVICE_FAILURE, 0)
        value = np.where(rng.random(len(frame)) < 0.02, np.nan, frame.value)
        shift_ns = rng.integers(-3, 3, len(frame)) * SECOND_NS // 2
        found.append(
            Frame(
                tag_index=frame.tag_index[order],
                time_ns=(frame.time_ns + shift_ns)[order],
                value=value[order],
                status=status.astype(np.uint32)[order],
                received_ns=frame.received_ns,
            )
        )
    middle = len(found) // 2
    repeated = [frame for frame in found[:middle] for _ in range(1 + (rng.random() < 0.2))]
    silent = [pump_frame(table, second) for second in (900, 905)]
    return [*repeated, frame_of(table, []), *found[middle:], *silent]


def test_it_is_a_twin() -> None:
    twin: Twin = lone_pump()[0]
    assert twin.assets == (P101,)


def test_the_first_row_comes_when_a_state_is_known() -> None:
    twin, table = lone_pump()
    tag = measured("P-101", "flow_m3h")
    for second in range(3):
        assert twin.update(frame_of(table, [(tag, START_NS + second * SECOND_NS, 1.0)])).rows == ()
    first = run(twin, [pump_frame(table, 3), pump_frame(table, 4)])
    assert [row.time_ns for row in first] == [START_NS + 3 * SECOND_NS]


def test_rows_carry_the_frame_that_completed_them() -> None:
    twin, table = lone_pump()
    twin.update(pump_frame(table, 0))
    late = pump_frame(table, 1)
    last = Frame(
        tag_index=late.tag_index,
        time_ns=late.time_ns,
        value=late.value,
        status=late.status,
        received_ns=77,
        arrival_ns=78,
        origin=Origin.HISTORICAL,
    )
    # The source is 50 years ahead of this receive time, so its clock is not believed: no row.
    assert twin.update(last).rows == ()
    update = twin.update(pump_frame(table, 2))
    assert update.rows[0].origin is Origin.LIVE
    assert update.frame is not None
    assert not update.frame.is_received


def test_a_healthy_pump_runs_and_its_residuals_are_small() -> None:
    twin, table = commissioned()
    row = run(twin, [pump_frame(table, 61), pump_frame(table, 62)])[-1]
    assert row.state.tolist() == [OperatingState.RUNNING]
    for relation in twin._model.relations:
        value, quality = cell(row, twin, relation.column)
        assert quality is Quality.GOOD
        assert abs(value) < 0.05 * max(HEALTHY_PUMP[relation.signal], 1.0), relation.column
    state = twin.state(P101)
    assert state.health == pytest.approx(1.0)
    assert (state.worst_sign, state.advice) == ("", "")


def test_states_become_events_and_samples() -> None:
    twin, table = lone_pump(settling_s=3, commissioning_rows=5)
    still = {"speed_rpm": 0.0, "current_a": 0.0}
    updates = [twin.update(pump_frame(table, second)) for second in range(8)]
    updates += [twin.update(pump_frame(table, second, still)) for second in range(8, 12)]
    events = [event for update in updates for event in update.events]
    assert [event.text for event in events] == [
        "P-101 starts, stops or changes its load",
        "P-101 runs",
        "P-101 stands still",
    ]
    assert {event.condition for event in events} == {"operating_state"}
    assert max(event.severity for event in events) < 100
    told = samples(updates[-1].frame, table)
    assert told["P-101.state"] == (OperatingState.OFF, Status.GOOD)


def samples(frame: Frame | None, table: TagTable) -> dict[str, tuple[float, int]]:
    assert frame is not None
    return {
        str(table.tags[index].id): (float(value), int(status))
        for index, value, status in zip(frame.tag_index, frame.value, frame.status, strict=True)
    }


def test_the_derived_frame_says_the_same_as_the_rows() -> None:
    twin, table = lone_pump(settling_s=0, commissioning_rows=5)
    twin.update(pump_frame(table, 0))
    update = twin.update(pump_frame(table, 1))
    told = samples(update.frame, table)
    assert set(told) == {str(tag.id) for tag in twin.derived_tags}
    for c, column in enumerate(twin.columns):
        value, status = told[f"P-101.{column}"]
        np.testing.assert_equal(value, update.rows[0].value[0, c])
        assert status == update.rows[0].status[0, c]


def test_what_stays_bad_is_told_once() -> None:
    twin, table = lone_pump(settling_s=0)
    still = {"speed_rpm": 0.0, "current_a": 0.0}
    updates = [twin.update(pump_frame(table, second, still)) for second in range(4)]
    first, second, third = (samples(update.frame, table) for update in updates[1:])
    assert first["P-101.flow_residual_m3h"][1] == Status.BAD_OUT_OF_SERVICE
    assert "P-101.flow_residual_m3h" not in second
    assert second.keys() == third.keys()
    assert "P-101.state" in third


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        (Status.GOOD, Quality.GOOD),
        (Status.UNCERTAIN_LAST_USABLE_VALUE, Quality.UNCERTAIN),
        (Status.BAD_SENSOR_FAILURE, Quality.BAD),
    ],
)
def test_a_residual_is_as_bad_as_its_worst_input(status: Status, quality: Quality) -> None:
    twin, table = commissioned()
    twin.update(pump_frame(table, 61))
    tag, time_ns = measured("P-101", "filter_dp_bar"), START_NS + 62 * SECOND_NS
    twin.update(pump_frame(table, 62))
    twin.update(frame_of(table, [(tag, time_ns, 0.1)], status=status))
    row = twin.update(pump_frame(table, 63)).rows[0]
    for column in ("filter_dp_residual_bar", "suction_pressure_residual_bar"):
        value, found = cell(row, twin, column)
        assert found is quality
        assert np.isnan(value) == (quality is Quality.BAD)
    assert cell(row, twin, "current_residual_a")[1] is Quality.GOOD


def test_residuals_are_uncertain_while_they_are_learnt_and_health_is_unknown() -> None:
    twin, table = lone_pump(settling_s=0, commissioning_rows=10)
    row = run(twin, noisy_pump_frames(table, 6))[-1]
    assert cell(row, twin, "flow_residual_m3h")[1] is Quality.UNCERTAIN
    state = twin.state(P101)
    assert state.health is None
    assert state.worst_sign == "commissioning, 50%"
    told = samples(twin.update(pump_frame(table, 6)).frame, table)
    assert told["P-101.commissioning"][0] == pytest.approx(0.6)
    assert "P-101.health" not in told, "it was Bad before and stays so"


def test_a_clogged_filter_lowers_health_and_is_explained() -> None:
    twin, table = commissioned()
    run(twin, noisy_pump_frames(table, 140, first=61, values={"filter_dp_bar": 0.2}))
    state = twin.state(P101)
    assert state.health is not None
    assert state.health < 0.5
    assert state.worst_sign.startswith("filter dp +")
    assert "suction filter clogged" in state.advice
    signal = next(signal for signal in state.signals if signal.name == "filter_dp_bar")
    assert signal.expected is not None
    assert signal.tolerance is not None
    assert signal.expected == pytest.approx(0.1, rel=0.1)
    assert signal.value - signal.expected > signal.tolerance


def test_signals_stand_in_the_order_of_the_type_with_unit_and_time() -> None:
    twin, table = commissioned()
    time_ns = START_NS + 61 * SECOND_NS
    twin.update(pump_frame(table, 61))
    state = twin.state(P101)
    assert [signal.name for signal in state.signals] == list(HEALTHY_PUMP)
    assert {signal.time_ns for signal in state.signals} == {time_ns}
    assert state.as_of_ns == time_ns
    speed = state.signals[0]
    assert (speed.unit, speed.value, speed.expected) == ("/min", 2950.0, None)


def test_a_stopped_pump_keeps_its_health_and_a_silent_one_has_none() -> None:
    twin, table = commissioned()
    still = {"speed_rpm": 0.0, "current_a": 0.0}
    updates = [twin.update(pump_frame(table, second, still)) for second in range(61, 70)]
    told = samples(updates[-1].frame, table)
    health, status = told["P-101.health"]
    assert health == pytest.approx(1.0)
    assert status == Status.UNCERTAIN_LAST_USABLE_VALUE
    assert twin.state(P101).health == pytest.approx(1.0)
    edge = twin.update(pump_frame(table, 4000))
    assert [int(row.state[0]) for row in edge.rows] == [OperatingState.OFF, OperatingState.UNKNOWN]
    assert is_bad(edge.rows[1].status).all()
    assert edge.events[0].text.startswith("It cannot be told whether P-101 runs")


def test_an_unknown_asset_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        lone_pump()[0].state(AssetId("P-999"))


def test_before_the_first_sample_nothing_is_known() -> None:
    state = lone_pump()[0].state(P101)
    assert (state.state, state.health, state.as_of_ns) == (OperatingState.UNKNOWN, None, 0)
    assert all(np.isnan(signal.value) and signal.time_ns == 0 for signal in state.signals)


def test_generic_assets_pass_their_inputs_through() -> None:
    rig = GenericSettings.model_validate({"tags": {"pressure_bar": "rig.p", "level": "rig.l"}})
    (twin,) = build_twins({AssetId("rig"): rig})
    table = bound([twin])
    pressure, level = TagId("rig.p"), TagId("rig.l")
    times = [START_NS + second * SECOND_NS for second in range(5)]
    rows = run(
        twin,
        [frame_of(table, [(pressure, t, 1.0 + i), (level, t, 5.0)]) for i, t in enumerate(times)],
    )
    assert twin.columns == ("pressure_bar", "level")
    assert rows[-1].value.tolist() == [[4.0, 5.0]]
    assert {int(row.state[0]) for row in rows} == {OperatingState.RUNNING}
    bad = twin.update(frame_of(table, [(level, times[-1], 5.0)], status=Status.BAD))
    last = twin.update(frame_of(table, [(pressure, times[-1] + SECOND_NS, 9.0)]))
    assert bad.rows == ()
    assert last.rows[0].state.tolist() == [OperatingState.UNKNOWN]
    assert twin.state(AssetId("rig")).health is None


def test_the_same_frames_give_the_same_results_and_stay_as_they_are() -> None:
    """Replay equals, no mutation: over spoilt input, twice from the same start."""
    twin, table = lone_pump(commissioning_rows=30, settling_s=3)
    other, _ = lone_pump(commissioning_rows=30, settling_s=3)
    frames = spoilt(noisy_pump_frames(table, 120), table, seed=5)
    copies = [(f.tag_index.copy(), f.time_ns.copy(), f.value.copy()) for f in frames]
    for frame in frames:
        assert_same_update(twin.update(frame), other.update(frame))
    for frame, (tag_index, time_ns, value) in zip(frames, copies, strict=True):
        np.testing.assert_array_equal(frame.tag_index, tag_index)
        np.testing.assert_array_equal(frame.time_ns, time_ns)
        np.testing.assert_array_equal(frame.value, value)


def test_time_never_goes_back_and_bad_is_never_a_number() -> None:
    twin, table = lone_pump(commissioning_rows=30, settling_s=3)
    rows = run(twin, spoilt(noisy_pump_frames(table, 200), table, seed=9))
    times_ns = [row.time_ns for row in rows]
    assert len(rows) > 100
    assert times_ns == sorted(set(times_ns))
    for row in rows:
        np.testing.assert_array_equal(np.isnan(row.value), is_bad(row.status))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100), st.integers(0, 3))
def test_a_checkpoint_anywhere_changes_nothing(cut: int, seed: int) -> None:
    """All at once, against half, checkpoint, a new twin, the rest: equal to the bit."""
    whole, table = lone_pump(commissioning_rows=30, settling_s=3)
    half, _ = lone_pump(commissioning_rows=30, settling_s=3)
    frames = spoilt(noisy_pump_frames(table, 100), table, seed=seed)
    for frame in frames[:cut]:
        whole.update(frame)
        half.update(frame)
    rest, _ = lone_pump(commissioning_rows=30, settling_s=3)
    rest.restore(half.checkpoint())
    for frame in frames[cut:]:
        assert_same_update(whole.update(frame), rest.update(frame))
    assert whole.checkpoint() == rest.checkpoint()
    np.testing.assert_equal(whole.state(P101), rest.state(P101))


def test_a_checkpoint_of_another_configuration_leaves_the_twin_alone() -> None:
    twin, _ = commissioned()
    other, _ = lone_pump(commissioning_rows=31, settling_s=3)
    before = twin.checkpoint()
    for refused in (other.checkpoint(), b"", before[:-100]):
        with pytest.raises(ValueError, match="checkpoint"):
            twin.restore(refused)
    assert twin.checkpoint() == before


def test_a_constant_machine_is_no_trouble() -> None:
    """Exactly constant from the start: commissioning knows that, so nothing counts as frozen."""
    twin, table = lone_pump(commissioning_rows=100, settling_s=3)
    run(twin, [pump_frame(table, second) for second in range(400)])
    state = twin.state(P101)
    assert state.state is OperatingState.RUNNING
    assert state.health == pytest.approx(1.0)
