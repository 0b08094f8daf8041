"""Who gets which values, within what the server has room for."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.data_settings import RateSettings
from connectors.opcua.limits import Traits
from connectors.opcua.monitor import Item, filters_of
from connectors.opcua.nodes import parse_node
from connectors.opcua.plan import divide, wishes_of
from connectors.opcua.subscribe import Plan
from connectors.opcua.tags import OpcuaRow, read_opcua_tags

ROOM = st.none() | st.integers(1, 12)


def item(handle: int, **settings: float) -> Item:
    given_: dict[str, float] = {"dead_band": 0.0, "dead_band_percent": 0.0} | settings
    return Item(
        handle=handle,
        node=parse_node(f"ns=2;i={handle}"),
        sampling_ms=100.0,
        queue_size=10,
        dead_band=given_["dead_band"],
        dead_band_percent=given_["dead_band_percent"],
        reports_updates=bool(given_.get("reports_updates", 0)),
    )


def plans_of(sizes: list[tuple[int, int]]) -> list[Plan]:
    """Return a plan for each publishing interval and number of items."""
    plans, handle = [], 0
    for publishing_ms, count in sizes:
        items = tuple(item(handle + number) for number in range(count))
        plans.append(Plan(publishing_ms=publishing_ms, keep_alive_s=5.0, items=items))
        handle += count
    return plans


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), max_size=5), ROOM, ROOM, ROOM)
def test_limits_are_kept_and_nothing_is_lost(
    sizes: list[tuple[int, int]],
    items_max: int | None,
    per_subscription: int | None,
    subscriptions_max: int | None,
) -> None:
    """Each item is watched or left over, once; what is left over found no room."""
    plans = plans_of(sizes)
    traits = Traits(
        items_max=items_max,
        items_per_subscription=per_subscription,
        subscriptions_max=subscriptions_max,
    )
    division = divide(plans, traits)
    watched = [one.handle for plan in division.plans for one in plan.items]
    rest = [one.handle for one in division.rest]
    count = sum(size for _, size in sizes)
    assert sorted(watched + rest) == list(range(count))
    assert len(watched) <= (count if items_max is None else items_max)
    assert len(division.plans) <= (math.inf if subscriptions_max is None else subscriptions_max)
    for plan in division.plans:
        assert 1 <= len(plan.items) <= (per_subscription or count)
    if items_max is None and subscriptions_max is None:
        assert rest == []
    if items_max is not None and subscriptions_max is None:
        assert len(watched) == min(items_max, count)


def test_the_fastest_are_watched_first() -> None:
    division = divide(plans_of([(1000, 3), (50, 3)]), Traits(items_max=4))
    assert [plan.publishing_ms for plan in division.plans] == [1000, 50]
    assert [one.handle for one in division.rest] == [1, 2]


def test_no_item_is_sampled_faster_than_the_server_can() -> None:
    [plan] = divide(plans_of([(50, 1)]), Traits(sampling_ms_min=250.0)).plans
    assert plan.items[0].sampling_ms == 250.0


def rows_of(folder: Path, text: str) -> tuple[OpcuaRow, ...]:
    (folder / "n.csv").write_text(text, encoding="utf-8")
    return read_opcua_tags(folder / "n.csv")


def test_a_dead_band_is_in_the_server_s_numbers(tmp_path: Path) -> None:
    """Percent stays percent, with the list's range, in the server's numbers, as the way out."""
    rows = rows_of(
        tmp_path,
        "tag,node,dead_band,scale,low,high\na,i=1,0.5,-0.1,,\nb,i=2,5%,0.1,0,20\nc,i=3,5%,,,\n",
    )
    wishes = wishes_of(
        rows, RateSettings(), {}, keep_alive_s=5.0, queue_size=10, reports_updates=False
    )
    [plan] = wishes.plans
    assert [(one.dead_band, one.dead_band_percent) for one in plan.items] == [
        (pytest.approx(5.0), 0.0),
        (pytest.approx(10.0), 5.0),
        (0.0, 5.0),
    ]


def test_groups_are_reported_or_polled(tmp_path: Path) -> None:
    """What is polled in need has the rate at which it would have been reported."""
    rows = rows_of(tmp_path, "tag,node,group\na,i=1,\nb,i=2,slow\nc,i=3,fast\n")
    groups = {
        "slow": RateSettings(read="poll", period_ms=60_000),
        "fast": RateSettings(sampling_ms=100, publishing_ms=50),
    }
    wishes = wishes_of(
        rows, RateSettings(), groups, keep_alive_s=5.0, queue_size=10, reports_updates=False
    )
    assert [[one.handle for one in plan.items] for plan in wishes.plans] == [[0], [2]]
    assert [one.handle for one in wishes.polled] == [1]
    assert wishes.periods_ms == {0: 1000, 1: 60_000, 2: 100}


def test_filters_go_from_the_best_to_none() -> None:
    kinds = [
        None if one is None else int(one.DeadbandType)
        for one in filters_of(
            item(1, dead_band=2.0, dead_band_percent=5.0, reports_updates=1), takes_filters=True
        )
    ]
    assert kinds == [2, 1, 0, None]
    assert filters_of(item(1), takes_filters=True) == (None,)
    assert filters_of(item(1, dead_band=2.0), takes_filters=False) == (None,)
