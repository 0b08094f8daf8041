"""Kill -9 at any instant: what was promised is there, nothing is there twice, gaps are stated."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.core.cursors import Scope
from gateway.core.records import Seq
from gateway.store import RecordLog
from gateway.store.bodies import PlainBodies
from gateway.store.database import LogDatabase
from gateway.store.files import LogFiles
from gateway.store.opening import open_database
from gateway.wire.documents import draft_event
from tests.gateway.store_cases import GATEWAY, QUICK, SettableClock, kinds, make_event, until
from tests.gateway.store_lives import lives_of_a_log, nursery

LIVES = 36
LOGS_MAX = 5
"""On a busy machine a life is short: not every log comes to all of its work."""
WORK = ("blocks", "losses", "restarts with a hole", "got")


def test_the_books_balance_after_kill_9_at_any_instant(tmp_path: Path) -> None:
    """Over many lives of one log, whatever it was doing; see `store_books` for what is compared."""
    counts: Counter[str] = Counter()
    with nursery() as children:
        for seed in range(7, 7 + LOGS_MAX):
            folder = tmp_path / str(seed)
            folder.mkdir()
            balance = lives_of_a_log(folder, lives=LIVES, seed=seed, children=children)
            assert balance.problems == ()
            assert balance.counts["dead"] == LIVES
            assert balance.counts["durable"] >= LIVES
            counts.update(balance.counts)
            if all(counts[work] for work in WORK):
                break
    # All of it was going on, so that the kills can have hit it.
    assert [work for work in WORK if not counts[work]] == []


class LateDatabase(LogDatabase):
    """Holds on between a commit and the news of it, as a busy machine may."""

    is_let_go = threading.Event()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
        assert self.is_let_go.wait(20)


async def test_no_record_is_read_before_the_end_knows_of_it(tmp_path: Path) -> None:
    """Otherwise a cursor would pass the end, which ends the process that delivers."""
    files = LogFiles(tmp_path / "log.db")
    database, opening = open_database(
        files,
        QUICK,
        gateway=GATEWAY,
        cursors={"cloud": Scope.ALL},
        bodies=PlainBodies(),
        machine="",
        clock=SettableClock(),
    )
    late = LateDatabase(database.connection, database.bodies)
    log = RecordLog(late, files, QUICK, opening, clock=SettableClock())
    ticket = log.append([draft_event(make_event(1))])
    await until(lambda: len(kinds(log.path)) == 1)
    assert await log.read(after=Seq(0), size_bytes_max=1000) == []
    late.is_let_go.set()
    await log.durable(ticket)
    [record] = await log.read(after=Seq(0), size_bytes_max=1000)
    await log.advance("cloud", record.seq)
    await log.close()
