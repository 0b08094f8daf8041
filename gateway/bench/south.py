"""What it costs to bring the values of machines in, and how many a second the gateway can take.

Every run has the server, the gateway and the far end in processes of their own, on this machine:

- *whole*: the service as it is installed: connector, pipeline, log on disk, uplink, local API;
- *alone*: the connector's session, its frames thrown away;
- *stock*: the protocol's library as its manual shows it, on the same server at the same rate.

The servers count what they put into responses, the far end what it was given: after the whole
service has stopped in good order the two must be equal.
"""

import json
import math
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from gateway.bench.measured import Measured
from gateway.bench.modbus_server import register_map
from gateway.bench.opcua_server import node_list
from gateway.bench.stock import StockOrder
from gateway.bench.subject import Order
from gateway.wire.child import Child

TAG_COUNT: Final = 1000
AGE_P99_MS_MAX: Final = 100.0
"""A rate is sustained when nothing is skipped or lost, and 99 % of the samples are younger."""
END_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a run is to do."""

    protocol: str
    """`modbus`, `opcua` or `both`."""
    tag_count: int
    """Of each protocol."""
    period_ms: int
    window_s: float
    warm_s: float = 2.0
    """Before the window."""
    in_flight: int = 1
    """Modbus requests."""
    is_secure: bool = False
    """OPC UA with Basic256Sha256, signed and encrypted."""
    address: str = ""
    """Measure against this server instead of ours; needs `tags`."""
    tags: Path | None = None
    """Its tag list."""

    @property
    def offered_per_s(self) -> float:
        """Values a second that the server is asked for, or sends by itself."""
        servers = 2 if self.protocol == "both" else 1
        return servers * self.tag_count * 1000 / self.period_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run of the whole service."""

    measured: Measured
    offered: int | None
    """Values that the servers put into responses in all; None where nobody counted."""
    delivered: int
    """Values that the far end was given."""
    delivered_per_s: float | None
    """To the far end, in the window; None when it is too short for two commits of the log."""

    @property
    def is_balanced(self) -> bool:
        """Whether all that was offered was delivered, as far as it was counted."""
        return self.offered in (None, self.delivered)


async def run_whole(load: Load, folder: Path) -> Outcome:
    """Run the whole service against servers and a far end."""
    far_end = Child("far_end", [], folder=folder, module="gateway.bench.far_end")
    shutil.rmtree(folder / "state", ignore_errors=True)
    url = f"http://127.0.0.1:{(await far_end.start())['port']}"
    async with _servers(load, folder) as servers:
        config = _config(load, servers, folder, url=url)
        measured = await _subject(load, config, folder, is_whole=True)
        done = [await child.stop() for child in servers.children]
    counted = [_int(each, "offered") for each in done]
    given = await far_end.stop()
    return Outcome(
        measured=measured,
        offered=sum(counted) if counted else None,
        delivered=_int(given, "delivered"),
        delivered_per_s=_rate_in(measured, given),
    )


async def run_alone(load: Load, folder: Path) -> Measured:
    """Run the connectors alone."""
    async with _servers(load, folder) as servers:
        config = _config(load, servers, folder, url="")
        measured = await _subject(load, config, folder, is_whole=False)
        for child in servers.children:
            await child.stop()
    return measured


async def run_stock(load: Load, folder: Path) -> Measured:
    """Run the library's own client on a server of ours."""
    async with _servers(load, folder) as servers:
        order = StockOrder(
            protocol=load.protocol,
            port=servers.ports[load.protocol],
            tag_count=load.tag_count,
            period_s=load.period_ms / 1000,
            warm_s=load.warm_s,
            window_s=load.window_s,
            is_secure=load.is_secure,
            folder=str(folder),
        )
        child = Child(
            "stock", [json.dumps(asdict(order))], folder=folder, module="gateway.bench.stock"
        )
        measured = await _finished(child, load)
        for server in servers.children:
            await server.stop()
    return measured


async def sustained_per_s(load: Load, rates: Mapping[float, Load], folder: Path) -> float:
    """Return the highest of some rates that the whole service keeps up with; 0 for none.

    Args:
        load: The one that was measured already and counts as kept.
        rates: Loads by values a second; tried from the lowest.
        folder: For files.
    """
    best = load.offered_per_s
    for rate in sorted(rates):
        outcome = await run_whole(rates[rate], folder)
        if not keeps_up(rates[rate], outcome):
            break
        best = rate
    return best


