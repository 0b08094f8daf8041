"""Faults: what goes wrong in the plant, where, when, how fast and how badly."""

import math
from dataclasses import dataclass
from enum import StrEnum

from gateway.simulate.points import ASSETS, COMPRESSORS, PUMPS, roles_of

WEAR_STEEPNESS = 2.5
"""A damaged bearing wears the faster the worse it is: growth follows exp(2.5 x)."""


class FaultKind(StrEnum):
    """What goes wrong."""

    BEARING_WEAR = "bearing_wear"
    """Bearing temperature and vibration rise, the current a little."""
    CAVITATION = "cavitation"
    """The suction pressure falls; vibration rises, flow and head become unsteady and fall."""
    CLOGGED_FILTER = "clogged_filter"
    """The filter's pressure drop rises; suction pressure and flow fall."""
    SENSOR_FROZEN = "sensor_frozen"
    """A sensor shows its last value for ever."""
    SENSOR_DRIFT = "sensor_drift"
    """A sensor shows more and more."""
    SERVER_DIES = "server_dies"
    """Connections are reset, sessions are forgotten, nobody listens."""
    SERVER_HANGS = "server_hangs"
    """Connections stand and are accepted, and nothing is ever answered."""
    SERVER_REFUSES = "server_refuses"
    """Connections are closed in good order, and new ones are refused."""


SENSOR_FAULTS = frozenset({FaultKind.SENSOR_FROZEN, FaultKind.SENSOR_DRIFT})
SERVER_FAULTS = frozenset({FaultKind.SERVER_DIES, FaultKind.SERVER_HANGS, FaultKind.SERVER_REFUSES})
SERVERS = ("opcua", "modbus")
"""What stands in `Fault.asset` for a server fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of one asset, sensor or server."""

    kind: FaultKind
    asset: str
    """Asset such as `P-101`; for a server fault the server, `opcua` or `modbus`."""
    onset_s: float
    """When it begins, in seconds of the plant's time since its start; not negative."""
    growth_s: float = 0.0
    """How long it takes to reach its size; 0 is at once. Server and frozen-sensor faults ignore
    it."""
    size: float = 1.0
    """How bad it gets, 0 to 1; 1 is a machine that a person would stop."""
    signal: str | None = None
    """Role of the sensor, such as `flow_m3h`; given exactly for the sensor faults."""
    duration_s: float | None = None
    """How long until it is repaired, from its onset on; None is for ever."""

    def __post_init__(self) -> None:
        """Check what the field docstrings promise."""
        assert isinstance(self.kind, FaultKind), self.kind
        mistake = fault_mistake(self.kind, self.asset, self.signal)
        assert not mistake, mistake
        assert self.onset_s >= 0.0, self.onset_s
        assert self.growth_s >= 0.0, self.growth_s
        assert 0.0 <= self.size <= 1.0, self.size

    def is_present(self, elapsed_s: float) -> bool:
        """Return whether it has begun and is not yet repaired."""
        since_s = elapsed_s - self.onset_s
        return since_s >= 0.0 and (self.duration_s is None or since_s < self.duration_s)

    def growth(self, elapsed_s: float) -> float:
        """Return how far it has grown towards its size, 0 to 1; 0 while it is not present."""
        if not self.is_present(elapsed_s):
            return 0.0
        since_s = elapsed_s - self.onset_s
        if since_s >= self.growth_s:
            return 1.0
        share = since_s / self.growth_s
        if self.kind is FaultKind.BEARING_WEAR:
            return math.expm1(WEAR_STEEPNESS * share) / math.expm1(WEAR_STEEPNESS)
        return share


def fault_mistake(kind: FaultKind, asset: str, signal: str | None) -> str:
    """Return what is wrong with this combination in a sentence; empty when nothing is."""
    if kind in SERVER_FAULTS:
        allowed: tuple[str, ...] = SERVERS
    elif kind is FaultKind.CAVITATION:
        allowed = PUMPS
    else:
        allowed = ASSETS
    if asset not in allowed:
        return f"Asset {asset!r} cannot have {kind}: use one of {', '.join(allowed)}"
    if kind not in SENSOR_FAULTS:
        return "" if signal is None else f"A signal is given, but {kind} concerns none: remove it"
    if signal not in roles_of(asset):
        return f"Signal {signal!r} is none of {asset}: use one of {', '.join(roles_of(asset))}"
    return ""


def kinds_of(asset: str) -> tuple[FaultKind, ...]:
    """Return the faults of machine and sensors that an asset can have."""
    machine = [FaultKind.BEARING_WEAR, FaultKind.CLOGGED_FILTER]
    if asset not in COMPRESSORS:
        machine.insert(1, FaultKind.CAVITATION)
    return (*machine, FaultKind.SENSOR_FROZEN, FaultKind.SENSOR_DRIFT)
