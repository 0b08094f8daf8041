"""What is said of a backlog and of a budget, on the console and by `edgewright status`."""

from gateway.api.translate import uplink_answer
from gateway.api.uplink_answers import UplinkAnswer
from gateway.cli.status import _uplink_lines
from gateway.console.sync import _backlog
from gateway.core.records import Seq
from gateway.core.uplink_status import ClassStatus, DeliveryClass, UplinkStatus

MIB = 1024 * 1024


def uplink(*, backfill: int, drain_s: float | None, budget: int | None) -> UplinkAnswer:
    classes = tuple(
        ClassStatus(
            name=kind,
            lag_records=backfill if kind is DeliveryClass.BACKFILL else 0,
            lag_s=7200.0,
            acknowledged_records=1,
            acknowledged_samples=1,
            drain_s=drain_s,
        )
        for kind in DeliveryClass
    )
    return uplink_answer(
        UplinkStatus(
            name="cloud",
            address="https://sync.example.com",
            is_connected=True,
            since_ns=1,
            error="",
            error_detail="",
            retry_ns=None,
            cursor=Seq(1),
            lag_records=backfill,
            lag_s=0.0,
            acknowledged_records=1,
            acknowledged_samples=1,
            duplicate_records=0,
            dead_letters=0,
            bytes_today=9 * MIB,
            outage_s=0.0,
            drained_records=0,
            budget_bytes_per_day=budget,
            classes=classes,
        )
    )


def test_a_backlog_is_told_with_its_age_and_its_end() -> None:
    shown = uplink(backfill=1200, drain_s=240.0, budget=None)
    told = "1200 records of the past to deliver, 2 h back, done in 4 min"
    assert _backlog(shown).plain == f"\n cloud: {told}"
    assert [line.strip() for line in _uplink_lines(shown)] == [told]


def test_an_end_that_is_not_known_is_not_told() -> None:
    shown = uplink(backfill=1, drain_s=None, budget=None)
    assert _backlog(shown).plain == "\n cloud: 1 record of the past to deliver, 2 h back"


def test_a_budget_is_told_with_what_is_used_of_it() -> None:
    shown = uplink(backfill=0, drain_s=0.0, budget=18 * MIB)
    assert "cloud: 50 % of today's budget" in _backlog(shown).plain
    assert len(list(_uplink_lines(shown))) == 1


def test_without_backlog_and_budget_nothing_is_said() -> None:
    shown = uplink(backfill=0, drain_s=0.0, budget=None)
    assert _backlog(shown).plain == ""
    assert list(_uplink_lines(shown)) == []
