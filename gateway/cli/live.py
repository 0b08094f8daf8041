"""How `edgewright check --live` tells what it found: lines for people, JSON for programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from connectors.modbus.bus_time import tight_text
from connectors.modbus.connector import ModbusConfig, ModbusConnector
from connectors.modbus.line_transport import stable_path
from gateway.config import ConnectorConfig
from gateway.console.format import duration, number, percent, plural, status_words
from gateway.core.ports import Connector
from gateway.service.configurations import CONNECTOR_SHEET
from gateway.service.forecast import TagPlace, tag_places
from gateway.service.live_check import Finding, LiveResult, Trouble

PLACES_MAX = 8
"""Lines of the tag list, or values, that are named; the rest is counted."""
EXPIRY_WARNED = timedelta(days=30)
WORDS = {
    Trouble.UNKNOWN: "unknown {place}",
    Trouble.BAD: "tag{s} Bad",
    Trouble.SILENT: "tag{s} silent",
    Trouble.NOT_FINITE: "value{s} without a number",
    Trouble.OUTSIDE: "value{s} outside the range",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend, however many tags it concerns."""

    text: str
    is_unknown: bool = False
    """Whether it is only that the device does not have what the list names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswer:
    """One connector with all that is to be said of it."""

    connector: Connector
    settings: ConnectorConfig
    result: LiveResult
    places: Mapping[str, TagPlace]
    """Where each tag stands in its list, by the tag's name."""

    @classmethod
    def of(
        cls, connector: Connector, settings: ConnectorConfig, result: LiveResult
    ) -> "LiveAnswer":
        """Return the answer, with the places of the tags in their list."""
        sheet = getattr(settings, CONNECTOR_SHEET, None)
        places = tag_places(sheet) if sheet is not None else {}
        return cls(connector=connector, settings=settings, result=result, places=places)

    def head(self) -> str:
        """Return the first line: where, how safe, how many tags, at which cost."""
        security = getattr(self.settings, "security", "")
        parts = [self.connector.address, *([security] if security else []), self._load()]
        if self.result.is_from_gateway:
            parts.append("asked the running gateway, which holds the connection")
        return "   ".join(parts)

    def problems(self, *, now: datetime) -> tuple[Problem, ...]:
        """Return what is wrong, the connection first."""
        return tuple(self._problems(now))

    def document(self, *, now: datetime) -> dict[str, object]:
        """Return the same for programs."""
        report, result = self.result.report, self.result
        return {
            "name": result.name,
            "address": self.connector.address,
            "security": getattr(self.settings, "security", None),
            "is_connected": result.is_connected,
            "is_from_gateway": result.is_from_gateway,
            "reason": result.reason,
            "detail": result.detail,
            "tag_count": result.tag_count,
            "findings": [
                asdict(finding) | {"line": self._line(finding)} for finding in result.findings
            ],
            "request_count": self._request_count(),
            "cycle_ms": self._cycle_ms(),
            "latency_ms": report.latency_ms,
            "requests_per_s": report.requests_per_s,
            "busy_share": report.busy_share,
            "untrusted_certificate": report.untrusted_certificate,
            "problems": [problem.text for problem in self.problems(now=now)],
        }

    def _problems(self, now: datetime) -> Iterator[Problem]:
        result, report = self.result, self.result.report
        if not result.is_connected:
            # Nobody keeps trying here.
            reason = result.reason.removesuffix(" The gateway keeps trying.")
            reason = reason or "there is no session"
            yield Problem(text=f"{reason}\n{result.detail}" if result.detail else reason)
        elif report.untrusted_certificate:
            yield Problem(
                text="its certificate is not trusted: compare this SHA-256 with the server's own "
                f"display: {report.untrusted_certificate}"
            )
        if report.certificate_expires_ns is not None:
            expiry = datetime.fromtimestamp(report.certificate_expires_ns / 1e9, UTC)
            if expiry - now < EXPIRY_WARNED:
                left_s = max((expiry - now).total_seconds(), 0.0)
                yield Problem(
                    text=f"a certificate expires in {duration(left_s)}: {expiry:%Y-%m-%d}"
                )
        for trouble in Trouble:
            found = [each for each in result.findings if each.trouble is trouble]
            if found:
                text = f"{self._noun(trouble, len(found))}: {self._places(found)}"
                yield Problem(text=text, is_unknown=trouble is Trouble.UNKNOWN)
        cycle_ms, wanted_ms = self._cycle_ms(), self._period_ms()
        if cycle_ms is None or wanted_ms is None:
            for text in tight_texts(self.connector):
                yield Problem(text=f"too tight, as estimated: {text}")
        elif cycle_ms > wanted_ms:
            yield Problem(text=f"one scan takes {cycle_ms:.0f} ms: longer than its period")

    def _noun(self, trouble: Trouble, count: int) -> str:
        is_opcua = self.settings.type == "opcua"
        place = ("node" if is_opcua else "address") if count == 1 else ""
        place = place or ("nodes" if is_opcua else "addresses")
        words = WORDS[trouble].format(place=place, s="" if count == 1 else "s")
        return f"{count} {words}"

    def _places(self, findings: Sequence[Finding]) -> str:
        """Return the lines of the tag list, and for values what they are."""
        if findings[0].trouble in (Trouble.UNKNOWN, Trouble.SILENT):
            return self._lines_text(findings)
        shown = ", ".join(self._place(each) for each in findings[:PLACES_MAX])
        more = len(findings) - PLACES_MAX
        return f"{shown} and {more} more" if more > 0 else shown

    def _lines_text(self, findings: Sequence[Finding]) -> str:
        lines = [self._line(each) for each in findings]
        sheet = getattr(self.settings, CONNECTOR_SHEET, None)
        if sheet is None or None in lines:
            names = [str(each.tag) for each in findings[:PLACES_MAX]]
        else:
            names = [str(line) for line in lines[:PLACES_MAX]]
        shown = ", ".join(names)
        if len(findings) > PLACES_MAX:
            shown += f" and {len(findings) - PLACES_MAX} more"
        if sheet is None or None in lines:
            return shown
        return f"line{'' if len(findings) == 1 else 's'} {shown} of {sheet.name}"

    def _place(self, finding: Finding) -> str:
        line = self._line(finding)
        where = f"{finding.tag}" + (f" (line {line})" if line is not None else "")
        if finding.trouble is Trouble.OUTSIDE:
            tag = next(each for each in self.connector.tags if each.id == finding.tag)
            ends = f"{number(tag.low)} to {number(tag.high)}"
            return f"{where} is {number(finding.value)}, not {ends}"
        return f"{where} {status_words(finding.status)}".rstrip()

    def _line(self, finding: Finding) -> int | None:
        place = self.places.get(finding.tag.removeprefix(f"{self.connector.name}."))
        return None if place is None else place.line

    def _load(self) -> str:
        cycle_ms, report = self._cycle_ms(), self.result.report
        if cycle_ms is None:
            return load_text(self.connector)
        text = f"{_requests_text(self.connector)}, {cycle_ms:.0f} ms"
        wanted_ms = self._period_ms()
        text += " for all groups" if wanted_ms is None else f" of a {wanted_ms} ms period"
        # A short session says little of it: the running gateway has measured for longer.
        if report.busy_share is not None and self.result.is_from_gateway:
            text += f", bus {percent(report.busy_share)}"
        return text

    def _request_count(self) -> int | None:
        """Return the requests of one scan of all groups."""
        connector = self.connector
        return len(connector.blocks) if isinstance(connector, ModbusConnector) else None

    def _period_ms(self) -> int | None:
        """Return the one period that all is read at; None where there are several, or none."""
        connector = self.connector
        groups = connector.forecast().groups if isinstance(connector, ModbusConnector) else ()
        return groups[0].period_ms if len(groups) == 1 else None

    def _cycle_ms(self) -> float | None:
        """Return the measured time of the line for one scan of all groups."""
        count, latency_ms = self._request_count(), self.result.report.latency_ms
        return None if count is None or latency_ms is None else count * latency_ms


