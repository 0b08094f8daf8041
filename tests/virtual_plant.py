"""The plant in virtual time: the real twins, detectors and alarms, hours in seconds.

What a gateway does to be commissioned is done here as it does it, without log and network: two
recorded hours go through the processor as history, the command line trains the models on the
recording, and a checkpoint is what the running gateway begins with.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from gateway.cli.train import command as train_command
from gateway.config import Config, read_config
from gateway.core.arrays import status_column
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame, Origin
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.service.build import build_parts
from gateway.simulate.plant import Plant
from gateway.simulate.plant_config import plant_tables, write_sheets
from gateway.simulate.points import POINTS
from gateway.simulate.recording import record
from gateway.wire.clock import SystemClock

WARM_UP_S = 600.0
RECORDED_S = 7_200.0
HURRIED_ROWS = 1_500
"""What the demo's first models are trained on."""
ROWS_PER_FRAME = 60
MACHINES = ("centrifugal_pump", "compressor")

CONFIG = """\
[gateway]
id = "virtual"
state_folder = "state"

[models]
url = "http://127.0.0.1:1/tuf"
root_file = "root.json"
"""


class VirtualGateway:
    """Twins, detectors and alarms of a configuration, fed with rows of a plant."""

    def __init__(self, config: Config, folder: Path) -> None:
        """Build what the service builds."""
        parts = build_parts(config, folder=folder, clock=SystemClock())
        self.processor = parts.processor
        self.detectors = parts.detectors
        self._table = TagTable.build(parts.tags, epoch=ConfigEpoch(1))
        self.processor.bind(self._table)
        self._tag_index = self._table.indices([point.tag for point in POINTS])

    def run(self, plant: Plant, duration_s: float, *, origin: Origin = Origin.LIVE) -> list[Event]:
        """Let the plant go on, a row a second, and return the events that came of it."""
        events: list[Event] = []
        rows = round(duration_s)
        for first in range(0, rows, ROWS_PER_FRAME):
            frame = self._frame(plant, min(ROWS_PER_FRAME, rows - first), origin)
            events += self.processor.process(frame).events
        return events

    def _frame(self, plant: Plant, rows: int, origin: Origin) -> Frame:
        times_ns, values = [], []
        for _ in range(rows):
            plant.step(1.0)
            times_ns.append(plant.time_ns)
            values.append(plant.shown())
        value = np.array(values, dtype=np.float64).ravel()
        return Frame(
            tag_index=np.tile(self._tag_index, rows),
            time_ns=np.repeat(np.array(times_ns, dtype=np.int64), len(self._tag_index)),
            value=value,
            status=status_column(np.zeros(len(value))),
            received_ns=times_ns[-1],
            origin=origin,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Commissioned:
    """A site after its first two hours, to begin from as often as wanted."""

    folder: Path
    config: Config
    plant: Plant
    """As it stood at the recording's end; copied for every run."""
    checkpoint: dict[str, bytes]
    models: tuple[bytes, ...]
    """One bundle for each detector, in their order."""

    def begin(self) -> tuple[VirtualGateway, Plant]:
        """Return a gateway that has just started, and a plant of its own."""
        gateway = VirtualGateway(self.config, self.folder)
        assert gateway.processor.restore(self.checkpoint) == ()
        for detector, model in zip(gateway.detectors, self.models, strict=True):
            detector.activate(model)
        return gateway, copy.deepcopy(self.plant)


def commission(seed: int, folder: Path, *, is_hurried: bool = False) -> Commissioned:
    """Record two healthy hours, let the twins learn from them, and train the models.

    Args:
        seed: Of the plant.
        folder: An empty one.
        is_hurried: Whether the models see the first 25 minutes only, as in the demo.
    """
    tables = plant_tables(opcua_endpoint="opc.tcp://127.0.0.1:1", modbus_address="127.0.0.1:1")
    path = folder / "gateway.toml"
    path.write_text(f"{CONFIG}\n{tables.connectors}\n{tables.twins}", encoding="utf-8")
    write_sheets(folder)
    config = read_config(path)
    plant = Plant(seed)
    for _ in range(round(WARM_UP_S)):
        plant.step(1.0)
    whole = folder / "healthy.csv"
    record(copy.deepcopy(plant), whole, duration_s=RECORDED_S, period_s=1.0)
    data = _beginning(whole, HURRIED_ROWS) if is_hurried else whole
    gateway = VirtualGateway(config, folder)
    gateway.run(plant, RECORDED_S, origin=Origin.HISTORICAL)
    return Commissioned(
        folder=folder,
        config=config,
        plant=plant,
        checkpoint=gateway.processor.checkpoint(),
        models=tuple(_trained(kind, data, path) for kind in MACHINES),
    )


def raised(events: Sequence[Event]) -> Iterator[Event]:
    """Yield the alarms that came up."""
    return (event for event in events if event.transition is Transition.RAISED)


def _beginning(path: Path, rows: int) -> Path:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    beginning = path.with_name("hurried.csv")
    beginning.write_text("".join(lines[: rows + 1]), encoding="utf-8")
    return beginning


def _trained(kind: str, data: Path, config: Path) -> bytes:
    out = data.with_name(f"{kind}.ewm")
    arguments = ["anomaly", "--data", str(data), "--out", str(out), "--twin", kind]
    result = CliRunner().invoke(train_command, [*arguments, "-c", str(config)])
    assert result.exit_code == 0, result.output
    return out.read_bytes()
