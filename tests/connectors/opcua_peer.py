"""node-opcua as the server: nothing of it was written here, and nothing of it is asyncua."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from connectors.opcua.connector import OpcuaConfig, OpcuaConnector
from gateway.wire.clock import SystemClock
from tests.connectors.contract import Plant
from tests.connectors.wire import Wire
from tests.interop.peers import node_script, running_peer

POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
MODES = ("SignAndEncrypt", "Sign")
NODES = """\
tag,node,writable,call
Flow,ns=1;s=P101.Flow,,
Level,ns=1;s=P101.Level,yes,ns=1;s=P101.SetLevel
Speed,ns=1;s=P101.Speed,yes,ns=1;s=P101 > ns=1;s=P101.SetSpeed
Running,ns=1;s=P101.Running,yes,ns=1;s=P101.Start
"""


class PeerPlant(Plant):
    """A connector behind a wire to the server; the server itself belongs to the context."""

    def __init__(self, folder: Path, wire: Wire) -> None:
        self.folder = folder
        self.wire = wire
        (folder / "pumps.csv").write_text(NODES, encoding="utf-8")
        self.connector = self.connector_with()

    def connector_with(self, **settings: object) -> OpcuaConnector:
        given = {
            "type": "opcua",
            "endpoint": f"opc.tcp://127.0.0.1:{self.wire.port}",
            "security": "Basic256Sha256",
            "trust": "first_use",
            "tags": "pumps.csv",
            "sampling_ms": 20,
            "publishing_ms": 50,
            "timeout_s": 10,
        }
        return OpcuaConnector(
            "pumps",
            OpcuaConfig.model_validate(given | settings),
            folder=self.folder,
            state_folder=self.folder / "state",
            clock=SystemClock(),
        )

    def impatient(self) -> OpcuaConnector:
        return self.connector_with(timeout_s=1.5, keep_alive_s=0.4, silence_s_max=1.5)

    async def start_server(self) -> None:
        raise NotImplementedError

    async def stop_server(self) -> None:
        raise NotImplementedError

    def offered_count(self) -> int:
        raise NotImplementedError


@asynccontextmanager
async def opened_peer(
    folder: Path, *, policies: str, modes: str, trust: str = "accept"
) -> AsyncIterator[PeerPlant]:
    """Run the server with this security; see `opcua_secure.js`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    script = node_script("opcua_secure.js", str(port), str(folder / "pki"), policies, modes, trust)
    async with running_peer(script), Wire() as wire:
        wire.target_port = port
        yield PeerPlant(folder, wire)
