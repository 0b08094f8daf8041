"""From residuals to words."""

import numpy as np
import pytest

from twins.centrifugal_pump import CentrifugalPumps
from twins.compressor import Compressors
from twins.diagnosis import diagnosis, match, spoken, worst_sign
from twins.generic import GenericAssets
from twins.model import AssetModel, Relation, Signature, Term

SIGNALS = [relation.signal for relation in CentrifugalPumps.relations]


def pump_advice(sizes: dict[str, float], frozen: tuple[str, ...] = ()) -> tuple[str, str]:
    sigmas = np.array([sizes.get(signal, 0.2) for signal in SIGNALS])
    relations = CentrifugalPumps.relations
    found = diagnosis(relations, CentrifugalPumps.signatures, sigmas, frozen)
    return (
        worst_sign(relations, sigmas, frozen),
        found.sentence if found else "",
    )


def test_nothing_is_said_when_everything_is_normal() -> None:
    assert pump_advice({"flow_m3h": 2.9, "vibration_mm_s": -2.9}) == ("", "")


def test_a_clogged_filter_is_named() -> None:
    sign, text = pump_advice({"filter_dp_bar": 12.3})
    assert sign == "filter dp +12.3 σ"
    assert text == (
        "likely: suction filter clogged (1 of 1 signs): "
        "check the differential gauge, clean or change the filter"
    )


@pytest.mark.parametrize(
    ("sizes", "cause"),
    [
        ({"vibration_mm_s": 9.0, "bearing_temperature_degc": 6.0}, "bearing wear"),
        (
            {
                "vibration_mm_s": 17.0,
                "suction_pressure_bar": -20.0,
                "discharge_pressure_bar": -9.0,
                "flow_m3h": -12.0,
            },
            "cavitation",
        ),
        ({"flow_m3h": 9.0, "current_a": -5.0, "filter_dp_bar": -4.0}, "flow reading too high"),
    ],
)
def test_signatures_are_recognised(sizes: dict[str, float], cause: str) -> None:
    assert f"likely: {cause} " in pump_advice(sizes)[1]


def test_a_lone_strange_signal_is_doubted() -> None:
    sign, text = pump_advice({"current_a": -8.0})
    assert sign == "current -8.0 σ"
    assert text == "current does not fit speed, flow: compare with a gauge at the machine"


def test_a_frozen_sensor_comes_first() -> None:
    sign, text = pump_advice({"filter_dp_bar": 4.0}, ("flow_m3h",))
    assert sign == "flow frozen"
    assert text.startswith("flow does not move any more: check the sensor")


def test_a_match_needs_the_signs_and_little_else() -> None:
    signature = Signature(cause="x", signs=(("a", +1), ("b", -1)), check="y")
    assert match(signature, {"a": 6.0, "b": -6.0, "c": 0.0}) == pytest.approx(1.0)
    assert match(signature, {"a": 6.0, "b": -6.0, "c": 12.0}) == pytest.approx(0.5)
    assert match(signature, {"a": 6.0, "b": 0.0, "c": 0.0}) == pytest.approx(0.5)
    assert match(signature, {"a": -6.0, "b": 6.0, "c": 0.0}) <= 0.0


def test_an_asset_without_relations_has_nothing_to_say() -> None:
    nothing = np.empty(0)
    assert worst_sign((), nothing, ()) == ""
    assert diagnosis((), GenericAssets.signatures, nothing, ()) is None


@pytest.mark.parametrize("model", [CentrifugalPumps([]), Compressors([])])
def test_signatures_speak_of_explained_signals(model: AssetModel) -> None:
    explained = {relation.signal for relation in model.relations}
    for signature in model.signatures:
        assert {signal for signal, _ in signature.signs} <= explained


def test_names_for_people_and_for_columns() -> None:
    relation = Relation(
        signal="oil_temperature_degc",
        roles=("oil_temperature_degc",),
        terms=(Term(name="x", prior=1.0, spread=0.1),),
    )
    assert relation.column == "oil_temperature_residual_k"
    assert spoken("oil_temperature_degc") == "oil temperature"
    assert spoken("vibration_mm_s") == "vibration"
