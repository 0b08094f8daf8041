"""A host that runs nothing and a store without TUF: both implement the ports."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cloud_sync.edge.keeper import ModelKeeper
from cloud_sync.edge.models import Release
from gateway.core.errors import ModelError, UplinkError
from gateway.core.events import Event
from gateway.core.manifest import AnomalyManifest, RolloutRules
from gateway.core.models import CanaryReport, Comparison, ModelStage
from gateway.wire.bundle import Bundle, Canary, read_bundle, write_bundle
from gateway.wire.clock import SystemClock

NAME = "pump-anomaly"
RULES = RolloutRules(shadow_rows=100, probation_rows=100, probation_alarm_share_max=0.05)


def bundle_of(version: str, *, name: str = NAME, rules: RolloutRules = RULES) -> bytes:
    manifest = AnomalyManifest(
        name=name,
        version=version,
        asset_type="centrifugal_pump",
        columns=("flow_m3h", "current_a"),
        trained_rows=600,
        training_sha256="0" * 64,
        rollout=rules,
    )
    canary = Canary(
        healthy=np.zeros((2, 2), dtype=np.float32),
        faults=np.ones((1, 2, 2), dtype=np.float32),
        fault_names=("bearing wear",),
    )
    return write_bundle(Bundle(manifest=manifest, model=b"graph", canary=canary))


def version_of(bundle: bytes) -> str:
    return read_bundle(bundle).manifest.version


QUIET = Comparison(rows=100, latencies_ms=(1.0,) * 100)
"""A trial whose end is reached without anything to complain of."""
NOISY = Comparison(rows=50, trial_only_alarms=40)


class FakeHost:
    """Implements `ModelHost`; keeps its promises and knows only the versions' names."""

    def __init__(self, name: str = NAME) -> None:
        self.model_name = name
        self.active: str | None = None
        self.candidate: str | None = None
        self.former: str | None = None
        self.canary = CanaryReport(fault_count=1, missed=(), latency_ms_p99=1.0, is_finite=True)
        self.comparisons: deque[Comparison] = deque()
        self.refused: set[str] = set()

    def try_out(self, bundle: bytes) -> CanaryReport:
        self._load(bundle)
        return self.canary

    def activate(self, bundle: bytes) -> None:
        self.active, self.candidate, self.former = self._load(bundle), None, None
        self.comparisons.clear()

    def set_candidate(self, bundle: bytes | None) -> None:
        self.candidate = None if bundle is None else self._load(bundle)
        self.comparisons.clear()

    def promote(self) -> None:
        assert self.candidate is not None
        self.active, self.former, self.candidate = self.candidate, self.active, None
        self.comparisons.clear()

    def roll_back(self) -> None:
        assert self.former is not None
        self.active, self.former = self.former, None
        self.comparisons.clear()

    def end_probation(self) -> None:
        self.former = None
        self.comparisons.clear()

    def take_comparison(self) -> Comparison:
        return self.comparisons.popleft() if self.comparisons else Comparison()

    def _load(self, bundle: bytes) -> str:
        version = version_of(bundle)
        if version in self.refused:
            raise ModelError(f"{version} has other columns")
        return version


class FakeStore:
    """Implements `ModelStore`: what is `offered` can be fetched, what is `here` can be loaded."""

    def __init__(self) -> None:
        self.offered: dict[tuple[str, str], bytes] = {}
        self.here: dict[tuple[str, str], bytes] = {}
        self.is_reachable = True
        self.is_trusted = True
        self.fetched: list[str] = []

    def offer(self, version: str, *, name: str = NAME, rules: RolloutRules = RULES) -> None:
        self.offered[name, version] = bundle_of(version, name=name, rules=rules)

    async def releases(self) -> Sequence[Release]:
        await self._answer()
        return [
            Release(name=name, version=version, size_bytes=len(data), sha256="")
            for (name, version), data in self.offered.items()
        ]

    async def fetch(self, name: str, version: str) -> bytes:
        await self._answer()
        if (name, version) not in self.offered:
            raise ModelError(f"no signature vouches for {name} {version}")
        self.fetched.append(version)
        self.here[name, version] = self.offered[name, version]
        return self.here[name, version]

    async def load(self, name: str, version: str) -> bytes:
        await asyncio.sleep(0)
        if (name, version) not in self.here:
            raise ModelError(f"{name}-{version}.ewm is not on this gateway")
        return self.here[name, version]

    async def keep_only(self, versions: Iterable[tuple[str, str]]) -> None:
        await asyncio.sleep(0)
        self.here = {key: self.here[key] for key in versions if key in self.here}

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if not self.is_reachable:
            raise UplinkError("the model repository cannot be reached")
        if not self.is_trusted:
            raise ModelError("the list of models is not to be trusted")


@dataclass
class Gateway:
    """A gateway over its starts: the store's files and the stages stay, host and keeper do not."""

    folder: Path
    store: FakeStore = field(default_factory=FakeStore)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.host = FakeHost()
        self.keeper = ModelKeeper(
            self.store,
            [self.host],
            path=self.folder / "models" / "stages.json",
            period_s=3600.0,
            clock=SystemClock(),
            note=self.events.append,
            count_period_s=0.001,
        )

    async def restart(self) -> None:
        """Start again, with the network down: only what is on disk counts."""
        self.start()
        was = self.store.is_reachable
        self.store.is_reachable = False
        await self.keeper.restore()
        self.store.is_reachable = was

    async def release(self, version: str) -> None:
        self.store.offer(version)
        await self.keeper.look()

    async def count(self, comparison: Comparison) -> None:
        self.host.comparisons.append(comparison)
        await self.keeper.count()

    async def with_candidate(self) -> "Gateway":
        await self.release("1.0")
        await self.release("1.1")
        return self

    async def on_probation(self) -> "Gateway":
        await self.with_candidate()
        await self.count(QUIET)
        return self

    def versions(self) -> tuple[str | None, str | None, str | None]:
        """Active, candidate and former version as the host runs them."""
        return self.host.active, self.host.candidate, self.host.former

    @property
    def told(self) -> list[str]:
        return [event.condition.removeprefix("model_") for event in self.events]

    def stage(self, version: str) -> ModelStage:
        (status,) = [each for each in self.keeper.models() if each.version == version]
        return status.stage
