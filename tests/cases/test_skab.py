"""A published recording of a water loop (SKAB) through the whole gateway, as a plant would see it.

`simulate --replay` serves the recording by OPC UA, a gateway subscribes to it, a generic twin makes
rows of its eight signals, a model that came through a signed release scores them, and an alarm goes
into the log. All are processes of their own. The labels are read once, at the end, to judge.

- Which recording: the first run of the first folder, `valve1/0`, whatever becomes of it.
- What is learnt: its first 400 rows, as SKAB's own protocol has it, and as a commissioning goes:
  the machine as it stands now. The file without anomalies is from another day with other settings;
  a model of it would alarm on the difference.
- Time: the replay runs 20 times as fast, so every time constant is divided by 20, and what the
  detector and the alarm see is the same as at the machine's own pace. The alarm is the one that
  every asset with a score has by itself.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from analytics.defaults import ANOMALY_ALARM
from analytics.training.anomaly import Purpose, train_anomaly
from cloud_sync.cloud.client import CloudClient
from cloud_sync.cloud.setup import CONFIGURATION, HAND_OVER, OPERATOR_TOKEN, create_cloud
from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.events import Event, Transition
from gateway.core.quality import is_good
from gateway.core.tags import TagId
from gateway.demo.books import read_ledger_and_events
from gateway.recordings import Recording, read_recording
from gateway.simulate.replay import identifiers_of
from gateway.store.reader import LogReader
from gateway.wire.bundle import write_bundle
from gateway.wire.child import Child
from gateway.wire.clock import SystemClock

SHARED = Path(__file__).parents[2].parent / "shared"
RUN = SHARED / "data" / "skab" / "valve1" / "0.csv.gz"
SPEED = 20.0
LEARNT_ROWS = 400
COLUMNS = {
    "Accelerometer1RMS": "vibration_1_g",
    "Accelerometer2RMS": "vibration_2_g",
    "Current": "current_a",
    "Pressure": "pressure_bar",
    "Temperature": "temperature_degc",
    "Thermocouple": "fluid_temperature_degc",
    "Voltage": "voltage_v",
    "Volume Flow RateRMS": "flow_lpm",
}
"""Names in the recording, and in the twin."""
ALARM = "unlike_healthy"
EVER_NS = 2**62

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not RUN.exists(), reason="the SKAB recordings are not part of the project"),
]


async def test_a_closing_valve_is_found_and_a_healthy_loop_stays_quiet(tmp_path: Path) -> None:
    """The alarm's first edge lies inside the labelled segment, and at most one outside of it."""
    recording = read_recording(RUN, columns=list(COLUMNS))
    async with released(tmp_path, bundle_of(recording)) as cloud_url:
        await play(tmp_path, cloud_url)
    log_path = tmp_path / "state" / "log.db"
    begun_ns = begin_of(log_path, recording)
    assert first_score_ns(log_path) < begun_ns + LEARNT_ROWS / SPEED * 1e9
    _, events = read_ledger_and_events(log_path)
    alarm = alarm_rows(events, recording, begun_ns=begun_ns)
    label = read_recording(RUN, columns=["anomaly"]).value[:, 0] > 0
    sys.path.insert(0, str(SHARED))
    from scorers import edge_f1  # type: ignore[import-not-found]  # lies beside the recordings

    score = edge_f1([label], [alarm], times_s=[elapsed_s(recording)])
    assert (score.hits, score.segments) == (1, 1)
    assert score.false_edges <= 1


def bundle_of(recording: Recording) -> bytes:
    """Return a model of the first rows, which sees a row every `1 / SPEED` seconds."""
    purpose = Purpose(
        name="generic-anomaly",
        version="1.0",
        asset_type="generic",
        columns=tuple(COLUMNS.values()),
        period_s=1.0 / SPEED,
        smoothing_s=10.0 / SPEED,
    )
    return write_bundle(train_anomaly([recording.value[:LEARNT_ROWS]], purpose).bundle)


@asynccontextmanager
async def released(folder: Path, bundle: bytes) -> AsyncIterator[str]:
    """Run a cloud that has released the model; its address."""
    site = folder / "cloud"
    create_cloud(site, gateways=["loop-1"], host="127.0.0.1", port=0, clock=SystemClock())
    cloud = Child(
        "cloud", ["cloud", "run", "-c", str(site / CONFIGURATION), "--json"], folder=folder
    )
    try:
        url = str((await cloud.start())["url"])
        token = (site / OPERATOR_TOKEN).read_text(encoding="ascii")
        await CloudClient(url, token=token).release(bundle)
        yield url
    finally:
        await cloud.stop()


