"""Recordings of the plant in virtual time: hours in seconds, as CSV for training.

Columns: `time` (nanoseconds since 1970, UTC), then every point such as `P-101.flow_m3h`. A name
that ends in `.gz` is compressed.
"""

import csv
import gzip
from pathlib import Path

from gateway.core.errors import ConfigError
from gateway.simulate.plant import KEYS, STEP_S_MAX, Plant

TIME_COLUMN = "time"
STEP_S_TARGET = 1.0
"""Longer periods are stepped in parts of about this."""


def record(plant: Plant, path: Path, *, duration_s: float, period_s: float) -> int:
    """Step a plant, write what its sensors show once a period, and return the number of rows.

    Raises:
        ConfigError: the file cannot be written.
    """
    assert 0.0 < period_s <= duration_s, (period_s, duration_s)
    parts = max(1, round(period_s / min(STEP_S_TARGET, STEP_S_MAX)))
    step_s = period_s / parts
    rows = int(duration_s / period_s)
    try:
        with (
            gzip.open(path, "wt", encoding="utf-8", newline="")
            if path.suffix == ".gz"
            else path.open("w", encoding="utf-8", newline="")
        ) as file:
            writer = csv.writer(file)
            writer.writerow((TIME_COLUMN, *KEYS))
            for _ in range(rows):
                for _ in range(parts):
                    plant.step(step_s)
                writer.writerow((plant.time_ns, *plant.shown()))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return rows
