"""Made-up recordings in the layout in which the public ones are published, and who judges them."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from gateway.core.arrays import FloatArray
from gateway.core.errors import ModelError
from gateway.proof.subject import Diagnosed, Foreseen, Lives, Watched, Waveform
from gateway.recordings import Recording

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FAULT_SIZE = 50.0


@dataclass(frozen=True, slots=True)
class Expert:
    """Knows the made-up recordings: a fault is where the first column is far from zero."""

    has_life: bool = True
    has_diagnosis: bool = True
    refusal: str = ""

    def watch(self, healthy: Recording, test: Recording) -> Watched:
        """Score by the first column."""
        assert len(healthy.time_ns)
        score = np.abs(test.value[:, 0]) / (FAULT_SIZE / 2)
        score[0] = np.nan
        alarm = np.nan_to_num(score) > 1
        shares = tuple(
            ((test.columns[0], 0.9), (test.columns[1 % len(test.columns)], 0.1)) for _ in alarm
        )
        return Watched(
            score=score,
            alarm=alarm,
            shares=shares,
            refusal=self.refusal,
            latency_ms=0.01,
            size_kb=3.0,
            state_kb=2.0,
        )

    def crowd_ms(self, healthy: Recording, asset_count: int) -> float | None:
        """Take a microsecond for each."""
        return asset_count / 1_000

    def foresee(self, runs: Lives, test: Lives, *, cap: float | None) -> Foreseen:
        """Read the remaining life from the last column, which tells it."""
        assert set(runs.columns) == set(test.columns)
        rul = test.value[:, -1] if cap is None else np.minimum(test.value[:, -1], cap)
        known = rul <= np.quantile(rul, 0.25)
        rul = np.where(known | (cap is not None), rul, np.nan)
        return Foreseen(rul=rul, low=rul - 1, high=rul + 1, known=known)

    def diagnose(self, known: Sequence[Waveform], windows: Sequence[Waveform]) -> Diagnosed:
        """Tell the fault that the window's name tells; the others are half as probable."""
        assert {each.fault for each in known} == {"none", "inner", "outer", "ball"}
        return Diagnosed(
            faults=tuple(each.fault for each in windows),
            probabilities=tuple(
                tuple(
                    (f, 1.0 if f == each.fault else 0.5) for f in ("none", "inner", "outer", "ball")
                )
                for each in windows
            ),
            latency_ms=0.5,
        )


class Refusing(Expert):
    """Cannot learn to diagnose."""

    def diagnose(self, known: Sequence[Waveform], windows: Sequence[Waveform]) -> Diagnosed:
        """Refuse."""
        raise ModelError("too few recordings")


def write_all(folder: Path) -> Path:
    """Write a small one of each set."""
    rng = np.random.default_rng(4)
    write_skab(folder / "skab", rng)
    write_nab(folder / "nab", rng)
    write_arrays(folder, rng)
    write_cmapss(folder / "cmapss", rng)
    write_femto(folder / "femto", rng)
    write_cwru(folder / "cwru", rng)
    return folder


def signal(rng: np.random.Generator, count: int, columns: int, fault: slice | None) -> FloatArray:
    """Noise, with a fault in the first column."""
    value = rng.normal(size=(count, columns))
    if fault is not None:
        value[fault, 0] = FAULT_SIZE
    return value