def path_advice(settings: ConnectorConfig) -> str:
    """Return which path to write for a serial port whose own may change; empty when it is good."""
    if not isinstance(settings, ModbusConfig):
        return ""
    stable = stable_path(settings.address)
    if stable is None:
        return ""
    return (
        f"{settings.address} may be another port after a restart: write {stable}, which stays the "
        "same whatever is plugged in first"
    )


def load_text(connector: Connector) -> str:
    """Return how much a connector will ask for and what that takes, as estimated, for a person."""
    text = _requests_text(connector)
    if isinstance(connector, ModbusConnector):
        bus = connector.forecast()
        if len(bus.groups) == 1:
            [group] = bus.groups
            text += f", about {group.scan_ms:.0f} ms of a {group.period_ms} ms period"
        else:
            text += f", about {percent(bus.busy_share)} of the line's time"
    return text


def tight_texts(connector: Connector) -> list[str]:
    """Return which schedules of a connector cannot be kept, as far as that can be known before."""
    if not isinstance(connector, ModbusConnector):
        return []
    return [tight_text(group) for group in connector.forecast().groups if not group.is_kept]


def _requests_text(connector: Connector) -> str:
    text = plural(len(connector.tags), "tag")
    if isinstance(connector, ModbusConnector):
        text += f" in {plural(len(connector.blocks), 'request')}"
    return text
