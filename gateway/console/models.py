"""The models: the version in force, the one in shadow, and why each stands where it stands."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from gateway.api.answers import ModelAnswer
from gateway.console.ask import AskScreen
from gateway.console.cells import bar_cell, muted, plain, stage_cell
from gateway.console.format import counted, percent
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import ACCENT, GOOD, MUTED, TEXT
from gateway.console.snapshot import Snapshot
from gateway.console.view import View

COLUMNS = (
    Column(key="name", title="model", width=0),
    Column(key="version", title="version", width=7),
    Column(key="stage", title="stage", width=11),
    Column(key="since", title="since", width=7, align="right"),
    Column(key="progress", title="decided", width=15),
    Column(key="rows", title="rows", width=8, align="right"),
    Column(key="reason", title="why", width=46, screen_min=110),
)
PROGRESS_WIDTH = 8
NEXT_STEP = {
    "shadow": "It scores beside the version in force; its alarms are counted, not raised.",
    "active": "It is in force.",
    "rejected": "It never was in force.",
    "rolled_back": "It was in force, and was taken out again.",
    "retired": "It was in force until a better one came.",
}


class ModelsView(View):
    """Versions and their history; promotion and return want a typed confirmation."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "p",
            "promote",
            "promote",
            id="models.promote",
            tooltip="Put the version in shadow in force now",
        ),
        Binding(
            "r",
            "roll_back",
            "roll back",
            id="models.roll_back",
            tooltip="Take the version in force out again",
        ),
    ]

    def compose(self) -> ComposeResult:
        """Put the table above the details."""
        yield LiveTable(*COLUMNS, id="models")
        yield Static(id="model-detail")

    def draw(self, snapshot: Snapshot) -> None:
        """Draw the models."""
        self.table.show_rows({_key(model): _cells(model, snapshot) for model in snapshot.models})
        self._draw_detail()

    @on(DataTable.RowHighlighted)
    def _draw_detail(self) -> None:
        model, panel = self.chosen, self.query_one("#model-detail", Static)
        panel.display = model is not None
        if model is not None:
            panel.border_title = f" {_key(model)} · {stage_cell(model.stage).plain} "
            text = plain(f" {model.reason.capitalize()}.")
            panel.update(text.append(f"\n {NEXT_STEP[model.stage]}", style=MUTED))

    def action_promote(self) -> None:
        """Ask for the version, then put it in force."""
        model = self._of_chosen("shadow")
        if model is not None:
            self.app.run_worker(self._promote(model))

    def action_roll_back(self) -> None:
        """Ask for the version, then take it out."""
        model = self._of_chosen("active")
        if model is not None:
            self.app.run_worker(self._roll_back(model))

    async def _promote(self, model: ModelAnswer) -> None:
        if await self._is_meant("Promote", model):
            done = f"{_key(model)} is in force"
            await self.act(self.client.promote(model.name, model.version), done=done)

    async def _roll_back(self, model: ModelAnswer) -> None:
        if await self._is_meant("Roll back", model):
            done = f"{_key(model)} was taken out"
            await self.act(self.client.roll_back(model.name, model.version), done=done)

    async def _is_meant(self, action: str, model: ModelAnswer) -> bool:
        answer = await self.app.push_screen_wait(
            AskScreen(
                title=f"{action} {_key(model)}",
                question=f"Type the version, {model.version}, to confirm. "
                "Every asset of this model is judged differently from then on.",
                is_answer=lambda text: text.strip() == model.version,
                hint="the version",
            )
        )
        return answer is not None

    def _of_chosen(self, stage: str) -> ModelAnswer | None:
        """Return the version in a stage of the model under the cursor, or say there is none."""
        chosen = self.chosen
        if chosen is None:
            return None
        for model in self.snapshot.models:
            if model.name == chosen.name and model.stage == stage:
                return model
        self.notify(f"{chosen.name} has no version that is {stage}", severity="warning")
        return None

    @property
    def chosen(self) -> ModelAnswer | None:
        """The version under the cursor."""
        key = self.table.chosen
        return next((model for model in self.snapshot.models if _key(model) == key), None)

    @property
    def table(self) -> LiveTable:
        """The table of versions."""
        return self.query_one("#models", LiveTable)


def _key(model: ModelAnswer) -> str:
    return f"{model.name} {model.version}"


def _cells(model: ModelAnswer, snapshot: Snapshot) -> Cells:
    return {
        "name": Text(model.name, style=f"bold {TEXT}"),
        "version": plain(model.version),
        "stage": stage_cell(model.stage),
        "since": muted(snapshot.age(model.since)),
        "progress": _progress(model),
        "rows": plain(counted(model.rows)),
        "reason": muted(model.reason),
    }


def _progress(model: ModelAnswer) -> Text:
    if not model.rows_needed:
        return Text("")
    share = min(1.0, model.rows / model.rows_needed)
    text = bar_cell(share, PROGRESS_WIDTH, GOOD if share >= 1 else ACCENT)
    return text.append(f" {percent(share):>5}", style=TEXT)
