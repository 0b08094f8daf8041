"""What an OPC UA server can take: what it says itself, and what is known of its make. Pure.

A server states its limits in its ServerCapabilities (OPC 10000-5, 6.3.2); many leave them out,
and small controllers state more than they do well. So there is a table of makes beside it, and the
lower of both numbers counts. What is not known of a make stays as for any server.
"""

import math
from dataclasses import dataclass
from enum import StrEnum


class Profile(StrEnum):
    """Makes of servers with habits of their own."""

    AUTO = "auto"
    """As the server's own name says."""
    GENERIC = "generic"
    S7_1200 = "s7-1200"
    S7_1500 = "s7-1500"
    KEPWARE = "kepware"
    IGNITION = "ignition"
    PROSYS = "prosys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How to treat a server."""

    items_per_call: int = 1000
    """Monitored items that are made in one call."""
    items_max: int | None = None
    """Monitored items that it has for us altogether; None is no known limit."""
    items_per_subscription: int | None = None
    subscriptions_max: int | None = None
    nodes_per_read: int = 1000
    """Values that are read in one call."""
    reads_in_flight: int = 1
    """Reads that are sent before the first is answered."""
    takes_filters: bool = True
    """Whether it knows the DataChangeFilter: dead bands, and reports of new times alone."""
    sampling_ms_min: float = 0.0
    """Shortest interval at which it looks at a value."""


TRAITS: dict[Profile, Traits] = {
    # A thousand operations in a call is what OPC UA clients use by habit; more saves nothing.
    Profile.GENERIC: Traits(),
    # 1000 items and no DataChangeFilter (it has the Micro Embedded Device profile): Siemens,
    # entry 109755846, "system limits of the OPC UA server". The sizes of calls are cautious values
    # for a small controller, not Siemens'.
    Profile.S7_1200: Traits(
        items_per_call=100, items_max=1000, nodes_per_read=200, takes_filters=False
    ),
    # 10,000 items: Siemens, as above, for the larger CPUs. The size of calls is a cautious value.
    Profile.S7_1500: Traits(items_per_call=500, items_max=10_000),
    Profile.KEPWARE: Traits(),
    # It handles 64 operations of a session at a time, as its maker states.
    Profile.IGNITION: Traits(reads_in_flight=4),
    # The size of calls is a cautious value, below that of habit, not its maker's.
    Profile.PROSYS: Traits(items_per_call=800),
}
"""What is known of each make: its maker's limits with their source, else cautious values."""

_WORDS: tuple[tuple[Profile, tuple[str, ...]], ...] = (
    (Profile.S7_1200, ("s7-1200",)),
    (Profile.S7_1500, ("s7-1500",)),
    (Profile.KEPWARE, ("kepserver", "kepware")),
    (Profile.IGNITION, ("ignition", "inductive automation")),
    (Profile.PROSYS, ("prosys",)),
)
"""Words in a server's manufacturer and product name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of itself; None, or an empty name, where it says nothing."""

    manufacturer: str = ""
    product: str = ""
    items_per_call: int | None = None
    nodes_per_read: int | None = None
    items: int | None = None
    items_per_subscription: int | None = None
    subscriptions: int | None = None
    sampling_ms_min: float | None = None


def profile_of(facts: ServerFacts) -> Profile:
    """Return the make that a server's names tell of; generic when they tell of none."""
    names = f"{facts.manufacturer} {facts.product}".lower()
    for profile, words in _WORDS:
        if any(word in names for word in words):
            return profile
    return Profile.GENERIC


def traits_of(profile: Profile, facts: ServerFacts) -> Traits:
    """Return how to treat a server: the lower of what it says and what is known of its make.

    Args:
        profile: As configured.
        facts: As the server says; 0 counts as unsaid (OPC 10000-5, 6.3.11: no limit).
    """
    known = TRAITS[profile_of(facts) if profile is Profile.AUTO else profile]
    return Traits(
        items_per_call=_lower(known.items_per_call, facts.items_per_call) or known.items_per_call,
        items_max=_lower(known.items_max, facts.items),
        items_per_subscription=_lower(known.items_per_subscription, facts.items_per_subscription),
        subscriptions_max=_lower(known.subscriptions_max, facts.subscriptions),
        nodes_per_read=_lower(known.nodes_per_read, facts.nodes_per_read) or known.nodes_per_read,
        reads_in_flight=known.reads_in_flight,
        takes_filters=known.takes_filters,
        sampling_ms_min=max(known.sampling_ms_min, _finite(facts.sampling_ms_min)),
    )


def _lower(known: int | None, said: int | None) -> int | None:
    """Return the lower of two limits, where missing and 0 are none."""
    limits = [limit for limit in (known, said) if limit is not None and limit > 0]
    return min(limits, default=None)


def _finite(number: float | None) -> float:
    return number if number is not None and math.isfinite(number) else 0.0
