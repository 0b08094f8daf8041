"""Units of machines into UCUM."""

import pytest

from connectors.ucum import ucum_of_code, ucum_of_spelling
from gateway.simulate.opcua import UNECE_CODES


@pytest.mark.parametrize("unit", sorted(set(UNECE_CODES) - {"/min"}))
def test_the_simulators_codes_come_back(unit: str) -> None:
    """The other direction was written apart from this one."""
    code, shown = UNECE_CODES[unit]
    assert ucum_of_code(int.from_bytes(code.encode(), "big")) == unit
    assert ucum_of_spelling(shown) == unit


def test_revolutions() -> None:
    assert ucum_of_code(int.from_bytes(b"RPM", "big")) == "{rev}/min"
    assert ucum_of_spelling("U/min") == "{rev}/min"


@pytest.mark.parametrize("unit_id", [0, -1, 2**40, int.from_bytes(b"ZZZ", "big"), 0xFFFFFF])
def test_an_unknown_code_is_no_unit(unit_id: int) -> None:
    assert ucum_of_code(unit_id) == ""


@pytest.mark.parametrize(
    ("text", "unit"),
    [("MW", "MW"), ("mW", "mW"), (" [°C] ", "Cel"), ("KW", "kW"), ("S", ""), ("l/blink", "")],
)
def test_spellings(text: str, unit: str) -> None:
    """Where a large letter is another unit, case counts."""
    assert ucum_of_spelling(text) == unit
