"""Pictures of the console: the screen as lines of plain text, and as SVG."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Input

from gateway.api.view import GatewayView
from gateway.console.app import ConsoleApp
from tests.gateway.serving import client_of

DEADLINE_S = 15.0
NARROW = (80, 24)
WIDE = (120, 40)


@dataclass
class Console:
    """A running console, and the hands of a person at it."""

    app: ConsoleApp
    pilot: Pilot[None]

    def text(self) -> str:
        """Return the screen as lines of text, without colour."""
        screen = self.app.screen
        region = Region(0, 0, *self.app.size)
        strips = screen._compositor.render_strips(region.size)
        return "\n".join(strip.text.rstrip() for strip in strips)

    async def press(self, *keys: str) -> None:
        """Press keys, and let the console settle."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def shows(self, wanted: str | Callable[[str], bool]) -> str:
        """Wait until the screen holds a text, and return the screen.

        Raises:
            AssertionError: it does not in time; the message is the screen.
        """
        holds = (lambda text: wanted in text) if isinstance(wanted, str) else wanted
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not holds(text := self.text()):
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"{wanted!r} did not come:\n{self.text()}") from None
        return text

    def svg(self) -> str:
        """Return the screen as SVG."""
        return self.app.export_screenshot(title="edgewright console")


async def nothing_known() -> str:
    """Stand for a machine without systemd."""
    return ""


@asynccontextmanager
async def console_at(
    socket: Path,
    *,
    size: tuple[int, int] = NARROW,
    ask_systemd: Callable[[], Awaitable[str]] = nothing_known,
) -> AsyncIterator[Console]:
    """Run the console against whatever is at a socket."""
    Input.cursor_blink = False  # type: ignore[assignment]  # a picture must not depend on it
    app = ConsoleApp(socket, period_s=0.1, zone=UTC, ask_systemd=ask_systemd)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield Console(app, pilot)


@asynccontextmanager
async def console_of(
    view: GatewayView, *, size: tuple[int, int] = NARROW
) -> AsyncIterator[Console]:
    """Run the console against a view, served on a real socket; wait for the first picture."""
    async with client_of(view) as client, console_at(client.socket, size=size) as console:
        await console.shows("up ")
        yield console
