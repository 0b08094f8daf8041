"""The disk is full while the service runs: said clearly, alarms go on, and all is well again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.config import Config
from gateway.core.records import LedgerReason
from gateway.core.tags import TagId
from gateway.service.run import Gateway
from gateway.simulate.modbus import ModbusServer
from gateway.store import LogReader
from tests.gateway.service_run import (
    COMPRESSOR_SHEET,
    HEAD,
    alarm_table,
    client_of,
    compressor_table,
    events_in,
    running,
    written,
)
from tests.gateway.simulate_peers import modbus_server
from tests.gateway.store_cases import ledger, until
from tests.gateway.test_store_faults import fill, small_disk

DEADLINE_S = 20.0
LOG = {
    "ballast_bytes": 512 * 1024,
    "pending_bytes_max": 10_000,
    "retry_s": 0.2,
    "group_commit_s": 0.05,
}
"""Little memory for what waits, so that samples are shed within seconds."""
FLOW = [TagId("compressor.Flow")]
TAGS = 3


@asynccontextmanager
async def on_small_disk(folder: Path) -> AsyncIterator[tuple[ModbusServer, Config, Path]]:
    """Yield a server, a configuration whose state is on a small disk, and that disk."""
    with small_disk("4m", folder / "disk") as disk:
        async with modbus_server(folder) as server:
            config = written(
                folder,
                HEAD.replace('"state"', f'"{disk}/state"')
                + compressor_table(server.endpoint)
                + alarm_table(),
                k01=COMPRESSOR_SHEET,
            )
            small = config.log.model_copy(update=LOG)
            yield server, config.model_copy(update={"log": small}), disk


async def test_a_full_disk_is_told_survived_and_ledgered(tmp_path: Path) -> None:
    async with on_small_disk(tmp_path) as (server, config, disk):
        async with running(config, tmp_path) as gateway, client_of(tmp_path) as client:

            async def is_told() -> bool:
                return "full" in (await client.status()).log.fault

            async def is_over() -> bool:
                return (await client.status()).log.fault == ""

            async def is_raised() -> bool:
                return len((await client.alarms()).alarms) == 1

            [device] = gateway.supervisors
            await until(lambda: device.status().frame_count >= 5)
            await fill_until_degraded(gateway, disk)
            await until_answered(is_told)
            await server.show([1.0, 140.0, 3.0, *[0.0] * 6, 0.0], 0)
            await until_answered(is_raised)
            # Longer than the memory for what waits lasts: samples have to be shed.
            before = device.status().frame_count
            await until(lambda: device.status().frame_count >= before + 60)
            assert await is_told()
            (disk / "filler").unlink()
            await until_answered(is_over)
        books = gateway.view.books()
        losses = [x for x in ledger(gateway.store.path) if not x.reason.is_gap]
        assert {x.reason for x in losses} == {LedgerReason.STORE_FAILED}
        lost = sum(x.count or 0 for x in losses)
        assert books.lost == lost > 0
        assert books.stored + lost == books.received
        [raised] = [x for x in events_in(gateway.store.path) if x.condition == "flow_high"]
        assert raised.source == "K-01"
        trends = LogReader(gateway.store.path).frames(FLOW, from_ns=0, to_ns=1 << 62)
        assert TAGS * len(trends[0].time_ns) == books.stored


async def test_a_full_disk_does_not_keep_the_service_from_stopping(tmp_path: Path) -> None:
    """Nor from starting again once there is room: what was not committed is a gap."""
    async with on_small_disk(tmp_path) as (_, config, disk):
        async with running(config, tmp_path) as gateway:
            [device] = gateway.supervisors
            await until(lambda: device.status().frame_count >= 5)
            await fill_until_degraded(gateway, disk)
        (disk / "filler").unlink()
        async with running(config, tmp_path) as gateway:
            [device] = gateway.supervisors
            await until(lambda: device.status().frame_count >= 5)
        # One of the log's own, and one for the device until it was connected again.
        assert {x.reason for x in ledger(gateway.store.path)} == {LedgerReason.UNCLEAN_STOP}


async def fill_until_degraded(gateway: Gateway, disk: Path) -> None:
    """Use up the disk again and again: the ballast is let go once."""
    async with asyncio.timeout(DEADLINE_S):
        while not gateway.store.reason:
            fill(disk / "filler")
            await asyncio.sleep(0.05)


async def until_answered(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await is_so():
            await asyncio.sleep(0.05)
