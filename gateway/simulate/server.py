"""What the simulated servers have in common: they serve, and they fail in three ways."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.core.tags import TagId
from gateway.simulate.books import OfferedBook
from gateway.simulate.faults import FaultKind


class ServerState(StrEnum):
    """How a server treats its clients."""

    STOPPED = "stopped"
    SERVING = "serving"
    DEAD = "dead"
    """Connections were reset, sessions are forgotten, nobody listens."""
    HUNG = "hung"
    """Connections stand and are accepted, and nothing is ever answered."""
    REFUSING = "refusing"
    """Connections were closed in good order, and new ones are refused."""


STATE_OF_FAULT = {
    FaultKind.SERVER_DIES: ServerState.DEAD,
    FaultKind.SERVER_HANGS: ServerState.HUNG,
    FaultKind.SERVER_REFUSES: ServerState.REFUSING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedNode:
    """One variable of the server."""

    identifier: str
    """String identifier; what stands before the dot becomes its object."""
    tag: TagId
    """How the books call it."""
    unit: str = ""
    """UCUM code; empty is unknown."""
    low: float = -math.inf
    """Lower end of its range; no `EURange` when infinite."""
    high: float = math.inf
    """Upper end of its range."""
    is_writable: bool = False


class SimulatedServer(Protocol):
    """One protocol server of the plant."""

    @property
    def name(self) -> str:
        """`opcua` or `modbus`; what a server fault names."""

    @property
    def endpoint(self) -> str:
        """Where it listens, with the actual port."""

    @property
    def state(self) -> ServerState:
        """How it treats its clients now."""

    @property
    def book(self) -> OfferedBook:
        """What it has offered."""

    async def start(self, values: Sequence[float], time_ns: int) -> None:
        """Begin to serve, with these values: nobody ever sees a server without any.

        Args:
            values: As in `show`.
            time_ns: As in `show`.
        Raises:
            ConfigError: the address is not to be had.
        """

    async def stop(self) -> None:
        """Close everything."""

    async def show(self, values: Sequence[float], time_ns: int) -> None:
        """Make these the present values, in the server's order, with their source time."""

    async def fail(self, state: ServerState) -> None:
        """Go into one of the three failed states; from another one, by way of serving."""

    async def restore(self) -> None:
        """Serve again, on the same port."""
