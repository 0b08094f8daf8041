"""What other threads want done with the database; the writer's thread does it."""

import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeAlias, TypeVar

from gateway.core.errors import StoreError
from gateway.store.database import LogDatabase

AnswerT = TypeVar("AnswerT")
_Call: TypeAlias = Callable[[LogDatabase | None, str], None]
"""Takes the database, or None and the reason why there is none."""


class Calls:
    """A call is done after all that was appended before it: `take` them, commit, `answer`.

    `add` and `take` are called under the writer's lock, the others by its thread.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._waiting: deque[_Call] = deque()
        self._due: deque[_Call] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether nothing new is waiting."""
        return not self._waiting

    def add(self, work: Callable[[LogDatabase], AnswerT]) -> Future[AnswerT]:
        """Have something done; the future raises `StoreError` when there is no database."""
        future: Future[AnswerT] = Future()

        def answer(database: LogDatabase | None, reason: str) -> None:
            # Whoever asked may have been cancelled meanwhile: then nobody waits for an answer.
            if not future.set_running_or_notify_cancel():
                return
            if database is None:
                future.set_exception(StoreError(f"the log is degraded: {reason}"))
                return
            try:
                future.set_result(work(database))
            except sqlite3.Error as error:
                future.set_exception(StoreError(f"the log cannot be written: {error}"))
                raise

        self._waiting.append(answer)
        return future

    def take(self) -> None:
        """Let what waits be answered with the next `answer`."""
        self._due.extend(self._waiting)
        self._waiting.clear()

    def answer(self, database: LogDatabase) -> None:
        """Do what was taken.

        Raises:
            sqlite3.Error: the disk refuses; what comes after it stays.
        """
        while self._due:
            self._due.popleft()(database, "")

    def fail(self, reason: str) -> None:
        """Tell those whose calls were taken that there is no database."""
        while self._due:
            self._due.popleft()(None, reason)
