"""Whether a unit is dead or the connection, as a story of answers and silences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.silences import SILENCES_MAX, Silences


def played(story: str) -> Silences:
    """Play `a1 s2 ...`: unit 1 answers, unit 2 lets its time pass."""
    silences = Silences()
    for step in story.split():
        (silences.answered if step[0] == "a" else silences.passed)(int(step[1:]))
    return silences


@pytest.mark.parametrize(
    ("story", "open_units", "is_dead"),
    [
        ("a1 s1", {1}, True),
        ("s1", {1}, True),
        ("a1 a2 s1", {1, 2}, False),
        ("a1 a2 s1 s2", {1, 2}, True),
        ("a1 a2 s1 a2 s1 a2 s1 a2 s1", {1, 2}, False),
        ("a1 a3 s1 s1", {1, 3}, False),
        ("a1 a3 s1 s1 s1", {1, 3}, True),
        ("a3 s1 s1 s1 s1 s1 s1", {1, 3}, False),
        ("s1 s2", {2}, True),
    ],
)
def test_a_story_has_its_end(story: str, open_units: set[int], is_dead: bool) -> None:
    assert played(story).is_connection_dead(open_units) is is_dead


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=40))
def test_a_unit_that_answers_in_between_keeps_the_connection(
    steps: list[tuple[bool, int]],
) -> None:
    """Unit 9 answers after every silence of the others: it alone shows that there is life."""
    silences = Silences()
    for is_answer, unit in steps:
        if is_answer:
            silences.answered(unit)
        else:
            silences.passed(unit)
            assert not silences.is_connection_dead({1, 2, 3, 4, 9})
            silences.answered(9)


@given(st.lists(st.integers(1, 4), min_size=SILENCES_MAX))
def test_silence_alone_ends_every_connection_that_has_worked(units: list[int]) -> None:
    silences = Silences()
    for unit in range(1, 5):
        silences.answered(unit)
    for unit in units:
        silences.passed(unit)
    assert silences.is_connection_dead({1, 2, 3, 4, 9})
