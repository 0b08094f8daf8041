"""What edge nodes report, as samples, statements and news; in the order in which it came.

A number is a sample. A text is no sample: that it changed is an event. What cannot be a number
makes its tag Bad, once, as does a metric that a birth does not name; a death makes what is known
stale, once.
"""

import math
from collections.abc import Sequence

import numpy as np

from connectors.columns import Columns, LastKnown
from connectors.mqtt.sparkplug_host import Born, Died, Report
from connectors.mqtt.sparkplug_tags import MetricPlace, SparkplugRow
from connectors.news import News
from connectors.outbox import Outbox
from connectors.read_back import ReadBacks
from connectors.text_watch import TextWatch
from gateway.core.arrays import IndexArray
from gateway.core.frame import Origin
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status
from gateway.core.tags import TagId
from gateway.wire.sparkplug import Metric, SparkplugQuality, number_of

TIME_MS_MAX = 9_000_000_000_000
"""A metric's time up to the year 2255 fits into nanoseconds."""
LOST_SEVERITY = 500
FLAW_SEVERITY = 400

NodeKey = tuple[str, str]
"""Group and edge node."""


class SampleBook:
    """Keeps what is known of the tags of one session."""

    def __init__(
        self,
        name: str,
        rows: Sequence[SparkplugRow],
        *,
        sink: Sink,
        indices: IndexArray,
        news: News,
        texts: TextWatch,
        clock: Clock,
    ) -> None:
        """Begin with nothing known.

        Args:
            name: Of the connector.
            rows: Its tags.
            sink: Takes the frames, at `flush`.
            indices: Position in the tag table of each row's tag.
            news: Takes the events.
            texts: What is known of texts from former sessions.
            clock: Time.
        """
        self._name = name
        self._rows = rows
        self._news = news
        self._positions = {row.place: position for position, row in enumerate(rows)}
        self._outbox = Outbox(sink)
        self._columns = Columns(indices)
        self._history = Columns(indices, origin=Origin.HISTORICAL)
        self._known = LastKnown(indices, clock=clock)
        self._is_flawed = np.zeros(len(rows), dtype=np.bool_)
        self._is_stale = np.zeros(len(rows), dtype=np.bool_)
        self._has_text = np.zeros(len(rows), dtype=np.bool_)
        self._texts = texts
        self.read_backs = ReadBacks()
        """Writes that wait for a report."""

    @property
    def sample_count(self) -> int:
        """Samples that the sink has not taken yet."""
        return self._outbox.sample_count

    async def flush(self) -> None:
        """Hand over all that was gathered; waits while the sink is full."""
        self._close_columns()
        await self._outbox.flush()

    def report(self, key: NodeKey, report: Report) -> None:
        """Take in a metric's value."""
        metric = report.metric
        place = MetricPlace(
            group=key[0], edge_node=key[1], device=report.device, metric=metric.name
        )
        position = self._positions.get(place)
        if position is None:
            return
        if metric.datatype.is_text:
            self._text(position, metric)
            return
        status = _status(metric)
        value = math.nan
        if metric.is_null:
            status = max(status, Status.BAD)
        else:
            try:
                value = number_of(metric.value, metric.datatype)
            except ValueError as error:
                self._flaw(position, Status.BAD_TYPE_MISMATCH, str(error))
                return
            if not math.isfinite(value):
                value, status = math.nan, max(status, Status.BAD_OUT_OF_RANGE)
        self._add(position, report, value, status)

    def _add(self, position: int, report: Report, value: float, status: int) -> None:
        metric, arrived = report.metric, report.arrived
        has_time = metric.time_ms is not None and 0 < metric.time_ms < TIME_MS_MAX
        columns = self._history if metric.is_historical else self._columns
        columns.add(
            position,
            time_ns=(metric.time_ms or 0) * 1_000_000 if has_time else None,
            value=value,
            status=status,
            received_ns=arrived.received_ns,
            arrival_ns=arrived.arrival_ns,
        )
        if metric.is_historical:
            return
        self._known.note(position, value, arrival_ns=arrived.arrival_ns)
        self._is_flawed[position] = self._is_stale[position] = False
        if not math.isnan(value):
            self.read_backs.note(position, value)

    def _text(self, position: int, metric: Metric) -> None:
        """Take in a text, which is no sample."""
        if metric.is_null or not isinstance(metric.value, str):
            return
        self._is_flawed[position] = False
        self._has_text[position] = True
        tag = TagId(f"{self._name}.{self._rows[position].entry.name}")
        self._texts.read(tag, metric.value, self._news)

    def _flaw(self, position: int, status: int, reason: str) -> None:
        """Make a tag Bad, once; what came before it goes before it."""
        row = self._rows[position]
        text = f"{self._name}.{row.entry.name} ({row.place}) has no value: {reason}"
        if not self._is_flawed[position]:
            self._is_flawed[position] = True
            self._news.tell("metric_unusable", row.entry.name, text, severity=FLAW_SEVERITY)
            self._close_columns()
            self._outbox.put(self._known.bad(position, status))

    def born(self, key: NodeKey, born: Born) -> None:
        """Take in a birth: what it does not name is not there."""
        for position in self._positions_of(key, born.device):
            if self._rows[position].place.metric not in born.names:
                self._flaw(position, Status.BAD_NODE_ID_UNKNOWN, "its birth does not name it")

    def died(self, key: NodeKey, died: Died) -> None:
        """Take in a death: what is known of the node or device is stale."""
        self._state_stale(self._positions_of(key, died.device), time_ns=died.time_ns)
        where = "/".join(filter(None, (*key, died.device)))
        text = f"{self._name}: {where} is offline: {died.reason}"
        self._news.tell("edge_node_offline", where, text, severity=LOST_SEVERITY)

    def missed(self, key: NodeKey, *, birth_s: float) -> None:
        """Take in that a node sent no birth in time: nothing is known of it."""
        self._state_stale(self._positions_of(key, None), time_ns=None)
        where = "/".join(key)
        text = f"{self._name}: {where} sent no birth within {birth_s:g} s: check that it is online"
        self._news.tell("edge_node_offline", where, text, severity=LOST_SEVERITY)

    def _state_stale(self, positions: Sequence[int], *, time_ns: int | None) -> None:
        """State that tags are stale, once; what is Bad stays Bad, and a text has no samples."""
        news = [each for each in positions if not self._is_stale[each]]
        self._is_stale[news] = True
        news = [each for each in news if not self._is_flawed[each] and not self._has_text[each]]
        if news:
            self._close_columns()
            self._outbox.put(self._known.stale(news, time_ns=time_ns))

    def _positions_of(self, key: NodeKey, device: str | None) -> list[int]:
        """Return the tags of a node or device; those of a node and all devices for None."""
        return [
            position
            for position, row in enumerate(self._rows)
            if (row.place.group, row.place.edge_node) == key and device in (None, row.place.device)
        ]

    def _close_columns(self) -> None:
        """Put what was gathered into the outbox, so that what follows stands behind it."""
        self._outbox.put(*self._columns.take())
        self._outbox.put(*self._history.take())


def _status(metric: Metric) -> int:
    """Return the status that a metric's quality stands for (6.4.11)."""
    match metric.quality:
        case None | SparkplugQuality.GOOD:
            return Status.GOOD
        case SparkplugQuality.BAD:
            return Status.BAD
        case SparkplugQuality.STALE:
            return Status.UNCERTAIN_LAST_USABLE_VALUE
        case _:
            return Status.UNCERTAIN
