"""The panel that gives an asset's reasons: which signals, what was expected, what to do."""

from rich.text import Text
from textual.widgets import Static

from gateway.api.answers import AssetDetail, SignalAnswer
from gateway.console.case import case_line
from gateway.console.cells import (
    SPARK_WIDTH,
    age_cell,
    expected_cell,
    is_doubtful,
    is_outside,
    quality_cell,
    share_cell,
    spark_cell,
    unit_cell,
    value_cell,
)
from gateway.console.format import label, percent
from gateway.console.palette import GOOD, TEXT, WARN
from gateway.console.snapshot import Snapshot

REASONS_MAX = 6


class Why(Static):
    """Shows the weightiest signals of one asset, and its advice."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the chosen asset; none clears the panel."""
        detail = snapshot.asset
        if detail is None:
            self.border_title = ""
            self.update("")
            return
        summary = detail.summary
        told = f"why {percent(summary.health)}" if summary.health is not None else "cannot tell"
        self.border_title = f" {summary.asset} · {told} "
        lines = [_line(signal, snapshot) for signal in reasons(detail)]
        if summary.advice:
            lines.append(Text(f" → {summary.advice}", style=f"bold {WARN}"))
        elif not lines:
            lines.append(Text(" ✓ Every signal is as expected.", style=GOOD))
        if snapshot.case is not None:
            lines.append(case_line(snapshot.case, snapshot))
        self.update(Text("\n").join(lines))


def reasons(detail: AssetDetail) -> list[SignalAnswer]:
    """Return the signals worth a look, the weightiest first, doubtful ones at the end."""
    worth = [
        signal
        for signal in detail.signals
        if (signal.share or 0) >= 0.005 or is_outside(signal) or is_doubtful(signal)
    ]
    return sorted(worth, key=lambda signal: -(signal.share or 0))[:REASONS_MAX]


def _line(signal: SignalAnswer, snapshot: Snapshot) -> Text:
    columns = (
        (Text(label(signal.name), style=TEXT), 22, "left"),
        (value_cell(signal), 7, "right"),
        (unit_cell(signal.unit), 5, "left"),
        (quality_cell(signal), 5, "left"),
        (age_cell(signal, snapshot), 6, "right"),
        (spark_cell(signal), SPARK_WIDTH, "left"),
        (expected_cell(signal), 13, "left"),
        (share_cell(signal.share), 5, "right"),
    )
    line = Text(" ", no_wrap=True)
    for cell, width, align in columns:
        fitted = cell.copy()
        fitted.truncate(width, overflow="ellipsis")
        fitted.align("right" if align == "right" else "left", width)
        line.append_text(fitted)
        line.append(" ")
    return line
