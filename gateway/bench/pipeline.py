"""What the stages of the pipeline cost a sample, for frames of a thousand tags.

The plain way is a Python object for each sample, as most gateways have it: it scales the value,
checks its range and watches one limit with a dead band, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analytics.alarms import LimitAlarms
from analytics.limits import AlarmLimit
from gateway.bench.figures import Figure, best_cpu_us
from gateway.bench.plant import RULES, TAG_COUNT, Readings, limits, measured_tags, new_chain
from gateway.core.frame import Frame
from gateway.core.ports import Clock
from gateway.core.quality import Status
from gateway.core.rows import Rows
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.pipeline import LiveValues
from gateway.pipeline.condition import condition

FRAME_COUNT: Final = 20
"""In one run of each measurement."""
BUDGET_US: Final = 0.2
UNIT: Final = "µs a sample"


@dataclass(slots=True)
class Sample:
    """What the plain way makes of every value."""

    tag: TagId
    time_ns: int
    value: float
    status: int


class PlainPath:
    """Scales, checks and watches one sample after the other."""

    def __init__(self, tags: Sequence[Tag], watched: Sequence[AlarmLimit]) -> None:
        """Remember the tags of a table in its order, and one limit for each."""
        self._ids = [tag.id for tag in tags]
        self._tag_by_id = {tag.id: tag for tag in tags}
        self._limit_by_id = {limit.tag: limit for limit in watched}
        self._on: set[TagId] = set()
        self.switches: list[tuple[TagId, int, bool]] = []
        """Tag and time of every alarm that came or went."""

    def scale(self, frame: Frame) -> list[Sample]:
        """Return a frame's samples as objects, in engineering units and with honest quality."""
        columns = (frame.tag_index, frame.time_ns, frame.value, frame.status)
        return [
            self._scaled(Sample(self._ids[index], time_ns, value, status))
            for index, time_ns, value, status in zip(*(x.tolist() for x in columns), strict=True)
        ]

    def take(self, frame: Frame) -> None:
        """Scale the samples of a frame and watch their limits."""
        for sample in self.scale(frame):
            limit = self._limit_by_id[sample.tag]
            was_on = sample.tag in self._on
            is_on = sample.value > limit.limit - (limit.dead_band if was_on else 0.0)
            if is_on is not was_on:
                (self._on.add if is_on else self._on.remove)(sample.tag)
                self.switches.append((sample.tag, sample.time_ns, is_on))

    def _scaled(self, sample: Sample) -> Sample:
        tag = self._tag_by_id[sample.tag]
        sample.value = sample.value * tag.scale + tag.offset
        if not tag.low <= sample.value <= tag.high:
            sample.status = Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
        return sample


def measure_pipeline(clock: Clock) -> list[Figure]:
    """Return what each stage costs a sample, the best of several runs."""
    chain = new_chain(clock)
    tags = measured_tags()
    table = TagTable.build((*tags, *chain.derived_tags), epoch=ConfigEpoch(1))
    board, plain = LimitAlarms(limits(), rules=RULES), PlainPath(tags, limits())
    for part in (chain.twin, chain.detector, board):
        part.bind(table)
    readings = Readings(table.indices([tag.id for tag in tags]), start_ns=clock.now_ns())

    def frames() -> list[Frame]:
        return [readings.frame(step_s=1.0) for _ in range(FRAME_COUNT)]

    def conditioned() -> list[Frame]:
        return [condition(frame, table) for frame in frames()]

    def rows() -> list[Rows]:
        return [row for frame in conditioned() for row in chain.twin.update(frame).rows]

    return [
        Figure(
            name="scale, range",
            value=best_cpu_us(lambda x: condition(x, table), frames) / TAG_COUNT,
            unit=UNIT,
            plain=best_cpu_us(plain.scale, frames) / TAG_COUNT,
        ),
        Figure(
            name="scale, range, 1,000 limits",
            value=best_cpu_us(lambda x: board.update(condition(x, table)), frames) / TAG_COUNT,
            unit=UNIT,
            plain=best_cpu_us(plain.take, frames) / TAG_COUNT,
            budget=BUDGET_US,
        ),
        Figure(
            name="last values and trends",
            value=best_cpu_us(LiveValues(table).update, conditioned) / TAG_COUNT,
            unit=UNIT,
        ),
        Figure(
            name="twins of 100 pumps, a row for each frame",
            value=best_cpu_us(chain.twin.update, conditioned) / TAG_COUNT,
            unit=UNIT,
        ),
        Figure(
            name="anomaly scores of 100 pumps, one call",
            value=best_cpu_us(chain.detector.update, rows) / TAG_COUNT,
            unit=UNIT,
        ),
    ]