def keeps_up(load: Load, outcome: Outcome) -> bool:
    """Tell whether a rate was sustained."""
    measured = outcome.measured
    age = measured.age_p99_ms
    return (
        outcome.is_balanced
        and measured.skipped_samples == 0
        and (age is None or age <= AGE_P99_MS_MAX)
        and measured.samples >= 0.98 * load.offered_per_s * measured.seconds
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Servers:
    """The servers of a run."""

    children: tuple[Child, ...]
    """Those that are ours."""
    ports: Mapping[str, int]


@asynccontextmanager
async def _servers(load: Load, folder: Path) -> AsyncIterator[_Servers]:
    """Start the servers of a run; whatever happens, they are gone behind it."""
    children: dict[str, Child] = {}
    if not load.address and load.protocol in ("modbus", "both"):
        children["modbus"] = Child(
            "modbus", [str(load.tag_count)], folder=folder, module="gateway.bench.modbus_server"
        )
    if not load.address and load.protocol in ("opcua", "both"):
        order = {
            "tag_count": load.tag_count,
            "period_s": load.period_ms / 1000,
            "folder": str(folder),
        }
        children["opcua"] = Child(
            "opcua", [json.dumps(order)], folder=folder, module="gateway.bench.opcua_server"
        )
    try:
        ports = {name: _int(await child.start(), "port") for name, child in children.items()}
        yield _Servers(children=tuple(children.values()), ports=ports)
    finally:
        for child in children.values():
            await child.kill()


async def _subject(load: Load, config: Path, folder: Path, *, is_whole: bool) -> Measured:
    order = Order(config=str(config), warm_s=load.warm_s, window_s=load.window_s, is_whole=is_whole)
    child = Child(
        "subject", [json.dumps(asdict(order))], folder=folder, module="gateway.bench.subject"
    )
    return await _finished(child, load)


async def _finished(child: Child, load: Load) -> Measured:
    """Run a child that measures, and return what it found."""
    try:
        document = await child.start()
        await child.finish(deadline_s=END_S + load.window_s)
    finally:
        await child.kill()
    return Measured(**document)  # type: ignore[arg-type]  # our own process wrote it


def _config(load: Load, servers: _Servers, folder: Path, *, url: str) -> Path:
    """Write the gateway's configuration."""
    text = [
        '[gateway]\nid = "bench"\nstate_folder = "state"\nstop_s = 30\n',
        '[api]\nsocket = "state/api.sock"\n',
    ]
    if load.protocol in ("modbus", "both"):
        (folder / "modbus.csv").write_text(register_map(load.tag_count), encoding="utf-8")
        address = load.address or f"127.0.0.1:{servers.ports['modbus']}"
        text.append(
            f'[connectors.modbus]\ntype = "modbus"\naddress = "{address}"\n'
            f'tags = "{load.tags or "modbus.csv"}"\nperiod_ms = {load.period_ms}\n'
            f"requests_in_flight_max = {load.in_flight}\n"
        )
    if load.protocol in ("opcua", "both"):
        (folder / "opcua.csv").write_text(node_list(load.tag_count), encoding="utf-8")
        endpoint = load.address or f"opc.tcp://127.0.0.1:{servers.ports['opcua']}"
        security = "Basic256Sha256" if load.is_secure else "None"
        text.append(
            f'[connectors.opcua]\ntype = "opcua"\nendpoint = "{endpoint}"\n'
            f'security = "{security}"\ntrust = "first_use"\n'
            f'tags = "{load.tags or "opcua.csv"}"\n'
            f"sampling_ms = {load.period_ms}\npublishing_ms = {load.period_ms}\n"
        )
    if url:
        text.append(f'[uplinks.far_end]\ntype = "http"\nurl = "{url}"\n')
    path = folder / "gateway.toml"
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def _rate_in(measured: Measured, given: Mapping[str, object]) -> float | None:
    """Return what the far end was given a second, from the first to the last batch in the window.

    The log commits in groups, so a count at the window's own ends would be off by a group.
    """
    timeline = given["timeline"]
    assert isinstance(timeline, list)
    end_s = measured.begun_s + measured.seconds
    inside = [(at_s, count) for at_s, count in timeline if measured.begun_s <= at_s <= end_s]
    if len(inside) < 2:
        return None
    (first_s, first), (last_s, last) = inside[0], inside[-1]
    return float((last - first) / (last_s - first_s))


def _int(document: Mapping[str, object], key: str) -> int:
    value = document[key]
    assert isinstance(value, int | float)
    assert math.isfinite(value)
    return int(value)
