"""A dry run against the live devices: connect, read every tag once, and judge what came.

It goes through the `Connector` port alone: a session with a sink that keeps the newest value of
each tag, until every tag has said something or the time is over. Nothing is ever written. Where
the running gateway has the same connection already it is asked instead: many devices take only one.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from connectors.text_watch import tag_with_text
from gateway.api.answers import TagAnswer
from gateway.api.client import GatewayClient
from gateway.api.device_answers import DeviceAnswer
from gateway.api.errors import AbsentError
from gateway.api.requests import LIMIT_MAX, TagsRequest
from gateway.core.arrays import index_column
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import DeviceError
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.gaps import NO_GAPS, Gaps, Healing
from gateway.core.ports import Connector
from gateway.core.quality import Status
from gateway.core.tags import Tag, TagId

LOOK_S: Final = 0.05
"""Time between two looks whether all has been said."""
REPORT_S: Final = 2.0
"""Longest wait after that for the connector to know how fast it is."""
STEADY_S: Final = 0.5
"""Shortest session: its first requests also pay for the connection."""
UNKNOWN_CODES: Final = frozenset(
    {0x8033_0000, int(Status.BAD_NODE_ID_UNKNOWN), 0x8035_0000, 0x8036_0000, 0x8037_0000}
)
"""OPC 10000-6, A.2: BadNodeIdInvalid, BadNodeIdUnknown, BadAttributeIdInvalid,
BadIndexRangeInvalid, BadIndexRangeNoData. Modbus connectors use BadNodeIdUnknown."""


class Trouble(StrEnum):
    """What can be wrong with one tag."""

    UNKNOWN = "unknown"
    """The device does not have it."""
    BAD = "bad"
    """The device has it, and says that its value is of no use."""
    SILENT = "silent"
    """It said nothing in the time."""
    NOT_FINITE = "not_finite"
    """It is no number, without saying that it is Bad."""
    OUTSIDE = "outside"
    """It is outside its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One tag that is not as it should be."""

    tag: TagId
    trouble: Trouble
    status: int
    """OPC UA status code."""
    value: float | None
    """In engineering units; None where it is no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveResult:
    """What the check of one connector found."""

    name: str
    is_connected: bool
    reason: str
    """Why there was no session, or why it ended, for the engineer."""
    detail: str
    """The same for the expert."""
    is_from_gateway: bool
    """Whether the running gateway was asked instead of the device."""
    tag_count: int
    findings: tuple[Finding, ...]
    """In the order of the tag list."""
    report: ConnectorReport


@dataclass(slots=True, eq=False)
class _Seen:
    """The newest of every tag; arrays of shape (tags,)."""

    tags: tuple[Tag, ...]
    is_connected: bool = False
    value: list[float] = field(default_factory=list)
    status: list[int | None] = field(default_factory=list)
    """None before the first value."""
    texts: set[int] = field(default_factory=set)
    """Tags that hold text, by their position."""

    def __post_init__(self) -> None:
        """Begin with silence."""
        self.value = [math.nan] * len(self.tags)
        self.status = [None] * len(self.tags)

    async def emit(self, frame: Frame) -> None:
        """Keep what a frame brought, in engineering units."""
        for index, raw, status in zip(
            frame.tag_index.tolist(), frame.value.tolist(), frame.status.tolist(), strict=True
        ):
            tag = self.tags[index]
            self.value[index] = raw * tag.scale + tag.offset
            self.status[index] = status

    def connected(self) -> None:
        """Note that the session stands."""
        self.is_connected = True

    def skipped(self, *, from_ns: int, to_ns: int, count: int) -> None:
        """A scan more or less makes no difference here."""

    def note(self, event: Event) -> None:
        """Take in that a tag holds text, which is no sample; the rest shows in the values."""
        told = tag_with_text(event)
        self.texts |= {index for index, tag in enumerate(self.tags) if tag.id == told}

    def gaps(self) -> Gaps:
        """Return none: a check looks at what is there now."""
        return NO_GAPS

    def healed(self, healing: Healing) -> None:
        """Nothing was missing."""

    @property
    def is_complete(self) -> bool:
        """Whether every tag has said something."""
        spoken = (index in self.texts for index, x in enumerate(self.status) if x is None)
        return all(spoken)

    def findings(self) -> tuple[Finding, ...]:
        """Return every tag that is not as it should be."""
        columns = enumerate(zip(self.tags, self.value, self.status, strict=True))
        found = (
            finding_of(tag, value=value, status=status)
            for index, (tag, value, status) in columns
            if index not in self.texts
        )
        return tuple(each for each in found if each is not None)


async def check_live(
    connectors: Sequence[Connector], *, deadline_s: float, running: Mapping[str, DeviceAnswer]
) -> tuple[LiveResult, ...]:
    """Return what every connector finds at its device, all side by side.

    Args:
        connectors: Built, and not in use.
        deadline_s: Longest time for the values of one connector.
        running: Devices that the running gateway has already, by name: they are left out.
    """
    asked = [each for each in connectors if not is_held(each, running)]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(check_one(each, deadline_s=deadline_s), name=f"check[{each.name}]")
            for each in asked
        ]
    return tuple(task.result() for task in tasks)


