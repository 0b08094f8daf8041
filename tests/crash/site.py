"""Plant, gateway and cloud as processes that can be killed and begin again where they were."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cloud_sync.cloud.parquet import LakeCount, count_in_lake
from cloud_sync.cloud.setup import CONFIGURATION, HAND_OVER, create_cloud
from gateway.api.client import GatewayClient
from gateway.api.errors import GoneError
from gateway.core.events import Event
from gateway.core.records import LedgerEntry, LedgerReason, RecordKind
from gateway.demo.books import Lost, close_books, lost_values, read_ledger_and_events
from gateway.demo.report import Samples
from gateway.simulate.plant_config import plant_tables, write_sheets
from gateway.store.reader import LogReader
from gateway.wire.child import Child
from gateway.wire.clock import SystemClock
from gateway.wire.frames import FRAME_KINDS, frames_of

GATEWAY_ID = "pumphouse-1"
PERIOD_MS = 200
DEADLINE_S = 30.0
PLANT, GATEWAY, CLOUD = "plant", "gateway", "cloud"
VICTIMS = (PLANT, GATEWAY, CLOUD)
COMMISSIONING_ROWS = 100
QUICK_PUMPS = (
    'type = "centrifugal_pump"',
    f'type = "centrifugal_pump"\nsettling_s = 2\ncommissioning_rows = {COMMISSIONING_ROWS}',
)
"""Pumps that show within seconds how far they are commissioned."""
ALARMS = """
[twins.P-101.alarms.turning]
when = "speed_rpm > 100"

[twins.P-102.alarms.turning]
when = "speed_rpm > 100"
"""

Span: TypeAlias = tuple[int, int]
"""From just before a kill until the victim was ready again, UTC in nanoseconds."""
Road: TypeAlias = Callable[[str, str], Awaitable[str]]
"""Takes the name and the `host:port` of a far end, and returns where the gateway finds it."""


@dataclass(slots=True, kw_only=True)
class Site:
    """Three processes that keep their addresses over restarts."""

    folder: Path
    children: dict[str, Child]
    books: dict[str, Path]
    control: Path
    """Unix socket of the simulator's control."""
    successors: dict[str, Child]
    """Commands that take the place of the first ones: with the addresses these were given."""

    @property
    def log_path(self) -> Path:
        return self.folder / "gateway-state" / "log.db"

    def client(self) -> GatewayClient:
        return GatewayClient(self.folder / "api.sock")

    async def kill_and_restart(self, victim: str) -> Span:
        """End a process as a power cut does and start it again at once."""
        begun_ns = time.time_ns()
        await self.children[victim].kill()
        await self.start(victim)
        return begun_ns, time.time_ns()

    async def start(self, name: str) -> None:
        """Start a process again, at its old address."""
        self.children[name] = self.successors.pop(name, self.children[name])
        await self.children[name].start()

    async def devices_ok(self) -> None:
        """Wait until every device delivers."""

        async def all_ok() -> bool:
            async with self.client() as client:
                devices = (await client.devices()).devices
            return all(each.state == "ok" and each.frame_count > 2 for each in devices)

        await until(all_ok, what="all devices ok")

    async def back(self) -> None:
        """Wait until every device that was lost has been noted as back."""

        async def all_back() -> bool:
            async with self.client() as client:
                entries = (await client.ledger(limit=100)).entries
                devices = (await client.devices()).devices
            since = {device.name: device.since for device in devices}
            is_ok = all(device.state == "ok" for device in devices)
            return is_ok and any(entry.end == since.get(entry.source) for entry in entries)

        await until(all_back, what="all devices back")

    async def stop(self) -> None:
        """Stop all in good order, the cloud last: everything is in the lake then."""
        for name in (GATEWAY, PLANT, CLOUD):
            await self.children[name].stop()

    def ledger_and_events(self) -> tuple[list[LedgerEntry], list[Event]]:
        return read_ledger_and_events(self.log_path)

    def lake(self) -> LakeCount:
        return count_in_lake(self.folder / "cloud" / "state" / "lake")

    def closed_books(self) -> Samples:
        """Return the books of everything that was ever offered."""
        ledger, _ = self.ledger_and_events()
        return close_books(
            self.books,
            self.folder / "cloud" / "state" / "lake",
            ledger,
            since_ns=0,
            received=0,
            stored=self.stored_samples(),
            acknowledged=0,
        )

    def lost_values(self) -> tuple[Lost, ...]:
        """Return the values that nobody accounts for."""
        ledger, _ = self.ledger_and_events()
        return lost_values(self.books, self.folder / "cloud" / "state" / "lake", ledger)

    def stored_samples(self) -> int:
        """Return the raw samples that the gateway's log holds."""
        return sum(
            len(stored.frame)
            for record in LogReader(self.log_path).records()
            if record.kind is RecordKind.BLOCK or record.kind in FRAME_KINDS
            for stored in frames_of(record)[0]
            if stored.kind is RecordKind.FRAME
        )

    def cloud_rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the stopped cloud's database."""
        path = self.folder / "cloud" / "state" / "cloud.sqlite"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            rows = connection.execute(query).fetchall()
        connection.close()
        return rows

    def gaps(self, reason: LedgerReason, source: str = "*") -> list[LedgerEntry]:
        """Return the gaps of one kind, in order."""
        ledger, _ = self.ledger_and_events()
        return [each for each in ledger if (each.reason, each.source) == (reason, source)]

    def assert_balanced(self) -> Samples:
        """Everything offered is in the lake or inside a gap; nothing is there twice."""
        samples = self.closed_books()
        assert samples.lost == 0, samples
        assert samples.duplicated == 0, samples
        assert samples.ledgered == 0, samples
        assert samples.in_lake == samples.stored, samples
        assert samples.offered <= samples.in_lake + samples.gap, samples
        ledger, events = self.ledger_and_events()
        assert self.cloud_rows("SELECT count(*) FROM ledger") == [(len(ledger),)]
        ids = [event.id for event in events]
        assert len(set(ids)) == len(ids)
        delivered = {row[0] for row in self.cloud_rows("SELECT id FROM events")}
        # What the uplink has to say of its last delivery waits for the next start.
        assert delivered <= set(ids)
        assert {event.source for event in events if event.id not in delivered} <= {CLOUD}
        return samples


