"""Closes the books: what the servers offered against what the cloud's files hold."""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud_sync.cloud.parquet import LakeSamples, count_in_lake
from gateway.core.arrays import BoolArray
from gateway.core.events import Event
from gateway.core.records import LedgerEntry, RecordKind, Seq
from gateway.core.tags import TagId
from gateway.demo.report import Samples
from gateway.simulate.books import Offered, Service, read_offered
from gateway.simulate.points import POLL_COUNT_TAG
from gateway.store.reader import LogReader
from gateway.wire.documents import decode_event, decode_ledger_entry

GAP_MARGIN_NS = 100_000_000
"""Clocks are read before and after the wire: the edges of a gap are this wide."""


def read_ledger_and_events(log_path: Path) -> tuple[list[LedgerEntry], list[Event]]:
    """Return all ledger entries and events of a log, in order."""
    reader = LogReader(log_path)
    ledger: list[LedgerEntry] = []
    events: list[Event] = []
    for record in reader.records(after=Seq(0)):
        if record.kind is RecordKind.LEDGER:
            ledger.append(decode_ledger_entry(record.body))
        elif record.kind is RecordKind.EVENT:
            events.append(decode_event(record.body))
    return ledger, events


def close_books(
    books: dict[str, Path],
    lake_folder: Path,
    ledger: list[LedgerEntry],
    *,
    since_ns: int,
    received: int,
    stored: int,
    acknowledged: int,
) -> Samples:
    """Return the books of all samples offered since a time.

    A sample of OPC UA is known by its tag and its source time. Modbus has no source time; there a
    response is known by the poll counter that stands in it, and its tags by the count of each.

    Args:
        books: The servers' journals, by connector.
        lake_folder: The cloud's Parquet files.
        ledger: From the gateway's log.
        since_ns: Only live samples count, not the recording that was imported before.
        received: As the gateway's connectors counted.
        stored: As the gateway's log counted.
        acknowledged: As the cloud confirmed.
    """
    lake = count_in_lake(lake_folder)
    live = lake.samples.time_ns >= since_ns
    in_lake = int(np.count_nonzero(live))
    offered = gap = lost = 0
    for connector, path in books.items():
        account = _account(read_offered(path), lake.samples, ledger, connector, since_ns=since_ns)
        offered += int(np.count_nonzero(account.is_sample))
        gap += int(np.count_nonzero(account.is_in_gap))
        lost += int(np.count_nonzero(account.is_lost))
    ledgered = sum(entry.count or 0 for entry in ledger if not entry.reason.is_gap)
    return Samples(
        offered=offered,
        received=received,
        stored=stored,
        acknowledged=acknowledged,
        in_lake=in_lake,
        gap=gap,
        ledgered=ledgered,
        lost=max(lost - ledgered, 0),
        duplicated=lake.duplicate_count,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A value that a server offered and that nobody accounts for."""

    connector: str
    tag: TagId
    offered_ns: int


def lost_values(
    books: dict[str, Path], lake_folder: Path, ledger: list[LedgerEntry]
) -> tuple[Lost, ...]:
    """Return every offered value that is neither in the lake nor inside a gap."""
    lake = count_in_lake(lake_folder).samples
    found = []
    for connector, path in books.items():
        book = read_offered(path)
        account = _account(book, lake, ledger, connector, since_ns=0)
        found += [
            Lost(
                connector=connector,
                tag=book.tags[book.tag_index[place]],
                offered_ns=int(book.offered_ns[place]),
            )
            for place in np.flatnonzero(account.is_lost)
        ]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Account:
    """What became of the values in one book, shape (n,) each."""

    is_sample: BoolArray
    is_in_gap: BoolArray
    is_lost: BoolArray


def _account(
    book: Offered, lake: LakeSamples, ledger: list[LedgerEntry], connector: str, *, since_ns: int
) -> _Account:
    # What a person reads or writes by hand is offered, too, but it is no sample of a tag.
    wanted = (book.service == Service.PUBLISH) | (book.poll_count > 0)
    missing = wanted & ~_arrived(book, lake, since_ns=since_ns)
    in_gap = missing & _inside_gaps(book.offered_ns, ledger, connector)
    return _Account(is_sample=wanted, is_in_gap=in_gap, is_lost=missing & ~in_gap)


def _arrived(book: Offered, lake: LakeSamples, *, since_ns: int) -> NDArray[np.bool_]:
    """Return which offered values are in the lake, shape (n,)."""
    time_ns = book.time_ns
    if book.poll_count.any():
        time_ns = _times_of_polls(book, lake, since_ns=since_ns)
    places = {tag: place for place, tag in enumerate(lake.tags)}
    place = np.array([places.get(tag, -1) for tag in book.tags], dtype=np.int64)
    offered = np.stack([place[book.tag_index], time_ns], axis=1)
    held = np.stack([lake.tag_index.astype(np.int64), lake.time_ns], axis=1)
    return np.isin(_as_keys(offered), _as_keys(held))


def _times_of_polls(book: Offered, lake: LakeSamples, *, since_ns: int) -> NDArray[np.int64]:
    """Return the time at which each value's response is in the lake, -1 for not at all.

    All values of one response carry the time that its counter has. The counter begins anew with
    the server: a response in the lake is the last one of its number that was offered before.
    """
    polls, offered_ns = book.poll_count.tolist(), book.offered_ns.tolist()
    offers: dict[int, list[int]] = {}
    for poll, offer_ns in dict.fromkeys(zip(polls, offered_ns, strict=True)):
        offers.setdefault(poll, []).append(offer_ns)
    counter = (lake.time_ns >= since_ns) & (lake.tag_index == _place_of(POLL_COUNT_TAG, lake))
    time_by_offer: dict[tuple[int, int], int] = {}
    for poll, time_ns in zip(
        lake.value[counter].astype(np.int64).tolist(), lake.time_ns[counter].tolist(), strict=True
    ):
        before = bisect_right(offers.get(poll, []), time_ns)
        if before:
            time_by_offer[poll, offers[poll][before - 1]] = time_ns
    times = [time_by_offer.get(offer, -1) for offer in zip(polls, offered_ns, strict=True)]
    return np.array(times, dtype=np.int64)


def _place_of(tag: TagId, lake: LakeSamples) -> int:
    return lake.tags.index(tag) if tag in lake.tags else -1


def _as_keys(pairs: NDArray[np.int64]) -> NDArray[np.void]:
    """Return each row of (n, 2) as one comparable key, shape (n,)."""
    contiguous = np.ascontiguousarray(pairs)
    return contiguous.view([("tag", np.int64), ("time", np.int64)]).ravel()


def _inside_gaps(
    offered_ns: NDArray[np.int64], ledger: list[LedgerEntry], connector: str
) -> NDArray[np.bool_]:
    inside = np.zeros(len(offered_ns), dtype=np.bool_)
    for entry in ledger:
        if entry.reason.is_gap and entry.source in ("*", connector):
            inside |= (offered_ns >= entry.from_ns - GAP_MARGIN_NS) & (
                offered_ns <= entry.to_ns + GAP_MARGIN_NS
            )
    return inside
