"""The product as the public recordings see it: its own commands, with files in between.

The only place that knows how it is trained, how it scores and how it diagnoses, so what is
measured is what a user gets who gives no option.
"""

import csv
import io
import json
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZipFile

import numpy as np

from analytics.multivariate import AnomalyDetector
from analytics.scoring import open_bundle
from analytics.vibration.bearings import bearing
from analytics.vibration.diagnosis import diagnose
from analytics.vibration.indicators import Machine
from gateway.cli import COMMANDS, edgewright
from gateway.cli.recordings import PLAIN_ASSET, plain_rows
from gateway.cli.train import command as train
from gateway.core.errors import ConfigError, ModelError
from gateway.core.rows import AssetId, Rows
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.proof.subject import Diagnosed, Foreseen, Lives, Watched, Waveform
from gateway.recordings import Recording

TIMED_ROWS: Final = 400
WARM_ROWS: Final = 100
"""Before those that are timed."""
TIMED_WINDOWS: Final = 100
WARM_WINDOWS: Final = 5
TIMED_CALLS: Final = 40
WARM_CALLS: Final = 40
"""The same for many assets at once."""


@dataclass(frozen=True, slots=True)
class Product:
    """Trains, scores and diagnoses by `edgewright train`, `score` and `diagnose`."""

    @property
    def has_life(self) -> bool:
        """Whether `train` knows remaining life."""
        return "rul" in train.commands

    @property
    def has_diagnosis(self) -> bool:
        """Whether there is a command that diagnoses, and something to train for it."""
        return "diagnose" in COMMANDS and "vibration" in train.commands

    def watch(self, healthy: Recording, test: Recording) -> Watched:
        """Run `train anomaly` and `score`; a recording that is refused gives no scores."""
        with TemporaryDirectory(prefix="edgewright-bench-") as name:
            folder = Path(name)
            model, scores = folder / "model.ewm", folder / "scores.csv"
            _write(folder / "healthy.csv", healthy)
            _write(folder / "test.csv", test)
            try:
                _run("train", "anomaly", "--data", folder / "healthy.csv", "--out", model)
            except (ModelError, ConfigError) as error:
                return _refused(len(test.time_ns), str(error))
            _run("score", "--model", model, "--data", folder / "test.csv", "--out", scores)
            lines = _lines(scores)
            bundle = model.read_bytes()
        assert len(lines) == len(test.time_ns), "a line for every row"
        latency_ms, state_kb = _row_cost(bundle, test)
        return Watched(
            score=np.array([float(line["score"] or "nan") for line in lines]),
            alarm=np.array([line["alarm"] == "1" for line in lines]),
            shares=tuple(_shares(line["top_tags"], line["top_shares"]) for line in lines),
            latency_ms=latency_ms,
            size_kb=len(bundle) / 1024,
            state_kb=state_kb,
        )

    def crowd_ms(self, healthy: Recording, asset_count: int) -> float | None:
        """Run `train anomaly`, then the detector on rows of many assets at once."""
        with TemporaryDirectory(prefix="edgewright-bench-") as name:
            model = Path(name) / "model.ewm"
            _write(Path(name) / "healthy.csv", healthy)
            _run("train", "anomaly", "--data", Path(name) / "healthy.csv", "--out", model)
            bundle = model.read_bytes()
        return _row_cost(bundle, healthy, asset_count=asset_count)[0]

    def foresee(self, runs: Lives, test: Lives, *, cap: float | None) -> Foreseen:
        """Run `train rul` and `score`."""
        with TemporaryDirectory(prefix="edgewright-bench-") as name:
            folder = Path(name)
            model, scores = folder / "model.ewm", folder / "scores.csv"
            _write_lives(folder / "runs.csv", runs)
            _write_lives(folder / "test.csv", test)
            names = ("--unit", "unit", "--time", "time")
            capped = () if cap is None else ("--cap", f"{cap:g}")
            _run("train", "rul", "--data", folder / "runs.csv", *names, *capped, "--out", model)
            _run("score", "--model", model, "--data", folder / "test.csv", "--out", scores)
            latency_ms, size_kb = _stated_cost(model)
            foreseen = _foreseen(_lines(scores), test)
        return replace(foreseen, latency_ms=latency_ms, size_kb=size_kb)

    def diagnose(self, known: Sequence[Waveform], windows: Sequence[Waveform]) -> Diagnosed:
        """Run `train vibration`, and `diagnose` for every window."""
        with TemporaryDirectory(prefix="edgewright-bench-") as name:
            folder = Path(name)
            model, index = folder / "model.ewm", folder / "index.csv"
            with index.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["file", "column", "rate_hz", "speed_rpm", "bearing", "fault"])
                for k, each in enumerate(known):
                    np.savez(folder / f"{k}.npz", a=each.acceleration_g)
                    writer.writerow(
                        [f"{k}.npz", "a", each.rate_hz, each.speed_rpm, each.bearing, each.fault]
                    )
            _run("train", "vibration", "--data", index, "--out", model)
            answers = [_diagnosis(folder, model, each) for each in windows]
            latency_ms = _window_ms(model.read_bytes(), windows)
            size_kb = model.stat().st_size / 1024
        return Diagnosed(
            faults=tuple(fault for fault, _ in answers),
            probabilities=tuple(by_fault for _, by_fault in answers),
            latency_ms=latency_ms,
            size_kb=size_kb,
        )


