"""Textbook relations between the signals of an asset, as terms of linear models. Pure numpy.

A twin does not trust the nameplate beyond its shape. Each expected value is written as a sum

    expected = scale * (parameter_1 * term_1 + parameter_2 * term_2 + ...)

whose terms come from a textbook and are about 1 at the rated point, so that the parameters are
about 1 (or 0 for what the nameplate does not know) and can be estimated while the asset runs.

Everywhere: `speed`, `flow`, `head`, `ratio` without a unit are shares of the rated value; arrays
have the shape (n,), one entry an asset; NaN in gives NaN out; standstill gives zeros, not NaN.
"""

from collections.abc import Sequence

import numpy as np

from gateway.core.arrays import FloatArray

GRAVITY_M_S2 = 9.80665
"""Standard acceleration of free fall (ISO 80000-3)."""
ATMOSPHERE_BAR = 1.01325
"""Standard atmosphere (ISO 2533); gauge pressures count from it."""
KELVIN_AT_0_DEGC = 273.15

SPEED_SHARE_MIN = 0.05
"""Below this share of rated speed the terms that divide by speed are switched off."""
SURROUNDINGS_LAG_S = 3_600.0
"""The air of a hall and the pressure of a network follow weather and demand: hardly in less."""
FLUID_LAG_S = 7_200.0
"""Tanks and mains hold more heat than halls."""

Terms = Sequence[FloatArray | float]
"""Arrays of shape (n,), or a constant for all, in the order of the model's parameters."""


def pump_head_terms(speed: FloatArray, flow: FloatArray, *, shutoff: FloatArray) -> Terms:
    """Return the terms of a centrifugal pump's head: x·n², n·Q, -(x - 1)·Q².

    A quadratic curve through the head without flow (x) and the rated point (1, 1), at any speed by
    the affinity laws (Q ~ n, H ~ n²). The middle term bends the curve without moving its top.

    Args:
        speed: Share of rated speed.
        flow: Share of rated flow.
        shutoff: x, head without flow as a share of the rated head, above 1.
    Source:
        Gülich (2020), Centrifugal Pumps, 4th ed.: similarity (affinity) laws, characteristics.
    """
    return shutoff * speed**2, speed * flow, (1.0 - shutoff) * flow**2


def pump_flow_terms(speed: FloatArray, head: FloatArray, *, steepness: FloatArray) -> Terms:
    """Return the terms of the flow that a pump gives against a head: n, -a·d, -a²·d²/(2·n).

    The quadratic curve solved for the flow and expanded around the rated point to second order;
    d = H/n - n is how far the head lies above the rated one, the same at every speed by the
    affinity laws.

    Args:
        speed: Share of rated speed.
        head: Share of rated head.
        steepness: a = 1 / (2·(x - 1)), x as for `pump_head_terms`.
    Source:
        Gülich (2020): similarity laws; the expansion is ours, within 1 % of rated flow for
        flows of 0.75 to 1.2 times the rated one, 6 % at half of it.
    """
    safe = np.maximum(speed, SPEED_SHARE_MIN)
    rise = head / safe - speed
    return speed, -steepness * rise, -0.5 * (steepness * rise) ** 2 / safe


def pump_current_terms(speed: FloatArray, flow: FloatArray) -> Terms:
    """Return the terms of a pump motor's current: 1, n², n·Q, n³.

    Magnetising current does not depend on load; behind a converter with constant flux current
    follows torque (n² for the disc, n·Q for the hydraulic part); on the supply side it follows
    power (n³).

    Source:
        Gülich (2020): power balance, disc friction; Fischer (2017), Elektrische Maschinen:
        no-load and load current of the induction machine. We take current as linear in the
        load, which holds between half and full load, where a motor works.
    """
    square = speed**2
    return 1.0, square, speed * flow, square * speed


def filter_terms(flow: FloatArray) -> Terms:
    """Return the terms of a filter's pressure drop: Q², Q.

    The turbulent and the laminar part of Forchheimer's law.

    Source:
        Bear (1972), Dynamics of Fluids in Porous Media: Forchheimer's law.
    """
    return flow * np.abs(flow), flow


