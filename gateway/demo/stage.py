"""Sets the stage: plant, recording, configurations, keys, first models, processes."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cloud_sync.cloud.setup import CONFIGURATION, HAND_OVER, OPERATOR_TOKEN, create_cloud
from gateway.core.errors import GatewayError
from gateway.demo.link import Link
from gateway.demo.timeline import Timeline
from gateway.simulate.plant import Plant
from gateway.simulate.plant_config import plant_tables, write_sheets
from gateway.simulate.recording import record
from gateway.wire.child import Child
from gateway.wire.clock import SystemClock

GATEWAY_ID = "pumphouse-1"
RECORDED_S = 2 * 3600.0
WARM_UP_S = 600.0
"""The live plant begins where the recording's warm-up did, so it never repeats what was learnt."""
HURRIED_ROWS = 1_500
"""The first models have seen only this much of the recording: a hurried commissioning."""
FIRST_VERSION = "1.0"
MODEL_BY_TYPE = {
    "centrifugal_pump": "centrifugal-pump-anomaly",
    "compressor": "compressor-anomaly",
}
COMMAND_TIMEOUT_S = 120.0

Teller: TypeAlias = Callable[[str], None]
"""Tells a person what happens now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that the acts need."""

    folder: Path
    plant: Child
    gateway: Child
    cloud: Child
    books: dict[str, Path]
    """The simulator's book of offered values, by connector."""
    plant_control: Path
    """Unix socket of the simulator's control."""
    first_models: tuple[Path, ...]
    """Bundles, one for each asset type."""
    imported_samples: int
    """Of the recording; they are in the log and the lake beside the live ones."""

    @property
    def api_socket(self) -> Path:
        """Unix socket of the gateway's local API."""
        return self.folder / "api.sock"

    @property
    def log_path(self) -> Path:
        """The gateway's log."""
        return self.folder / "gateway-state" / "log.db"

    @property
    def lake_folder(self) -> Path:
        """The cloud's Parquet files."""
        return self.folder / "cloud" / "state" / "lake"

    @property
    def operator_token(self) -> str:
        """The cloud operator's token."""
        return (self.folder / "cloud" / OPERATOR_TOKEN).read_text(encoding="ascii").strip()


def make_recording(folder: Path, *, seed: int) -> tuple[Path, Path]:
    """Record two healthy hours that end now; returns the whole, and its hurried beginning."""
    duration_ns = int((RECORDED_S + WARM_UP_S) * 1e9)
    plant = Plant(seed, start_ns=SystemClock().now_ns() - duration_ns)
    for _ in range(int(WARM_UP_S)):
        plant.step(1.0)
    whole, hurried = folder / "healthy.csv", folder / "hurried.csv"
    record(plant, whole, duration_s=RECORDED_S, period_s=1.0)
    with whole.open(encoding="utf-8") as file, hurried.open("w", encoding="utf-8") as beginning:
        for _, line in zip(range(HURRIED_ROWS + 1), file, strict=False):
            beginning.write(line)
    return whole, hurried


async def set_stage(folder: Path, timeline: Timeline, *, seed: int, tell: Teller) -> Stage:
    """Prepare everything in an empty folder and start the plant.

    Raises:
        GatewayError: a step failed; carries its last words.
    """
    tell("recording two healthy hours of the plant, in advance")
    whole, hurried = await asyncio.to_thread(make_recording, folder, seed=seed)
    create_cloud(
        folder / "cloud", gateways=[GATEWAY_ID], host="127.0.0.1", port=0, clock=SystemClock()
    )
    plant = Child(
        "plant",
        [
            *("simulate", "--seed", str(seed), "--state", str(folder / "plant"), "--json"),
            *("--opcua", "127.0.0.1:0", "--modbus", "127.0.0.1:0"),
        ],
        folder=folder,
    )
    where = await plant.start()
    books = where["books"]
    assert isinstance(books, dict)
    write_sheets(folder)
    write_gateway_config(folder, where, cloud_url="http://127.0.0.1:1")
    tell("the twins learn their machines from the recording")
    config = str(folder / "gateway.toml")
    printed = await run_command("import", "-c", config, "--data", str(whole), "--json")
    tell("a first model for each type of machine, from its first 25 minutes")
    models = [
        await train_first_model(folder, asset_type, hurried, rows=timeline.trial_rows)
        for asset_type in MODEL_BY_TYPE
    ]
    return Stage(
        folder=folder,
        plant=plant,
        gateway=Child("gateway", ["run", "-c", config, "--json"], folder=folder),
        cloud=Child(
            "cloud",
            ["cloud", "run", "-c", str(folder / "cloud" / CONFIGURATION), "--json"],
            folder=folder,
        ),
        books={str(name): Path(str(path)) for name, path in books.items()},
        plant_control=Path(str(where["control"])),
        first_models=tuple(models),
        imported_samples=int(json.loads(printed)["samples"]),
    )


async def open_link(stage: Stage, url: object) -> Link:
    """Open the link to the cloud and point the gateway's configuration at it."""
    host, _, port = str(url).removeprefix("http://").partition(":")
    link = await Link(target_host=host, target_port=int(port)).__aenter__()
    config = stage.folder / "gateway.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(
        text.replace("http://127.0.0.1:1", f"http://127.0.0.1:{link.port}"), encoding="utf-8"
    )
    return link


def write_gateway_config(folder: Path, where: dict[str, object], *, cloud_url: str) -> None:
    """Write the gateway's configuration for the plant's end points."""
    tables = plant_tables(opcua_endpoint=str(where["opcua"]), modbus_address=str(where["modbus"]))
    hand_over = f"cloud/{HAND_OVER}/{GATEWAY_ID}"
    text = f"""\
[gateway]
id = "{GATEWAY_ID}"
site = "acme/ulm/utilities/pumphouse"
state_folder = "gateway-state"

{tables.connectors}
{tables.twins}
[uplinks.cloud]
type = "http"
url = "{cloud_url}"
token_file = "{hand_over}/cloud.token"
timeout_s = 5
connect_timeout_s = 2

[uplinks.cloud.delivery]
retry_first_s = 0.2
retry_cap_s = 2

[models]
url = "{cloud_url}/tuf"
root_file = "{hand_over}/root.json"
period_s = 1
timeout_s = 5

[api]
socket = "api.sock"
"""
    (folder / "gateway.toml").write_text(text, encoding="utf-8")


async def train_first_model(folder: Path, asset_type: str, data: Path, *, rows: int) -> Path:
    """Train version 1.0 of a type's model from the recording's beginning."""
    name = MODEL_BY_TYPE[asset_type]
    bundle = folder / f"{name}-{FIRST_VERSION}.ewm"
    await run_command(
        *("train", "anomaly", "--data", str(data), "--out", str(bundle), "--name", name),
        *("--model-version", FIRST_VERSION, "--twin", asset_type),
        *("--config", str(folder / "gateway.toml")),
        *("--shadow-rows", str(rows)),
    )
    return bundle


async def run_command(*arguments: str) -> str:
    """Run an `edgewright` command to its end and return what it printed.

    Raises:
        GatewayError: it failed; carries what it said.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            printed, complaints = await process.communicate()
    except TimeoutError as error:
        process.kill()
        raise GatewayError(f"edgewright {' '.join(arguments)} took too long") from error
    if process.returncode != 0:
        words = complaints.decode(errors="replace")[-2_000:]
        raise GatewayError(f"edgewright {' '.join(arguments)} failed:\n{words}")
    return printed.decode()
