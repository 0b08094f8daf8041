"""The gateway's clock jumps by an hour while it runs: told once, and everything else goes on."""

from itertools import pairwise
from pathlib import Path

import pytest

from gateway.core.records import RecordKind
from gateway.store import LogReader
from gateway.wire.frames import frames_of
from tests.gateway.service_run import (
    COMPRESSOR_SHEET,
    HEAD,
    alarm_table,
    compressor_table,
    events_in,
    running,
    tags_of,
    written,
)
from tests.gateway.simulate_peers import modbus_server
from tests.gateway.store_cases import SettableClock, until

HOUR_S = 3600.0


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
async def test_a_clock_that_jumps_stops_nothing(tmp_path: Path, jump_s: float) -> None:
    clock = SettableClock()
    async with modbus_server(tmp_path) as server:
        config = written(
            tmp_path,
            HEAD + compressor_table(server.endpoint) + alarm_table(),
            k01=COMPRESSOR_SHEET,
        )
        async with running(config, tmp_path, clock=clock) as gateway:
            [device] = gateway.supervisors
            await until(lambda: device.status().frame_count >= 5)
            clock.shift_s += jump_s
            await until(lambda: any(x.condition == "clock_jumped" for x in gateway.feed.events(9)))
            before = device.status().frame_count
            await server.show([1.0, 42.0, 3.0, *[0.0] * 6, 0.0], 0)
            await until(lambda: device.status().frame_count >= before + 5)
            flow = (await tags_of(tmp_path))["compressor.Flow"]
            assert (flow.value, flow.quality, flow.is_stale) == (42.0, "good", False)
            assert flow.time is not None
            assert abs(flow.time.timestamp() - clock.now_ns() / 1e9) < 60
            received = gateway.ingress.received_samples
    [jumped] = [x for x in events_in(gateway.store.path) if x.condition == "clock_jumped"]
    assert f"by {HOUR_S:.0f} s" in jumped.text
    stored = [
        frame.frame
        for record in LogReader(gateway.store.path).records()
        if record.kind is RecordKind.FRAME
        for frame in frames_of(record)[0]
    ]
    assert sum(map(len, stored)) >= received
    times = [int(frame.time_ns[0]) for frame in stored]
    steps = [b - a for a, b in pairwise(times)]
    # Order is that of receipt: one step of an hour, and none else that goes back.
    assert sum(abs(step) > 1800e9 for step in steps) == 1
    assert all(step > 0 for step in steps if abs(step) < 1800e9)
    assert not any(x.condition == "device_lost" for x in events_in(gateway.store.path))


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
async def test_alarms_go_on_after_a_jump(tmp_path: Path, jump_s: float) -> None:
    clock = SettableClock()
    async with modbus_server(tmp_path) as server:
        config = written(
            tmp_path,
            HEAD + compressor_table(server.endpoint) + alarm_table(),
            k01=COMPRESSOR_SHEET,
        )
        async with running(config, tmp_path, clock=clock) as gateway:
            [device] = gateway.supervisors
            await until(lambda: device.status().frame_count >= 5)
            clock.shift_s += jump_s
            before = device.status().frame_count
            await until(lambda: device.status().frame_count >= before + 3)
            await server.show([1.0, 140.0, 3.0, *[0.0] * 6, 0.0], 0)
            await until(lambda: bool(gateway.parts.board.alarms()), deadline_s=5.0)