async def check_one(connector: Connector, *, deadline_s: float) -> LiveResult:
    """Run one session until every tag has said something, or the time is over."""
    seen = _Seen(connector.tags)
    indices = index_column(range(len(connector.tags)))
    session = asyncio.create_task(connector.session(seen, indices), name=connector.name)
    try:
        await _until(lambda: session.done() or seen.is_complete, deadline_s=deadline_s)
        await _until(session.done, deadline_s=STEADY_S)
        await _until(lambda: session.done() or _is_known(connector.report()), deadline_s=REPORT_S)
        report = connector.report()
    finally:
        session.cancel()
        await asyncio.wait([session])
    reason = detail = ""
    if not session.cancelled():
        error = session.exception()
        if error is not None and not isinstance(error, DeviceError):
            raise error
        reason, _, detail = str(error or "the session ended").partition("\n")
    elif not seen.is_connected:
        reason = f"{connector.name} ({connector.address}) gave no session in {deadline_s:g} s"
    return LiveResult(
        name=connector.name,
        is_connected=seen.is_connected and not reason,
        reason=reason,
        detail=detail,
        is_from_gateway=False,
        tag_count=len(connector.tags),
        # Without a session every tag is silent: that says nothing of the tags.
        findings=seen.findings() if seen.is_connected else (),
        report=report,
    )


def is_held(connector: Connector, running: Mapping[str, DeviceAnswer]) -> bool:
    """Return whether the running gateway has this very connection."""
    device = running.get(connector.name)
    return device is not None and device.address == connector.address


async def devices_running(client: GatewayClient) -> dict[str, DeviceAnswer]:
    """Return the devices of the running gateway by name; none when there is no gateway.

    Raises:
        GoneError: there is one, and it cannot be asked: its connections must be left alone.
    """
    try:
        return {device.name: device for device in (await client.devices()).devices}
    except AbsentError:
        return {}


async def ask_running(
    client: GatewayClient, connector: Connector, device: DeviceAnswer
) -> LiveResult:
    """Return the same from what the running gateway read last.

    Tags that only the new configuration has were not read by it: they are silent.

    Raises:
        GoneError: it went away.
    """
    answers = await _tags_of(client, connector)
    findings = []
    for tag in connector.tags:
        answer = answers.get(tag.id)
        has_value = answer is not None and answer.time is not None
        finding = finding_of(
            tag,
            value=math.nan if answer is None or answer.value is None else answer.value,
            status=answer.status if answer is not None and has_value else None,
        )
        if finding is not None:
            findings.append(finding)
    expires = device.certificate_expires
    return LiveResult(
        name=connector.name,
        is_connected=device.state == "ok",
        reason=device.reason,
        detail=device.detail,
        is_from_gateway=True,
        tag_count=len(connector.tags),
        findings=tuple(findings) if device.state == "ok" else (),
        report=ConnectorReport(
            latency_ms=device.latency_ms,
            requests_per_s=device.requests_per_s,
            busy_share=device.busy_share,
            certificate_expires_ns=None if expires is None else round(expires.timestamp() * 1e9),
            untrusted_certificate=device.untrusted_certificate,
        ),
    )


def finding_of(tag: Tag, *, value: float, status: int | None) -> Finding | None:
    """Return what is wrong with a tag's newest value; None when nothing is.

    Args:
        tag: Which.
        value: In engineering units.
        status: OPC UA status code; None when there is no value.
    """
    trouble: Trouble | None = None
    if status is None:
        trouble = Trouble.SILENT
    elif status & 0xFFFF_0000 in UNKNOWN_CODES:
        trouble = Trouble.UNKNOWN
    elif status >= Status.BAD:
        trouble = Trouble.BAD
    elif not math.isfinite(value):
        trouble = Trouble.NOT_FINITE
    elif not tag.low <= value <= tag.high:
        trouble = Trouble.OUTSIDE
    if trouble is None:
        return None
    shown = value if trouble is Trouble.OUTSIDE else None
    return Finding(tag=tag.id, trouble=trouble, status=status or 0, value=shown)


async def _tags_of(client: GatewayClient, connector: Connector) -> dict[str, TagAnswer]:
    found: dict[str, TagAnswer] = {}
    while True:
        page = await client.tags(
            TagsRequest(prefix=f"{connector.name}.", offset=len(found), limit=LIMIT_MAX)
        )
        found |= {tag.tag: tag for tag in page.tags}
        if len(found) >= page.count or not page.tags:
            return found


def _is_known(report: ConnectorReport) -> bool:
    return report.latency_ms is not None or report.busy_share is not None


async def _until(holds: Callable[[], bool], *, deadline_s: float) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            while not holds():
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        return
