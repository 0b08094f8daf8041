from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cloud_sync.edge.budget import DAYS_MAX, SAVE_PERIOD_NS, Budget, BudgetFile, Spent
from gateway.core.events import Transition
from gateway.core.uplink_status import DeliveryClass

DAY_NS = 86_400 * 1_000_000_000
NOON_NS = 20_000 * DAY_NS + DAY_NS // 2


def allowed(budget: Budget, now_ns: int = NOON_NS) -> list[str]:
    return [kind.value for kind in DeliveryClass if budget.allows(kind, now_ns=now_ns)]


def test_without_a_budget_everything_goes_out_and_is_counted() -> None:
    budget = Budget(None)
    budget.sent(10**12, now_ns=NOON_NS)
    assert allowed(budget) == ["alarms", "live", "backfill"]
    assert budget.bytes_today(now_ns=NOON_NS) == 10**12


def test_the_backfill_stops_first_then_the_samples_and_never_the_alarms() -> None:
    budget = Budget(1000)
    budget.sent(799, now_ns=NOON_NS)
    assert allowed(budget) == ["alarms", "live", "backfill"]
    budget.sent(1, now_ns=NOON_NS)
    assert allowed(budget) == ["alarms", "live"]
    budget.sent(200, now_ns=NOON_NS)
    assert allowed(budget) == ["alarms"]
    assert allowed(budget, NOON_NS + DAY_NS // 2) == ["alarms", "live", "backfill"]


def test_only_edges_are_told() -> None:
    budget = Budget(1000)
    told = []
    for size_bytes, now_ns in [(100, 0), (750, 1), (10, 2), (500, 3), (5, 4), (1, DAY_NS)]:
        budget.sent(size_bytes, now_ns=now_ns)
        event = budget.edge("cloud", now_ns=now_ns)
        told.append(event.transition if event else None)
    raised, returned = Transition.RAISED, Transition.RETURNED
    assert told == [None, raised, None, raised, None, returned]


@given(st.lists(st.tuples(st.sampled_from([0, 20_000, 20_001]), st.integers(0, 50)), max_size=40))
def test_a_start_in_1970_does_not_take_the_place_of_today(sent: list[tuple[int, int]]) -> None:
    budget = Budget(1000)
    for day, size_bytes in sent:
        budget.sent(size_bytes, now_ns=day * DAY_NS)
    for day in (0, 20_000, 20_001):
        expected = sum(size for other, size in sent if other == day)
        assert budget.bytes_today(now_ns=day * DAY_NS) == expected


def test_only_the_last_days_are_kept() -> None:
    budget = Budget(1000)
    for day in range(100):
        budget.sent(1, now_ns=day * DAY_NS)
    assert sorted(budget.days) == list(range(100 - DAYS_MAX, 100))


async def test_a_restart_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "budgets" / "cloud.json"
    first = Budget(1000)
    file = BudgetFile(first, path)
    await file.load()
    first.sent(900, now_ns=NOON_NS)
    await file.save(now_ns=0, is_last=True)
    second = Budget(1000)
    second.sent(50, now_ns=NOON_NS)
    again = BudgetFile(second, path)
    await again.load()
    await again.load()
    assert second.bytes_today(now_ns=NOON_NS) == 950
    assert second.spent(now_ns=NOON_NS) is Spent.BACKFILL_WAITS


async def test_the_file_is_written_once_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "cloud.json"
    budget = Budget(1000)
    file = BudgetFile(budget, path)
    written = set()
    for now_ns in range(0, 3 * SAVE_PERIOD_NS, SAVE_PERIOD_NS // 100):
        budget.sent(1, now_ns=NOON_NS)
        await file.save(now_ns=now_ns)
        written.add(path.read_bytes())
    assert len(written) == 3


async def test_without_a_budget_no_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "cloud.json"
    file = BudgetFile(Budget(None), path)
    await file.load()
    await file.save(now_ns=0, is_last=True)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b'{"20000": "x"}', b"\xff"])
async def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cloud.json"
    path.write_bytes(content)
    budget = Budget(1000)
    await BudgetFile(budget, path).load()
    assert budget.bytes_today(now_ns=NOON_NS) == 0


async def test_a_disk_that_refuses_stops_no_delivery_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "budgets").write_text("a file where the folder should be", encoding="utf-8")
    file = BudgetFile(Budget(1000), tmp_path / "budgets" / "cloud.json")
    with capture_logs() as told:
        await file.save(now_ns=0)
        await file.save(now_ns=SAVE_PERIOD_NS)
    assert [entry["event"] for entry in told] == ["budget_not_kept"]
