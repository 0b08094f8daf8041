"""The figures of an alarm journal as plain loops over its entries."""

from dataclasses import dataclass, field

HOUR_NS = 3_600 * 1_000_000_000


@dataclass
class NaiveFigures:
    """Entries as (time, name, severity, kind) in the words of `analytics.alarms.journal.Kind`."""

    since_ns: int
    entries: list[tuple[int, str, int, str]] = field(default_factory=list)

    def times(self, kinds: set[str], from_ns: int) -> list[int]:
        return [time for time, _, _, kind in self.entries if kind in kinds and time >= from_ns]

    def of(self, now_ns: int) -> dict[str, object]:
        from_ns = max(self.since_ns, now_ns - 168 * HOUR_NS)
        told = self.times({"ANNOUNCED", "FLOOD_BEGAN"}, from_ns)
        raised = self.times({"ANNOUNCED", "COLLECTED"}, from_ns)
        hours = max((now_ns - from_ns) / HOUR_NS, 1.0)
        severities = [
            severity
            for time, _, severity, kind in self.entries
            if kind in ("ANNOUNCED", "FLOOD_BEGAN") and time >= from_ns
        ]
        return {
            "announced": len(told),
            "raised": len(raised),
            "last_hour": sum(time > now_ns - HOUR_NS for time in told),
            "per_hour": len(told) / hours,
            "peak_per_10min": peak(told),
            "peak_raised_per_10min": peak(raised),
            "flood_count": len(self.times({"FLOOD_BEGAN"}, from_ns)),
            "flood_share": self.flooded_ns(from_ns, now_ns) / max(now_ns - from_ns, 1),
            "high": sum(severity > 666 for severity in severities),
            "medium": sum(333 < severity < 667 for severity in severities),
            "low": sum(severity < 334 for severity in severities),
            "fleeting": len(self.times({"FLEETING"}, from_ns)),
            "chattering": len(self.times({"CHATTERING"}, from_ns)),
        }

    def counts(self, from_ns: int) -> dict[str, int]:
        names = [
            name
            for time, name, _, kind in self.entries
            if kind in ("ANNOUNCED", "COLLECTED") and time >= from_ns
        ]
        return {name: names.count(name) for name in names}

    def flooded_ns(self, from_ns: int, now_ns: int) -> int:
        spent, since = 0, None
        for time, _, _, kind in self.entries:
            if kind == "FLOOD_BEGAN":
                since = time
            if kind == "FLOOD_ENDED" and since is not None:
                spent += max(time - max(since, from_ns), 0)
                since = None
        return spent + (max(now_ns - max(since, from_ns), 0) if since is not None else 0)


def peak(times_ns: list[int]) -> int:
    """The most within any ten minutes, each of them beginning with one of the times."""
    span = HOUR_NS // 6
    return max((sum(begin <= t < begin + span for t in times_ns) for begin in times_ns), default=0)
