"""Detection in virtual time: quiet on healthy machines, and every drawn fault is found.

Plants, faults and timelines are drawn when the test runs. The seed is printed; to repeat a run,
set EDGEWRIGHT_SEED to it. `python -m tests.virtual_days` does the same for 20 days.
"""

import os
import secrets

import pytest

from gateway.simulate.faults import FaultKind
from tests.virtual_faults import (
    KINDS,
    demo_outcomes,
    drawn_fault,
    healthy_alarms,
    outcome_of,
    seeds_from,
)
from tests.virtual_plant import Commissioned, commission

SEED = int(os.environ.get("EDGEWRIGHT_SEED") or secrets.randbelow(2**31))
PLANTS = 2
HEALTHY_H = 6
ASSETS = 3
DEMOS = 30
DEMO_DURATIONS_S = (45.0, 180.0)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module", params=range(PLANTS))
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, Commissioned]:
    """A commissioned site, and the seed it was drawn from."""
    seed = seeds_from(SEED, PLANTS)[request.param]
    print(f"EDGEWRIGHT_SEED={SEED}: plant {seed}")
    return seed, commission(seed, tmp_path_factory.mktemp("site"))


def test_a_healthy_day_brings_at_most_one_false_alarm_an_asset(
    site: tuple[int, Commissioned],
) -> None:
    """Six hours of three assets are three quarters of a day of one: so there may be none.

    Two hours of recording come before; load, weather, stops and starts go their way meanwhile.
    """
    seed, commissioned = site
    allowed = int(HEALTHY_H * ASSETS / 24)
    alarms = healthy_alarms(*commissioned.begin(), duration_s=HEALTHY_H * 3600.0)
    assert len(alarms) <= allowed, (SEED, seed, alarms)


@pytest.mark.parametrize("kind", KINDS)
def test_every_drawn_fault_is_found(site: tuple[int, Commissioned], kind: FaultKind) -> None:
    """On its own asset, after it began, while the other assets stay quiet."""
    seed, commissioned = site
    fault_seed = seeds_from(seed, len(KINDS))[KINDS.index(kind)]
    outcome = outcome_of(commissioned, drawn_fault(fault_seed, kind))
    print(outcome)
    assert outcome.is_found, (SEED, seed, str(outcome))
    assert not outcome.false_alarms, (SEED, seed, str(outcome), outcome.false_alarms)


@pytest.mark.parametrize("number", range(DEMOS))
def test_the_demo_s_faults_are_found_in_time(
    number: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Both faults before the curtain falls, no alarm before the first onset nor on a well asset.

    With the demo's hurried models, and the plant beginning anew where the recording ended.
    """
    seed = seeds_from(SEED + 1, DEMOS)[number]
    site = commission(seed, tmp_path_factory.mktemp("demo"), is_hurried=True)
    for duration_s in DEMO_DURATIONS_S:
        for outcome in demo_outcomes(site, seed=seed, duration_s=duration_s):
            assert outcome.is_found, (SEED, seed, duration_s, str(outcome))
            assert not outcome.false_alarms, (SEED, seed, duration_s, outcome.false_alarms)
