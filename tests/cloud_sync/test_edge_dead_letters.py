"""Records that a far end will never take: kept, listed, and sent again."""

import json
from pathlib import Path

import pytest

from cloud_sync.edge.again import REFUSALS_MAX
from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from gateway.core.errors import RefusedBatchError, StoreError, UplinkError
from gateway.core.ports import Batch, SendResult
from gateway.core.records import Boot, Record, RecordKind, Seq
from tests.cloud_sync.edge_doubles import Bench, MemoryLog, ScriptedUplink, event_body, no_answer


def record_of(seq: int, *, boot: int = 3) -> Record:
    body = event_body(f"number {seq}")
    return Record(boot=Boot(boot), seq=Seq(seq), kind=RecordKind.EVENT, body=body)


async def keep(letters: FolderOfDeadLetters, record: Record, *, time_ns: int = 5) -> None:
    await letters.put(record, uplink="a-b", reason="bad", time_ns=time_ns, is_historical=True)


async def test_letters_come_back_whole_and_the_oldest_first(tmp_path: Path) -> None:
    letters = FolderOfDeadLetters(tmp_path / "letters")
    assert await letters.kept(count_max=10) == ()
    for seq in (100, 9, 20):
        await keep(letters, record_of(seq))
    await keep(letters, record_of(1, boot=12))
    kept = await letters.kept(count_max=3)
    assert [each.record for each in kept] == [record_of(9), record_of(20), record_of(100)]
    letter = kept[0].letter
    assert (letter.seq, letter.kind, letter.reason) == (9, RecordKind.EVENT, "bad")
    assert (letter.time_ns, letter.is_historical) == (5, True)
    await letters.remove(record_of(9), uplink="a-b")
    await letters.remove(record_of(9), uplink="a-b")
    assert [each.record.seq for each in await letters.kept(count_max=10)] == [20, 100, 1]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"boot": 1, "kind": "NONE"}'])
async def test_a_damaged_letter_hides_no_other(tmp_path: Path, content: str) -> None:
    letters = FolderOfDeadLetters(tmp_path)
    await keep(letters, record_of(2))
    (tmp_path / "a-b-3-1.json").write_text(content, encoding="utf-8")
    (tmp_path / "note.json").write_text("{}", encoding="utf-8")
    assert [each.record.seq for each in await letters.kept(count_max=10)] == [2]


async def test_a_letter_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    letters = FolderOfDeadLetters(tmp_path)
    await keep(letters, record_of(2))
    path = tmp_path / "a-b-3-2.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    del written["is_historical"]
    path.write_text(json.dumps(written), encoding="utf-8")
    (kept,) = await letters.kept(count_max=1)
    assert not kept.letter.is_historical


async def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be written"):
        await keep(FolderOfDeadLetters(tmp_path / "file"), record_of(1))


class MendedUplink(ScriptedUplink):
    """Refuses some records, until it is mended."""

    def __init__(self, poison: set[int]) -> None:
        super().__init__()
        self.poison = poison

    async def send(self, batch: Batch) -> SendResult:
        if self.poison & {record.seq for record in batch.records}:
            raise RefusedBatchError("a record is bad", detail="HTTP 400")
        return await super().send(batch)


async def refused(poison: set[int]) -> tuple[Bench, MendedUplink]:
    """Return a delivery after an uplink has refused some of ten frames."""
    uplink, reader = MendedUplink(poison), MemoryLog()
    bench = Bench(uplink, reader=reader)
    await reader.append_frames(10)
    await bench.run_until_level()
    uplink.batches.clear()
    return bench, uplink


async def test_what_a_mended_far_end_takes_is_let_go_and_told_with_the_name() -> None:
    bench, uplink = await refused({2, 5})
    uplink.poison = {5}
    assert [x.seq for x in await bench.delivery.dead_letters(count_max=9)] == [2, 5]
    assert await bench.delivery.send_dead_letters_again(operator="ada") == 1
    assert [x.seq for x in await bench.delivery.dead_letters(count_max=9)] == [5]
    (batch,) = uplink.batches
    assert (batch.is_historical, len(batch.tables)) == (True, 1)
    event = bench.events[-1]
    assert (event.condition, event.operator) == ("dead_letters_delivered", "ada")


async def test_a_far_end_that_is_not_mended_is_soon_left_alone() -> None:
    bench, uplink = await refused(set())
    for seq in range(20, 40):
        await bench.dead_letters.put(
            record_of(seq), uplink="cloud", reason="bad", time_ns=1, is_historical=False
        )
    uplink.poison = set(range(20, 40))
    attempts: list[Batch] = []

    async def count(batch: Batch) -> SendResult:
        attempts.append(batch)
        raise RefusedBatchError("a record is bad")

    uplink.poison, uplink.script = set(), [count] * 20
    assert await bench.delivery.send_dead_letters_again(operator="ada") == 0
    assert len(attempts) == REFUSALS_MAX
    assert len(await bench.delivery.dead_letters(count_max=99)) == 20


async def test_a_far_end_that_does_not_answer_costs_no_letter() -> None:
    bench, uplink = await refused({2, 5})
    uplink.script, uplink.poison = [no_answer], set()
    with pytest.raises(UplinkError):
        await bench.delivery.send_dead_letters_again(operator="ada")
    assert len(await bench.delivery.dead_letters(count_max=9)) == 2
