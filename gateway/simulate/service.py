"""The simulated plant as a process: simulation and control interface, until cancelled."""

from collections.abc import Callable
from pathlib import Path

from gateway.core.ports import Clock
from gateway.simulate.control import ControlSite
from gateway.simulate.simulation import Simulation, SimulatorSettings, book_path


async def run(
    settings: SimulatorSettings, *, clock: Clock, on_ready: Callable[[Simulation], None]
) -> None:
    """Simulate and serve until cancelled.

    Args:
        settings: What and where.
        clock: Time.
        on_ready: Called once the servers listen.
    """
    simulation = Simulation(settings, clock=clock)
    try:
        await simulation.start()
        async with ControlSite(simulation, control_path(settings.state)):
            on_ready(simulation)
            await simulation.play()
    finally:
        await simulation.stop()


def control_path(state: Path) -> Path:
    """Return where the control socket is."""
    return state / "control.sock"


def endpoints_of(simulation: Simulation) -> dict[str, object]:
    """Return where everything is: what the command prints first with `--json`."""
    state = simulation.settings.state.resolve()
    return {
        **{name: server.endpoint for name, server in simulation.servers.items()},
        "control": str(control_path(state)),
        "books": {
            server.book.connector: str(book_path(state, server.book.connector))
            for server in simulation.servers.values()
        },
    }
