"""One batch from a gateway, whatever carried it here: taken, counted, answered."""

import time

from cloud_sync.cloud.ingest import Ingest
from cloud_sync.cloud.messages import Accepted
from cloud_sync.cloud.metrics import CloudMetrics


async def take_batch(
    body: bytes, *, gateway: str, ingest: Ingest, metrics: CloudMetrics
) -> Accepted:
    """Take an encoded batch and return what is said to it, after its commit.

    Raises:
        GatewayError: nothing was taken; see `Ingest.take`.
    """
    started_s = time.monotonic()
    receipt = await ingest.take(body, gateway=gateway)
    metrics.took(gateway, receipt, duration_s=time.monotonic() - started_s)
    return Accepted(
        accepted=receipt.record_count,
        sample_count=receipt.sample_count,
        duplicate_count=receipt.duplicate_count,
    )
