"""Sessions for the tests of browsing, and free ports for servers not written here."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from connectors.opcua.browse import BrowseQuery, Browser, FoundNode
from connectors.opcua.certificates import CertificateWatch
from connectors.opcua.client import Decode
from connectors.opcua.connect import LinkSettings, open_link
from connectors.opcua.security import Credentials
from connectors.opcua.session import UaLink
from connectors.opcua.trust import Trust
from gateway.wire.clock import SystemClock


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@asynccontextmanager
async def linked(endpoint: str) -> AsyncIterator[UaLink]:
    """Give a session without security."""
    settings = LinkSettings(
        device=endpoint,
        name="test",
        endpoint=endpoint,
        security="None",
        mode="SignAndEncrypt",
        credentials=Credentials(user="", password=SecretStr(""), certificate=None, key=None),
        trust=Trust.FOLDER,
        certificates=CertificateWatch(
            "test", folder=Path("unused"), warning_days=30, clock=SystemClock()
        ),
        folder=Path("unused"),
        timeout_s=20,
        decode=Decode.COLUMNS,
    )
    link = await open_link(settings, SystemClock())
    try:
        yield link
    finally:
        await link.close()


async def browsed(link: UaLink, query: BrowseQuery) -> tuple[Browser, list[FoundNode]]:
    """Return everything that a walk finds."""
    browser = Browser(link, query, device="server")
    return browser, [node async for nodes in browser.found() for node in nodes]
