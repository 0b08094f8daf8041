"""Drawn faults in virtual time: how long the gateway takes to find them, and what else it said."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.demo.timeline import timeline_for
from gateway.simulate.faults import SERVER_FAULTS, Fault, FaultKind
from gateway.simulate.plant import NS_PER_S, Plant
from gateway.simulate.scenario import draw_faults
from tests.virtual_plant import Commissioned, VirtualGateway, raised

FOUND_AFTER_S_MAX = 2_400.0
"""After a fault has reached its size: a stopped pump shows nothing, and stops last up to 1300 s."""
ONSET_S = (60.0, 180.0)
GROWTH_S = (600.0, 1_800.0)
KINDS = tuple(kind for kind in FaultKind if kind not in SERVER_FAULTS)
STRETCH_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one fault."""

    fault: Fault
    found_by: str
    """Condition of the first alarm on its asset after its onset; empty when there was none."""
    delay_s: float
    """From the onset to that alarm; NaN when there was none."""
    false_alarms: tuple[str, ...]
    """Alarms before the onset, and alarms of assets without a fault."""

    @property
    def is_found(self) -> bool:
        """Whether an alarm came up on the asset after the onset."""
        return bool(self.found_by)

    def __str__(self) -> str:
        fault = self.fault
        where = f"{fault.asset} {fault.signal}" if fault.signal else fault.asset
        what = f"{fault.kind} of {where}, size {fault.size:.2f}, growing for {fault.growth_s:.0f} s"
        found = f"{self.found_by} after {self.delay_s:.0f} s" if self.is_found else "not found"
        return f"{what}: {found}"


def drawn_fault(seed: int, kind: FaultKind) -> Fault:
    """Return a fault of a kind; the seed draws asset, signal, onset, growth and size."""
    assets = ("P-101", "P-102") if kind is FaultKind.CAVITATION else ("P-101", "P-102", "K-01")
    (fault,) = draw_faults(seed, kinds=[kind], assets=assets, onset_s=ONSET_S, growth_s=GROWTH_S)
    return fault


def outcome_of(site: Commissioned, fault: Fault) -> Outcome:
    """Let a commissioned site meet one fault, until it is found or the time is over."""
    gateway, plant = site.begin()
    begun_ns = plant.time_ns
    shifted = Fault(
        kind=fault.kind,
        asset=fault.asset,
        onset_s=plant.elapsed_s + fault.onset_s,
        growth_s=fault.growth_s,
        size=fault.size,
        signal=fault.signal,
    )
    plant.inject(shifted)
    duration_s = fault.onset_s + fault.growth_s + FOUND_AFTER_S_MAX
    alarms: list[tuple[float, str, str]] = []
    while (plant.time_ns - begun_ns) / NS_PER_S < duration_s:
        for event in raised(gateway.run(plant, STRETCH_S)):
            at_s = (event.time_ns - begun_ns) / NS_PER_S
            alarms.append((at_s, event.source, event.condition))
        if _first(alarms, fault):
            break
    return _outcome(alarms, fault, [fault])


def demo_outcomes(site: Commissioned, *, seed: int, duration_s: float) -> tuple[Outcome, ...]:
    """Play the demo's faults: the plant begins anew where the recording ended, as it does live."""
    gateway, recorded = site.begin()
    plant = Plant(seed, start_ns=recorded.time_ns)
    begun_ns = plant.time_ns
    faults = timeline_for(duration_s, seed=seed).faults
    for fault in faults:
        plant.inject(fault)
    alarms = [
        ((event.time_ns - begun_ns) / NS_PER_S, event.source, event.condition)
        for event in raised(gateway.run(plant, duration_s))
    ]
    return tuple(_outcome(alarms, fault, faults) for fault in faults)


def healthy_alarms(gateway: VirtualGateway, plant: Plant, *, duration_s: float) -> list[str]:
    """Return the alarms of healthy hours, as `asset/condition after so many seconds`."""
    begun_ns = plant.time_ns
    return [
        f"{event.source}/{event.condition} after {(event.time_ns - begun_ns) / NS_PER_S:.0f} s"
        for event in raised(gateway.run(plant, duration_s))
    ]


def seeds_from(seed: int, count: int) -> list[int]:
    """Return seeds that follow from one, so that one number repeats a whole run."""
    return [int(each) for each in np.random.default_rng(seed).integers(2**31, size=count)]


def _first(alarms: Sequence[tuple[float, str, str]], fault: Fault) -> tuple[float, str] | None:
    mine = [
        (at_s, condition)
        for at_s, source, condition in alarms
        if source == fault.asset and at_s >= fault.onset_s
    ]
    return min(mine, default=None)


def _outcome(
    alarms: Sequence[tuple[float, str, str]], fault: Fault, faults: Sequence[Fault]
) -> Outcome:
    onset_by_asset = {each.asset: each.onset_s for each in faults}
    found = _first(alarms, fault)
    return Outcome(
        fault=fault,
        found_by=found[1] if found else "",
        delay_s=found[0] - fault.onset_s if found else float("nan"),
        false_alarms=tuple(
            f"{source}/{condition} after {at_s:.0f} s"
            for at_s, source, condition in alarms
            if at_s < onset_by_asset.get(source, float("inf"))
        ),
    )
