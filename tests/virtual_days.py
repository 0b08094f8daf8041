"""Twenty simulated days and hundreds of faults: `python -m tests.virtual_days`, for `make days`.

    python -m tests.virtual_days [--days 20] [--faults 3] [--demos 30] [--seed N]

Every day is a plant of its own: two hours of commissioning, 24 healthy hours, then faults of every
kind, each from the same beginning. Then the demo's timelines of 45 s and 180 s. Uses all cores.
Ends with 1 when a day has more than one false alarm an asset, or a fault was not found.
"""

import argparse
import secrets
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.virtual_faults import (
    KINDS,
    Outcome,
    demo_outcomes,
    drawn_fault,
    healthy_alarms,
    outcome_of,
    seeds_from,
)
from tests.virtual_plant import commission

DAY_S = 86_400.0
ASSETS = 3
DEMO_DURATIONS_S = (45.0, 180.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What one plant brought."""

    seed: int
    false_alarms: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def false_by_asset_max(self) -> int:
        """False alarms of the asset that had most of them."""
        assets = Counter(alarm.partition("/")[0] for alarm in self.false_alarms)
        return max(assets.values(), default=0)


def day_of(seed: int, *, faults: int) -> Day:
    """Return a healthy day of a plant, and what became of drawn faults of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        site = commission(seed, Path(folder))
        false_alarms = tuple(healthy_alarms(*site.begin(), duration_s=DAY_S))
        seeds = seeds_from(seed, faults * len(KINDS))
        outcomes = tuple(
            outcome_of(site, drawn_fault(fault_seed, KINDS[number % len(KINDS)]))
            for number, fault_seed in enumerate(seeds)
        )
    return Day(seed=seed, false_alarms=false_alarms, outcomes=outcomes)


def demo_of(seed: int) -> Day:
    """Return what became of the demo's faults, in both lengths."""
    with tempfile.TemporaryDirectory() as folder:
        site = commission(seed, Path(folder), is_hurried=True)
        outcomes = [
            outcome
            for duration_s in DEMO_DURATIONS_S
            for outcome in demo_outcomes(site, seed=seed, duration_s=duration_s)
        ]
    false_alarms = {alarm for outcome in outcomes for alarm in outcome.false_alarms}
    return Day(seed=seed, false_alarms=tuple(sorted(false_alarms)), outcomes=tuple(outcomes))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.virtual_days")
    parser.add_argument("--days", type=int, default=20, help="plants of 24 healthy hours")
    parser.add_argument("--faults", type=int, default=3, help="faults of each kind a plant")
    parser.add_argument("--demos", type=int, default=30, help="timelines of the demo")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    chosen = parser.parse_args(arguments)
    print(f"--seed {chosen.seed}")
    started = time.monotonic()
    with ProcessPoolExecutor() as pool:
        days = _told(
            pool.map(partial(day_of, faults=chosen.faults), seeds_from(chosen.seed, chosen.days))
        )
        demos = _told(pool.map(demo_of, seeds_from(chosen.seed + 1, chosen.demos)))
    is_good = _report("healthy days, faults in hours", days) & _report("demos", demos)
    is_quiet = all(day.false_by_asset_max <= 1 for day in days)
    is_silent = not any(demo.false_alarms for demo in demos)
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if is_good and is_quiet and is_silent else 1


def _told(days: Iterable[Day]) -> list[Day]:
    found = []
    for day in days:
        found.append(day)
        missed = [str(outcome) for outcome in day.outcomes if not outcome.is_found]
        others = [alarm for outcome in day.outcomes for alarm in outcome.false_alarms]
        print(
            f"plant {day.seed}: false {list(day.false_alarms)}, "
            f"in fault runs {others}, missed {missed}",
            flush=True,
        )
    return found


def _report(title: str, days: Sequence[Day]) -> bool:
    """Print the table of one part, and return whether every fault was found."""
    outcomes = [outcome for day in days for outcome in day.outcomes]
    false_alarms = sum(len(day.false_alarms) for day in days)
    others = sum(len(outcome.false_alarms) for outcome in outcomes)
    print(f"\n{title}: {len(days)} plants")
    print(
        f"  false alarms {false_alarms}, {false_alarms / max(len(days), 1) / ASSETS:.3f} a plant "
        f"and asset, {max((day.false_by_asset_max for day in days), default=0)} at the most; "
        f"{others} more while another asset had its fault or before it"
    )
    print(f"  {'fault':16} {'drawn':>6} {'found':>6} {'delay s: median':>16} {'longest':>8}")
    for kind in KINDS:
        drawn = [outcome for outcome in outcomes if outcome.fault.kind is kind]
        delays = [outcome.delay_s for outcome in drawn if outcome.is_found]
        if drawn:
            median, longest = (statistics.median(delays), max(delays)) if delays else (0, 0)
            print(f"  {kind:16} {len(drawn):6} {len(delays):6} {median:16.0f} {longest:8.0f}")
    return all(outcome.is_found for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
