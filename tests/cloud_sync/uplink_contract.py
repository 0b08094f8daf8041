"""What every uplink to the cloud promises, whatever carries the batches.

A test module derives a class from `UplinkContract` and gives it a fixture `far_end`: a real far end
on a real socket, whose every answer the test decides.
"""

import asyncio
from abc import ABC, abstractmethod

import pytest

from gateway.core.errors import BatchTooLargeError, RefusedBatchError, UplinkError
from gateway.core.ports import Batch, Uplink
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.wire.batches import encode_batch
from tests.cloud_sync.edge_doubles import event_body, tag_table

NONSENSE = [
    "",
    "OK",
    "<html>Welcome to the hotel's network</html>",
    "[]",
    "{}",
    '{"accepted": 3}',
    '{"accepted": true, "sample_count": 0, "duplicate_count": 0}',
    '{"accepted": "3", "sample_count": 0, "duplicate_count": 0}',
    '{"accepted": 0, "sample_count": 0, "duplicate_count": 0}',
    '{"accepted": -1, "sample_count": 0, "duplicate_count": 0}',
    '{"accepted": 4, "sample_count": 0, "duplicate_count": 0}',
    '{"accepted": 3, "sample_count": -1, "duplicate_count": 0}',
    '{"accepted": 3, "sample_count": 0, "duplicate_count": 4}',
]


def batch_of(count: int, *, first: int = 1) -> Batch:
    """Return a batch of events."""
    records = tuple(
        Record(
            boot=Boot(1), seq=Seq(number), kind=RecordKind.EVENT, body=event_body(f"no. {number}")
        )
        for number in range(first, first + count)
    )
    return Batch(gateway="pumphouse-1", records=records, tables=(tag_table(),))


class FarEnd(ABC):
    """A far end and the uplink to it; it takes everything until told otherwise."""

    uplink: Uplink

    @property
    @abstractmethod
    def received(self) -> list[bytes]:
        """Encoded batches that arrived, the oldest first."""

    @abstractmethod
    def take_all(self) -> None:
        """Answer as a cloud that takes everything."""

    @abstractmethod
    def confirm(self, text: str) -> None:
        """Say yes, with this for an answer."""

    @abstractmethod
    def refuse(self, status: int, *, retry_after_s: int | None = None) -> None:
        """Say no, in the cloud's own words."""

    @abstractmethod
    def hang(self) -> None:
        """Say nothing."""

    @abstractmethod
    async def stop(self) -> None:
        """Be gone."""

    @abstractmethod
    async def start(self) -> None:
        """Be back at the same address."""


class UplinkContract:
    """The promises; pytest collects them in the classes derived from it."""

    async def test_a_batch_arrives_whole(self, far_end: FarEnd) -> None:
        """Small ones, and large ones that are encoded in a thread."""
        for count in (3, 3000):
            result = await far_end.uplink.send(batch_of(count))
            data = encode_batch(batch_of(count))
            assert far_end.received.pop() == data
            assert (result.accepted, result.size_bytes) == (count, len(data))

    async def test_partial_acceptance_is_a_result(self, far_end: FarEnd) -> None:
        far_end.confirm('{"accepted": 2, "sample_count": 7, "duplicate_count": 1}')
        result = await far_end.uplink.send(batch_of(3))
        assert (result.accepted, result.sample_count, result.duplicate_count) == (2, 7, 1)

    async def test_nonsense_confirms_nothing(self, far_end: FarEnd) -> None:
        for text in NONSENSE:
            far_end.confirm(text)
            with pytest.raises(UplinkError, match=r"unknown way|confirms more"):
                await far_end.uplink.send(batch_of(3))

    async def test_a_refusal_for_good_is_told_from_an_outage(self, far_end: FarEnd) -> None:
        far_end.refuse(400)
        with pytest.raises(RefusedBatchError, match="record 1/2 is damaged send it no more"):
            await far_end.uplink.send(batch_of(1))
        far_end.refuse(413)
        with pytest.raises(BatchTooLargeError):
            await far_end.uplink.send(batch_of(1))
        for status in (401, 403, 408, 429, 500, 503):
            far_end.refuse(status)
            with pytest.raises(UplinkError) as caught:
                await far_end.uplink.send(batch_of(1))
            assert not isinstance(caught.value, RefusedBatchError)
            assert str(status) in caught.value.detail
            assert ("token" in caught.value.text) == (status in (401, 403))

    async def test_the_far_end_may_ask_for_patience(self, far_end: FarEnd) -> None:
        far_end.refuse(503, retry_after_s=17)
        with pytest.raises(UplinkError, match="cannot take batches now") as caught:
            await far_end.uplink.send(batch_of(1))
        assert caught.value.retry_after_s == 17.0

    async def test_silence_is_an_outage_that_ends(self, far_end: FarEnd) -> None:
        far_end.hang()
        with pytest.raises(UplinkError, match=r"does not answer within \d"):
            await far_end.uplink.send(batch_of(1))
        far_end.take_all()
        assert (await far_end.uplink.send(batch_of(2))).accepted == 2

    async def test_it_goes_on_when_the_far_end_is_back(self, far_end: FarEnd) -> None:
        await far_end.uplink.send(batch_of(1))
        await far_end.stop()
        with pytest.raises(UplinkError):
            await far_end.uplink.send(batch_of(1))
        await far_end.start()
        assert (await far_end.uplink.send(batch_of(2))).accepted == 2

    async def test_several_batches_may_be_under_way(self, far_end: FarEnd) -> None:
        """Live data and backfill; each gets its own answer."""
        results = await asyncio.gather(
            *(far_end.uplink.send(batch_of(count)) for count in range(1, 6))
        )
        assert [result.accepted for result in results] == [1, 2, 3, 4, 5]

    async def test_a_send_that_is_cancelled_leaves_a_working_uplink(self, far_end: FarEnd) -> None:
        far_end.hang()
        for steps in range(30):
            sending = asyncio.create_task(far_end.uplink.send(batch_of(1)))
            for _ in range(steps):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait([sending])
            assert sending.cancelled()
        far_end.take_all()
        assert (await far_end.uplink.send(batch_of(2))).accepted == 2

    async def test_it_may_be_closed_at_any_time(self, far_end: FarEnd) -> None:
        await far_end.uplink.aclose()
        await far_end.uplink.send(batch_of(1))
        await far_end.uplink.aclose()
        await far_end.uplink.aclose()
        assert far_end.uplink.address
