"""Where the work on single recordings is done: here, or in some processes."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Budgets are for one core, and processes do not get in each other's way."""


class Workers(Protocol):
    """Does the same to many items."""

    def each(
        self, work: Callable[[ItemT], ResultT], items: Sequence[ItemT], tell: Callable[[str], None]
    ) -> list[ResultT]:
        """Return the results in the order of the items, telling how far it is."""
        ...


class Here:
    """One item after the other, in this process."""

    def each(
        self, work: Callable[[ItemT], ResultT], items: Sequence[ItemT], tell: Callable[[str], None]
    ) -> list[ResultT]:
        """Return the results in the order of the items."""
        return _collected(map(work, items), len(items), tell)


@dataclass(frozen=True, slots=True)
class Processes:
    """As many items at a time as there are processes."""

    pool: ProcessPoolExecutor

    def each(
        self, work: Callable[[ItemT], ResultT], items: Sequence[ItemT], tell: Callable[[str], None]
    ) -> list[ResultT]:
        """Return the results in the order of the items; work and items can be pickled."""
        return _collected(self.pool.map(work, items), len(items), tell)


@contextmanager
def processes(count: int) -> Iterator[Processes]:
    """Give processes of one thread each, and end them in the end."""
    former = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=count, mp_context=context) as pool:
            yield Processes(pool)
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _collected(
    results: Iterator[ResultT], count: int, tell: Callable[[str], None]
) -> list[ResultT]:
    collected: list[ResultT] = []
    for result in results:
        collected.append(result)
        if len(collected) % max(count // 4, 1) == 0 or len(collected) == count:
            tell(f"{len(collected)} of {count}")
    return collected
