"""Which address of a line is tried first."""

import pytest

from connectors.modbus.address_choice import AddressChoice, Ending


def test_without_a_backup_there_is_one_address() -> None:
    choice = AddressChoice(1, backup_s_min=600)
    for ending in Ending:
        choice.opened(0, 0.0)
        choice.ended(ending, 1.0)
        assert choice.order() == [0]


@pytest.mark.parametrize(
    ("ending", "order"),
    [(Ending.SILENT, [1, 0]), (Ending.BROKEN, [0, 1]), (Ending.WANTED, [0, 1])],
)
def test_the_first_is_left_when_it_stops_answering(ending: Ending, order: list[int]) -> None:
    choice = AddressChoice(2, backup_s_min=600)
    assert choice.order() == [0, 1]
    choice.opened(0, 0.0)
    choice.ended(ending, 1.0)
    assert choice.order() == order


@pytest.mark.parametrize(
    ("ending", "after_s", "order"),
    [
        (Ending.SILENT, 1.0, [0, 1]),
        (Ending.BROKEN, 1.0, [0, 1]),
        (Ending.WANTED, 599.0, [1, 0]),
        (Ending.WANTED, 600.0, [0, 1]),
    ],
)
def test_the_backup_is_left_in_trouble_or_after_good_time(
    ending: Ending, after_s: float, order: list[int]
) -> None:
    choice = AddressChoice(2, backup_s_min=600)
    choice.opened(1, 100.0)
    assert choice.current == 1
    choice.ended(ending, 100.0 + after_s)
    assert choice.order() == order