def _diagnosis(
    folder: Path, model: Path, window: Waveform
) -> tuple[str, tuple[tuple[str, float], ...]]:
    """Return the fault of a window, and how probable each one is."""
    path = folder / "window.csv"
    path.write_text("a\n" + "\n".join(map(repr, window.acceleration_g.tolist())) + "\n")
    text = _run(
        *("diagnose", "--data", path, "--column", "a", "--rate-hz", f"{window.rate_hz:g}"),
        *("--speed-rpm", f"{window.speed_rpm:g}", "--bearing", window.bearing),
        *("--model", model, "--json"),
    )
    return _answer(text)


def _answer(text: str) -> tuple[str, tuple[tuple[str, float], ...]]:
    """Return fault and probabilities from what `diagnose --json` printed."""
    answer = json.loads(text)
    by_fault = answer["probabilities"]
    return str(answer["fault"]), tuple((str(name), float(by_fault[name])) for name in by_fault)


def _foreseen(lines: Sequence[dict[str, str]], test: Lives) -> Foreseen:
    """Return the lines that `score` wrote, in the order of the table."""
    by_row = {(line["unit"], float(line["time"])): line for line in lines}
    ordered = [by_row[row] for row in zip(test.unit, test.time.tolist(), strict=True)]
    rul, low, high = (
        np.array([float(line[column] or "nan") for line in ordered])
        for column in ("rul", "rul_low", "rul_high")
    )
    known = np.array([line["known"] == "1" for line in ordered])
    return Foreseen(rul=rul, low=low, high=high, known=known)


def _run(*words: str | Path) -> str:
    """Run a command as a user would, and return what it printed."""
    with redirect_stdout(io.StringIO()) as printed, redirect_stderr(io.StringIO()):
        edgewright.main([str(word) for word in words], standalone_mode=False)
    return printed.getvalue()


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, recording: Recording) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *recording.columns])
        for time_ns, cells in zip(
            recording.time_ns.tolist(), recording.value.tolist(), strict=True
        ):
            writer.writerow([time_ns, *cells])


def _write_lives(path: Path, lives: Lives) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["unit", "time", *lives.columns])
        for unit, moment, cells in zip(
            lives.unit, lives.time.tolist(), lives.value.tolist(), strict=True
        ):
            writer.writerow([unit, moment, *cells])


def _refused(count: int, refusal: str) -> Watched:
    return Watched(
        score=np.full(count, np.nan),
        alarm=np.zeros(count, dtype=np.bool_),
        shares=((),) * count,
        refusal=refusal,
    )


def _shares(names: str, shares: str) -> tuple[tuple[str, float], ...]:
    if not names:
        return ()
    pairs = zip(names.split("|"), shares.split("|"), strict=True)
    return tuple((name, float(share)) for name, share in pairs)


def _window_ms(bundle: bytes, windows: Sequence[Waveform]) -> float | None:
    """Return the median time in which a window is diagnosed, without the file around it."""
    from analytics.vibration.learned import LearnedClassifier  # heavy

    classifier = LearnedClassifier(bundle)
    taken_ns = []
    for window in windows[: WARM_WINDOWS + TIMED_WINDOWS]:
        machine = Machine(bearing=bearing(window.bearing))
        begun_ns = time.perf_counter_ns()
        diagnose(window.acceleration_g, window.rate_hz, window.speed_rpm / 60, machine, classifier)
        taken_ns.append(time.perf_counter_ns() - begun_ns)
    return float(np.median(taken_ns[WARM_WINDOWS:])) / 1e6 if len(windows) > WARM_WINDOWS else None


def _stated_cost(model: Path) -> tuple[float | None, float]:
    """Return the time of a row in ms as the bundle states it, and its size in kB."""
    with ZipFile(model) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    cost = manifest.get("cost") or {}
    return cost.get("row_ms_p50"), model.stat().st_size / 1024


def _row_cost(
    bundle: bytes, test: Recording, *, asset_count: int = 1
) -> tuple[float | None, float]:
    """Return the median time of a call in ms, and the size of what is remembered in kB."""
    _, manifest = open_bundle(bundle)
    assets = tuple(AssetId(f"{PLAIN_ASSET}-{k}") for k in range(asset_count))
    detector = AnomalyDetector(
        model_name=manifest.name,
        asset_type=manifest.asset_type,
        assets=assets,
        columns=test.columns,
        monotonic_ns=time.monotonic_ns,
    )
    detector.bind(TagTable.build(detector.derived_tags, epoch=ConfigEpoch(1)))
    detector.activate(bundle)
    warm, timed = (WARM_ROWS, TIMED_ROWS) if asset_count == 1 else (WARM_CALLS, TIMED_CALLS)
    taken_ns = []
    for rows in islice(plain_rows(test), warm + timed):
        many = _many(rows, assets)
        begun_ns = time.perf_counter_ns()
        detector.update(many)
        taken_ns.append(time.perf_counter_ns() - begun_ns)
    latency_ms = float(np.median(taken_ns[warm:])) / 1e6 if len(taken_ns) > warm else None
    return latency_ms, len(detector.checkpoint()) / 1024


def _many(rows: Rows, assets: tuple[AssetId, ...]) -> Rows:
    """Return the row of one asset as rows of many."""
    count = len(assets)
    return replace(
        rows,
        assets=assets,
        value=np.repeat(rows.value, count, axis=0),
        status=np.repeat(rows.status, count, axis=0),
        state=np.repeat(rows.state, count),
    )
