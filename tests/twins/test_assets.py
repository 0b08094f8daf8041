"""From the configuration to twins."""

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.core.rows import AssetId
from gateway.core.tags import TagId
from gateway.wire.settings_file import mistakes_of
from tests.twins.frames import PUMP_ROLES, lone_pump, plant_settings
from twins import AssetTwin, CentrifugalPumpSettings, GenericSettings, TwinSettings, build_twins

TABLE: TypeAdapter[dict[str, TwinSettings]] = TypeAdapter(dict[str, TwinSettings])


def generic(*columns: str, **changes: object) -> GenericSettings:
    tags = {column: f"rig.{column}" for column in columns}
    return GenericSettings.model_validate({"tags": tags, **changes})


def mistakes(table: dict[str, object]) -> list[str]:
    with pytest.raises(ValidationError) as error:
        TABLE.validate_python({"P-101": table})
    return mistakes_of(error.value)


def test_assets_of_one_type_share_a_twin_in_the_order_of_the_configuration() -> None:
    pumps, compressor = build_twins(plant_settings(commissioning_rows=1))
    assert pumps.assets == ("P-101", "P-102")
    assert compressor.assets == ("K-01",)
    assert [pumps.name, compressor.name] == ["centrifugal_pump", "compressor"]


def test_generic_assets_share_a_twin_when_their_columns_are_the_same() -> None:
    twins: tuple[AssetTwin, ...] = build_twins(
        {
            AssetId("A"): generic("x", "y"),
            AssetId("B"): generic("x"),
            AssetId("C"): generic("x", "y"),
            AssetId("D"): generic("x", "y", period_s=10.0),
        }
    )
    assert [twin.assets for twin in twins] == [("A", "C"), ("B",), ("D",)]
    assert len({twin.name for twin in twins}) == 3


def test_the_experience_page_configuration_works() -> None:
    """Flow, current and vibration alone: the speed is the rated one, what needs more is absent."""
    tags = {
        "flow_m3h": "pumps.P101.Flow",
        "current_a": "pumps.P101.I",
        "vibration_mm_s": "pumps.P101.Vib",
    }
    table = TABLE.validate_python({"P-101": {"type": "centrifugal_pump", "tags": tags}})
    (twin,) = build_twins({AssetId(name): settings for name, settings in table.items()})
    names = [tag.id.removeprefix("P-101.") for tag in twin.derived_tags]
    assert "current_residual_a" in names
    assert "vibration_residual_mm_s" in names
    assert "flow_residual_m3h" not in names
    assert "npsh_margin_m" not in names
    assert "flow_residual_m3h" in twin.columns


def test_derived_tags_have_units_and_are_derived() -> None:
    twin, _ = lone_pump()
    units = {str(tag.id): tag.unit for tag in twin.derived_tags}
    assert all(tag.is_derived for tag in twin.derived_tags)
    assert units["P-101.flow_residual_m3h"] == "m3/h"
    assert units["P-101.bearing_temperature_residual_k"] == "K"
    assert units["P-101.vibration_residual_mm_s"] == "mm/s"
    assert units["P-101.npsh_margin_m"] == "m"
    assert units["P-101.health"] == ""


def test_a_wrong_role_is_named_with_the_right_ones() -> None:
    (line,) = mistakes({"type": "centrifugal_pump", "tags": {"flow": "a", "speed_rpm": "b"}})
    assert line.startswith("P-101.centrifugal_pump.tags.flow")
    assert "'flow_m3h'" in line


def test_a_pump_needs_something_that_tells_whether_it_runs() -> None:
    (line,) = mistakes({"type": "centrifugal_pump", "tags": {"flow_m3h": "a"}})
    assert "speed_rpm or current_a" in line


def test_a_curve_needs_to_fall() -> None:
    tags = {"speed_rpm": "a"}
    (line,) = mistakes({"type": "centrifugal_pump", "tags": tags, "shutoff_head_m": 30.0})
    assert "shutoff_head_m 30 is not above rated_head_m 50" in line


@pytest.mark.parametrize(
    "wrong", [{"period_s": 0}, {"stale_after_s": -1}, {"rated_flow_m3h": 0}, {"colour": "red"}]
)
def test_figures_out_of_bounds_and_unknown_keys_are_mistakes(wrong: dict[str, object]) -> None:
    (line,) = mistakes({"type": "centrifugal_pump", "tags": {"speed_rpm": "a"}, **wrong})
    assert next(iter(wrong)) in line


def test_every_field_is_described() -> None:
    for settings in plant_settings(commissioning_rows=1).values():
        for name, field in type(settings).model_fields.items():
            assert name == "type" or field.description, name


def test_what_the_gateway_adds_to_a_table_does_not_concern_a_checkpoint() -> None:
    class WithAlarms(CentrifugalPumpSettings):
        alarms: tuple[str, ...] = ()

    tags = {"speed_rpm": "a"}
    bare, alarmed = (
        build_twins({AssetId("P-101"): WithAlarms.model_validate({"tags": tags, "alarms": alarms})})
        for alarms in ((), ("high",))
    )
    alarmed[0].restore(bare[0].checkpoint())


def test_a_shared_tag_serves_several_assets() -> None:
    settings = plant_settings(commissioning_rows=1)
    ambient = TagId("plant.weather.temperature")
    shared = {
        asset: each.model_copy(update={"tags": {**each.tags, "ambient_temperature_degc": ambient}})
        for asset, each in settings.items()
        if each.type == "centrifugal_pump"
    }
    (twin,) = build_twins(shared)
    assert len(twin.measured_tags) == 2 * (len(PUMP_ROLES) - 1) + 1
