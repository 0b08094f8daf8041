"""Lives, cases and judgements in the whole chain: a restart anywhere changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.cases import Verdict
from gateway.core.frame import Frame, Origin
from gateway.core.tags import ConfigEpoch, TagId, TagTable
from gateway.pipeline.operator import repeat_operator
from gateway.pipeline.processor import Processed
from gateway.service.build import Parts, build_parts
from gateway.service.changes import LEARNING_PARTS
from gateway.wire.clock import SystemClock
from tests.analytics.life_hosts import HOUR_NS, T0_NS, life_bundle
from tests.analytics.lives import COLUMNS, life
from tests.gateway.service_run import HEAD, compressor_table, written

TAGS = [TagId(f"mill.{column}") for column in COLUMNS]
SHEET = "tag,address,type\n" + "".join(
    f"{column},{2 * k},float32\n" for k, column in enumerate(COLUMNS)
)
MILL = f"""
[models]
url = "http://127.0.0.1:1/tuf"
root_file = "root.json"

[twins.M-7]
type = "generic"
period_s = 3600.0
tags = {{ {", ".join(f'{column} = "mill.{column}"' for column in COLUMNS)} }}
[twins.M-7.alarms.burnt]
when = "heat > 200"
severity = 800
"""


class Chain:
    """The parts of a gateway with one machine, and its model of remaining life in force."""

    def __init__(self, folder: Path) -> None:
        text = HEAD + compressor_table("127.0.0.1:1", name="mill") + MILL
        (folder / "root.json").write_text("{}", encoding="ascii")
        config = written(folder, text, k01=SHEET)
        self.parts: Parts = build_parts(config, folder=folder, clock=SystemClock())
        self.table = TagTable.build(self.parts.tags, epoch=ConfigEpoch(1))
        self.parts.processor.bind(self.table)
        (host,) = self.parts.lives
        host.activate(life_bundle(name="generic-life", asset_type="generic"))

    def process(self, frame: Frame) -> Processed:
        return self.parts.processor.process(frame)

    def frames(self) -> list[Frame]:
        """A whole life, the end of which burns, and a new machine after it."""
        worn, new = life(100).value.copy(), life(101).value[:10]
        worn[-2:, COLUMNS.index("heat")] = 999.0
        return [
            Frame(
                tag_index=index_column([self.table.index(tag) for tag in TAGS]),
                time_ns=time_column([T0_NS + hour * HOUR_NS] * len(TAGS)),
                value=float_column(row.tolist()),
                status=status_column([0] * len(TAGS)),
                received_ns=T0_NS + hour * HOUR_NS,
            )
            for hour, row in enumerate(np.concatenate([worn, new]))
        ]


def same(some: Processed, others: Processed) -> bool:
    if some.events != others.events or (some.derived is None) != (others.derived is None):
        return False
    if some.derived is None or others.derived is None:
        return True
    pairs = ((some.derived.value, others.derived.value),)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs) and np.array_equal(
        some.derived.status, others.derived.status
    )


@pytest.mark.parametrize("cut", [5, 40, 95])
def test_a_restart_anywhere_in_a_life_changes_nothing(tmp_path: Path, cut: int) -> None:
    """From a checkpoint, with the rest of the log replayed: figures, cases, judgements, states."""
    whole = Chain(tmp_path)
    frames = whole.frames()
    last = len(frames) - 9
    kept = {}
    told: list[Processed] = []
    verdict = None
    for k, frame in enumerate(frames):
        if k == cut:
            kept = whole.parts.processor.checkpoint()
        if k == last:
            (case,) = whole.parts.cases.cases()
            verdict = whole.parts.cases.decide(
                case.id,
                Verdict.CONFIRMED,
                note="",
                time_ns=frame.received_ns,
                operator="kim",
            )
        told.append(whole.process(frame))
    assert verdict is not None
    conditions = [event.condition for each in told for event in each.events]
    assert conditions.count("life_judged") == 1
    again = Chain(tmp_path)
    assert again.parts.processor.restore(kept) == ()
    for k in range(cut, len(frames)):
        if k == last:
            repeat_operator(verdict, again.parts.board, again.parts.cases)
        replayed = again.process(replace(frames[k], origin=Origin.REPLAYED))
        assert same(replayed, told[k]), k
    assert again.parts.processor.checkpoint() == whole.parts.processor.checkpoint()


def test_the_state_of_a_worn_machine_has_the_model_s_prognosis(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    frames = chain.frames()
    for frame in frames[:-13]:
        chain.process(frame)
    (state,) = chain.parts.processor.twin_states()
    assert state.prognosis is not None
    assert 0 <= state.prognosis.low_hours <= state.prognosis.hours < 20


def test_all_that_a_trial_may_spoil_belongs_to_its_configuration(tmp_path: Path) -> None:
    """A stage that is added later is put back, too, when a new configuration is left again."""
    kept = set(Chain(tmp_path).parts.processor.checkpoint())
    spoilt = {name for name in kept if name.startswith(LEARNING_PARTS)}
    assert kept - spoilt == {"cases"}
    assert {name.partition(".")[0] for name in spoilt} == {
        part.rstrip(".") for part in LEARNING_PARTS
    }