def write_skab(folder: Path, rng: np.random.Generator) -> None:
    for name in ("valve1", "valve2", "other"):
        (folder / name).mkdir(parents=True)
        value = signal(rng, 700, 8, slice(500, 600))
        rows = [";".join(["datetime", *(f"c{k}" for k in range(8)), "anomaly", "changepoint"])]
        for k, cells in enumerate(value.tolist()):
            moment = (BEGIN + timedelta(seconds=k)).strftime("%Y-%m-%d %H:%M:%S")
            marks = [float(500 <= k < 600), float(k in (500, 600))]
            rows.append(";".join([moment, *map(repr, cells), *map(repr, marks)]))
        (folder / name / "0.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))


def write_nab(folder: Path, rng: np.random.Generator) -> None:
    labels = {}
    for name in ("one/a.csv", "two/b.csv"):
        path = folder / f"{name}.gz"
        path.parent.mkdir(parents=True)
        value = signal(rng, 600, 1, slice(400, 402))[:, 0]
        moments = [
            (BEGIN + timedelta(minutes=5 * k)).strftime("%Y-%m-%d %H:%M:%S") for k in range(600)
        ]
        rows = [
            "timestamp,value",
            *(f"{m},{v!r}" for m, v in zip(moments, value.tolist(), strict=True)),
        ]
        path.write_bytes(gzip.compress("\n".join(rows).encode()))
        labels[name] = [[f"{moments[400]}.000000", f"{moments[459]}.000000"]]
    (folder / "labels").mkdir()
    (folder / "labels" / "combined_windows.json").write_text(json.dumps(labels))


def write_arrays(folder: Path, rng: np.random.Generator) -> None:
    for name in ("smd", "smap", "tep"):
        (folder / name).mkdir()
    truth = np.zeros(400, dtype=np.uint8)
    truth[200:260] = 1
    for machine in ("machine-1-7", "machine-2-1"):
        healthy, test = signal(rng, 400, 4, None), signal(rng, 400, 4, slice(200, 260))
        np.savez(
            folder / "smd" / f"{machine}.npz",
            train_u6=np.rint(healthy * 1e6).astype(np.int32),
            test_u6=np.rint(test * 1e6).astype(np.int32),
            label=truth,
            interpretation=np.array("200-259:1,3\n"),
        )
    for channel in ("A-1", "B-1"):
        np.savez(
            folder / "smap" / f"{channel}.npz",
            train=signal(rng, 200, 3, None).astype(np.float32),
            test=signal(rng, 400, 3, slice(200, 260)).astype(np.float32),
            label=truth,
        )
    (folder / "smap" / "published_vus_pr.csv").write_text("tsb_id,entity\n1,A-1\n")
    np.savez(
        folder / "tep" / "tep_dev.npz",
        d00=signal(rng, 500, 52, None),
        d00_te=signal(rng, 960, 52, None),
        d01=signal(rng, 480, 52, None),
        d01_te=signal(rng, 960, 52, slice(160, 960)),
    )


def write_cmapss(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir()
    for subset in ("FD001", "FD002"):
        tables: dict[str, list[str]] = {"train": [], "test": [], "RUL": []}
        for part, cut in (("train", 0), ("test", 20)):
            for unit in range(1, 5):
                length = 50 + 10 * unit
                for cycle in range(1, length - cut + 1):
                    left = float(length - cycle)
                    cells = [0.0, 0.0, 100.0, *rng.normal(size=20).tolist(), left]
                    tables[part].append(" ".join(map(str, [unit, cycle, *cells])))
                if cut:
                    tables["RUL"].append(str(cut))
        for part, rows in tables.items():
            packed = gzip.compress("\n".join(rows).encode())
            (folder / f"{part}_{subset}.txt.gz").write_bytes(packed)


def write_femto(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir()
    for name, count in (("Bearing1_1", 100), ("Bearing1_2", 160)):
        left = 10.0 * np.arange(count)[::-1]
        np.savez(
            folder / f"{name}.npz",
            snapshot=np.arange(1, count + 1, dtype=np.int32),
            features=np.column_stack([rng.normal(size=count), left]).astype(np.float32),
            feature_names=np.array(["h_rms", "left"]),
        )


def write_cwru(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir()
    lines = ["file,rpm,load_hp,fault,outer_position,fault_mil,faulty_bearing,fs,channels,samples"]
    files = [("normal", "0", 48_000)]
    files += [(f, s, 12_000) for f in ("inner", "outer", "ball") for s in ("7", "14", "21", "28")]
    for fault, size, rate_hz in files:
        count = 2 * 4_096 * (rate_hz // 12_000) + 50
        name = f"1797_{fault}_{size}.npz"
        raw = rng.normal(size=count) * 1_000
        np.savez(folder / name, DE=raw.astype(np.int16), DE_lsb=1e-4, fs=rate_hz)
        lines.append(f"{name},1797,0,{fault},,{size},drive_end,{rate_hz},DE,{count}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
