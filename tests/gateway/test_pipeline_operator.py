"""What people did to alarms is done again in a replay."""

from pathlib import Path

import pytest

from gateway.core.alarms import AlarmAction
from gateway.wire.clock import SystemClock
from tests.gateway.pipeline_bench import ASSET, bench_in, frame


@pytest.mark.parametrize("count", range(1, 6))
async def test_whatever_a_person_did_to_an_alarm_is_replayed(tmp_path: Path, count: int) -> None:
    """Each order by itself and after the others: the state, the figures and the reasons."""
    orders = (
        (AlarmAction.ACKNOWLEDGE, None),
        (AlarmAction.SHELVE, 3600.0),
        (AlarmAction.UNSHELVE, None),
        (AlarmAction.TAKE_OUT, None),
        (AlarmAction.PUT_BACK, None),
    )
    async with bench_in(tmp_path, assets=[ASSET]) as bench:
        await bench.pipeline.checkpoint()
        await bench.take_in(frame(60.0, 50.0))
        for action, for_s in orders[:count]:
            assert bench.act(action, for_s=for_s).reason == "a test"
        await bench.log.durable(bench.log.append([]))
        alarms, end_ns = bench.board.alarms(), SystemClock().now_ns()
        cases = bench.cases.cases()
        assert [bool(case.active) for case in cases] == [count not in (2, 4)]
        metrics = bench.board.metrics(end_ns)
    async with bench_in(tmp_path, assets=[ASSET]) as again:
        again.restore()
        assert alarms == again.board.alarms()
        assert metrics == again.board.metrics(end_ns)
        assert cases == again.cases.cases()
