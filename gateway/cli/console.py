"""`edgewright console`: the terminal UI for technicians."""

from pathlib import Path

import click

from gateway.cli.local import socket_option
from gateway.console.app import ConsoleApp


@click.command("console")
@socket_option
def command(socket: Path) -> None:
    """Show the plant in the terminal: assets, alarms, devices, deliveries and models.

    All keys are on the screen; `?` explains them. The console may stay open while the gateway
    restarts: it says since when it is gone and why, and finds it again by itself.
    """
    ConsoleApp(socket).run()
