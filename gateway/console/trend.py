"""The last values of one tag, drawn over the width of the terminal."""

import math
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

from gateway.api.answers import TrendAnswer
from gateway.api.errors import GoneError, RefusedError
from gateway.console.cells import muted
from gateway.console.format import chart, duration, number
from gateway.console.palette import ACCENT, BAD, MUTED, TEXT
from gateway.core.units import printed_unit

if TYPE_CHECKING:
    from gateway.console.app import ConsoleApp

CHART_HEIGHT = 8
SCALE_WIDTH = 9
PERIOD_S = 1.0


class TrendScreen(ModalScreen[None]):
    """Draws a tag's trend, and keeps it up to date."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,t,enter", "dismiss", "close", id="trend.close", tooltip="Close the trend")
    ]
    app: "ConsoleApp"

    def __init__(self, tag: str) -> None:
        """Remember the tag."""
        super().__init__()
        self._tag = tag

    def compose(self) -> ComposeResult:
        """Put the chart into a box."""
        yield Static(muted("…"), id="trend", classes="box")

    def on_mount(self) -> None:
        """Draw now, and again every second."""
        self.query_one("#trend", Static).border_title = self._tag
        self.refresh_trend()
        self.set_interval(PERIOD_S, self.refresh_trend)

    @work(exclusive=True)
    async def refresh_trend(self) -> None:
        """Ask for the values and draw them."""
        box = self.query_one("#trend", Static)
        try:
            trend = await self.app.client.trend(self._tag)
        except (GoneError, RefusedError) as error:
            box.update(Text(str(error), style=BAD))
            return
        box.update(trend_picture(trend, box.content_size.width))


def trend_picture(trend: TrendAnswer, width: int) -> Text:
    """Return the chart with its scale, and a line of figures."""
    values = [point.value for point in trend.points]
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return muted("no value yet")
    picture = Text(no_wrap=True)
    scale = {0: number(max(known)), CHART_HEIGHT - 1: number(min(known))}
    for place, line in enumerate(chart(values, max(10, width - SCALE_WIDTH), CHART_HEIGHT)):
        picture.append(f"{scale.get(place, ''):>{SCALE_WIDTH - 2}} ", style=MUTED)
        picture.append(f"{line}\n", style=ACCENT)
    span_s = (trend.points[-1].time - trend.points[0].time).total_seconds()
    last = f"{number(values[-1])} {printed_unit(trend.unit)}"
    picture.append(f"{'now':>{SCALE_WIDTH - 2}} ", style=MUTED).append(last, style=f"bold {TEXT}")
    picture.append(f"   {len(values)} samples over {duration(span_s)}", style=MUTED)
    return picture
