"""`edgewright init`: a configuration and tag lists, from a server or a register map."""

import asyncio
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connectors.modbus.vendor_columns import Meaning
from connectors.modbus.vendor_map import VendorMap, read_vendor_map
from connectors.opcua.address_space import path_pattern
from connectors.opcua.nodes import NodeAddress, parse_node
from connectors.opcua.security import NO_SECURITY, SecuritySettings
from gateway.cli import EXIT_FAILED
from gateway.cli.browse import Finder, Question, checked_endpoint
from gateway.cli.init_questions import Wishes, asked, serial_ports
from gateway.cli.opcua_access import Access, Login, access_options, done_within, opened
from gateway.commission.config_text import Value
from gateway.commission.proposal import Proposal
from gateway.commission.site import Site
from gateway.core.errors import DeviceError

if TYPE_CHECKING:
    from gateway.commission.site import Machine

WITHIN_S = 600.0
MODBUS_PORT = 502
SERIAL_FOLDER = "/dev/"
PREVIEW_ROWS = 3


@click.command("init")
@click.option("--id", "gateway_id", help="Name of the gateway, for a new configuration.")
@click.option("--opcua", help="Endpoint of an OPC UA server, such as opc.tcp://10.0.4.20:4840.")
@click.option("--modbus", help="Modbus device: HOST:PORT, or /dev/serial/by-id/....")
@click.option("--name", help="Of the machine in the configuration, such as pumps.")
@click.option("--node", help="OPC UA: where to start; the Objects folder without.")
@click.option("--filter", "glob", help="OPC UA: pattern for paths, such as 'Plant/P101/**'.")
@click.option("--unit", type=click.IntRange(0, 255), default=1, help="Modbus: unit number.")
@click.option(
    "--map",
    "map_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Modbus: the vendor's register map, as CSV.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Modbus: which column of the map is which, such as address=Register.",
)
@click.option("--writable", is_flag=True, help="Let commands write what the machine lets us write.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder for the configuration; the present one without.",
)
@click.option("--apply", "applies", is_flag=True, help="Change files that are there already.")
@access_options
def command(
    *,
    gateway_id: str | None,
    opcua: str | None,
    modbus: str | None,
    name: str | None,
    node: str | None,
    glob: str | None,
    unit: int,
    map_file: Path | None,
    columns: tuple[str, ...],
    writable: bool,
    out: Path,
    applies: bool,
    login: Login,
) -> None:
    """Write gateway.toml and a tag list, from a server or a vendor's register map.

    On a terminal it asks for what the flags leave open. Run it once for each machine.

    \b
      edgewright init --id pumphouse-1 --opcua opc.tcp://10.0.4.20:4840 --security None
      edgewright init --modbus 10.0.4.17:502 --map vendor.csv --name blower

    Run it again when the machine has changed: it shows what is new, gone and different, keeps what
    you have edited, and writes with --apply, or when you say yes.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    wishes = Wishes(
        gateway_id=gateway_id,
        opcua=opcua,
        modbus=modbus,
        name=name,
        security=login.security,
        map_file=map_file,
        out=out,
    )
    is_asking = sys.stdin.isatty() and sys.stdout.isatty()
    wishes = asked(wishes, timeout_s=login.timeout_s) if is_asking else wishes.complete()
    site = Site(wishes.out, gateway_id=wishes.gateway_id)
    if wishes.opcua is not None:
        login = replace(login, security=wishes.security)
        login.settings()  # a wrong set of options is told before anything is connected to
        machine = asyncio.run(
            _opcua(site, wishes, login, start=node, glob=glob, makes_writable=writable)
        )
    else:
        machine = _modbus(site, wishes, unit, _chosen(columns), makes_writable=writable)
    _settle(site, site.proposal(machine), applies=applies, is_asking=is_asking)


async def _opcua(
    site: Site,
    wishes: Wishes,
    login: Login,
    *,
    start: str | None,
    glob: str | None,
    makes_writable: bool,
) -> "Machine":
    # Made here, with asyncua, which a register map does without.
    from connectors.opcua.browse import BrowseQuery, Browser, FoundNode, Wanted
    from gateway.commission.machines import node_of, opcua_machine

    assert wishes.opcua is not None
    name = wishes.name or "opcua"
    access = Access(
        endpoint=checked_endpoint(wishes.opcua), login=login, state_folder=site.state_folder
    )
    start_node = _node(start)
    finder = Finder(
        Question(
            start=start_node,
            depth_max=0,
            search="",
            pattern=path_pattern(glob) if glob else None,
            wants_values=False,
            limit=None,
        )
    )
    query = BrowseQuery(start=start_node, wanted=Wanted.FACTS, keep=finder.keeps)

    async def ask() -> tuple[list[FoundNode], list[NodeAddress], tuple[str, ...]]:
        """Return what is a number, which nodes of the list are gone, and the namespaces."""
        async with opened(access, name=name) as link:
            browser = Browser(link, query, device=access.endpoint)
            found = [
                each
                async for nodes in browser.found()
                for each in nodes
                if each.facts is not None and each.facts.is_numeric
            ]
            here = {each.node for each in found}
            nodes = [node_of(cells, link.namespaces) for cells in present]
            doubtful = [each for each in nodes if each is not None and each not in here]
            known = await browser.known(doubtful)
            gone = [node for node, is_known in zip(doubtful, known, strict=True) if not is_known]
            return found, gone, link.namespaces

    present = site.lines(name)
    try:
        found, gone, namespaces = await done_within(WITHIN_S, ask())
    except TimeoutError as error:
        raise DeviceError(
            f"{access.endpoint}: not done within {WITHIN_S:g} s; begin further down with --node"
        ) from error
    if not found:
        raise DeviceError(f"{access.endpoint}: no numbers. {finder.nothing_found()}")
    return opcua_machine(
        name,
        _opcua_table(access),
        found,
        present=present,
        gone=gone,
        namespaces=namespaces,
        makes_writable=makes_writable,
    )


def _opcua_table(access: Access) -> dict[str, Value]:
    """Return the connector's options: what is not the default, files with their whole path."""
    security = access.login.settings()
    table: dict[str, Value] = {
        "type": "opcua",
        "endpoint": access.endpoint,
        "security": security.security,
    }
    if security.security == NO_SECURITY:
        return table
    for option in ("mode", "trust", "user", "password_file", "user_certificate", "user_key"):
        value = getattr(security, option)
        if value != SecuritySettings.model_fields[option].default:
            table[option] = str(value.resolve()) if isinstance(value, Path) else value
    return table


