"""The search for addresses, against areas that are sets of them."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.address_search import AddressSearch
from connectors.modbus.registers import Area


def searched(existing: set[int], *, last: int = 999) -> tuple[set[int], int]:
    """Return what is found, and in how many requests."""
    search, count = AddressSearch(Area.HOLDING_REGISTER, last=last), 0
    while (ask := search.ask) is not None:
        assert ask.end - 1 <= last
        search.take(is_answered=set(range(ask.first, ask.end)) <= existing)
        count += 1
        assert count < 5000
    return {address for span in search.found for address in range(span.first, span.end)}, count


@given(st.sets(st.integers(0, 300)))
def test_only_what_is_there_is_found(existing: set[int]) -> None:
    found, _ = searched(existing, last=300)
    assert found <= existing


@given(st.integers(0, 700), st.integers(30, 300))
def test_a_block_of_a_usual_size_is_found_whole(first: int, size: int) -> None:
    existing = set(range(first, first + size))
    found, count = searched(existing)
    assert found == existing
    assert count <= 200


def test_an_empty_area_costs_little() -> None:
    """Six requests for a hundred addresses."""
    assert searched(set()) == (set(), 60)


def test_neighbours_are_one_block() -> None:
    search = AddressSearch(Area.COIL, last=199)
    while search.ask is not None:
        search.take(is_answered=True)
    assert [(span.first, span.end) for span in search.found] == [(0, 200)]
