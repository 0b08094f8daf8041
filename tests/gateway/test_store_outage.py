"""A long outage within a budget, scaled down; `python -m tests.outage` has the full scale."""

from pathlib import Path

import pytest

from gateway.core.records import LedgerReason
from tests.outage import Outage, Outcome, run


async def outcome_of(outage: Outage, folder: Path) -> Outcome:
    outcome = await run(outage, folder)
    assert outcome.faults == []
    return outcome


@pytest.mark.slow
async def test_a_fiftieth_of_72_hours_of_1000_tags_in_256_mb(tmp_path: Path) -> None:
    """Every alarm, no error beyond the bound, balanced books; and nothing had to be dropped.

    500 tags for 2.9 hours in 5.12 MB, which need 8 MB as they are; blocks are scaled, too.
    """
    outage = Outage(hours=2.88, budget_bytes=5_120_000, tag_count=500, block_samples_max=65_536)
    outcome = await outcome_of(outage, tmp_path)
    assert set(outcome.ledgered) == {LedgerReason.THINNED}
    assert 0 < outcome.error_percent <= outcome.stated_percent == 0.5


@pytest.mark.slow
async def test_an_outage_beyond_what_thinning_can_save_drops_the_oldest(tmp_path: Path) -> None:
    """A fifth of what the data needs: thinned to the last stage, and the rest is told as lost."""
    outage = Outage(
        hours=1.2, budget_bytes=1_048_576, tag_count=400, block_samples_max=16_384, seed=5
    )
    outcome = await outcome_of(outage, tmp_path)
    assert set(outcome.ledgered) == {LedgerReason.THINNED, LedgerReason.RETENTION}
    assert 2.0 < outcome.error_percent <= outcome.stated_percent == 5.0
