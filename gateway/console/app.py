"""The console: six views on one snapshot of the gateway, fetched every second.

The snapshot comes down to the views as one frozen value; what a person does goes up as a message.
Nothing here waits for the gateway but the one worker that watches it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import ContentSwitcher, DataTable, Footer

from gateway.api.client import GatewayClient
from gateway.api.errors import GoneError, RefusedError
from gateway.console.alarms import AlarmsView
from gateway.console.asset import AssetView
from gateway.console.devices import DevicesView
from gateway.console.find import FindScreen, Found
from gateway.console.help import HelpScreen
from gateway.console.last_words import last_words
from gateway.console.masthead import VIEWS, Masthead, ViewTab, ViewTabs
from gateway.console.models import ModelsView
from gateway.console.palette import THEME
from gateway.console.plant import PlantView
from gateway.console.pulse import GoneBanner, Pulse
from gateway.console.snapshot import Gone, Snapshot, fetch
from gateway.console.sync import SyncView
from gateway.console.trend import TrendScreen
from gateway.console.view import View

PERIOD_S = 1.0
"""Time between two snapshots, and between two attempts to reach a gateway that has gone."""


class ConsoleApp(App[None]):
    """The terminal UI for technicians."""

    @dataclass
    class SnapshotFetched(Message):
        """The gateway has answered, or failed to."""

        snapshot: Snapshot

        def can_replace(self, message: Message) -> bool:
            """A burst of snapshots collapses into its last one."""
            return isinstance(message, ConsoleApp.SnapshotFetched)

    TITLE = "Edgewright"
    CSS_PATH = "console.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                str(key),
                f"show_view('{view}')",
                view,
                show=False,
                id=f"view.{view}",
                tooltip=f"Show the view {view.capitalize()}",
            )
            for key, view in enumerate(VIEWS, start=1)
        ),
        Binding(
            "slash", "find", "find", key_display="/", id="find", tooltip="Find an asset or a tag"
        ),
        Binding(
            "question_mark", "help", "help", key_display="?", id="help", tooltip="Show all keys"
        ),
        Binding(
            "q,ctrl+c", "quit", "quit", key_display="q", id="quit", tooltip="Leave the console"
        ),
    ]

    snapshot: reactive[Snapshot] = reactive(Snapshot(), init=False)
    """The newest picture of the gateway."""
    view: reactive[str] = reactive("plant", init=False)
    """The view that is shown."""

    def __init__(
        self,
        socket: Path,
        *,
        period_s: float = PERIOD_S,
        zone: tzinfo | None = None,
        ask_systemd: Callable[[], Awaitable[str]] = last_words,
    ) -> None:
        """Prepare the console.

        Args:
            socket: Where the gateway listens.
            period_s: Time between two snapshots.
            zone: Zone of the clock on top; None is the machine's own.
            ask_systemd: Tells what is known of a service that does not answer.
        """
        super().__init__()
        self.register_theme(THEME)
        self.theme = THEME.name
        self.client = GatewayClient(socket)
        self._period_s = period_s
        self._zone = zone
        self._ask_systemd = ask_systemd
        self._asset = ""
        self._wanted = asyncio.Event()

    def compose(self) -> ComposeResult:
        """Put the views between the masthead and the pulse."""
        yield Masthead(id="masthead").data_bind(ConsoleApp.snapshot)
        yield ViewTabs().data_bind(ConsoleApp.snapshot, shown=ConsoleApp.view)
        with ContentSwitcher(initial="plant", id="views"):
            yield PlantView(id="plant").data_bind(ConsoleApp.snapshot)
            yield AssetView(id="asset").data_bind(ConsoleApp.snapshot)
            yield AlarmsView(id="alarms").data_bind(ConsoleApp.snapshot)
            yield DevicesView(id="devices").data_bind(ConsoleApp.snapshot)
            yield SyncView(id="sync").data_bind(ConsoleApp.snapshot)
            yield ModelsView(id="models").data_bind(ConsoleApp.snapshot)
        yield GoneBanner(id="gone").data_bind(ConsoleApp.snapshot)
        yield Pulse(id="pulse").data_bind(ConsoleApp.snapshot)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to watch the gateway."""
        self.watch_gateway()
        self.call_after_refresh(self._focus_view)

    @work(exclusive=True, group="watch")
    async def watch_gateway(self) -> None:
        """Fetch a snapshot every period, and at once when one is wanted."""
        async with self.client:
            while True:
                self._wanted.clear()
                self.post_message(self.SnapshotFetched(await self._next_snapshot()))
                try:
                    async with asyncio.timeout(self._period_s):
                        await self._wanted.wait()
                except TimeoutError:
                    continue

    @work(exclusive=True, group="asset")
    async def _fetch_asset(self, asset: str) -> None:
        """Fetch one asset at once: a key must be on the screen before the next period."""
        try:
            detail = await self.client.asset(asset)
        except (GoneError, RefusedError):
            # The next snapshot says so.
            return
        self.post_message(self.SnapshotFetched(replace(self.snapshot, asset=detail)))

    async def _next_snapshot(self) -> Snapshot:
        try:
            return await fetch(self.client, self._asset, self._zone)
        except GoneError as error:
            before, now = self.snapshot.gone, datetime.now(UTC)
            return self.snapshot.lost(
                Gone(
                    since=before.since if before else now,
                    checked=now,
                    reason=str(error),
                    last_words=await self._ask_systemd(),
                )
            )

    @on(SnapshotFetched)
    def take_snapshot(self, message: SnapshotFetched) -> None:
        """Hand the snapshot down to everything on the screen."""
        self.snapshot = self._with_chosen_asset(message.snapshot)

    def _with_chosen_asset(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot that was on its way when another asset was chosen, without the old."""
        late = snapshot.asset is not None and snapshot.asset.summary.asset != self._asset
        if self._asset and late:
            return replace(snapshot, asset=self.snapshot.asset)
        return snapshot

    @on(View.AssetChosen)
    def turn_to_asset(self, message: View.AssetChosen) -> None:
        """Fetch the signals of another asset, and show them where wanted."""
        if message.asset != self._asset:
            self._asset = message.asset
            self._fetch_asset(message.asset)
        if message.opens:
            self.view = "asset"

    @on(ViewTab.Picked)
    def turn_to_view(self, message: ViewTab.Picked) -> None:
        """Turn to the view whose name was clicked."""
        self.view = message.view

    @on(View.Acted)
    def look_again(self) -> None:
        """Fetch what an action has changed."""
        self._wanted.set()

    def watch_snapshot(self, snapshot: Snapshot) -> None:
        """Let everything stand back while the gateway is gone."""
        self.query("#views").set_class(snapshot.gone is not None, "-gone")

    def watch_view(self, view: str) -> None:
        """Show a view, and give it the keys."""
        self.query_one(ContentSwitcher).current = view
        self.call_after_refresh(self._focus_view)

    def action_show_view(self, view: str) -> None:
        """Turn to a view."""
        self.view = view

    @work
    async def action_find(self) -> None:
        """Find an asset or a tag, and show it."""
        found = await self.push_screen_wait(FindScreen())
        if found is not None:
            self._show_found(found)

    def action_help(self) -> None:
        """Show all keys that work now."""
        active = (entry.binding for entry in self.screen.active_bindings.values())
        self.push_screen(HelpScreen(each for each in active if each.id))

    def _show_found(self, found: Found) -> None:
        if found.kind == "asset":
            self.post_message(View.AssetChosen(found.name, opens=True))
        else:
            self.push_screen(TrendScreen(found.name))

    def _focus_view(self) -> None:
        tables = self.query_one(f"#{self.view}").query(DataTable)
        if tables:
            tables.first().focus()
