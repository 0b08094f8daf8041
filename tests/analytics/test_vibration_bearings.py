import pytest

from analytics.vibration.bearings import (
    TABLE,
    Geometry,
    bearing,
    bearing_of_geometry,
    bearing_of_orders,
)
from gateway.core.errors import ConfigError


def test_the_orders_of_the_6205_are_those_that_case_western_publishes() -> None:
    """BPFI 5.4152, BPFO 3.5848, FTF 0.39828, twice the BSF 4.7135."""
    found = bearing("6205")
    assert found.bpfi == pytest.approx(5.4152, abs=0.003)
    assert found.bpfo == pytest.approx(3.5848, abs=0.003)
    assert found.ftf == pytest.approx(0.39828, abs=0.0005)
    assert 2 * found.bsf == pytest.approx(4.7135, abs=0.005)


@pytest.mark.parametrize("name", TABLE)
def test_the_two_rings_share_the_rolling_elements(name: str) -> None:
    """Their orders add up to the number of elements, and the cage turns at BPFO over it."""
    found, geometry = bearing(name), TABLE[name]
    assert found.name == name
    assert found.bpfo + found.bpfi == pytest.approx(geometry.count)
    assert found.ftf == pytest.approx(found.bpfo / geometry.count)
    assert found.bpfo < found.bpfi
    assert 1 < found.bsf < 8


@pytest.mark.parametrize("text", ["6205", "SKF 6205-2RS", "6205-2RS JEM SKF", "skf6205", " 6205 "])
def test_a_designation_is_found_whatever_stands_around_it(text: str) -> None:
    assert bearing(text) == bearing("6205")


def test_a_longer_number_is_another_bearing() -> None:
    with pytest.raises(ConfigError, match="not in the table"):
        bearing("62050")


def test_geometry_and_orders_may_be_given_as_text() -> None:
    by_geometry = bearing("n=9 d=7.94 D=39.04 angle=0")
    assert by_geometry.bpfo == pytest.approx(bearing("6205").bpfo)
    by_orders = bearing("bpfo=3.58 bpfi=5.42 bsf=2.36 ftf=0.4")
    assert (by_orders.bpfo, by_orders.bsf) == (3.58, 2.36)


def test_a_contact_angle_brings_the_two_rings_together() -> None:
    straight = bearing_of_geometry(Geometry(count=16, diameter=8.4, pitch=71.5))
    slanted = bearing_of_geometry(Geometry(count=16, diameter=8.4, pitch=71.5, angle_deg=40))
    assert slanted.bpfi - slanted.bpfo < straight.bpfi - straight.bpfo


def test_two_orders_give_the_others() -> None:
    whole = bearing("6205")
    found = bearing_of_orders(bpfo=whole.bpfo, bpfi=whole.bpfi)
    assert found.bsf == pytest.approx(whole.bsf)
    assert found.ftf == pytest.approx(whole.ftf)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not in the table"),
        ("left one", "not in the table"),
        ("n=9 d=7.94", "all of them"),
        ("bpfo=3.5", "all of them"),
        ("n=9 d=50 D=39 angle=0", "below D"),
        ("n=9 d=7.9.4 D=39", "no number"),
        ("bpfo=107 bpfi=162", "divide hertz"),
        ("bpfo=5.4 bpfi=3.6", "bpfo below bpfi"),
        ("bpfo=3.6 bpfi=5.4 ftf=12", "ftf 12"),
    ],
)
def test_what_cannot_be_a_bearing_is_told_with_the_remedy(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        bearing(text)
