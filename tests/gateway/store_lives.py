"""Many lives of a log, each ended with kill -9: `python -m tests.gateway.store_lives`.

    python -m tests.gateway.store_lives [--lives 1000] [--seconds 600] [--seed N]

A log lives some lives, then its books are balanced, and the next log begins. Prints the books of
all in the end; ends with 1 when one did not balance, or when there was nothing to balance.
"""

import argparse
import asyncio
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from tests.gateway.store_books import Balance, Books

ROOT = Path(__file__).parents[2]
LIVES_PER_LOG = 25
DEADLINE_S = 20.0


class Nursery:
    """Starts victims one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def live_and_die(self, path: Path, seed: int) -> list[str]:
        """Start one writer, kill it a moment after its first promise, and return its words."""
        said: list[str] = []
        victim = 0
        is_ripe = False
        chance = random.Random(seed)
        for line in self._start(path, seed, steps=0):
            said.append(line)
            word, _, rest = line.partition(" ")
            is_ripe = is_ripe or word == "durable"
            if word == "born":
                victim = int(rest)
            if is_ripe and victim:
                time.sleep(chance.random() / 10)  # the instant of the kill is the point here
                os.kill(victim, signal.SIGKILL)
                victim = 0
        return said

    def live(self, path: Path, seed: int, *, steps: int) -> list[str]:
        """Let one writer live and close its log, and return its words."""
        return list(self._start(path, seed, steps=steps))

    def _start(self, path: Path, seed: int, *, steps: int) -> Iterator[str]:
        """Yield what a victim says, until it is dead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path} {seed} {steps}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            yield line.strip()
            if line.startswith("dead"):
                return
        raise AssertionError("the nursery died")


@contextmanager
def nursery(environment: Mapping[str, str] | None = None) -> Iterator[Nursery]:
    """Keep a nursery until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.store_victim"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    with process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(DEADLINE_S)


def lives_of_a_log(folder: Path, *, lives: int, seed: int, children: Nursery) -> Balance:
    """Begin a log, end every life of its writer with kill -9, and balance its books."""
    books = Books()
    for life in range(lives):
        books.hear(children.live_and_die(folder / "log.db", seed + life))
    return asyncio.run(books.balance(folder / "log.db"))


def run(*, lives: int, seconds: float, seed: int) -> tuple[list[str], Counter[str]]:
    """Let logs live, within a bound of time; returns what did not balance, and the books."""
    deadline = time.monotonic() + seconds
    problems: list[str] = []
    counts: Counter[str] = Counter()
    with nursery() as children:
        while counts["lives"] < lives and time.monotonic() < deadline:
            log_seed = seed + counts["lives"]
            with tempfile.TemporaryDirectory() as folder:
                balance = lives_of_a_log(
                    Path(folder),
                    lives=min(LIVES_PER_LOG, lives - counts["lives"]),
                    seed=log_seed,
                    children=children,
                )
            counts += balance.counts + Counter(lives=balance.counts["dead"], logs=1)
            problems += [f"seed {log_seed}: {problem}" for problem in balance.problems]
    return problems, counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when something did not balance."""
    parser = argparse.ArgumentParser(description="Lives of the record log, ended with kill -9.")
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    problems, counts = run(lives=options.lives, seconds=options.seconds, seed=options.seed)
    print(f"seed {options.seed}")
    for name, count in sorted(counts.items()):
        print(f"{count:>12,}  {name}")
    for problem in problems:
        print(problem)
    print("the books do not balance" if problems else "the books balance")
    return 1 if problems or not counts["durable"] else 0


if __name__ == "__main__":
    sys.exit(main())
