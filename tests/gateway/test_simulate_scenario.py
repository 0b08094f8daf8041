"""Scenarios: read with every mistake at once, drawn reproducibly."""

from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.simulate.faults import SENSOR_FAULTS, FaultKind
from gateway.simulate.points import ASSETS
from gateway.simulate.scenario import draw_faults, read_scenario

GOOD = """
name = "Two things at once"

[[faults]]
kind     = "bearing_wear"
asset    = "P-101"
onset_s  = 60
growth_s = 300
size     = 0.8

[[faults]]
kind       = "server_hangs"
asset      = "modbus"
onset_s    = 120
duration_s = 30
"""

BAD = """
[[faults]]
kind = "bearing_wear"
asset = "P-109"

[[faults]]
kind = "cavitation"
asset = "K-01"

[[faults]]
kind = "sensor_drift"
asset = "P-101"
signal = "flow"

[[faults]]
kind = "sensor_frozen"
asset = "P-101"
signal = "flow_m3h"
size = 1.5

[[faults]]
kind = "rust"
asset = "P-101"
sise = 0.3
"""


def test_a_scenario_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(GOOD, encoding="utf-8")
    wear, hang = read_scenario(path).plan()
    assert (wear.kind, wear.asset, wear.onset_s, wear.growth_s, wear.size) == (
        FaultKind.BEARING_WEAR,
        "P-101",
        60.0,
        300.0,
        0.8,
    )
    assert (hang.kind, hang.asset, hang.duration_s) == (FaultKind.SERVER_HANGS, "modbus", 30.0)
    assert [hang.is_present(time_s) for time_s in (119.0, 120.0, 149.0, 150.0)] == [
        False,
        True,
        True,
        False,
    ]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(BAD, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_scenario(path)
    places = [mistake.partition(": ")[0] for mistake in caught.value.mistakes]
    assert places == [
        "faults.0",
        "faults.1",
        "faults.2",
        "faults.3.size",
        "faults.4.kind",
        "faults.4.sise",
    ]
    text = str(caught.value)
    assert "'P-109' cannot have bearing_wear: use one of P-101, P-102, K-01" in text
    assert "'K-01' cannot have cavitation: use one of P-101, P-102" in text
    assert "Signal 'flow' is none of P-101: use one of speed_rpm, flow_m3h" in text


def test_drawn_faults_depend_on_the_seed_alone() -> None:
    assert draw_faults(3, count=2) == draw_faults(3, count=2)
    drawn = {draw_faults(seed)[0].kind for seed in range(60)}
    assert drawn == {
        FaultKind.BEARING_WEAR,
        FaultKind.CAVITATION,
        FaultKind.CLOGGED_FILTER,
        FaultKind.SENSOR_FROZEN,
        FaultKind.SENSOR_DRIFT,
    }


def test_drawn_faults_keep_to_the_bounds() -> None:
    for seed in range(30):
        faults = draw_faults(
            seed, count=3, kinds=[FaultKind.CLOGGED_FILTER], onset_s=(5, 9), growth_s=(1, 2)
        )
        assert sorted(fault.asset for fault in faults) == sorted(ASSETS)
        onsets = [fault.onset_s for fault in faults]
        assert onsets == sorted(onsets)
        assert all(5 <= fault.onset_s <= 9 and 1 <= fault.growth_s <= 2 for fault in faults)
        assert all(0.5 <= fault.size <= 1 for fault in faults)
        assert not {fault.kind for fault in faults} & SENSOR_FAULTS
