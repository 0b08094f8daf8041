"""The alarms: what asks for a person, and what the person can do about it."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from gateway.api.alarm_answers import AlarmAnswer
from gateway.console.ask import AskScreen
from gateway.console.cells import alarm_mark, alarm_state, muted, plain
from gateway.console.event_lines import event_lines
from gateway.console.format import duration, label, number, parse_duration, percent
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import GOOD, MUTED, TEXT, severity_colour
from gateway.console.snapshot import Snapshot
from gateway.console.view import TALL, View
from gateway.core.units import printed_unit

COLUMNS = (
    Column(key="mark", title="", width=1),
    Column(key="severity", title="sev.", width=4, align="right"),
    Column(key="source", title="source", width=10),
    Column(key="condition", title="condition", width=0),
    Column(key="state", title="state", width=12),
    Column(key="since", title="since", width=9, align="right"),
    Column(key="text", title="what", width=46, screen_min=110),
)
FEW = 4


class AlarmsView(View):
    """Alarms that are not normal; below them the details of one, and the latest events."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "a",
            "acknowledge",
            "acknowledge",
            id="alarms.acknowledge",
            tooltip="Say that you have seen the alarm under the cursor",
        ),
        Binding(
            "s",
            "shelve",
            "shelve",
            id="alarms.shelve",
            tooltip="Silence the alarm under the cursor for a time",
        ),
    ]

    def compose(self) -> ComposeResult:
        """Put the table above the details."""
        yield LiveTable(*COLUMNS, id="alarms")
        yield Static(id="calm")
        yield Static(id="alarm-detail")
        yield Static(id="events")

    def draw(self, snapshot: Snapshot) -> None:
        """Draw the alarms."""
        self.table.show_rows({alarm.id: _cells(alarm, snapshot) for alarm in snapshot.alarms})
        self.table.display = bool(snapshot.alarms)
        calm = self.query_one("#calm", Static)
        calm.display = not snapshot.alarms
        calm.update(Text(" ✓ No alarms.", style=GOOD))
        self._draw_detail()
        events = self.query_one("#events", Static)
        # With many alarms in a low terminal the alarms need the lines more.
        events.display = self.app.size.height >= TALL or len(snapshot.alarms) <= FEW
        events.border_title = " latest events "
        events.update(event_lines(snapshot.events, snapshot))

    @on(DataTable.RowHighlighted)
    def _draw_detail(self) -> None:
        alarm, panel = self.chosen, self.query_one("#alarm-detail", Static)
        panel.display = alarm is not None
        if alarm is not None:
            panel.border_title = f" {alarm.source} · {label(alarm.condition)} "
            panel.update(_detail(alarm, self.snapshot))

    def action_acknowledge(self) -> None:
        """Acknowledge the alarm under the cursor."""
        alarm = self.chosen
        if alarm is not None:
            self.app.run_worker(self._acknowledge(alarm))

    def action_shelve(self) -> None:
        """Ask for how long, then shelve the alarm under the cursor."""
        alarm = self.chosen
        if alarm is not None:
            self.app.run_worker(self._shelve(alarm))

    async def _acknowledge(self, alarm: AlarmAnswer) -> None:
        await self.act(self.client.acknowledge(alarm.id), done=f"{alarm.id} acknowledged")

    async def _shelve(self, alarm: AlarmAnswer) -> None:
        answer = await self.app.push_screen_wait(
            AskScreen(
                title=f"Shelve {alarm.id}",
                question="For how long? It comes back by itself. Such as 30 min, 8 h, 2 d.",
                given="8 h",
                is_answer=lambda text: parse_duration(text) is not None,
                hint="a number with s, min, h or d",
            )
        )
        for_s = parse_duration(answer or "")
        if for_s is not None:
            done = f"{alarm.id} shelved for {duration(for_s)}"
            await self.act(self.client.shelve(alarm.id, for_s=for_s), done=done)

    @property
    def chosen(self) -> AlarmAnswer | None:
        """The alarm under the cursor."""
        key = self.table.chosen
        return next((alarm for alarm in self.snapshot.alarms if alarm.id == key), None)

    @property
    def table(self) -> LiveTable:
        """The table of alarms."""
        return self.query_one("#alarms", LiveTable)


def _cells(alarm: AlarmAnswer, snapshot: Snapshot) -> Cells:
    return {
        "mark": alarm_mark(alarm),
        "severity": Text(str(alarm.severity), style=severity_colour(alarm.severity)),
        "source": Text(alarm.source, style=f"bold {TEXT}"),
        "condition": plain(label(alarm.condition)),
        "state": alarm_state(alarm),
        "since": muted(snapshot.age(alarm.raised)),
        "text": plain(alarm.text),
    }


def _detail(alarm: AlarmAnswer, snapshot: Snapshot) -> Text:
    lines = [plain(f" {alarm.text}"), muted(f" {_times(alarm, snapshot)}")]
    for reason in alarm.evidence:
        line = Text(f"   {label(reason.name):<22}", style=TEXT)
        line.append(f"{number(reason.value):>7} {printed_unit(reason.unit):<5}", style=TEXT)
        if reason.expected is not None:
            line.append(f"  expected {number(reason.expected):<7}", style=MUTED)
        if reason.share is not None:
            line.append(f"  {percent(reason.share):>5}", style=MUTED)
        lines.append(line)
    return Text("\n").join(lines)


def _times(alarm: AlarmAnswer, snapshot: Snapshot) -> str:
    parts = [f"raised {snapshot.when(alarm.raised)}"]
    if alarm.onset is not None:
        parts.append(f"began {snapshot.when(alarm.onset)}")
    if alarm.shelved_until is not None:
        parts.append(f"shelved until {snapshot.when(alarm.shelved_until)}")
    parts.append("still active" if alarm.is_active else "no longer active")
    return " · ".join(parts)
