"""Browsing real servers: a large one of asyncua, and one of node-opcua with narrow limits."""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connectors.opcua.address_space import NodeClass
from connectors.opcua.browse import BrowseQuery, Browser, Wanted
from connectors.opcua.nodes import parse_node
from gateway.core.errors import DeviceError
from gateway.simulate.server import ServerState
from tests.connectors.browsing import browsed, free_port, linked
from tests.gateway.simulate_peers import opcua_server
from tests.interop.peers import needs_node, node_script, running_peer

LARGE_COUNT = 20_000
BLOCKED_S_MAX = 0.05
MACHINES = "urn:interop:machines"


@asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """Give the seconds of processor time between the beats of a task beside what is tested.

    Processor time of this thread: what other programs take is not the loop's fault.
    """
    gaps: list[float] = []

    async def beat() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            gaps.append(time.thread_time() - last)
            last = time.thread_time()

    task = asyncio.create_task(beat())
    yield gaps
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_twenty_thousand_nodes_without_holding_the_loop_up() -> None:
    """Every node once, within seconds; the loop goes on although one answer holds 2000 nodes."""
    command = [sys.executable, "-m", "tests.connectors.opcua_large", str(LARGE_COUNT), "110"]
    async with running_peer(command) as [port], linked(f"opc.tcp://127.0.0.1:{port}") as link:
        gc.freeze()
        async with heartbeat() as gaps:
            begun = time.monotonic()
            _, found = await browsed(link, BrowseQuery())
            taken_s = time.monotonic() - begun
        gc.unfreeze()
    names = [node.browse_name for node in found if node.browse_name.startswith("v")]
    assert len(names) == len(set(names)) == LARGE_COUNT
    assert max(gaps) < BLOCKED_S_MAX
    assert taken_s < 25


@asynccontextmanager
async def plant(extra: int = 0) -> AsyncIterator[str]:
    """Run the plant of node-opcua: 50 nodes a call, three unfinished answers at once."""
    port = free_port()
    command = node_script("opcua_plant.js", str(port), "first", str(extra), "110")
    async with running_peer(command):
        yield f"opc.tcp://127.0.0.1:{port}"


@needs_node
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_limits_continuations_loops_and_facts_of_node_opcua() -> None:
    """Its limits are kept, long answers are asked on, and its loops end."""
    async with plant(3000) as endpoint, linked(endpoint) as link:
        browser, found = await browsed(link, BrowseQuery())
        variables = {node.path for node in found if node.node_class is NodeClass.VARIABLE}
        lines = {f"Plant/Line{i // 1000}/v{i}" for i in range(3000)}
        assert lines < variables
        assert len({node.node for node in found}) == len(found) == browser.seen_count - 1
        assert browser.refused_count == 0
        assert not any("P101/Plant" in node.path for node in found)

        start = parse_node(f"nsu={MACHINES};s=P101")
        _, pump = await browsed(link, BrowseQuery(start=start, depth_max=1, wanted=Wanted.VALUES))
        facts = {node.path: node.facts for node in pump}
        assert facts.pop("Plant") is None  # back to the top, which is no variable
        told = {
            path: (fact.data_type, fact.is_numeric, fact.value, fact.unit, fact.low, fact.high)
            for path, fact in facts.items()
            if fact is not None
        }
        infinite = float("inf")
        assert told["Flow"] == ("Double", True, 10.0, "m3/h", 0.0, 20.0)
        assert told["Temperature"] == ("Double", True, 50.0, "Cel", -20.0, 120.0)
        assert told["Odd"] == ("Double", True, 0.5, "", 0.0, 1.0)
        assert told["Running"] == ("Boolean", True, True, "", -infinite, infinite)
        assert told["Name"] == ("String", False, "feed pump P101", "", -infinite, infinite)
        assert told["Spectrum"] == ("Double[]", False, None, "", -infinite, infinite)
        writable = {path for path, fact in facts.items() if fact and fact.is_writable}
        assert writable == {"Setpoint", "Name", "Spectrum"}


async def test_depth_start_and_unknown_nodes(tmp_path: Path) -> None:
    async with opcua_server(tmp_path) as server, linked(server.endpoint) as link:
        _, top = await browsed(link, BrowseQuery(depth_max=1))
        assert {"Plant", "Server"} <= {node.path for node in top}
        assert all(node.depth == 1 for node in top)
        _, pump = await browsed(link, BrowseQuery(start=parse_node("ns=2;s=P101")))
        assert "Flow" in {node.path for node in pump}
        with pytest.raises(DeviceError, match="has no node ns=2;s=P999"):
            await browsed(link, BrowseQuery(start=parse_node("ns=2;s=P999")))
        _, few = await browsed(link, BrowseQuery(nodes_max=5))
        assert len(few) == 4
        browser = Browser(link, BrowseQuery(), device="server")
        nodes = ["ns=2;s=P101.Flow", "ns=2;s=P101.Gone", "nsu=urn:nowhere;i=1", "i=2253"]
        known = await browser.known([parse_node(node) for node in nodes])
        assert known == [True, False, False, True]


async def test_a_lost_connection_ends_the_walk(tmp_path: Path) -> None:
    async with opcua_server(tmp_path) as server, linked(server.endpoint) as link:
        walk = Browser(link, BrowseQuery(), device="server").found()
        await anext(walk)
        await server.fail(ServerState.DEAD)
        with pytest.raises(DeviceError):
            async for _ in walk:
                pass