def bearing_terms(ambient_degc: FloatArray, fluid_degc: FloatArray, speed: FloatArray) -> Terms:
    """Return the terms of a bearing's steady temperature: ambient, fluid over ambient, n², 1.

    Heat balance: what friction makes leaves to the surroundings and along the shaft to the fluid,
    so the temperature is a weighted mean of both plus a rise. Friction power is torque times
    speed; with a torque growing about as n^0.7 that is close to n².

    Source:
        Harris & Kotzalas (2007), Essential Concepts of Bearing Technology, 5th ed.: bearing
        temperatures, heat balance and frictional moment.
    """
    return ambient_degc, fluid_degc - ambient_degc, speed**2, 1.0


def pump_vibration_terms(speed: FloatArray, flow: FloatArray) -> Terms:
    """Return the terms of a pump's vibration velocity: n, n², n²·(Q/n - 1)².

    Unbalance force grows as n²; hydraulic excitation is least near the best-efficiency flow,
    Q/n = 1, and grows to either side of it.

    Source:
        ISO 10816-7:2009 (vibration of rotodynamic pumps, allowed operating region); Gülich
        (2020): hydraulic excitation of vibrations.
    """
    return speed, speed**2, (flow - speed) ** 2


def vapour_pressure_bar(temperature_degc: FloatArray) -> FloatArray:
    """Return the vapour pressure of water, absolute.

    Args:
        temperature_degc: 1 to 100 °C; values outside are clipped to that range.
    Source:
        Antoine's equation with the constants of Gmehling & Onken (1977) for 1 to 100 °C,
        log10 p/mmHg = 8.07131 - 1730.63 / (233.426 + t); within 0.3 % of steam tables.
    """
    clipped = np.minimum(np.maximum(temperature_degc, 1.0), 100.0)
    return np.asarray(10.0 ** (8.07131 - 1730.63 / (233.426 + clipped)) * 1.333224e-3)


def npsh_available_m(
    suction_pressure_bar: FloatArray, fluid_degc: FloatArray, *, density_kg_m3: FloatArray
) -> FloatArray:
    """Return the net positive suction head that the plant offers, in metres.

    Args:
        suction_pressure_bar: Gauge, at the pump's flange; the velocity head is left out.
        fluid_degc: Temperature of the water.
        density_kg_m3: Density of the fluid.
    Source:
        ISO 17769-1:2012 (NPSH available); Gülich (2020): suction capability.
    """
    absolute_bar = suction_pressure_bar + ATMOSPHERE_BAR - vapour_pressure_bar(fluid_degc)
    return head_m(absolute_bar, density_kg_m3=density_kg_m3)


def head_m(pressure_bar: FloatArray, *, density_kg_m3: FloatArray) -> FloatArray:
    """Return the height of a column of the fluid that makes this pressure, in metres."""
    return pressure_bar * 1e5 / (density_kg_m3 * GRAVITY_M_S2)


def pressure_bar(height_m: FloatArray, *, density_kg_m3: FloatArray) -> FloatArray:
    """Return the pressure under a column of the fluid, in bar."""
    return height_m * density_kg_m3 * GRAVITY_M_S2 / 1e5


def screw_flow_terms(
    speed: FloatArray, inlet_share: FloatArray, ratio: FloatArray, warmth: FloatArray
) -> Terms:
    """Return the terms of a screw compressor's flow: n·p, leakage, warmth, 1.

    A screw takes in its swept volume at the pressure behind the filter; what leaks back through
    the gaps grows with the pressure ratio and does not depend on speed; warm intake air is
    thinner.

    Args:
        speed: Share of rated speed.
        inlet_share: Absolute pressure behind the intake filter over the atmosphere.
        ratio: Share of the rated pressure ratio.
        warmth: Intake temperature over 20 °C, as a share of 293.15 K.
    Source:
        Stosic, Smith & Kovacevic (2005), Screw Compressors: volumetric efficiency, leakage.
    """
    running = np.minimum(speed / SPEED_SHARE_MIN, 1.0)
    return speed * inlet_share, (ratio - 1.0) * running, speed * warmth, running


