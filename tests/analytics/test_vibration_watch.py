"""Vibration while the machine runs: whole waveforms only, a fault when it is seen again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics.defaults import vibration_alarms
from analytics.vibration.bearings import bearing
from analytics.vibration.gathering import Gathering
from analytics.vibration.sensor import Sensor, SensorSettings
from analytics.vibration.spectrum import G_M_S2
from analytics.vibration.watch import COLUMNS, FAULT_COUNT_MIN, VibrationWatch
from gateway.core.arrays import FloatArray
from gateway.core.frame import Frame
from gateway.core.quality import Status
from gateway.core.rows import AssetId
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.core.vibration_manifest import FaultLabel
from tests.analytics.rotating import bearing_waveform, shaft_waveform

PUMP = AssetId("P-101")
WAVE, SPEED = TagId("pumps.P101.Acc"), TagId("pumps.P101.Speed")
RATE_HZ, RPM = 12_800.0, 1790.0
COUNT = 4096
T0_NS = 1_767_225_600 * 10**9
MINUTE_NS = 60 * 10**9


def sensor(**settings: object) -> Sensor:
    given_ = {"tag": WAVE, "speed": SPEED, "bearing": "6205"} | settings
    return Sensor(asset=PUMP, name="drive_end", settings=SensorSettings.model_validate(given_))


def bound(watch: VibrationWatch) -> TagTable:
    table = TagTable.build([Tag(id=WAVE), Tag(id=SPEED), *watch.derived_tags], epoch=ConfigEpoch(1))
    watch.bind(table)
    return table


def wave_frame(value: FloatArray, end_ns: int, *, bad: tuple[int, ...] = ()) -> Frame:
    back = np.arange(len(value) - 1, -1, -1) / RATE_HZ
    status = np.zeros(len(value), dtype=np.uint32)
    status[list(bad)] = Status.BAD
    return Frame(
        tag_index=np.zeros(len(value), dtype=np.int32),
        time_ns=end_ns - np.round(back * 1e9).astype(np.int64),
        value=np.where(status >= Status.BAD, np.nan, value),
        status=status,
        received_ns=end_ns,
    )


def speed_frame(rpm: float, time_ns: int) -> Frame:
    return Frame(
        tag_index=np.ones(1, dtype=np.int32),
        time_ns=np.array([time_ns]),
        value=np.array([rpm]),
        status=np.zeros(1, dtype=np.uint32),
        received_ns=time_ns,
    )


def waveform(fault: FaultLabel, seed: int) -> FloatArray:
    turns = COUNT / RATE_HZ * RPM / 60 + 1
    made = bearing_waveform(
        fault,
        bearing("6205"),
        rate_hz=RATE_HZ,
        speed_hz=RPM / 60,
        turns=turns,
        seed=seed,
        blow_g=2.0,
    )
    return made[:COUNT]


def told(frame: Frame | None) -> dict[str, float]:
    assert frame is not None
    return dict(zip(COLUMNS, frame.value.tolist(), strict=True))


def test_a_defect_that_is_seen_again_is_a_fault_with_its_part() -> None:
    """The first waveforms count, the third names the outer race; a healthy one ends it."""
    watch = VibrationWatch([sensor()])
    bound(watch)
    watch.update(speed_frame(RPM, T0_NS))
    counts = []
    for k in range(FAULT_COUNT_MIN):
        assert watch.diagnosis(PUMP) is None
        end_ns = T0_NS + k * MINUTE_NS
        watch.update(speed_frame(RPM, end_ns))
        found = watch.update(wave_frame(waveform("outer", k), end_ns))
        counts.append(told(found)["fault_count"])
    assert counts == [1.0, 2.0, 3.0]
    diagnosis = watch.diagnosis(PUMP)
    assert diagnosis is not None
    assert "outer race of the bearing at drive end" in diagnosis.cause
    tag = TagId("P-101.drive_end_fault_count")
    assert watch.advice(tag) == diagnosis.sentence
    names = [each.name for each in watch.evidence(tag)]
    assert names[0].startswith("P-101.drive_end_outer")
    assert "P-101.drive_end_velocity_rms_mm_s" in names
    end_ns = T0_NS + 5 * MINUTE_NS
    watch.update(speed_frame(RPM, end_ns))
    assert told(watch.update(wave_frame(waveform("none", 9), end_ns)))["fault_count"] == 0.0
    assert watch.diagnosis(PUMP) is None
    assert watch.diagnosis(AssetId("P-102")) is None


def test_the_zone_is_that_of_the_velocity_whatever_the_unit() -> None:
    made = shaft_waveform({1: 5.0}, rate_hz=RATE_HZ, speed_hz=RPM / 60, turns=20, seed=1)[:COUNT]
    for unit, scale in (("g", 1.0), ("m/s2", G_M_S2)):
        watch = VibrationWatch([sensor(unit=unit)])
        bound(watch)
        watch.update(speed_frame(RPM, T0_NS))
        found = told(watch.update(wave_frame(made * scale, T0_NS)))
        assert found["velocity_rms_mm_s"] == pytest.approx(5.0, rel=0.1)
        assert found["zone"] == 4.0


def test_without_a_speed_what_needs_it_is_bad_and_the_rest_is_told() -> None:
    watch = VibrationWatch([sensor(speed=None)])
    bound(watch)
    frame = watch.update(wave_frame(waveform("outer", 1), T0_NS))
    found = told(frame)
    assert np.isfinite(found["rms_g"])
    assert np.isnan(found["shaft_1x_mm_s"])
    assert frame is not None
    assert set(frame.status[np.isnan(frame.value)].tolist()) == {Status.BAD_OUT_OF_SERVICE}
    stale = VibrationWatch([sensor()])
    bound(stale)
    stale.update(speed_frame(RPM, T0_NS - 2 * MINUTE_NS))
    assert np.isnan(told(stale.update(wave_frame(waveform("outer", 1), T0_NS)))["shaft_1x_mm_s"])


def test_only_whole_waveforms_count_however_they_are_cut() -> None:
    """The same samples in any pieces give the same waveforms, through a checkpoint, too."""
    value = np.concatenate([waveform("outer", 1), waveform("outer", 2)])
    frame = wave_frame(value, T0_NS)
    whole = VibrationWatch([sensor(speed=None, speed_rpm=RPM)])
    bound(whole)
    expected = whole.update(frame)
    assert expected is not None
    assert len(expected) == 2 * len(COLUMNS)
    pieces = VibrationWatch([sensor(speed=None, speed_rpm=RPM)])
    bound(pieces)
    found: list[Frame] = []
    index = np.arange(len(frame))
    for first, end in ((0, 100), (100, 5000), (5000, 5001), (5001, len(frame))):
        one = pieces.update(frame.where((index >= first) & (index < end)))
        found += [] if one is None else [one]
        kept = pieces.checkpoint()
        pieces = VibrationWatch([sensor(speed=None, speed_rpm=RPM)])
        bound(pieces)
        pieces.restore(kept)
    np.testing.assert_array_equal(np.concatenate([f.value for f in found]), expected.value)
    np.testing.assert_array_equal(np.concatenate([f.time_ns for f in found]), expected.time_ns)
    with pytest.raises(ValueError, match="other vibration sensors"):
        VibrationWatch([sensor()]).restore(pieces.checkpoint())


def test_a_gap_a_bad_sample_and_old_samples_begin_anew_or_count_for_nothing() -> None:
    watch = VibrationWatch([sensor(speed=None)])
    bound(watch)
    half = waveform("none", 1)[: COUNT // 2]
    assert watch.update(wave_frame(half, T0_NS)) is None
    assert watch.update(wave_frame(half, T0_NS + MINUTE_NS)) is None
    assert watch.update(wave_frame(half, T0_NS)) is None
    made = waveform("none", 2)
    assert watch.update(wave_frame(made, T0_NS + 2 * MINUTE_NS, bad=(2000,))) is None
    assert watch.update(wave_frame(made, T0_NS + 3 * MINUTE_NS)) is not None


def test_frames_of_other_tags_are_nothing() -> None:
    watch = VibrationWatch([])
    bound(watch)
    assert watch.update(speed_frame(RPM, T0_NS)) is None


def test_a_sensor_has_alarms_from_the_start() -> None:
    limits = vibration_alarms([sensor()])
    assert [(limit.condition, limit.severity) for limit in limits] == [
        ("drive_end_zone_c", 500),
        ("drive_end_zone_d", 800),
        ("drive_end_fault", 600),
    ]
    assert {limit.source for limit in limits} == {PUMP}


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [({"bearing": "XYZ"}, "not in the table"), ({"unit": "mm/s"}, "no acceleration")],
)
def test_mistakes_are_told(settings: dict[str, object], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        sensor(**settings)


@given(
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    bad=st.sets(st.integers(0, 150), max_size=3),
)
def test_gathering_is_the_same_as_looking_at_everything_at_once(
    cuts: list[int], bad: set[int]
) -> None:
    """A plain loop over all samples finds the same waveforms as pieces do, for steady sampling."""
    count = sum(cuts)
    usable = np.array([k not in bad for k in range(count)])
    time_ns = T0_NS + np.arange(count) * 1000
    value = np.arange(count, dtype=np.float64)
    expected: list[list[float]] = []
    run: list[float] = []
    for k in range(count):
        run = [*run, value[k]] if usable[k] else []
        if len(run) == 8:
            expected.append(run)
            run = []
    gathering = Gathering(samples=8, scale=1.0)
    found: list[list[float]] = []
    at = 0
    for cut in cuts:
        part = slice(at, at + cut)
        waveforms = gathering.take(time_ns[part], value[part], usable[part])
        found += [each.value.tolist() for each in waveforms]
        at += cut
    assert found == expected
