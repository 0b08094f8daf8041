"""A real API server on a real Unix socket, for tests."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.api.client import GatewayClient
from gateway.api.server import ApiConfig, ApiServer
from gateway.api.view import GatewayView


@asynccontextmanager
async def client_of(view: GatewayView, *, streams_max: int = 16) -> AsyncIterator[GatewayClient]:
    """Serve the view, and give a client that is connected to it."""
    # Not pytest's folder: its paths may be longer than a socket's address.
    with tempfile.TemporaryDirectory(prefix="ew") as folder:
        socket = Path(folder) / "api.sock"
        server = ApiServer(ApiConfig(socket=socket, streams_max=streams_max), view)
        async with server.serving(), GatewayClient(socket) as client:
            yield client
