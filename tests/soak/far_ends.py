"""The far ends beside the first cloud: a second one behind a broker, and a time-series database."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloud_sync.cloud.parquet import LakeCount, count_in_lake
from cloud_sync.cloud.setup import CONFIGURATION, HAND_OVER, create_cloud
from gateway.wire.child import Child
from gateway.wire.clock import SystemClock
from tests.crash.site import GATEWAY_ID, Road
from tests.interop.mosquitto import Mosquitto
from tests.interop.victoria import VictoriaMetrics
from tests.soak.faults import Process

BROKER, BROKER_CLOUD, DATABASE = "broker", "broker-cloud", "influx"
UPSERT = "-dedup.minScrapeInterval=1ms"
NEVER_KILLED: Final = frozenset({DATABASE})
"""It answers from memory: what it took in the last seconds a kill may cost it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEnds:
    """What runs, and what a gateway needs to deliver there."""

    folder: Path
    database: VictoriaMetrics
    processes: Mapping[str, Process]
    tables: str
    """Uplinks for the gateway's configuration."""

    def lake(self) -> LakeCount:
        """Return what came through the broker; the cloud must have stopped."""
        return count_in_lake(self.folder / BROKER_CLOUD / "state" / "lake")


@asynccontextmanager
async def far_ends(folder: Path, road: Road) -> AsyncIterator[FarEnds]:
    """Run them in a folder until the block ends, with a link to each."""
    database = VictoriaMetrics(folder, options=(UPSERT,))
    broker = Mosquitto(folder)
    configuration = _create_cloud(folder, broker)
    cloud = Child(BROKER_CLOUD, ["cloud", "run", "-c", str(configuration), "--json"], folder=folder)
    try:
        await database.start()
        await broker.start()
        await cloud.start()
        tables = _tables(
            database=await road(DATABASE, database.url.removeprefix("http://")),
            broker=await road(BROKER, f"127.0.0.1:{broker.port}"),
        )
        yield FarEnds(
            folder=folder,
            database=database,
            processes={DATABASE: database, BROKER: broker, BROKER_CLOUD: cloud},
            tables=tables,
        )
    finally:
        for process in (cloud, broker, database):
            await process.kill()


def _create_cloud(folder: Path, broker: Mosquitto) -> Path:
    create_cloud(
        folder / BROKER_CLOUD,
        gateways=[GATEWAY_ID],
        host="127.0.0.1",
        port=0,
        clock=SystemClock(),
    )
    configuration = folder / BROKER_CLOUD / CONFIGURATION
    table = f"""
[mqtt]
broker = "mqtt://127.0.0.1:{broker.port}"
login_in_clear = "accept"
"""
    configuration.write_text(configuration.read_text("utf-8") + table, encoding="utf-8")
    return configuration


def _tables(*, database: str, broker: str) -> str:
    return f"""
[uplinks.{DATABASE}]
type = "influxdb"
url = "http://{database}"
bucket = "plant"
timeout_s = 5

[uplinks.{DATABASE}.delivery]
retry_first_s = 0.2
retry_cap_s = 5

[uplinks.{BROKER}]
type = "mqtt"
broker = "mqtt://{broker}"
login_in_clear = "accept"
token_file = "{BROKER_CLOUD}/{HAND_OVER}/{GATEWAY_ID}/cloud.token"
timeout_s = 5
keep_alive_s = 5

[uplinks.{BROKER}.delivery]
retry_first_s = 0.2
retry_cap_s = 5
"""
