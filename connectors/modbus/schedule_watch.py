"""Looks now and then whether the plan and the schedule still fit what the device takes."""

from collections.abc import Sequence

import structlog

from connectors.modbus.bus_time import BusForecast, forecast, tight_text
from connectors.modbus.learned import Learned
from connectors.modbus.point_group import PointGroup
from gateway.core.events import Event
from gateway.core.ports import Clock, Sink

SCHEDULE_TOO_TIGHT = "schedule_too_tight"
"""Condition of the events."""
SEVERITY = 500
LOOK_SCANS = 20
"""Scans of a group between two looks."""
ROOM_SHARE = 0.9
"""Part of the period below which a group that was too tight fits again."""

log = structlog.get_logger()


class ScheduleWatch:
    """Of one connector; outlives its sessions, so that nothing is told twice."""

    def __init__(
        self, source: str, learned: Learned, groups: Sequence[PointGroup], clock: Clock
    ) -> None:
        """Watch the groups of the connector of that name."""
        self._source = source
        self._learned = learned
        self._groups = groups
        self._clock = clock
        self._scan_counts = [0] * len(groups)
        self._tight: set[str] = set()

    def forecast(self) -> BusForecast:
        """Return what the groups will take, as far as known."""
        return forecast([group.load for group in self._groups], self._learned.timing.timing())

    def look(self, group: PointGroup, sink: Sink) -> None:
        """Take note of a scan of a group that is about to begin; every now and then, look."""
        index = self._groups.index(group)
        self._scan_counts[index] += 1
        if self._scan_counts[index] % LOOK_SCANS or not self._learned.timing.is_learned:
            return
        if (retuned := group.retune()) is not None:
            old_ms, new_ms = retuned
            log.info(
                "plan_changed",
                device=self._source,
                group=group.name,
                old_ms=round(old_ms, 1),
                new_ms=round(new_ms, 1),
                requests=len(group.load.blocks),
            )
        for found in self.forecast().groups:
            if found.name != group.name:
                continue
            if found.done_ms <= ROOM_SHARE * found.period_ms:
                self._tight.discard(found.name)
            elif not found.is_kept and found.name not in self._tight:
                self._tight.add(found.name)
                sink.note(self._event(tight_text(found)))

    def _event(self, text: str) -> Event:
        log.warning(SCHEDULE_TOO_TIGHT, device=self._source, needs=text, stage="receiving")
        return Event(
            time_ns=self._clock.now_ns(),
            source=self._source,
            condition=SCHEDULE_TOO_TIGHT,
            severity=SEVERITY,
            text=f"{self._source} cannot keep its schedule. {text[0].upper()}{text[1:]}. "
            "Raise period_ms, put tags into a slower group, or read fewer",
        )
