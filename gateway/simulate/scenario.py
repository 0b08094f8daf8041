"""Scenarios: what goes wrong in the plant, and when, from a TOML file or drawn from a seed.

name = "A bearing wears out while the link to the compressor fails"

[[faults]]
kind     = "bearing_wear"
asset    = "P-101"
onset_s  = 60
growth_s = 300
size     = 0.8

[[faults]]
kind       = "server_hangs"
asset      = "modbus"
onset_s    = 120
duration_s = 30
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from gateway.core.settings import Settings
from gateway.simulate.faults import (
    SENSOR_FAULTS,
    Fault,
    FaultKind,
    fault_mistake,
    kinds_of,
)
from gateway.simulate.points import ASSETS, roles_of
from gateway.wire.settings_file import read_settings

DAY_S = 86_400.0
DRAWN_SIZE = (0.5, 1.0)


class FaultSettings(Settings):
    """One fault in a scenario."""

    kind: FaultKind
    """What goes wrong."""
    asset: str
    """Asset such as `P-101`, or for a server fault the server, `opcua` or `modbus`."""
    onset_s: Annotated[float, Field(ge=0, le=365 * DAY_S)] = 0.0
    """When it begins, in seconds of the plant's time."""
    growth_s: Annotated[float, Field(ge=0, le=365 * DAY_S)] = 0.0
    """How long it takes to reach its size; 0 is at once."""
    size: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How bad it gets; 1 is a machine that a person would stop."""
    signal: str | None = None
    """The sensor's signal such as `flow_m3h`, for the sensor faults."""
    duration_s: Annotated[float, Field(gt=0, le=365 * DAY_S)] | None = None
    """How long until it is repaired, from its onset on; left out is for ever."""

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        mistake = fault_mistake(self.kind, self.asset, self.signal)
        if mistake:
            raise ValueError(mistake)
        return self

    def fault(self, *, from_s: float = 0.0) -> Fault:
        """Return it as a fault whose onset counts from a time of the plant."""
        return Fault(
            kind=self.kind,
            asset=self.asset,
            onset_s=from_s + self.onset_s,
            growth_s=self.growth_s,
            size=self.size,
            signal=self.signal,
            duration_s=self.duration_s,
        )


class Scenario(Settings):
    """What goes wrong, and when."""

    name: str = ""
    """What it shows, for people."""
    faults: tuple[FaultSettings, ...] = ()
    """The faults, in any order."""

    def plan(self) -> tuple[Fault, ...]:
        """Return the faults."""
        return tuple(settings.fault() for settings in self.faults)


def read_scenario(path: Path) -> Scenario:
    """Return the scenario in a TOML file.

    Raises:
        ConfigError: with every mistake in it.
    """
    return read_settings(Scenario, path)


def draw_faults(
    seed: int,
    *,
    count: int = 1,
    kinds: Sequence[FaultKind] | None = None,
    assets: Sequence[str] = ASSETS,
    onset_s: tuple[float, float] = (60.0, 180.0),
    growth_s: tuple[float, float] = (120.0, 600.0),
) -> tuple[Fault, ...]:
    """Draw faults of machines and sensors, each on an asset of its own, in order of onset.

    Args:
        seed: The same seed draws the same faults.
        count: How many; at most as many as there are assets.
        kinds: What may be drawn; None is everything that the drawn asset can have.
        assets: Where it may be.
        onset_s: Bounds of the onset.
        growth_s: Bounds of the growth.
    """
    assert count <= len(assets), (count, assets)
    rng = np.random.default_rng(seed)
    faults = []
    for asset in rng.permutation(np.array(assets))[:count].tolist():
        possible = [kind for kind in kinds_of(asset) if kinds is None or kind in kinds]
        assert possible, (asset, kinds)
        kind = possible[int(rng.integers(len(possible)))]
        roles = roles_of(asset)
        role = roles[int(rng.integers(len(roles)))]
        faults.append(
            Fault(
                kind=kind,
                asset=asset,
                onset_s=float(rng.uniform(*onset_s)),
                growth_s=float(rng.uniform(*growth_s)),
                size=float(rng.uniform(*DRAWN_SIZE)),
                signal=role if kind in SENSOR_FAULTS else None,
            )
        )
    return tuple(sorted(faults, key=lambda fault: fault.onset_s))
