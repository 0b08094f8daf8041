"""Rows for training out of the gateway's own log: the healthy ones, and only those."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

from gateway.cli.recordings import TwinRecording
from gateway.cli.train_log import read_log_rows
from gateway.config import Config, read_config
from gateway.core.errors import ConfigError
from gateway.core.manifest import AnomalyManifest
from gateway.demo.stage import write_gateway_config
from gateway.recordings import Recording, read_recording
from gateway.service.importing import import_recording
from gateway.simulate.plant import Plant
from gateway.simulate.plant_config import write_sheets
from gateway.simulate.recording import record
from gateway.wire.bundle import read_bundle

START_NS = 1_767_225_600 * 10**9
ROWS = 900
MINUTE_NS = 60 * 10**9


@pytest.fixture
async def gateway(tmp_path: Path) -> tuple[Path, Config, Recording]:
    """Return a gateway that has taken in a quarter of an hour of healthy plant."""
    plant = Plant(3, start_ns=START_NS)
    for _ in range(60):
        plant.step(1.0)
    record(plant, tmp_path / "healthy.csv", duration_s=float(ROWS), period_s=1.0)
    write_sheets(tmp_path)
    where: dict[str, object] = {"opcua": "opc.tcp://127.0.0.1:1", "modbus": "127.0.0.1:1"}
    write_gateway_config(tmp_path, where, cloud_url="http://127.0.0.1:1")
    for file in ("cloud.token", "root.json"):
        path = tmp_path / "cloud/hand-over/pumphouse-1" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="ascii")
    path = tmp_path / "gateway.toml"
    config = read_config(path)
    recording = read_recording(tmp_path / "healthy.csv")
    await import_recording(config, recording, folder=tmp_path)
    return path, config, recording


async def test_the_log_gives_the_rows_that_the_recording_gives(
    gateway: tuple[Path, Config, Recording],
) -> None:
    """A model trained from the gateway's log sees what one trained from the file would see."""
    path, config, recording = gateway
    for asset_type in ("centrifugal_pump", "compressor"):
        rows = read_log_rows(path, asset_type, from_ns=0, to_ns=START_NS + 3600 * 10**9)
        columns, runs = TwinRecording(recording, asset_type, config).healthy_runs()
        assert rows.columns == columns
        assert rows.period_s == 1.0
        assert rows.has_physics
        assert [len(run) for run in rows.runs] == [len(run) for run in runs]
        for ours, theirs in zip(rows.runs, runs, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


async def test_a_model_is_trained_from_the_log_as_from_the_file(
    gateway: tuple[Path, Config, Recording],
) -> None:
    """The command with --from makes the model that it makes of the recording with --twin."""
    path, _, _ = gateway
    made = []
    for number, options in enumerate(
        (
            ["--from", "2025-12-31", "--to", "2026-01-02", "--asset-type", "compressor"],
            ["--data", str(path.parent / "healthy.csv"), "--twin", "compressor"],
        )
    ):
        out = path.parent / f"{number}.ewm"
        arguments = ["anomaly", "-c", str(path), "--out", str(out), *options]
        # A process of its own: from the log it gives itself a low priority.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.cli",
            "train",
            *arguments,
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0
        made.append(read_bundle(out.read_bytes()).manifest)
    ours, theirs = (manifest for manifest in made if isinstance(manifest, AnomalyManifest))
    assert (ours.columns, ours.trained_rows) == (theirs.columns, theirs.trained_rows)
    assert ours.name == theirs.name == "compressor-anomaly"
    assert ours.metrics == pytest.approx(theirs.metrics, rel=1e-6)


async def test_an_unknown_type_and_an_empty_span_are_told(
    gateway: tuple[Path, Config, Recording],
) -> None:
    path, _, _ = gateway
    with pytest.raises(ConfigError, match="configured types: centrifugal_pump, compressor"):
        read_log_rows(path, None, from_ns=0, to_ns=START_NS)
    with pytest.raises(ConfigError, match="holds no rows of P-101, P-102"):
        read_log_rows(path, "centrifugal_pump", from_ns=0, to_ns=START_NS)
