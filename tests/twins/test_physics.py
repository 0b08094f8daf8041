"""Textbook cases with their numbers, and the vectorised terms against one asset at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twins.physics import (
    bearing_terms,
    filter_terms,
    lag_weight,
    npsh_available_m,
    oil_injected_terms,
    pressure_bar,
    pump_current_terms,
    pump_flow_terms,
    pump_head_terms,
    pump_vibration_terms,
    screw_current_terms,
    screw_flow_terms,
    specific_work,
    thermal_lag_s,
    vapour_pressure_bar,
)

WATER_20_DEGC_KG_M3 = np.array([998.2])
SHUTOFF = np.array([1.25])


def one(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([value])


def head_share(speed: float, flow: float) -> float:
    """The nameplate's head: parameters 1, 0, 1."""
    shutoff, _, square = pump_head_terms(one(speed), one(flow), shutoff=SHUTOFF)
    return float(np.sum(shutoff + square))


def test_affinity_laws() -> None:
    """Half the speed moves half the flow against a quarter of the head (Gülich: similarity)."""
    assert head_share(1.0, 1.0) == pytest.approx(1.0)
    assert head_share(1.0, 0.0) == pytest.approx(1.25)
    assert head_share(0.5, 0.5) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("flow", "tolerance"), [(0.5, 0.06), (0.75, 0.01), (0.9, 0.001), (1.0, 1e-12), (1.2, 0.01)]
)
@pytest.mark.parametrize("speed", [0.6, 0.9, 1.0])
def test_the_flow_terms_turn_the_head_curve_round(
    speed: float, flow: float, tolerance: float
) -> None:
    """As far as the docstring promises, at similar points of every speed."""
    head = one(head_share(speed, flow * speed))
    terms = pump_flow_terms(one(speed), head, steepness=one(2.0))
    assert float(sum(np.sum(term) for term in terms)) == pytest.approx(
        flow * speed, abs=tolerance * speed
    )


def test_a_column_of_ten_metres_of_water_is_0_979_bar() -> None:
    assert pressure_bar(one(10.0), density_kg_m3=WATER_20_DEGC_KG_M3)[0] == pytest.approx(
        0.979, abs=5e-4
    )


@pytest.mark.parametrize(
    ("temperature_degc", "expected_bar"),
    [(20.0, 0.02339), (50.0, 0.12351), (80.0, 0.47414), (100.0, 1.01325)],
)
def test_vapour_pressure_is_that_of_the_steam_tables(
    temperature_degc: float, expected_bar: float
) -> None:
    """IAPWS-IF97 saturation pressures, within 0.5 %."""
    found = vapour_pressure_bar(one(temperature_degc))[0]
    assert found == pytest.approx(expected_bar, rel=5e-3)


def test_npsh_of_an_open_tank_with_cold_water_is_ten_metres() -> None:
    """(101 325 - 2 339) Pa / (998.2 kg/m³ · 9.80665 m/s²) = 10.11 m, the textbook's 10 m."""
    found = npsh_available_m(one(0.0), one(20.0), density_kg_m3=WATER_20_DEGC_KG_M3)[0]
    assert found == pytest.approx(10.11, abs=0.02)


def test_isothermal_work_of_compression_to_eight_times_is_ln_8() -> None:
    assert specific_work(one(8.0))[0] == pytest.approx(2.0794, abs=1e-4)
    assert specific_work(one(0.5))[0] == 0.0


def test_a_lag_covers_63_percent_in_its_time_constant() -> None:
    weight = lag_weight(one(900.0), np.array([900.0, 0.0]))
    np.testing.assert_allclose(weight, [1.0 - math.exp(-1.0), 1.0])


def test_standstill_doubles_the_thermal_lag() -> None:
    found = thermal_lag_s(np.array([900.0, 900.0]), np.array([0.0, 1.0]))
    assert found.tolist() == [1800.0, 900.0]


def test_standstill_gives_numbers() -> None:
    zero = np.zeros(2)
    steepness = np.full(2, 2.0)
    for terms in (
        pump_head_terms(zero, zero, shutoff=steepness),
        pump_flow_terms(zero, zero, steepness=steepness),
        pump_current_terms(zero, zero),
        screw_flow_terms(zero, zero + 1.0, zero, zero),
    ):
        assert all(np.isfinite(term).all() for term in terms)


shares = st.lists(st.floats(0.0, 1.5), min_size=3, max_size=3)


@given(shares, shares)
def test_terms_of_many_assets_are_those_of_each(speeds: list[float], flows: list[float]) -> None:
    """The formulas written out for one asset, in plain floats."""
    speed, flow = np.array(speeds), np.array(flows)
    found = [
        pump_head_terms(speed, flow, shutoff=SHUTOFF),
        pump_current_terms(speed, flow),
        filter_terms(flow),
        pump_vibration_terms(speed, flow),
        bearing_terms(flow, speed, speed),
        screw_current_terms(speed, flow, flow),
        oil_injected_terms(speed, flow, flow, speed + 0.1),
    ]
    for i, (n, q) in enumerate(zip(speeds, flows, strict=True)):
        naive = [
            (1.25 * n * n, n * q, -0.25 * q * q),
            (1.0, n * n, n * q, n * n * n),
            (q * abs(q), q),
            (n, n * n, (q - n) * (q - n)),
            (q, n - q, n * n, 1.0),
            (1.0, n, q * q, n * q),
            (n, q - n, q / (n + 0.1), 1.0),
        ]
        for terms, plain in zip(found, naive, strict=True):
            actual = [float(np.broadcast_to(term, 3)[i]) for term in terms]
            np.testing.assert_allclose(actual, plain, rtol=1e-12, atol=1e-300)


def test_what_is_not_known_stays_unknown() -> None:
    nan = one(np.nan)
    for terms in (pump_flow_terms(nan, nan, steepness=one(2.0)), filter_terms(nan)):
        assert all(np.isnan(term).all() for term in terms)
    assert np.isnan(vapour_pressure_bar(nan)).all()
