"""The state of a twin, as the console, the local API and an export show it."""

from dataclasses import dataclass

from gateway.core.prognosis import Prognosis
from gateway.core.rows import AssetId, OperatingState
from gateway.core.tags import TagId


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One reported value of an asset beside what its physics expects."""

    name: str
    """Role of the signal in the asset type, unit last, such as `flow_m3h`."""
    tag: TagId
    """The tag it comes from."""
    unit: str
    """UCUM code."""
    value: float
    """Last reported value; NaN while unknown or Bad."""
    status: int
    """OPC UA status code of the value."""
    time_ns: int
    """Source time of the value, UTC; 0 before the first one."""
    expected: float | None = None
    """What the physics gives for the present operating point; None where it has no opinion."""
    tolerance: float | None = None
    """Half width of the band in which the value is normal, in the same unit."""
    share: float | None = None
    """Part of the present anomaly score that this signal explains, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinState:
    """One asset as its twin knows it."""

    asset: AssetId
    asset_type: str
    """Such as `centrifugal_pump`."""
    state: OperatingState
    health: float | None
    """0 (failed) to 1 (as new); None while it cannot be told."""
    score: float | None
    """Anomaly score over its threshold: above 1 is anomalous; None while it cannot be told."""
    as_of_ns: int
    """Time of the newest data in it, UTC; 0 before the first."""
    worst_sign: str
    """The weightiest reason in a few words; empty when there is none."""
    advice: str
    """What to check, in a sentence; empty when nothing is wrong."""
    signals: tuple[Signal, ...]
    """In the asset type's order."""
    reasons: tuple[str, ...] = ()
    """Why the health is not what it should be, the weightiest first."""
    prognosis: Prognosis | None = None
    """What is left; None where nobody can tell."""
