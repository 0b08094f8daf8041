"""Onset: many rows say so, and not one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.prognosis.onset import ROWS, Onset


def run(says_wear: list[bool]) -> list[bool]:
    onset = Onset(1)
    return [bool(onset.take(np.array([0]), np.array([each]))[0]) for each in says_wear]


def naive(says_wear: list[bool]) -> list[bool]:
    count, is_on, found = 0, False, []
    for says in says_wear:
        count = min(count + 1, ROWS) if says else max(count - 1, 0)
        if count == ROWS:
            is_on = True
        if count == 0:
            is_on = False
        found.append(is_on)
    return found


@given(st.lists(st.booleans(), max_size=80))
def test_it_is_a_bounded_count(says_wear: list[bool]) -> None:
    assert run(says_wear) == naive(says_wear)


def test_one_wild_row_neither_begins_nor_ends_it() -> None:
    assert run([False] * 5 + [True] + [False] * 5) == [False] * 11
    assert run([True] * 20 + [False] + [True] * 5)[ROWS - 1 :] == [True] * (27 - ROWS)


def test_it_comes_with_the_last_of_enough_rows() -> None:
    assert run([True] * ROWS) == [False] * (ROWS - 1) + [True]


def test_assets_do_not_touch_one_another_and_are_forgotten_alone() -> None:
    onset = Onset(2)
    for _ in range(ROWS):
        onset.take(np.array([0, 1]), np.array([True, True]))
    onset.forget(np.array([False, True]))
    assert onset.is_on.tolist() == [True, False]
    assert onset.take(np.array([1]), np.array([True])).tolist() == [False]