async def play(folder: Path, cloud_url: str) -> None:
    """Replay the recording to its end in front of a gateway."""
    plant = Child(
        "plant",
        [
            *("simulate", "--replay", str(RUN), "--speed", f"{SPEED:g}", "--json"),
            *("--opcua", "127.0.0.1:0", "--state", str(folder / "plant")),
        ],
        folder=folder,
    )
    gateway = Child("gateway", ["run", "-c", str(folder / "gateway.toml"), "--json"], folder=folder)
    where = await plant.start()
    try:
        write_configuration(folder, endpoint=str(where["opcua"]), cloud_url=cloud_url)
        await gateway.start()
        async with asyncio.timeout(180):
            while not plant.has_stopped:
                await asyncio.sleep(0.5)
        summary = await gateway.stop()
        assert summary["received"] == summary["stored"]
        assert summary["quarantined_frames"] == 0
    finally:
        await plant.kill()
        await gateway.kill()


def write_configuration(folder: Path, *, endpoint: str, cloud_url: str) -> None:
    """Write the tag list and the configuration that a person would write for this loop."""
    names = dict(zip(COLUMNS.values(), identifiers_of(tuple(COLUMNS)), strict=True))
    lines = ["tag,node", *(f"{name},ns=2;s={name}" for name in names.values())]
    (folder / "loop.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tags = ", ".join(f'{column} = "replay.{name}"' for column, name in names.items())
    text = f"""\
[gateway]
id = "loop-1"
state_folder = "state"

[connectors.replay]
type = "opcua"
endpoint = "{endpoint}"
security = "None"
tags = "loop.csv"
sampling_ms = {round(1000 / SPEED)}
publishing_ms = 100

[twins.loop]
type = "generic"
period_s = {1 / SPEED}
stale_after_s = {60 / SPEED}
tags = {{ {tags} }}

[twins.loop.alarms.{ALARM}]
when = "{ANOMALY_ALARM.when}"
delay_s = {ANOMALY_ALARM.delay_s / SPEED}
off_delay_s = {ANOMALY_ALARM.off_delay_s / SPEED}
dead_band = {ANOMALY_ALARM.dead_band}

[models]
url = "{cloud_url}/tuf"
root_file = "cloud/{HAND_OVER}/loop-1/root.json"
period_s = 1

[api]
socket = "api.sock"
"""
    (folder / "gateway.toml").write_text(text, encoding="utf-8")


def begin_of(log_path: Path, recording: Recording) -> int:
    """Return the source time of the first row: the last one's, less the length of the replay."""
    column = recording.value[:, 0]
    assert column[-1] != column[-2], "a last row that changes nothing would not be reported"
    name = identifiers_of(recording.columns)[0]
    (trend,) = LogReader(log_path).frames([TagId(f"replay.{name}")], from_ns=0, to_ns=EVER_NS)
    good = is_good(trend.status)
    assert trend.value[good][-1] == column[-1]
    return int(trend.time_ns[good][-1] - elapsed_s(recording)[-1] / SPEED * 1e9)


def first_score_ns(log_path: Path) -> int:
    """Return when the model gave its first score."""
    (trend,) = LogReader(log_path).frames([TagId("loop.anomaly_score")], from_ns=0, to_ns=EVER_NS)
    return int(trend.time_ns[is_good(trend.status)][0])


def alarm_rows(events: list[Event], recording: Recording, *, begun_ns: int) -> BoolArray:
    """Return in which rows of the recording the alarm is on, shape (n,)."""
    time_s = elapsed_s(recording)
    alarm = np.zeros(len(time_s), dtype=np.bool_)
    for event in events:
        if event.condition == ALARM:
            at_s = (event.time_ns - begun_ns) / 1e9 * SPEED
            alarm[time_s >= at_s] = event.transition is Transition.RAISED
    return alarm


def elapsed_s(recording: Recording) -> FloatArray:
    """Return the time of each row since the first, in seconds of the machine, shape (n,)."""
    elapsed: FloatArray = (recording.time_ns - recording.time_ns[0]) / 1e9
    return elapsed
