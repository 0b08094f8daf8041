"""The alarms: what asks for a person, and what the person can do about it."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from gateway.api.alarm_answers import AlarmAnswer, AlarmMetricsAnswer
from gateway.console.alarm_rate import alarm_rate
from gateway.console.ask import AskScreen
from gateway.console.cells import alarm_mark, alarm_severity, alarm_state, muted, plain
from gateway.console.event_lines import event_lines
from gateway.console.format import duration, label, number, parse_duration, percent
from gateway.console.live_table import Cells, Column, LiveTable
from gateway.console.palette import GOOD, MUTED, TEXT
from gateway.console.snapshot import Snapshot
from gateway.console.view import TALL, View
from gateway.core.units import printed_unit

COLUMNS = (
    Column(key="mark", title="", width=1),
    Column(key="severity", title="sev.", width=4, align="right"),
    Column(key="source", title="source", width=10),
    Column(key="condition", title="condition", width=0),
    Column(key="state", title="state", width=14),
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
            tooltip="Silence the alarm under the cursor for a time, or end that",
        ),
        Binding(
            "o",
            "service",
            "service",
            id="alarms.service",
            tooltip="Take the alarm under the cursor out of service, or put it back",
        ),
        Binding(
            "r",
            "reset",
            "reset",
            id="alarms.reset",
            tooltip="Let the latched alarm under the cursor go",
        ),
    ]

    def compose(self) -> ComposeResult:
        """Put the table between how many there are and the details."""
        yield Static(id="rate")
        yield LiveTable(*COLUMNS, id="alarms")
        yield Static(id="calm")
        yield Static(id="alarm-detail")
        yield Static(id="events")

    def draw(self, snapshot: Snapshot) -> None:
        """Draw the alarms."""
        metrics = snapshot.alarm_metrics
        self.query_one("#rate", Static).update(_rate(metrics) if metrics else Text(""))
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
        """Ask for how long, then shelve the alarm under the cursor; a shelved one speaks again."""
        alarm = self.chosen
        if alarm is not None:
            is_shelved = alarm.state == "shelved"
            self.app.run_worker(self._unshelve(alarm) if is_shelved else self._shelve(alarm))

    def action_service(self) -> None:
        """Ask why, then take the alarm under the cursor out of service; or put it back."""
        alarm = self.chosen
        if alarm is not None:
            is_out = alarm.state == "out_of_service"
            self.app.run_worker(self._put_back(alarm) if is_out else self._take_out(alarm))

    def action_reset(self) -> None:
        """Reset the latched alarm under the cursor."""
        alarm = self.chosen
        if alarm is not None:
            self.app.run_worker(self._reset(alarm))

    async def _acknowledge(self, alarm: AlarmAnswer) -> None:
        await self.act(self.client.acknowledge(alarm.id), done=f"{alarm.id} acknowledged")

    async def _shelve(self, alarm: AlarmAnswer) -> None:
        answer = await self.app.push_screen_wait(
            AskScreen(
                title=f"Shelve {alarm.id}",
                question="For how long? It comes back by itself. Such as 30 min, 8 h.",
                given="8 h",
                is_answer=lambda text: parse_duration(text) is not None,
                hint="a number with s, min, h or d",
            )
        )
        for_s = parse_duration(answer or "")
        if for_s is not None:
            done = f"{alarm.id} shelved for {duration(for_s)}"
            await self.act(self.client.shelve(alarm.id, for_s=for_s), done=done)

    async def _unshelve(self, alarm: AlarmAnswer) -> None:
        await self.act(self.client.unshelve(alarm.id), done=f"{alarm.id} no longer shelved")

    async def _take_out(self, alarm: AlarmAnswer) -> None:
        reason = await self.app.push_screen_wait(
            AskScreen(
                title=f"Take {alarm.id} out of service",
                question="Why? It stays silent until a person puts it back with the same key.",
                is_answer=lambda text: bool(text.strip()),
                hint="a reason",
            )
        )
        if reason is not None:
            done = f"{alarm.id} out of service"
            await self.act(self.client.take_out(alarm.id, reason=reason.strip()), done=done)

    async def _put_back(self, alarm: AlarmAnswer) -> None:
        await self.act(self.client.put_back(alarm.id), done=f"{alarm.id} in service again")

    async def _reset(self, alarm: AlarmAnswer) -> None:
        await self.act(self.client.reset(alarm.id), done=f"{alarm.id} reset")

    @property
    def chosen(self) -> AlarmAnswer | None:
        """The alarm under the cursor."""
        key = self.table.chosen
        return next((alarm for alarm in self.snapshot.alarms if alarm.id == key), None)

    @property
    def table(self) -> LiveTable:
        """The table of alarms."""
        return self.query_one("#alarms", LiveTable)


def _rate(metrics: AlarmMetricsAnswer) -> Text:
    """Return how many alarms there were; in plain sight only where that is too many."""
    is_many = metrics.last_hour > metrics.target_per_hour or metrics.flood_since is not None
    return plain(f" {alarm_rate(metrics)}") if is_many else muted(f" {alarm_rate(metrics)}")


def _cells(alarm: AlarmAnswer, snapshot: Snapshot) -> Cells:
    return {
        "mark": alarm_mark(alarm),
        "severity": alarm_severity(alarm),
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
    if alarm.group_order:
        parts.append(f"{alarm.group}: number {alarm.group_order}")
    if alarm.is_chattering:
        parts.append("chatters, held until calm")
    if alarm.is_quiet:
        parts.append("came in a flood")
    if alarm.silenced_by:
        parts.append(f"by {alarm.silenced_by}")
    if alarm.silenced_reason:
        parts.append(alarm.silenced_reason)
    parts.append("still active" if alarm.is_active else "no longer active")
    return " · ".join(parts)
