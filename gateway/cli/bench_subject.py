"""The product as the public recordings see it: its own commands, with files in between.

The only place that knows how it is trained, how it scores and how it diagnoses, so what is
measured is what a user gets who gives no option.
"""

import csv
import io
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from analytics.multivariate import AnomalyDetector
from analytics.scoring import open_bundle
from analytics.training.data import Recording
from gateway.cli import COMMANDS, edgewright
from gateway.cli.recordings import PLAIN_ASSET, plain_rows
from gateway.core.errors import ConfigError, ModelError
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.proof.subject import Diagnosed, Foreseen, Lives, Watched, Waveform

TIMED_ROWS: Final = 400
WARM_ROWS: Final = 100
"""Before those that are timed."""


@dataclass(frozen=True, slots=True)
class Product:
    """Trains, scores and diagnoses by `edgewright train`, `score` and `diagnose`."""

    has_life: bool = False
    has_diagnosis: bool = "diagnose" in COMMANDS

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
            with scores.open(encoding="utf-8", newline="") as file:
                lines = list(csv.DictReader(file))
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

    def foresee(self, runs: Lives, test: Lives, *, cap: float | None) -> Foreseen:
        """There is nothing yet that foresees remaining life."""
        raise NotImplementedError

    def diagnose(self, known: Sequence[Waveform], windows: Sequence[Waveform]) -> Diagnosed:
        """There is nothing yet that diagnoses vibration."""
        raise NotImplementedError


def _run(*words: str | Path) -> None:
    """Run a command as a user would, its text thrown away."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        edgewright.main([str(word) for word in words], standalone_mode=False)


def _write(path: Path, recording: Recording) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *recording.columns])
        for time_ns, cells in zip(
            recording.time_ns.tolist(), recording.value.tolist(), strict=True
        ):
            writer.writerow([time_ns, *cells])


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


def _row_cost(bundle: bytes, test: Recording) -> tuple[float | None, float]:
    """Return the median time of a row in ms, and the size of what is remembered in kB."""
    _, manifest = open_bundle(bundle)
    detector = AnomalyDetector(
        model_name=manifest.name,
        asset_type=manifest.asset_type,
        assets=(PLAIN_ASSET,),
        columns=test.columns,
        monotonic_ns=time.monotonic_ns,
    )
    detector.bind(TagTable.build(detector.derived_tags, epoch=ConfigEpoch(1)))
    detector.activate(bundle)
    taken_ns = []
    for k, rows in enumerate(plain_rows(test)):
        if k == WARM_ROWS + TIMED_ROWS:
            break
        begun_ns = time.perf_counter_ns()
        detector.update(rows)
        if k >= WARM_ROWS:
            taken_ns.append(time.perf_counter_ns() - begun_ns)
    latency_ms = float(np.median(taken_ns)) / 1e6 if taken_ns else None
    return latency_ms, len(detector.checkpoint()) / 1024
