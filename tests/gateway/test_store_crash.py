"""Kill -9 at any instant: what was promised is there, nothing is there twice, gaps are stated."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.records import LedgerReason, Record, RecordKind
from gateway.store import LogReader
from gateway.wire.documents import decode_event
from tests.gateway.store_cases import START_NS, ledger, open_log, stored_frames

LIVES = 36
ROOT = Path(__file__).parents[2]


@pytest.fixture
def nursery() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.store_victim"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)


def live_and_die(nursery: subprocess.Popen[str], path: Path, seed: int) -> list[str]:
    """Start one writer, kill it a moment after its first promise, and return its words."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(f"{path} {seed}\n")
    nursery.stdin.flush()
    said: list[str] = []
    victim = 0
    chance = random.Random(seed)
    for line in nursery.stdout:
        word, _, rest = line.strip().partition(" ")
        said.append(line.strip())
        if word == "born":
            victim = int(rest)
        is_ripe = any(each.startswith("durable") for each in said)
        if word in ("durable", "append") and victim and is_ripe:
            time.sleep(chance.random() / 20)  # the instant of the kill is the point here
            os.kill(victim, signal.SIGKILL)
            victim = 0
        if word == "dead":
            return said
    raise AssertionError("the nursery died")


async def test_kill_9_at_any_instant_loses_nothing_that_was_promised(
    tmp_path: Path, nursery: subprocess.Popen[str]
) -> None:
    """Over many lives of one log: promises kept, groups whole, nothing twice, a gap for each."""
    path = tmp_path / "log.db"
    said: list[str] = []
    for life in range(LIVES):
        said += live_and_die(nursery, path, seed=life)
    log = open_log(path)
    assert log.boot == LIVES + 1
    stored = (await log.stats()).stored_samples
    await log.close()

    records = list(LogReader(path).records())
    found = group_sizes(records)
    appended = {int(w[1]): int(w[2]) for w in map(str.split, said) if w[0] == "append"}
    promised = {int(w[1]) for w in map(str.split, said) if w[0] == "durable"}
    assert len(promised) >= LIVES
    assert {number: found.get(number) for number in promised} == {
        number: appended[number] for number in promised
    }
    # An append whose promise was not heard is there as a whole or not at all.
    assert {number: appended[number] for number in found} == dict(found)
    frames = stored_frames(records)
    assert sum(len(each.frame) for each in frames if each.kind is RecordKind.FRAME) == stored

    identities = [(each.boot, each.seq) for each in frames]
    assert len(set(identities)) == len(identities)
    assert identities == sorted(identities)
    gaps = [entry for entry in ledger(path) if entry.reason is LedgerReason.UNCLEAN_STOP]
    assert len(gaps) == LIVES
    assert len(ledger(path)) == LIVES


def group_sizes(records: list[Record]) -> Counter[int]:
    """Return how many records of each append are there."""
    sizes: Counter[int] = Counter()
    for stored in stored_frames(records):
        sizes[(int(stored.frame.time_ns[0]) - START_NS) // 1_000_000_000] += 1
    for record in records:
        if record.kind is RecordKind.EVENT:
            sizes[(decode_event(record.body).time_ns - START_NS) // 1_000_000_000] += 1
    return sizes
