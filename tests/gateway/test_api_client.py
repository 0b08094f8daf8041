"""What the client says when there is nobody, or nobody who answers."""

import asyncio
import socket
from pathlib import Path

import pytest

from gateway.api.client import GatewayClient
from gateway.api.errors import GoneError, RefusedError
from tests.gateway.fake_view import FakeView
from tests.gateway.serving import client_of


async def test_no_socket_is_told_from_nobody_listening(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with GatewayClient(path) as client:
        with pytest.raises(GoneError, match="does not exist"):
            await client.status()
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        with pytest.raises(GoneError, match="nobody listens"):
            await client.status()


async def test_a_gateway_that_hangs_is_given_up_on(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        async with GatewayClient(tmp_path / "s", timeout_s=0.2) as client:
            with pytest.raises(GoneError, match="in time"):
                await client.status()


async def test_a_gateway_that_hangs_up_is_gone(tmp_path: Path) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(hang_up, tmp_path / "s")
    async with server, GatewayClient(tmp_path / "s") as client:
        with pytest.raises(GoneError, match="went away"):
            await client.status()


async def test_ids_with_slashes_and_percent_signs_arrive_whole() -> None:
    async with client_of(FakeView()) as client:
        with pytest.raises(RefusedError, match="'a/b%2Fc d'"):
            await client.acknowledge("a/b%2Fc d")
