"""How values are written for people."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.format import (
    age,
    around,
    bar,
    chart,
    counted,
    duration,
    label,
    number,
    parse_duration,
    size,
    spark,
    status_words,
    when,
)
from gateway.core.units import printed_unit

NOW = datetime(2026, 3, 1, 13, 2, 11, tzinfo=UTC)
VALUES = st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=40)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (0.4973, "0.497"),
        (0.001234, "1.23e-03"),
        (52.4, "52.40"),
        (143.04, "143.0"),
        (2961.3, "2961"),
        (-8.5, "-8.50"),
        (98_211_400.0, "98.2 M"),
    ],
)
def test_values_have_three_to_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("expected", "tolerance", "text"),
    [
        (61.83, 2.1, "61.8 ±2.1"),
        (0.1204, 0.04, "0.12 ±0.04"),
        (82.2, 4.0, "82 ±4"),
        (1042.0, 35.0, "1042 ±35"),
        (7.5, None, "7.50"),
    ],
)
def test_an_expectation_is_as_exact_as_its_band(
    expected: float, tolerance: float | None, text: str
) -> None:
    assert around(expected, tolerance) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.43, "0.4 s"),
        (94.0, "94 s"),
        (840.0, "14 min"),
        (7200.0, "2 h"),
        (41 * 86_400.0, "41 d"),
    ],
)
def test_durations_use_one_unit(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("15 min", 900.0),
        ("8h", 28_800.0),
        ("1d 12h", 129_600.0),
        ("1.5 h", 5_400.0),
        ("", None),
        ("soon", None),
        ("8", None),
        ("3y", None),
    ],
)
def test_typed_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


def test_a_clock_ahead_of_the_gateway_s_is_no_negative_age() -> None:
    assert age(NOW + timedelta(seconds=5), NOW) == "0 s"


def test_days_are_said_only_when_they_differ() -> None:
    assert when(NOW - timedelta(hours=1), NOW, UTC) == "12:02:11"
    assert when(NOW - timedelta(days=2), NOW, UTC) == "27 Feb 13:02"
    assert when(NOW - timedelta(days=900), NOW, UTC) == "2023-09-13"


@pytest.mark.parametrize(
    ("code", "printed"), [("m3/h", "m³/h"), ("Cel", "°C"), ("{rev}/min", "rpm"), ("lx", "lx")]
)
def test_units_are_in_the_field_s_spelling(code: str, printed: str) -> None:
    assert printed_unit(code) == printed


def test_names_lose_the_unit_that_stands_beside_them() -> None:
    assert label("discharge_pressure_bar") == "discharge pressure"
    assert label("vibration_mm_s") == "vibration"
    assert label("filter_clogged") == "filter clogged"


def test_a_status_code_is_words_where_it_is_known() -> None:
    words = [status_words(code) for code in (0, 0x0000_0400, 0x8034_0000, 0x808C_0400)]
    assert words == ["", "", "node id unknown", "sensor failure"]
    assert status_words(0x8000_0000) == "bad"
    assert status_words(0x9999_0000) == "status 0x99990000"


def test_sizes_and_counts() -> None:
    assert (size(999), size(251_000_000)) == ("999 B", "239 MiB")
    assert (counted(9999), counted(10_500), counted(1_036_800)) == ("9999", "10.5 k", "1.04 M")


def test_a_spark_line_ends_at_the_newest_value_and_keeps_gaps() -> None:
    assert spark([0.0, None, 1.0], 5) == "  ▁ █"


def test_noise_is_flat() -> None:
    assert spark([50.0, 50.1, 50.0, 50.1], 4) == "▁▁▁▁"


@given(VALUES, st.integers(1, 30))
def test_every_drawing_fills_its_place_exactly(values: list[float | None], width: int) -> None:
    assert len(spark(values, width)) == width
    lines = chart(values, width, 4)
    assert [len(line) for line in lines] == [width] * 4


@given(st.one_of(st.none(), st.floats(-1, 2)), st.integers(1, 30))
def test_a_bar_has_its_width_whatever_the_share(share: float | None, width: int) -> None:
    assert len(bar(share, width)) == width
