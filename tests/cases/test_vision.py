"""A camera beside a polled machine: what is seen stands in the log, and polling does not suffer.

The gateway is a process of its own, polls a real Modbus server every 100 ms, and gets its detector
as a release from a real TUF repository.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from analytics.vision import known_manifest
from gateway.api.client import GatewayClient
from gateway.core.arrays import FloatArray
from gateway.core.events import Event
from gateway.core.records import LedgerReason
from gateway.core.tags import TagId
from gateway.demo.books import read_ledger_and_events
from gateway.simulate.plant_config import write_sheets
from gateway.store.reader import LogReader
from gateway.wire.bundle import Bundle, write_bundle
from gateway.wire.child import Child
from tests.cloud_sync.edge_repository import Place
from tests.gateway.tiny_detector import put, tiny_bundle

SHARED = Path(__file__).parents[2].parent / "shared"
YOLOX = SHARED / "models" / "yolox_nano_coco_416.onnx"
NAME = "lamp-finder"
PERIOD_MS = 100
POLLS = 60
"""In each of the two halves that are compared."""
MULTIPLICATIONS = 200
"""Make an inference take about a second."""
EVER_NS = 2**62
DEADLINE_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Scene:
    """A running gateway with one camera."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = folder / "pictures"
        self.pictures.mkdir()

    def events(self) -> list[Event]:
        return read_ledger_and_events(self.folder / "state" / "log.db")[1]

    async def until(self, condition: str) -> None:
        """Wait for an event, as somebody who asks the gateway sees it."""
        async with GatewayClient(self.folder / "api.sock") as client:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    events = (await client.events(limit=500)).events
                    if condition in {event.condition for event in events}:
                        return
                    await asyncio.sleep(0.1)


@asynccontextmanager
async def scene(folder: Path, *, model: str, bundle: bytes) -> AsyncIterator[Scene]:
    """Start a plant, a repository and a gateway; stop the gateway in good order."""
    place = Place(folder)
    place.repository.add(model, "1.0", bundle)
    await place.server.start()
    where = ["--opcua", "127.0.0.1:0", "--modbus", "127.0.0.1:0", "--state", str(folder / "plant")]
    plant = Child("plant", ["simulate", *where, "--json"], folder=folder)
    gateway = Child("gateway", ["run", "-c", str(folder / "gateway.toml"), "--json"], folder=folder)
    try:
        address = str((await plant.start())["modbus"])
        write_sheets(folder)
        text = f"""\
[gateway]
id = "test"
state_folder = "state"

[connectors.compressor]
type = "modbus"
address = "{address}"
tags = "compressor.csv"
period_ms = {PERIOD_MS}
gap_registers_max = 100

[twins.K-01]
type = "generic"
tags = {{ flow_m3h = "compressor.K01.Flow" }}

[cameras.gate]
type = "folder"
folder = "pictures"
period_s = 0.05
asset = "K-01"
model = "{model}"

[models]
url = "http://127.0.0.1:{place.server.port}/tuf"
root_file = "root.json"

[api]
socket = "api.sock"
"""
        (folder / "gateway.toml").write_text(text, encoding="utf-8")
        await gateway.start()
        yield Scene(folder)
        await gateway.stop()
    finally:
        await gateway.kill()
        await plant.kill()
        await place.server.stop()


async def test_a_slow_model_does_not_delay_polling(tmp_path: Path) -> None:
    """Six seconds of polling without a picture, then with pictures faster than the model.

    Generous, for the machine is shared: the slowest one of twenty scans may come half a period
    later than without pictures, and one scan of ten may be skipped.
    """
    half_s = POLLS * PERIOD_MS / 1000
    bundle = tiny_bundle(NAME, "1.0", multiplications=MULTIPLICATIONS)
    async with scene(tmp_path, model=NAME, bundle=bundle) as at:
        await at.until("model_in_force")
        calm_ns = time.time_ns()
        await asyncio.sleep(half_s)
        busy_ns = time.time_ns()
        count = 0
        while time.time_ns() < busy_ns + half_s * 1e9:
            put(at.pictures, f"{count}.png", [(count % 8, 0)])
            count += 1
            await asyncio.sleep(0.2)
        end_ns = time.time_ns()
    seen = [event for event in at.events() if event.condition == "seen_lamp"]
    assert seen
    assert {event.source for event in seen} == {"K-01"}
    assert len(seen) < count / 2, "the model was to be slower than the camera"
    calm, busy = intervals_ms(at, calm_ns, busy_ns), intervals_ms(at, busy_ns, end_ns)
    assert np.quantile(busy, 0.95) <= np.quantile(calm, 0.95) + PERIOD_MS / 2
    ledger, _ = read_ledger_and_events(tmp_path / "state" / "log.db")
    skipped = [each for each in ledger if each.reason is LedgerReason.SCAN_SKIPPED]
    assert len(skipped) <= POLLS / 10


def intervals_ms(at: Scene, from_ns: int, to_ns: int) -> FloatArray:
    """Return the time between scans whose answers came in a span."""
    reader = LogReader(at.folder / "state" / "log.db")
    (trend,) = reader.frames([TagId("compressor.K01.Flow")], from_ns=from_ns, to_ns=to_ns)
    assert len(trend.time_ns) > POLLS / 2
    intervals: FloatArray = np.diff(trend.time_ns) / 1e6
    return intervals


@pytest.mark.realdata
@pytest.mark.skipif(not YOLOX.exists(), reason="the published model is not part of the project")
async def test_a_published_model_finds_the_dog(tmp_path: Path) -> None:
    model = YOLOX.read_bytes()
    manifest = known_manifest(model)
    assert manifest is not None
    bundle = write_bundle(Bundle(manifest=manifest, model=model, canary=None))
    async with scene(tmp_path, model=manifest.name, bundle=bundle) as at:
        await at.until("model_in_force")
        part = tmp_path / "dog.part"
        shutil.copy(SHARED / "images" / "dog_bicycle_truck.jpg", part)
        part.rename(at.pictures / "dog.jpg")
        await at.until("seen_dog")
    seen = {event.condition for event in at.events() if event.source == "K-01"}
    assert {"seen_dog", "seen_bicycle"} <= seen
