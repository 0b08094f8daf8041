"""One asset: all its signals, what is expected of them, and what happened to it."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from gateway.api.answers import AssetDetail, SignalAnswer
from gateway.console.case import ask_verdict, case_line
from gateway.console.cells import (
    age_cell,
    expected_cell,
    health_cell,
    muted,
    quality_cell,
    remaining_cell,
    score_cell,
    share_cell,
    spark_cell,
    state_cell,
    unit_cell,
    value_cell,
)
from gateway.console.event_lines import event_lines
from gateway.console.format import label
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import ACCENT, MUTED, TEXT, WARN
from gateway.console.snapshot import Snapshot
from gateway.console.trend import TrendScreen
from gateway.console.view import View

COLUMNS = (
    Column(key="signal", title="signal", width=0),
    Column(key="value", title="value", width=7, align="right"),
    Column(key="unit", title="", width=5),
    Column(key="quality", title="qual.", width=5),
    Column(key="age", title="age", width=6, align="right"),
    Column(key="trend", title="lately", width=8),
    Column(key="expected", title="expected", width=13),
    Column(key="share", title="share", width=5, align="right"),
    Column(key="tag", title="tag", width=26, screen_min=110),
)


class AssetView(View):
    """All signals of one asset."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "t,enter", "trend", "trend", id="asset.trend", tooltip="Draw the signal's last values"
        ),
        Binding(
            "left_square_bracket",
            "step(-1)",
            "previous",
            key_display="[",
            id="asset.previous",
            tooltip="Turn to the asset before this one",
        ),
        Binding(
            "right_square_bracket",
            "step(1)",
            "next",
            key_display="]",
            id="asset.next",
            tooltip="Turn to the asset after this one",
        ),
        Binding(
            "c",
            "verdict",
            "case",
            id="asset.verdict",
            tooltip="Say what was behind the case of the asset: confirmed, false, planned work",
        ),
    ]

    def compose(self) -> ComposeResult:
        """Put the summary above the signals, and the events below."""
        yield Static(id="asset-summary")
        yield LiveTable(*COLUMNS, id="signals")
        yield Static(id="asset-events")

    def draw(self, snapshot: Snapshot) -> None:
        """Draw the asset."""
        detail = snapshot.asset
        if detail is None:
            self.query_one("#asset-summary", Static).update(muted(" There is no asset here."))
            self.query_one("#asset-events", Static).update("")
            self.table.show_rows({})
            return
        self.query_one("#asset-summary", Static).update(_summary(detail, snapshot))
        rows = {signal.name: _cells(signal, snapshot) for signal in detail.signals}
        self.table.show_rows(rows)
        events = self.query_one("#asset-events", Static)
        events.border_title = " lately "
        events.update(event_lines(detail.events, snapshot))

    def action_step(self, by: int) -> None:
        """Turn to a neighbour, in the order of the plant view."""
        names = [asset.asset for asset in self.snapshot.assets]
        if self.snapshot.asset is None or self.snapshot.asset.summary.asset not in names:
            return
        place = names.index(self.snapshot.asset.summary.asset) + by
        self.post_message(self.AssetChosen(names[place % len(names)], opens=False))

    def action_trend(self) -> None:
        """Draw the last values of the signal under the cursor."""
        detail = self.snapshot.asset
        for signal in detail.signals if detail else ():
            if signal.name == self.table.chosen:
                self.app.push_screen(TrendScreen(signal.tag))

    def action_verdict(self) -> None:
        """Ask what was behind the case of the asset."""
        case = self.snapshot.case
        if case is None:
            self.notify("This asset has no open case.", timeout=4)
        else:
            self.app.run_worker(ask_verdict(self, case))

    @property
    def table(self) -> LiveTable:
        """The table of signals."""
        return self.query_one("#signals", LiveTable)


def _summary(detail: AssetDetail, snapshot: Snapshot) -> Text:
    summary = detail.summary
    line = Text(f" {summary.asset}", style=f"bold {ACCENT}", no_wrap=True)
    line.append(f"  {summary.asset_type.replace('_', ' ')}  ", style=MUTED)
    line.append_text(state_cell(summary.state)).append("  ")
    line.append_text(health_cell(summary))
    line.append("  score ", style=MUTED).append_text(score_cell(summary.score))
    line.append(f"  data {snapshot.age(summary.as_of)}", style=MUTED)
    if summary.reasons:
        line.append("\n left ", style=MUTED).append_text(remaining_cell(summary))
        line.append(" · " + ", ".join(summary.reasons), style=TEXT)
    if summary.advice:
        line.append(f"\n → {summary.advice}", style=f"bold {WARN}")
    if snapshot.case is not None:
        line.append("\n").append_text(case_line(snapshot.case, snapshot))
    return line


def _cells(signal: SignalAnswer, snapshot: Snapshot) -> Cells:
    return {
        "signal": Text(label(signal.name), style=TEXT),
        "value": value_cell(signal),
        "unit": unit_cell(signal.unit),
        "quality": quality_cell(signal),
        "age": age_cell(signal, snapshot),
        "trend": spark_cell(signal),
        "expected": expected_cell(signal),
        "share": share_cell(signal.share),
        "tag": muted(signal.tag),
    }
