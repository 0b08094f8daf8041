"""What the simulated servers have in common: they serve, and they fail in three ways."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

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

    async def start(self) -> None:
        """Begin to serve.

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
