"""What `edgewright init` asks on a terminal, and what it needs where there is none."""

import asyncio
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import click

from gateway.cli.opcua_access import SECURITY
from gateway.commission.site import CONFIG_NAME

PORTS_FOLDER = Path("/dev/serial/by-id")
NEEDS = """\
init needs a machine; on a terminal it would ask. Without one, give
  --opcua ENDPOINT --security ...        browse a server, such as opc.tcp://10.0.4.20:4840
  --modbus HOST:PORT --map vendor.csv    read a vendor's register map
and --id NAME for a new configuration. Serial ports here: {ports}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person wants, as far as it is known."""

    gateway_id: str | None
    opcua: str | None
    modbus: str | None
    name: str | None
    security: str | None
    map_file: Path | None
    out: Path

    def complete(self) -> "Wishes":
        """Return them when nothing is missing.

        Raises:
            click.UsageError: something is; says what.
        """
        if self.opcua is None and self.modbus is None:
            raise click.UsageError(NEEDS.format(ports=serial_ports()))
        if self.opcua is not None and self.modbus is not None:
            raise click.UsageError("one machine at a time: --opcua or --modbus")
        if self.modbus is not None and self.map_file is None:
            raise click.UsageError("--modbus needs --map, the vendor's register map as CSV")
        return self


def serial_ports() -> str:
    """Return the serial ports by the names that stay, for a person."""
    names = sorted(PORTS_FOLDER.iterdir()) if PORTS_FOLDER.is_dir() else []
    return ", ".join(map(str, names)) or "none"


def asked(wishes: Wishes, *, timeout_s: float) -> Wishes:
    """Return the wishes with what a person answers to questions about the rest."""
    if wishes.gateway_id is None and not (wishes.out / CONFIG_NAME).exists():
        name = socket.gethostname()
        wishes = replace(wishes, gateway_id=click.prompt("Name of the gateway", default=name))
    if wishes.opcua is None and wishes.modbus is None:
        where = click.prompt(
            "Machine (opc.tcp://HOST:PORT, HOST:PORT of a Modbus device, or a serial port: "
            f"{serial_ports()})"
        )
        if where.startswith("opc.tcp://"):
            wishes = replace(wishes, opcua=where)
        else:
            wishes = replace(wishes, modbus=where)
    if wishes.modbus is not None and wishes.map_file is None:
        path = click.prompt("The vendor's register map (CSV)", type=click.Path(path_type=Path))
        wishes = replace(wishes, map_file=path)
    if wishes.name is None:
        known = wishes.map_file.stem if wishes.map_file else "machine"
        wishes = replace(wishes, name=click.prompt("What shall it be called", default=known))
    if wishes.opcua is not None and wishes.security is None:
        wishes = replace(wishes, security=_security(wishes.opcua, timeout_s))
    return wishes.complete()


def _security(endpoint: str, timeout_s: float) -> str:
    """Ask how to connect, among what the server offers and we can do."""
    from connectors.opcua.discover import ask_offers, offers_text

    offers = asyncio.run(ask_offers(endpoint, timeout_s=timeout_s))
    click.echo(f"The server offers:\n{offers_text(offers)}")
    ours = [policy for policy in SECURITY if policy in {offer.policy for offer in offers}]
    # The strongest is the default; to go without is a person's own word.
    default = next((policy for policy in ours if policy != "None"), None)
    answer: str = click.prompt("Security", type=click.Choice(ours), default=default)
    return answer