async def straight(name: str, address: str) -> str:
    """Return the far end's own address: no link between."""
    return address


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    seed: int,
    more: str = "",
    road: Road = straight,
    clock_file: Path | None = None,
) -> AsyncIterator[Site]:
    """Start plant, cloud and gateway in an empty folder; kills what is left of them.

    Args:
        folder: Empty.
        seed: Of the plant.
        more: Further tables of the gateway's configuration.
        road: From the gateway to the cloud and to the machines.
        clock_file: Moves the gateway's clock (`clocked_gateway`); None is the real one.
    """
    create_cloud(folder / CLOUD, gateways=[GATEWAY_ID], host="127.0.0.1", port=0,
                 clock=SystemClock())  # fmt: skip
    configuration = folder / CLOUD / CONFIGURATION
    cloud = Child(CLOUD, ["cloud", "run", "-c", str(configuration), "--json"], folder=folder)
    plant = _plant(folder, seed, "127.0.0.1:0", "127.0.0.1:0")
    children = {PLANT: plant, CLOUD: cloud}
    try:
        answered, where = await asyncio.gather(cloud.start(), plant.start())
        url = str(answered["url"])
        # From now on every restart takes the addresses that the first start was given.
        text = configuration.read_text(encoding="utf-8")
        port = url.rpartition(":")[2]
        configuration.write_text(text.replace("port = 0", f"port = {port}"), encoding="utf-8")
        opcua, modbus = str(where["opcua"]).removeprefix("opc.tcp://"), str(where["modbus"])
        write_sheets(folder)
        ends = {
            "opcua": f"opc.tcp://{await road('opcua', opcua)}",
            "modbus": await road("modbus", modbus),
            CLOUD: f"http://{await road(CLOUD, url.removeprefix('http://'))}",
        }
        (folder / "gateway.toml").write_text(_gateway_config(ends) + more, encoding="utf-8")
        children[GATEWAY] = _gateway(folder, clock_file)
        await children[GATEWAY].start()
        paths = where["books"]
        assert isinstance(paths, dict)
        books = {str(name): Path(str(path)) for name, path in paths.items()}
        yield Site(
            folder=folder,
            children=children,
            books=books,
            control=Path(str(where["control"])),
            successors={PLANT: _plant(folder, seed, opcua, modbus)},
        )
    finally:
        for child in children.values():
            await child.kill()


async def until(
    is_true: Callable[[], Awaitable[bool]], *, what: str, deadline_s: float = DEADLINE_S
) -> None:
    """Wait until something is so; a gateway that does not answer yet is not."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            if await is_true():
                return
        except GoneError:
            pass
        assert time.monotonic() < end, f"waited {deadline_s:.0f} s for {what}"
        await asyncio.sleep(0.05)


def _plant(folder: Path, seed: int, opcua: str, modbus: str) -> Child:
    arguments = [
        *("simulate", "--seed", str(seed), "--state", str(folder / PLANT), "--json"),
        *("--period", f"{PERIOD_MS}ms", "--opcua", opcua, "--modbus", modbus),
    ]
    return Child(PLANT, arguments, folder=folder)


def _gateway(folder: Path, clock_file: Path | None) -> Child:
    config = str(folder / "gateway.toml")
    if clock_file is None:
        return Child(GATEWAY, ["run", "-c", config, "--json"], folder=folder)
    arguments = [config, str(clock_file)]
    return Child(GATEWAY, arguments, folder=folder, module="tests.crash.clocked_gateway")


def _gateway_config(ends: dict[str, str]) -> str:
    tables = plant_tables(opcua_endpoint=ends["opcua"], modbus_address=ends["modbus"])
    opcua, modbus = tables.connectors.split("\n\n")
    hand_over = f"{CLOUD}/{HAND_OVER}/{GATEWAY_ID}"
    return f"""\
[gateway]
id = "{GATEWAY_ID}"
state_folder = "gateway-state"

{opcua}
sampling_ms = {PERIOD_MS}
publishing_ms = {PERIOD_MS}

{modbus}
period_ms = {PERIOD_MS}

{tables.twins.replace(*QUICK_PUMPS)}
{ALARMS}
[uplinks.cloud]
type = "http"
url = "{ends[CLOUD]}"
token_file = "{hand_over}/cloud.token"
timeout_s = 5
connect_timeout_s = 2

[uplinks.cloud.delivery]
retry_first_s = 0.2

[api]
socket = "api.sock"
"""
