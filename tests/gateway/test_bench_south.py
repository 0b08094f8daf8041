"""`edgewright bench modbus|opcua`: the servers count rightly, and the books of a run balance."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from connectors.modbus.tags import read_modbus_tags
from gateway.bench.far_end import FarEnd
from gateway.bench.measured import Measured
from gateway.bench.modbus_server import CLOCK_AT, STRETCH, Registers, register_map
from gateway.bench.opcua_server import Capture
from gateway.bench.south import Load, _rate_in, run_alone, run_stock, run_whole
from gateway.core.frame import Frame
from gateway.core.ports import Batch
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.wire.batches import encode_batch
from gateway.wire.frames import draft_frame


def test_a_read_counts_the_values_that_are_in_it_whole() -> None:
    registers = Registers(122)
    registers.read(0, 2)
    assert registers.offered == 1
    registers.read(1, 3)
    assert registers.offered == 2
    registers.read(CLOCK_AT - 2, 4)  # half a clock
    assert registers.offered == 3
    registers.read(0, 2 * STRETCH)
    assert registers.offered == 3 + 122


def test_the_clock_is_the_time_of_the_answer() -> None:
    payload = Registers(61).read(0, STRETCH)
    clock_ms = float(np.frombuffer(payload, ">f8", 1, 2 * CLOCK_AT)[0])
    again_ms = float(np.frombuffer(Registers(61).read(0, STRETCH), ">f8", 1, 2 * CLOCK_AT)[0])
    assert clock_ms <= again_ms < clock_ms + 10_000


def test_the_register_map_is_a_tag_list(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(register_map(200), encoding="utf-8")
    rows = read_modbus_tags(path)
    assert len(rows) == 200
    assert [row.entry.name for row in rows if row.point.size == 4] == ["clock0", "clock1", "clock2"]


def test_a_replayed_response_is_what_the_library_would_decode() -> None:
    body = Capture([7, 9]).next(request=11, subscription=12, sequence=13)
    buffer = Buffer(body)
    assert nodeid_from_binary(buffer).Identifier == 829
    response = struct_from_binary(ua.PublishResponse, Buffer(body))
    assert response.ResponseHeader.RequestHandle == 11
    assert response.Parameters.SubscriptionId == 12
    message = response.Parameters.NotificationMessage
    assert message.SequenceNumber == 13
    [change] = message.NotificationData
    assert [item.ClientHandle for item in change.MonitoredItems] == [7, 9]
    assert [item.Value.Value.Value for item in change.MonitoredItems] == [0.01, 1.01]


async def test_the_far_end_counts_a_record_once() -> None:
    table = TagTable.build([Tag(id=TagId("a.b"))], epoch=ConfigEpoch(1))
    frame = Frame(
        tag_index=np.zeros(3, dtype=np.int32),
        time_ns=np.arange(3),
        value=np.zeros(3),
        status=np.zeros(3, dtype=np.uint32),
        received_ns=1,
    )
    draft = draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)
    record = Record(boot=Boot(1), seq=Seq(1), kind=draft.kind, body=draft.body)
    data = encode_batch(Batch(gateway="bench", records=(record,), tables=(table,)))
    far_end = FarEnd()
    app = Application()
    app.router.add_post("/v1/batches", far_end.take)
    async with TestClient(TestServer(app)) as client:
        first = await (await client.post("/v1/batches", data=data)).json()
        again = await (await client.post("/v1/batches", data=data)).json()
    assert (first["sample_count"], first["duplicate_count"]) == (3, 0)
    assert (again["sample_count"], again["duplicate_count"]) == (3, 1)
    assert far_end.delivered == 3


def test_what_was_delivered_in_a_window_is_a_rate_or_not_known() -> None:
    """Between two batches inside it; a single one is no rate, and certainly not 0."""
    measured = Measured(
        begun_s=10.0, seconds=4.0, samples=1, cpu_s=0.0, rss_mb=1.0, skipped_samples=0
    )
    batches = [[9.5, 100], [11.0, 1000], [13.0, 3000], [15.0, 9000]]
    assert _rate_in(measured, {"timeline": batches}) == 1000.0
    assert _rate_in(measured, {"timeline": batches[:2]}) is None


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["modbus", "opcua"])
async def test_the_books_of_a_run_balance(protocol: str, tmp_path: Path) -> None:
    """Offered by the server = delivered to the far end, and the other two ways run, too."""
    load = Load(protocol=protocol, tag_count=122, period_ms=50, warm_s=0.2, window_s=0.6)
    outcome = await run_whole(load, tmp_path)
    assert outcome.offered == outcome.delivered
    assert outcome.delivered > 0
    assert outcome.measured.samples > 0
    assert outcome.measured.age_p99_ms is not None
    assert (await run_alone(load, tmp_path)).samples > 0
    assert (await run_stock(load, tmp_path)).samples > 0


@pytest.mark.slow
async def test_another_server_can_be_measured(tmp_path: Path) -> None:
    tags = tmp_path / "map.csv"
    tags.write_text(register_map(61), encoding="utf-8")
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.bench.modbus_server", "61"), stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    port = json.loads(await server.stdout.readline())["port"]
    address = f"127.0.0.1:{port}"
    command = ["-m", "gateway.cli", "bench", "modbus", "--connect", address, "--tags", str(tags)]
    ran = await asyncio.create_subprocess_exec(
        *(sys.executable, *command, "--for", "0.5", "--json"), stdout=subprocess.PIPE
    )
    printed, _ = await ran.communicate()
    server.terminate()
    await server.communicate()
    report = json.loads(printed)
    assert report["client_cpu_us_per_sample"] > 0
    assert report["lost"] is None
    assert report["stock"] is None
