"""Who gets which values: what the server reports and what is polled, within its limits. Pure.

Monitored items are scarce on small controllers. The fastest groups are watched first, since a
poll would cost them most; what finds no room is polled at the rate of its group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.opcua.data_settings import RateSettings
from connectors.opcua.limits import Traits
from connectors.opcua.monitor import Item
from connectors.opcua.subscribe import Plan
from connectors.opcua.tags import OpcuaRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """What is watched, and what is polled."""

    plans: tuple[Plan, ...]
    """Subscriptions."""
    rest: tuple[Item, ...]
    """Items that should be watched, and for which the server has no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person wants, whatever the server has room for; a handle is a tag's position."""

    plans: tuple[Plan, ...]
    """A subscription for each group that is reported."""
    polled: tuple[Item, ...]
    periods_ms: dict[int, int]
    """How often each tag is, or would be, polled; by its handle."""


def wishes_of(
    rows: Sequence[OpcuaRow],
    config: RateSettings,
    groups: Mapping[str, RateSettings],
    *,
    keep_alive_s: float,
    queue_size: int,
    reports_updates: bool,
) -> Wishes:
    """Return what the node list and the configuration ask for.

    Args:
        rows: The node list.
        config: Rates of the tags without a group.
        groups: Rates of the groups.
        keep_alive_s: How often the server says that it is there.
        queue_size: Values of each tag that it keeps.
        reports_updates: Whether a new source time alone is reported.
    """
    plans, polled = [], []
    periods_ms: dict[int, int] = {}
    for name in sorted({row.entry.group for row in rows}):
        rate = groups[name] if name else config
        items = [
            item_of(row, handle, rate, queue_size=queue_size, reports_updates=reports_updates)
            for handle, row in enumerate(rows)
            if row.entry.group == name
        ]
        periods_ms |= dict.fromkeys((item.handle for item in items), poll_period_ms(rate))
        if rate.read == "poll":
            polled += items
        else:
            plans.append(
                Plan(
                    publishing_ms=rate.publishing_ms,
                    keep_alive_s=keep_alive_s,
                    items=tuple(items),
                )
            )
    return Wishes(plans=tuple(plans), polled=tuple(polled), periods_ms=periods_ms)


def item_of(
    row: OpcuaRow, handle: int, rate: RateSettings, *, queue_size: int, reports_updates: bool
) -> Item:
    """Return the item of a line of the node list."""
    entry, band = row.entry, row.dead_band
    size = band.size
    if band.is_percent:
        # The way out for a server that knows no percent: of the range that the list gives.
        span = entry.high - entry.low
        size = band.size / 100 * span if span < float("inf") else 0.0
    return Item(
        handle=handle,
        node=row.node,
        element=row.element,
        sampling_ms=rate.sampling_ms,
        queue_size=queue_size,
        dead_band=size / abs(entry.scale),
        dead_band_percent=band.size if band.is_percent else 0.0,
        reports_updates=reports_updates,
    )


def poll_period_ms(rate: RateSettings) -> int:
    """Return how often to poll: as set, or as often as a subscription would have reported."""
    if rate.read == "poll":
        return rate.period_ms
    return max(rate.sampling_ms, rate.publishing_ms)


def divide(plans: Sequence[Plan], traits: Traits) -> Division:
    """Return as much of the plans as the server has room for, in their order.

    Args:
        plans: One for each group.
        traits: Its limits on items, on items in a subscription, and on subscriptions.
    """
    room = _count(plans) if traits.items_max is None else traits.items_max
    subscription_room = (
        len(plans) + room if traits.subscriptions_max is None else (traits.subscriptions_max)
    )
    kept: list[tuple[int, Plan]] = []
    rest: list[Item] = []
    for place, plan in sorted(enumerate(plans), key=lambda placed: placed[1].publishing_ms):
        items = [
            replace(item, sampling_ms=max(item.sampling_ms, traits.sampling_ms_min))
            for item in plan.items
        ]
        size = traits.items_per_subscription or max(1, len(items))
        for at in range(0, len(items), size):
            part = items[at : at + size]
            taken = part[:room] if subscription_room > len(kept) else []
            if taken:
                kept.append((place, replace(plan, items=tuple(taken))))
                room -= len(taken)
            rest += part[len(taken) :]
    kept.sort(key=lambda placed: placed[0])
    return Division(plans=tuple(plan for _, plan in kept), rest=tuple(rest))


def _count(plans: Sequence[Plan]) -> int:
    return sum(len(plan.items) for plan in plans)
