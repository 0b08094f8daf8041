"""What a configuration will cost: every tag at the rate of its own group."""

from pathlib import Path

import pytest

from gateway.service.build import build_parts
from gateway.service.forecast import BYTES_PER_SAMPLE, TagPlace, forecast_of, tag_places
from gateway.wire.clock import SystemClock
from tests.gateway.service_run import HEAD, alarm_table, compressor_table, written

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
