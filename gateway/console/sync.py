"""The deliveries: how far behind, how long the buffer lasts, and whether the books balance."""

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from gateway.api.answers import LedgerAnswer, StatusAnswer
from gateway.api.uplink_answers import UplinkAnswer
from gateway.console.cells import bar_cell, link_cell, muted, plain
from gateway.console.format import counted, duration, percent, plural, size
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import ACCENT, BAD, GOOD, MUTED, TEXT, WARN
from gateway.console.snapshot import Snapshot
from gateway.console.view import View

COLUMNS = (
    Column(key="name", title="uplink", width=0),
    Column(key="state", title="state", width=10),
    Column(key="since", title="since", width=7, align="right"),
    Column(key="lag", title="behind", width=8, align="right"),
    Column(key="records", title="records", width=9, align="right"),
    Column(key="samples", title="delivered", width=9, align="right"),
    Column(key="today", title="today", width=9, align="right"),
    Column(key="dead", title="refused", width=7, align="right"),
    Column(key="outage", title="outages", width=8, align="right", screen_min=110),
    Column(key="address", title="address", width=28, screen_min=110),
)
BAR_WIDTH = 24
NAME_WIDTH = 12
BUFFER_LOW_S = 86_400.0
"""A buffer that lasts less than a day wants attention."""


class SyncView(View):
    """Uplinks, the buffer, the sample counts, losses and gaps."""

    def compose(self) -> ComposeResult:
        """Put the uplinks above the buffer and the books."""
        yield LiveTable(*COLUMNS, id="uplinks")
        yield Static(id="buffer")
        yield Static(id="books")
        yield Static(id="ledger")

    def draw(self, snapshot: Snapshot) -> None:
        """Draw deliveries, buffer and books."""
        assert snapshot.status is not None
        uplinks = snapshot.uplinks
        table = self.query_one("#uplinks", LiveTable)
        table.show_rows({uplink.name: _cells(uplink, snapshot) for uplink in uplinks})
        # As high as its lines, so that the panels below stand close.
        table.styles.height = len(uplinks) + 1
        self._show("buffer", "buffer", _buffer(snapshot.status, uplinks))
        self._show("books", "samples", _books(snapshot.status))
        self._show("ledger", "losses and gaps", _ledger(snapshot))

    def _show(self, panel: str, title: str, text: Text) -> None:
        shown = self.query_one(f"#{panel}", Static)
        shown.border_title = f" {title} "
        shown.update(text)


def _cells(uplink: UplinkAnswer, snapshot: Snapshot) -> Cells:
    return {
        "name": Text(uplink.name, style=f"bold {TEXT}"),
        "state": link_cell(uplink.state),
        "since": muted(snapshot.age(uplink.since)),
        "lag": plain(duration(uplink.lag_s)),
        "records": plain(counted(uplink.lag_records)),
        "samples": plain(counted(uplink.acknowledged_samples)),
        "today": muted(size(uplink.bytes_today)),
        "dead": Text(str(uplink.dead_letters), style=BAD if uplink.dead_letters else MUTED),
        "outage": muted(duration(uplink.outage_s)),
        "address": muted(uplink.address),
    }


def _buffer(status: StatusAnswer, uplinks: tuple[UplinkAnswer, ...]) -> Text:
    log = status.log
    share = log.size_bytes / log.size_bytes_max if log.size_bytes_max else 0.0
    text = Text(" ").append_text(bar_cell(share, BAR_WIDTH, ACCENT))
    used = f"{size(log.size_bytes)} of {size(log.size_bytes_max)}"
    text.append(f"  {percent(share)} used, {used}\n", style=TEXT)
    if log.buffer_s is None:
        text.append(" The rate is not known yet.", style=MUTED)
    else:
        colour = WARN if log.buffer_s < BUFFER_LOW_S else GOOD
        text.append(f" {duration(log.buffer_s)}", style=f"bold {colour}")
        thinned = duration(log.buffer_thinned_s)
        text.append(f" left without delivery, about {thinned} with thinning, ", style=TEXT)
        text.append(f"{size(log.bytes_per_day)} a day", style=MUTED)
    if log.fault:
        text.append(f"\n ▒ Nothing can be written: {log.fault}", style=f"bold {BAD}")
    if log.doubt:
        text.append(f"\n ▒ Times are in doubt: {log.doubt}", style=f"bold {WARN}")
    for uplink in uplinks:
        text.append_text(_backlog(uplink))
        if uplink.reason:
            text.append(f"\n {uplink.name}: {uplink.reason}", style=TEXT)
        if uplink.detail:
            text.append(f"\n {uplink.detail}", style=MUTED)
    return text


def _backlog(uplink: UplinkAnswer) -> Text:
    """Return a line on what is delivered beside the present, and one on the budget, if any."""
    text = Text()
    for each in uplink.classes:
        if each.name != "backfill" or each.lag_records == 0:
            continue
        left = f"\n {uplink.name}: {plural(each.lag_records, 'record')} of the past to deliver"
        text.append(f"{left}, {duration(each.lag_s)} back", style=TEXT)
        if each.drain_s is not None:
            text.append(f", done in {duration(each.drain_s)}", style=MUTED)
    if uplink.budget_bytes_per_day is not None:
        share = uplink.bytes_today / uplink.budget_bytes_per_day
        text.append(f"\n {uplink.name}: {percent(share)} of today's budget", style=TEXT)
        figures = f", {size(uplink.bytes_today)} of {size(uplink.budget_bytes_per_day)}"
        text.append(figures, style=BAD if share >= 1.0 else MUTED)
    return text


def _books(status: StatusAnswer) -> Text:
    books = status.books
    line = Text()
    for name, count in (
        ("received", books.received),
        ("stored", books.stored),
        ("acknowledged", books.acknowledged),
    ):
        line.append(f" {name} ", style=MUTED).append(_grouped(count), style=TEXT)
        line.append("  ")
    line.append("\n lost ", style=MUTED)
    line.append(str(books.lost), style=f"bold {BAD if books.lost else GOOD}")
    if books.thinned:
        line.append("   thinned ", style=MUTED)
        line.append(_grouped(books.thinned), style=f"bold {WARN}")
    line.append("   gaps ", style=MUTED)
    gaps = str(books.gap_count)
    line.append(gaps, style=f"bold {WARN if books.gap_count else GOOD}")
    if books.gap_count:
        line.append(f", {duration(books.gap_s)} together", style=MUTED)
    return line


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _ledger(snapshot: Snapshot) -> Text:
    if not snapshot.ledger:
        return muted(" nothing is missing")
    return Text("\n").join(_ledger_line(entry, snapshot) for entry in snapshot.ledger)


def _ledger_line(entry: LedgerAnswer, snapshot: Snapshot) -> Text:
    line = Text(f" {snapshot.when(entry.begin):<13}", style=MUTED, no_wrap=True)
    line.append("gap   " if entry.is_gap else "loss  ", style=WARN if entry.is_gap else BAD)
    line.append(f"{entry.source:<{NAME_WIDTH}} ", style=TEXT)
    line.append(f"{entry.reason.replace('_', ' ')}, ", style=TEXT)
    line.append(duration((entry.end - entry.begin).total_seconds()), style=TEXT)
    if entry.count is not None:
        line.append(f", {plural(entry.count, 'sample')}", style=TEXT)
    return line
