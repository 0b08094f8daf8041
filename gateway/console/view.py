"""The base of the six views: a snapshot comes down, messages go up."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive

from gateway.api.answers import Answer
from gateway.api.client import GatewayClient
from gateway.api.errors import GoneError, RefusedError
from gateway.console.snapshot import Snapshot

if TYPE_CHECKING:
    from gateway.console.app import ConsoleApp
TALL = 32
"""Terminals of at least so many lines show the latest events in more views."""


class View(Vertical):
    """One view; it draws itself only while it is shown."""

    @dataclass
    class AssetChosen(Message):
        """A person has turned to an asset."""

        asset: str
        opens: bool
        """Whether its own view is wanted."""

    @dataclass
    class Acted(Message):
        """Something was done on the gateway: the picture is out of date."""

    app: "ConsoleApp"
    snapshot: reactive[Snapshot] = reactive(Snapshot(), init=False)
    """The newest picture of the gateway."""

    def watch_snapshot(self, snapshot: Snapshot) -> None:
        """Draw the new picture, if anybody sees it."""
        if self.display and snapshot.status is not None:
            self.draw(snapshot)

    def on_show(self) -> None:
        """Draw what came while nobody looked."""
        self.watch_snapshot(self.snapshot)

    def draw(self, snapshot: Snapshot) -> None:
        """Draw a snapshot; each view does it in its own way."""
        raise NotImplementedError

    @property
    def client(self) -> GatewayClient:
        """Asks the gateway."""
        return self.app.client

    async def act(self, action: Awaitable[Answer], *, done: str) -> None:
        """Do something on the gateway, and say what came of it."""
        try:
            await action
        except RefusedError as error:
            self.notify(error.remedy.capitalize() + ".", title=error.error, severity="error")
        except GoneError as error:
            self.notify(str(error), title="Not done", severity="error")
        else:
            self.notify(done, timeout=4)
        self.post_message(self.Acted())
