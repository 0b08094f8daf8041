"""When what happens in the demo: the same acts for any length. Pure."""

from dataclasses import dataclass

from gateway.simulate.faults import Fault, FaultKind
from gateway.simulate.points import COMPRESSORS, PUMPS
from gateway.simulate.scenario import draw_faults

FAULT_KINDS = (FaultKind.BEARING_WEAR, FaultKind.CLOGGED_FILTER, FaultKind.CAVITATION)
"""What may be drawn: faults of machines that grow within the demo's time."""
CUT_S_MAX = 30.0
DURATION_S_MIN = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The acts, in seconds since all runs."""

    duration_s: float
    """When the curtain falls, unless a model is still on trial."""
    faults: tuple[Fault, ...]
    """In the order of their onset."""
    cut_s: float
    """When the link to the cloud is cut."""
    mend_s: float
    """When it is mended."""
    retrain_s: float
    """When the cloud is asked to retrain."""
    trial_rows: int
    """Rows a model is tried on before it is decided: three assets' worth a second and less."""

    @property
    def last_onset_s(self) -> float:
        """When the last fault begins."""
        return self.faults[-1].onset_s


def timeline_for(duration_s: float, *, seed: int) -> Timeline:
    """Return the acts for a length and a seed; the seed draws fault, asset, onset and size.

    Args:
        duration_s: At least 40.
        seed: The same one draws the same faults.
    """
    assert duration_s >= DURATION_S_MIN, duration_s
    onset_s = (0.15 * duration_s, 0.30 * duration_s)
    growth_s = (0.10 * duration_s, 0.15 * duration_s)
    # One fault at a pump and one at the compressor: a noisy model shows on the healthy pump.
    faults = [
        fault
        for assets in (PUMPS, COMPRESSORS)
        for fault in draw_faults(
            seed, kinds=FAULT_KINDS, assets=assets, onset_s=onset_s, growth_s=growth_s
        )
    ]
    cut_s = 0.34 * duration_s
    return Timeline(
        duration_s=duration_s,
        faults=tuple(sorted(faults, key=lambda fault: fault.onset_s)),
        cut_s=cut_s,
        mend_s=cut_s + min(CUT_S_MAX, duration_s / 6),
        retrain_s=0.56 * duration_s,
        trial_rows=max(8, round(duration_s / 6)),
    )
