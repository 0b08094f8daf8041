"""What the cloud says to a batch, whatever carried it there."""

import asyncio
from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError

from gateway.core.errors import BatchTooLargeError, RefusedBatchError, UplinkError
from gateway.core.ports import Batch, SendResult
from gateway.wire.batches import encode_batch

ANSWER_SIZE_BYTES_MAX: Final = 64 * 1024
"""Of an answer, no more is read."""
THREAD_SIZE_BYTES_MIN: Final = 64 * 1024
"""Batches with more than this are encoded in a thread, away from the event loop."""
TAG_SIZE_BYTES: Final = 256
"""What a tag in a batch's tables is reckoned to cost."""


async def encode_aside(batch: Batch) -> bytes:
    """Return a batch as bytes, without holding up everything else over a large one."""
    size_bytes = sum(len(record.body) for record in batch.records)
    size_bytes += TAG_SIZE_BYTES * sum(len(table) for table in batch.tables)
    if size_bytes < THREAD_SIZE_BYTES_MIN:
        return encode_batch(batch)
    return await asyncio.to_thread(encode_batch, batch)


def confirmed(answer: bytes, batch: Batch, *, size_bytes: int, detail: str) -> SendResult:
    """Return what an answer confirms; only numbers that fit the batch count.

    Args:
        answer: As it came.
        batch: What it answers.
        size_bytes: Of the batch on the wire.
        detail: Opens the expert's part of the message, such as `HTTP 200`.
    Raises:
        UplinkError: it says something else.
    """
    try:
        read = _Answer.model_validate_json(answer)
    except ValidationError as error:
        raise UplinkError(
            "the cloud answers in an unknown way: is something between it and the gateway?",
            detail=f"{detail} {answer[:200]!r}",
        ) from error
    if read.accepted > len(batch.records) or read.duplicate_count > read.accepted:
        raise UplinkError(
            "the cloud confirms more than it was sent: compare its version with the gateway's",
            detail=f"{len(batch.records)} records, {detail} {answer[:200]!r}",
        )
    return SendResult(
        accepted=read.accepted,
        sample_count=read.sample_count,
        duplicate_count=read.duplicate_count,
        size_bytes=size_bytes,
    )


def complaint_of(answer: bytes) -> str:
    """Return the cloud's own words; empty when something else answered."""
    try:
        read = _Complaint.model_validate_json(answer)
    except ValidationError:
        return ""
    return " ".join(f"{read.error} {read.remedy}".split())


def refusal(
    address: str, status: int, *, complaint: str, detail: str, retry_after_s: float | None
) -> UplinkError:
    """Return what a refusal means.

    Args:
        address: Of the cloud or the way to it, for a person.
        status: Code of HTTP, whatever carried it.
        complaint: The cloud's own words; empty when something else answered.
        detail: For the expert.
        retry_after_s: How long the cloud asks us to wait.
    """
    if complaint and status == 400:
        return RefusedBatchError(f"{address} refuses a record: {complaint}", detail=detail)
    if complaint and status == 413:
        return BatchTooLargeError(f"{address} takes no batch of this size", detail=detail)
    if status in (401, 403):
        text = f"{address} does not know this gateway: check its token"
    elif status == 404:
        text = f"{address} has no sync API: check the address"
    elif status in (429, 503):
        text = f"{address} cannot take batches now"
    elif status >= 500:
        text = f"{address} fails: look at its logs"
    else:
        text = f"{address} answers in an unknown way: is this the cloud?"
    return UplinkError(text, detail=detail, retry_after_s=retry_after_s)


class _Answer(BaseModel):
    accepted: Annotated[int, Field(strict=True, ge=1)]
    sample_count: Annotated[int, Field(strict=True, ge=0)]
    duplicate_count: Annotated[int, Field(strict=True, ge=0)]


class _Complaint(BaseModel):
    error: str
    remedy: str = ""