def _modbus(
    site: Site,
    wishes: Wishes,
    unit: int,
    chosen: Mapping[Meaning, str],
    *,
    makes_writable: bool,
) -> "Machine":
    from gateway.commission.machines import modbus_machine

    assert wishes.modbus is not None
    assert wishes.map_file is not None
    name = wishes.name or wishes.map_file.stem
    if wishes.map_file.resolve() == site.tags_path(name).resolve():
        raise click.UsageError(
            f"the tag list would overwrite {wishes.map_file}: choose another --name"
        )
    vendor_map = read_vendor_map(wishes.map_file, chosen)
    click.echo(_understood(vendor_map), err=True)
    return modbus_machine(
        name,
        {"type": "modbus", "address": _modbus_address(wishes.modbus), "unit": unit},
        vendor_map,
        present=site.lines(name),
        previous=site.previous(name),
        makes_writable=makes_writable,
    )


def _settle(site: Site, proposal: Proposal, *, applies: bool, is_asking: bool) -> None:
    """Write what is new; show first what would change a file that is there."""
    for note in proposal.notes:
        click.echo(f"note: {note}", err=True)
    if not proposal.is_needed:
        click.echo("nothing has changed")
        return
    if proposal.overwrites:
        click.echo(proposal.diff(), nl=False)
        click.echo(proposal.summary)
        if not applies and not (is_asking and click.confirm("write this?")):
            click.echo("nothing is written: --apply writes it", err=True)
            raise click.exceptions.Exit(EXIT_FAILED)
    else:
        click.echo(proposal.summary)
    for path in proposal.write():
        click.echo(f"written: {path}")
    click.echo(f"next: edgewright check {site.config_path}")


def _understood(vendor_map: VendorMap) -> str:
    """Return how a register map is read, for a person to see that it is right."""
    header = vendor_map.columns.header
    pairs = [
        f"  {meaning:8} <- {header[index]!r}"
        for meaning, index in sorted(vendor_map.columns.index_of.items(), key=lambda pair: pair[1])
    ]
    rows = [
        f"  {row.tag}: {row.address} {row.type}"
        + (f" x {row.scale}" if row.scale else "")
        + (f" {row.unit}" if row.unit else "")
        for row in vendor_map.rows[:PREVIEW_ROWS]
    ]
    return "\n".join(
        (
            "the map's columns are read so (--column OURS=THEIRS says otherwise):",
            *pairs,
            f"{len(vendor_map.rows)} values, such as",
            *rows,
        )
    )


def _chosen(columns: tuple[str, ...]) -> dict[Meaning, str]:
    chosen = {}
    for text in columns:
        ours, separator, theirs = text.partition("=")
        if not separator or ours not in list(Meaning):
            raise click.UsageError(
                f"--column {text!r} is not OURS=THEIRS; ours are {', '.join(Meaning)}"
            )
        chosen[Meaning(ours)] = theirs
    return chosen


def _modbus_address(text: str) -> str:
    """Return an address with its port; of a serial port, its path.

    Raises:
        click.UsageError: it is neither, or there is no such port.
    """
    if text.startswith(SERIAL_FOLDER):
        if not Path(text).exists():
            raise click.UsageError(f"there is no {text}. Here are: {serial_ports()}")
        return text
    host, separator, port = text.rpartition(":")
    if not separator:
        return f"{text}:{MODBUS_PORT}"
    if not host or not re.fullmatch(r"\d{1,5}", port):
        raise click.UsageError(f"{text!r} is no HOST:PORT such as 10.0.4.17:502")
    return text


def _node(text: str | None) -> NodeAddress | None:
    try:
        return parse_node(text) if text else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error
