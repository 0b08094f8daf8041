"""node-opcua's server that does to its clients what a test asks for, and a connector to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client

from connectors.opcua.connector import OpcuaConfig, OpcuaConnector
from gateway.core.arrays import index_column
from gateway.wire.clock import SystemClock
from tests.connectors.sessions import in_session
from tests.connectors.sinks import KeepingSink
from tests.interop.peers import node_script, running_peer

PERIOD_MS = 120
REACHED_S = 30.0


class Far:
    """node-opcua's server, and a connector to it."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        (folder / "pumps.csv").write_text(
            "tag,node,group\nFlow,ns=1;s=Flow,\nLevel,ns=1;s=Level,slow\nnone,ns=1;s=No,\n",
            encoding="utf-8",
        )
        self.endpoint = endpoint
        config = OpcuaConfig.model_validate(
            {
                "type": "opcua",
                "endpoint": endpoint,
                "security": "None",
                "tags": "pumps.csv",
                "sampling_ms": 50,
                "publishing_ms": 60,
                "groups": {"slow": {"sampling_ms": 50, "publishing_ms": 90}},
                "timeout_s": 10,
                "keep_alive_s": 0.3,
                "silence_s_max": 1.5,
            }
        )
        self.connector = OpcuaConnector(
            "pumps", config, folder=folder, state_folder=folder / "state", clock=SystemClock()
        )

    @asynccontextmanager
    async def session(self, sink: KeepingSink) -> AsyncIterator[asyncio.Task[None]]:
        """Run one session inside the block."""
        async with in_session(self.connector, sink, index_column([0, 1, 2])) as task:
            yield task

    async def reached(self) -> None:
        """Return when a connection can be made: a cable that was plugged in needs a moment."""
        host, _, port = self.endpoint.removeprefix("opc.tcp://").partition(":")
        async with asyncio.timeout(REACHED_S):
            while True:
                try:
                    async with asyncio.timeout(1.0):
                        _, writer = await asyncio.open_connection(host, int(port))
                except OSError:  # a time-out is one
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                await writer.wait_closed()
                return

    async def call(self, method: str) -> None:
        """Call a method with a session of its own."""
        async with Client(self.endpoint) as client:
            await client.get_node("ns=1;s=Faults").call_method(
                ua.NodeId.from_string(f"ns=1;s={method}")
            )


@asynccontextmanager
async def far_server(folder: Path) -> AsyncIterator[Far]:
    command = node_script("opcua_faults.js", "127.0.0.1", "0", str(PERIOD_MS))
    async with running_peer(command) as [port]:
        yield Far(folder, f"opc.tcp://127.0.0.1:{port}")
