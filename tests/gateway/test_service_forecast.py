"""What a configuration will cost: every tag at the rate of its own group."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.core.frame import Frame
from gateway.core.records import RecordKind
from gateway.core.tags import Tag, TagId
from gateway.service.build import build_parts
from gateway.service.forecast import (
    BYTES_PER_SAMPLE,
    TagPlace,
    flash_bytes_per_day,
    forecast_of,
    tag_places,
)
from gateway.wire.clock import SystemClock
from gateway.wire.frames import draft_frame
from tests.gateway.service_run import HEAD, alarm_table, compressor_table, written
from tests.gateway.store_cases import QUICK, SECOND_NS, START_NS, open_log

REGISTERS = """\
tag;address;type;group

# the drive
Speed;0;float32;
Flow;2;float32;slow
InletDp;4;float32;slow
"""
NODES = """\
tag,node,group
Level,ns=2;s=Level,
Total,ns=2;s=Total,hourly
Mode,ns=2;s=Mode,polled
"""
PUMPS = """
[connectors.pumps]
type = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
security = "None"
tags = "pumps.csv"
sampling_ms = 500

[connectors.pumps.groups.hourly]
sampling_ms = 3_600_000
publishing_ms = 3_600_000

[connectors.pumps.groups.polled]
read = "poll"
period_ms = 5_000
"""
SLOW = "\n[connectors.compressor.groups.slow]\nperiod_ms = 10_000\n"


def test_tags_of_a_group_count_at_its_rate(tmp_path: Path) -> None:
    """One tag every 50 ms, two every 10 s; one every 500 ms, one an hour, one polled every 5 s."""
    text = HEAD + compressor_table("127.0.0.1:1") + SLOW + PUMPS
    config = written(tmp_path, text, k01=REGISTERS, pumps=NODES)
    parts = build_parts(config, folder=tmp_path, clock=SystemClock())
    forecast = forecast_of(config, parts)
    assert forecast.samples_per_s == pytest.approx(20 + 2 / 10 + 2 + 1 / 3600 + 1 / 5)
    assert forecast.bytes_per_day == round(forecast.samples_per_s * BYTES_PER_SAMPLE * 86_400)
    days = config.log.backlog_bytes_max / forecast.bytes_per_day
    assert forecast.buffer_days == pytest.approx(days)
    assert forecast.buffer_thinned_days > days


def test_without_thinning_the_buffer_lasts_as_long_as_without_loss(tmp_path: Path) -> None:
    text = HEAD + compressor_table("127.0.0.1:1")
    config = written(tmp_path, text, k01="tag,address,type\nFlow,2,float32\n")
    parts = build_parts(config, folder=tmp_path, clock=SystemClock())
    whole = config.log.model_copy(update={"thin_error_percent": 0.0})
    forecast = forecast_of(config.model_copy(update={"log": whole}), parts)
    assert forecast.buffer_thinned_days == forecast.buffer_days


def test_derived_tags_count_at_the_period_of_their_twin(tmp_path: Path) -> None:
    config = written(
        tmp_path,
        HEAD + compressor_table("127.0.0.1:1") + alarm_table(),
        k01="tag,address,type\nFlow,2,float32\n",
    )
    parts = build_parts(config, folder=tmp_path, clock=SystemClock())
    [twin] = parts.twins
    derived = len(twin.derived_tags) / config.twins["K-01"].period_s
    assert forecast_of(config, parts).samples_per_s == pytest.approx(20 + derived)


def test_a_tag_is_found_in_its_line(tmp_path: Path) -> None:
    """Lines are those that an editor shows: empty ones and remarks count."""
    (tmp_path / "k01.csv").write_text(REGISTERS, encoding="utf-8")
    assert tag_places(tmp_path / "k01.csv") == {
        "Speed": TagPlace(line=4, group=""),
        "Flow": TagPlace(line=5, group="slow"),
        "InletDp": TagPlace(line=6, group="slow"),
    }
    (tmp_path / "other.csv").write_text("name,address\nSpeed,4\n", encoding="utf-8")
    assert tag_places(tmp_path / "other.csv") == {}


async def test_the_flash_is_written_about_as_forecast(tmp_path: Path) -> None:
    """A thousand tags twenty times as fast for some seconds, sealed and delivered as they come.

    Method: what the kernel counts for the log's thread, within a factor of three.
    """
    window_s = 0.05
    settings = QUICK.model_copy(
        update={"group_commit_s": window_s, "seal_after_s": 0.5, "block_s": 0.5}
    )
    log = open_log(tmp_path / "log.db", settings)
    table = log.intern([Tag(id=TagId(f"mill.T{number}")) for number in range(1000)])
    rng = np.random.default_rng(5)
    value = np.round(rng.normal(50, 5, 1000), 1)
    before = await log.stats()
    begun = time.monotonic()
    commits = 100
    for number in range(commits):
        value = np.round(value + rng.normal(0, 0.3, 1000), 1)
        frame = Frame(
            tag_index=np.arange(1000, dtype=np.int32),
            time_ns=np.full(1000, START_NS + number * SECOND_NS),
            value=value,
            status=np.zeros(1000, dtype=np.uint32),
            received_ns=START_NS + number * SECOND_NS,
        )
        # One commit each, however long this disk takes for it.
        draft = draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)
        await log.durable(log.append([replace(draft, is_urgent=True)]))
        await log.advance("cloud", log.end)
        if number % 10 == 9:
            await log.tidy()
    after = await log.stats()
    await log.close()
    assert before.written_bytes is not None
    assert after.written_bytes is not None
    assert time.monotonic() - begun < 50
    written = after.written_bytes - before.written_bytes
    days = commits * window_s / 86_400
    forecast = days * flash_bytes_per_day(1000 / window_s, group_commit_s=window_s)
    print(f"written {written}, forecast {forecast:.0f}")
    assert forecast / 3 < written < forecast * 3


def test_a_longer_commit_writes_less_and_a_lazy_plant_commits_less() -> None:
    day = [flash_bytes_per_day(1000.0, group_commit_s=window_s) for window_s in (0.1, 1.0, 10.0)]
    assert day == sorted(day, reverse=True)
    once_a_minute = flash_bytes_per_day(1 / 60, group_commit_s=1.0)
    assert once_a_minute == flash_bytes_per_day(1 / 60, group_commit_s=60.0)
