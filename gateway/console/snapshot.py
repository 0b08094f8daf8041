"""The snapshot: all that the console shows at one moment, and how it is fetched."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from gateway.api.alarm_answers import AlarmAnswer, AlarmMetricsAnswer
from gateway.api.answers import (
    AssetAnswer,
    AssetDetail,
    EventAnswer,
    LedgerAnswer,
    ModelAnswer,
    StatusAnswer,
)
from gateway.api.case_answers import CaseAnswer
from gateway.api.client import GatewayClient
from gateway.api.device_answers import DeviceAnswer
from gateway.api.errors import RefusedError
from gateway.api.uplink_answers import UplinkAnswer
from gateway.console.format import age, when

EVENTS_SHOWN = 50
LEDGER_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Why there is no gateway."""

    since: datetime
    """When it was found to be gone."""
    checked: datetime
    """When it was last found to be gone still; both by this machine's clock."""
    reason: str
    """What the socket said."""
    last_words: str = ""
    """What systemd knows of the service; empty where it knows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The gateway at one moment; frozen, so that one comparison tells what changed."""

    status: StatusAnswer | None = None
    """None until the gateway answered for the first time."""
    assets: tuple[AssetAnswer, ...] = ()
    """Those in trouble first."""
    asset: AssetDetail | None = None
    """The chosen asset."""
    alarms: tuple[AlarmAnswer, ...] = ()
    alarm_metrics: AlarmMetricsAnswer | None = None
    """None until the gateway answered for the first time."""
    cases: tuple[CaseAnswer, ...] = ()
    """Open ones first."""
    devices: tuple[DeviceAnswer, ...] = ()
    uplinks: tuple[UplinkAnswer, ...] = ()
    models: tuple[ModelAnswer, ...] = ()
    ledger: tuple[LedgerAnswer, ...] = ()
    events: tuple[EventAnswer, ...] = ()
    gone: Gone | None = field(default=None)
    """Set while nobody answers; the rest is then what was known last."""

    zone: tzinfo | None = None
    """Zone in which times are written; None is the machine's own."""

    @property
    def case(self) -> CaseAnswer | None:
        """The open case of the chosen asset."""
        chosen = self.asset.summary.asset if self.asset else ""
        return next((case for case in self.cases if case.is_open and case.asset == chosen), None)

    @property
    def now(self) -> datetime:
        """The gateway's clock at this snapshot: ages are measured against it."""
        return self.status.now if self.status else datetime.fromtimestamp(0, UTC)

    def age(self, moment: datetime | None) -> str:
        """Return how long ago a time was."""
        return age(moment, self.now)

    def when(self, moment: datetime | None) -> str:
        """Return a time as people write it."""
        return when(moment, self.now, self.zone)

    def lost(self, gone: Gone) -> "Snapshot":
        """Return the same picture of a gateway that has gone."""
        return replace(self, gone=gone)


async def fetch(client: GatewayClient, asset: str, zone: tzinfo | None) -> Snapshot:
    """Return what the gateway says now.

    Args:
        client: Asks the gateway.
        asset: The asset whose signals are wanted; empty is the one most in trouble.
        zone: Zone in which times are written; None is the machine's own.
    Raises:
        GoneError: nobody answers.
    """
    ordered = tuple(sorted((await client.assets()).assets, key=trouble))
    chosen = asset or (ordered[0].asset if ordered else "")
    # One after the other on one connection: a dozen answers from memory take few milliseconds.
    return Snapshot(
        assets=ordered,
        asset=await _detail(client, chosen),
        alarms=(await client.alarms()).alarms,
        alarm_metrics=await client.alarm_metrics(),
        cases=(await client.cases()).cases,
        devices=(await client.devices()).devices,
        uplinks=(await client.uplinks()).uplinks,
        models=(await client.models()).models,
        ledger=(await client.ledger(limit=LEDGER_SHOWN)).entries,
        events=(await client.events(limit=EVENTS_SHOWN)).events,
        status=await client.status(),
        zone=zone,
    )


def trouble(asset: AssetAnswer) -> tuple[int, float, str]:
    """Return the sorting key of an asset: trouble first, then what cannot be told, then calm."""
    if asset.score is not None and asset.score > 1.0:
        return (0, -asset.score, asset.asset)
    if asset.state == "unknown":
        return (1, 0.0, asset.asset)
    if asset.state == "off":
        return (3, 0.0, asset.asset)
    return (2, 1.0 if asset.health is None else asset.health, asset.asset)


async def _detail(client: GatewayClient, asset: str) -> AssetDetail | None:
    if not asset:
        return None
    try:
        return await client.asset(asset)
    except RefusedError:
        # It went with a new configuration; the next snapshot chooses another one.
        return None
