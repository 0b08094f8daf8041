"""Find: type a part of a name; assets and tags that match, with their present values.

Only as many tags are asked for as the list can show, however many the gateway has.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Static

from gateway.api.answers import AssetAnswer, TagAnswer
from gateway.api.errors import GoneError, RefusedError
from gateway.api.requests import TagsRequest
from gateway.console.cells import (
    age_cell,
    muted,
    plain,
    quality_cell,
    state_cell,
    unit_cell,
    value_cell,
)
from gateway.console.format import percent, plural
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import ACCENT, BAD, TEXT
from gateway.console.snapshot import Snapshot

if TYPE_CHECKING:
    from gateway.console.app import ConsoleApp

COLUMNS = (
    Column(key="kind", title="", width=5),
    Column(key="name", title="name", width=0),
    Column(key="value", title="value", width=8, align="right"),
    Column(key="unit", title="", width=6),
    Column(key="quality", title="qual.", width=5),
    Column(key="age", title="age", width=7, align="right"),
)
TAGS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Found:
    """What a person has picked."""

    kind: Literal["asset", "tag"]
    name: str


class FindScreen(ModalScreen[Found | None]):
    """Asks for a part of a name, and lists what has it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave", id="find.leave", tooltip="Leave the search"),
        Binding("down", "move(1)", show=False, id="find.down", tooltip="Next match"),
        Binding("up", "move(-1)", show=False, id="find.up", tooltip="Match before"),
    ]
    app: "ConsoleApp"

    def compose(self) -> ComposeResult:
        """Put the field above the matches."""
        with Vertical(classes="box", id="find-box") as box:
            box.border_title = "find an asset or a tag"
            box.border_subtitle = "↑↓ choose · enter: show · esc: leave"
            yield Input(placeholder="part of a name", id="wanted")
            yield LiveTable(*COLUMNS, id="found")
            yield Static("", id="found-count")

    def on_mount(self) -> None:
        """Begin with everything, as far as it fits."""
        self.query_one("#found", LiveTable).can_focus = False
        self.search("")

    @on(Input.Changed)
    def narrow(self, event: Input.Changed) -> None:
        """Search anew; a search that runs is given up."""
        self.search(event.value)

    @work(exclusive=True)
    async def search(self, wanted: str) -> None:
        """List what matches."""
        snapshot = self.app.snapshot
        assets = [each for each in snapshot.assets if wanted.casefold() in each.asset.casefold()]
        try:
            tags = await self.app.client.tags(TagsRequest(find=wanted, limit=TAGS_SHOWN))
        except (GoneError, RefusedError) as error:
            self.query_one("#found-count", Static).update(Text(str(error), style=BAD))
            return
        rows = {f"asset:{asset.asset}": _asset_cells(asset) for asset in assets}
        rows |= {f"tag:{tag.tag}": _tag_cells(tag, snapshot) for tag in tags.tags}
        self.query_one("#found", LiveTable).show_rows(rows)
        count = f"{plural(len(assets), 'asset')}, {plural(tags.count, 'tag')}"
        self.query_one("#found-count", Static).update(muted(count))

    @on(Input.Submitted)
    def take(self) -> None:
        """Give what is under the cursor."""
        self._give(self.query_one("#found", LiveTable).chosen)

    @on(DataTable.RowSelected)
    def take_clicked(self, event: DataTable.RowSelected) -> None:
        """Give what was clicked."""
        self._give(event.row_key.value)

    def action_move(self, by: int) -> None:
        """Move the cursor while the field keeps the keys."""
        table = self.query_one("#found", LiveTable)
        table.move_cursor(row=table.cursor_row + by)

    def action_leave(self) -> None:
        """Give nothing."""
        self.dismiss(None)

    def _give(self, key: str | None) -> None:
        if key is not None:
            kind, _, name = key.partition(":")
            self.dismiss(Found("asset" if kind == "asset" else "tag", name))


def _asset_cells(asset: AssetAnswer) -> Cells:
    return {
        "kind": Text("asset", style=ACCENT),
        "name": Text(asset.asset, style=f"bold {TEXT}"),
        "value": plain(percent(asset.health)),
        "unit": muted(""),
        "quality": muted(""),
        "age": state_cell(asset.state),
    }


def _tag_cells(tag: TagAnswer, snapshot: Snapshot) -> Cells:
    return {
        "kind": muted("tag"),
        "name": plain(tag.tag),
        "value": value_cell(tag),
        "unit": unit_cell(tag.unit),
        "quality": quality_cell(tag),
        "age": age_cell(tag, snapshot),
    }
