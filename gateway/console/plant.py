"""The plant: every asset with its health, those in trouble first, and why."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from gateway.api.answers import AssetAnswer
from gateway.console.case import ask_verdict
from gateway.console.cells import health_cell, muted, plain, remaining_cell, score_cell, state_cell
from gateway.console.event_lines import event_lines
from gateway.console.format import UNKNOWN, plural, spark
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import SPARK, TEXT, WARN
from gateway.console.snapshot import Snapshot
from gateway.console.view import TALL, View
from gateway.console.why import Why

COLUMNS = (
    Column(key="asset", title="asset", width=10),
    Column(key="type", title="type", width=17, screen_min=110),
    Column(key="state", title="state", width=8),
    Column(key="health", title="health", width=18),
    Column(key="trend", title="lately", width=12, screen_min=110),
    Column(key="score", title="score", width=5, align="right"),
    Column(key="sign", title="worst sign", width=0),
    Column(key="left", title="left", width=8, align="right"),
    Column(key="data", title="data", width=7, align="right", screen_min=110),
)


class PlantView(View):
    """Overview of the assets; below it the reasons of the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "open",
            "open asset",
            key_display="enter",
            id="plant.open",
            tooltip="Show all signals of the asset under the cursor",
        ),
        Binding(
            "c",
            "verdict",
            "case",
            id="plant.verdict",
            tooltip="Say what was behind the case of the asset: confirmed, false, planned work",
        ),
    ]

    def compose(self) -> ComposeResult:
        """Put the table above the reasons."""
        yield LiveTable(*COLUMNS, id="assets")
        yield Why(id="why")
        yield Static(id="plant-events")

    def draw(self, snapshot: Snapshot) -> None:
        """Draw the assets and the reasons."""
        rows = {asset.asset: _cells(asset, snapshot) for asset in snapshot.assets}
        self.table.show_rows(rows)
        self.query_one(Why).show(snapshot)
        events = self.query_one("#plant-events", Static)
        events.display = self.app.size.height >= TALL
        events.border_title = " latest events "
        events.update(event_lines(snapshot.events, snapshot))
        under_cursor = self.table.chosen
        if snapshot.asset and under_cursor and under_cursor != snapshot.asset.summary.asset:
            self.post_message(self.AssetChosen(under_cursor, opens=False))

    def on_show(self) -> None:
        """Follow what was chosen in another view."""
        super().on_show()
        if self.snapshot.asset is not None:
            self.table.choose(self.snapshot.asset.summary.asset)

    @on(DataTable.RowHighlighted)
    def turn_to(self, event: DataTable.RowHighlighted) -> None:
        """Say which asset is under the cursor."""
        if event.row_key.value is not None:
            self.post_message(self.AssetChosen(event.row_key.value, opens=False))

    @on(DataTable.RowSelected)
    def open_row(self, event: DataTable.RowSelected) -> None:
        """Ask for the asset's own view."""
        if event.row_key.value is not None:
            self.post_message(self.AssetChosen(event.row_key.value, opens=True))

    def action_open(self) -> None:
        """Ask for the view of the asset under the cursor."""
        if self.table.chosen is not None:
            self.post_message(self.AssetChosen(self.table.chosen, opens=True))

    def action_verdict(self) -> None:
        """Ask what was behind the case of the asset."""
        case = self.snapshot.case
        if case is None:
            self.notify("This asset has no open case.", timeout=4)
        else:
            self.app.run_worker(ask_verdict(self, case))

    @property
    def table(self) -> LiveTable:
        """The table of assets."""
        return self.query_one("#assets", LiveTable)


def _cells(asset: AssetAnswer, snapshot: Snapshot) -> Cells:
    return {
        "asset": Text(asset.asset, style=f"bold {TEXT}"),
        "type": muted(asset.asset_type.replace("_", " ")),
        "state": state_cell(asset.state),
        "health": health_cell(asset),
        "trend": Text(spark(asset.health_trend, 12), style=SPARK),
        "score": score_cell(asset.score),
        "sign": _sign(asset),
        "left": remaining_cell(asset),
        "data": muted(snapshot.age(asset.as_of)),
    }


def _sign(asset: AssetAnswer) -> Text:
    if asset.bad_count and not asset.worst_sign:
        return Text(f"▒ {plural(asset.bad_count, 'signal')} not to be trusted", style=WARN)
    return plain(asset.worst_sign) if asset.worst_sign else muted(UNKNOWN)