def screw_current_terms(speed: FloatArray, flow: FloatArray, work: FloatArray) -> Terms:
    """Return the terms of a compressor motor's current: 1, n, Q·work, n·work.

    Shaft power is the work of compression on what is delivered, plus friction about as speed;
    the built-in volume ratio makes part of the work independent of what is delivered.

    Args:
        speed: Share of rated speed.
        flow: Share of rated flow.
        work: Share of rated specific work, see `specific_work`.
    Source:
        Stosic, Smith & Kovacevic (2005): indicated power; Fischer (2017), as for the pump.
    """
    return 1.0, speed, flow * work, speed * work


def specific_work(pressure_ratio: FloatArray) -> FloatArray:
    """Return the isothermal work of compression over p·V, without unit: ln(ratio).

    Oil injection keeps the process near isothermal. Ratios below 1 count as 1.

    Source:
        ISO 1217:2009 (displacement compressors: isothermal power).
    """
    return np.log(np.maximum(pressure_ratio, 1.0))


def oil_injected_terms(
    oil_degc: FloatArray, inlet_degc: FloatArray, heat: FloatArray, oil_flow: FloatArray
) -> Terms:
    """Return the terms of the discharge temperature: oil, intake over oil, heat/oil flow, 1.

    Balance of enthalpy: nearly all shaft power warms the injected oil, whose heat capacity is many
    times that of the air.

    Args:
        oil_degc: Temperature of the injected oil.
        inlet_degc: Temperature of the intake air.
        heat: Share of rated shaft power.
        oil_flow: Share of rated oil flow; driven by the discharge pressure.
    Source:
        Stosic, Smith & Kovacevic (2005): oil injection, energy balance.
    """
    return oil_degc, inlet_degc - oil_degc, heat / oil_flow, 1.0


def oil_circuit_terms(inlet_degc: FloatArray, heat: FloatArray, speed: FloatArray) -> Terms:
    """Return the terms of the injected oil's temperature: 1, intake over 20 °C, heat - 1, n - 1.

    A cooler in the surroundings takes out the heat of compression; a thermostat keeps most of
    both from showing, which is left to the parameters.

    Args:
        inlet_degc: Temperature of the intake air, taken as that of the surroundings.
        heat: Share of rated shaft power.
        speed: Share of rated speed.
    Source:
        Linearised heat balance of the cooler at the rated point (ours).
    """
    return 1.0, inlet_degc - 20.0, heat - 1.0, speed - 1.0


def screw_vibration_terms(speed: FloatArray, ratio: FloatArray) -> Terms:
    """Return the terms of a screw compressor's vibration: n, n², n·ratio.

    Unbalance as n²; gas pulsation with the passing lobes, growing with the pressure ratio.

    Source:
        Stosic, Smith & Kovacevic (2005): pressure pulsation; unbalance as ISO 21940-11:2016.
    """
    return speed, speed**2, speed * ratio


def thermal_lag_s(lag_s: FloatArray, speed: FloatArray) -> FloatArray:
    """Return the thermal time constant at a speed: twice as long at standstill as when running.

    Args:
        lag_s: Time constant of the running machine.
        speed: Share of rated speed.
    Source:
        IEC 60255-149:2013 (thermal models have a cooling time constant of their own); the
        factor 2 is ours, at the low end for self-ventilated machines.
    """
    return np.where(speed < SPEED_SHARE_MIN, 2.0, 1.0) * lag_s


def lag_weight(elapsed_s: FloatArray | float, lag_s: FloatArray) -> FloatArray:
    """Return how far a first-order lag follows a constant input in a time, 0 to 1.

    Exact for an input that is constant over the time: 1 - exp(-elapsed/lag). A lag of 0 follows
    at once.

    Args:
        elapsed_s: Not negative; a number, or the shape of `lag_s`.
        lag_s: Time constants, not negative, any shape.
    Source:
        The solution of lag·y' = u - y; see any textbook on linear systems (zero-order hold).
    """
    has_lag = lag_s > 0.0
    return np.where(has_lag, -np.expm1(-elapsed_s / np.where(has_lag, lag_s, 1.0)), 1.0)
