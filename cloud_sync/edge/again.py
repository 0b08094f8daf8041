"""Sending dead letters again, when a person says that the far end has been mended."""

from typing import Final

from cloud_sync.edge.dead_letters import DeadLetters
from cloud_sync.edge.places import DeliveryLog
from gateway.core.cursors import SAMPLE_KINDS
from gateway.core.errors import RefusedBatchError
from gateway.core.ports import Batch, Uplink
from gateway.core.records import GatewayId

LETTERS_AT_ONCE_MAX: Final = 100
"""Of one call, so that it ends in good time."""
REFUSALS_MAX: Final = 3
"""After so many in a row nothing seems to have been mended."""


async def send_again(
    letters: DeadLetters, uplink: Uplink, *, gateway: GatewayId, reader: DeliveryLog
) -> int:
    """Send the oldest letters one by one, as historical; those that are taken are let go.

    Returns:
        Letters that the far end has now.
    Raises:
        UplinkError: it does not answer; the letters that are left stay.
        StoreError: the letters or the log cannot be read.
    """
    taken = refused = 0
    for kept in await letters.kept(count_max=LETTERS_AT_ONCE_MAX):
        record = kept.record
        has_tags = record.kind in SAMPLE_KINDS
        tables = (await reader.table_of(record),) if has_tags else ()
        batch = Batch(gateway=gateway, records=(record,), tables=tables, is_historical=True)
        try:
            await uplink.send(batch)
        except RefusedBatchError:
            refused += 1
            if refused >= REFUSALS_MAX:
                break
            continue
        refused = 0
        taken += 1
        await letters.remove(record, uplink=uplink.name)
    return taken
