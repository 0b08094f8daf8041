"""An OPC UA server that is never the bottleneck; `python -m gateway.bench.opcua_server`.

asyncua's server keeps sessions, security and subscriptions, and encodes one publish response with
all the items that a client watches. From then on that capture is what is sent, with new values,
times and numbers written into its bytes: a full server would spend ten times as much on making
each notification as the gateway does on reading it.
"""

import asyncio
import json
import logging
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from asyncua import ua
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.server import Server
from asyncua.server.uaprocessor import PublishRequestData, UaProcessor
from asyncua.ua.ua_binary import struct_to_binary

from gateway.bench.serving import HOST, serve
from gateway.simulate.certificate import own_certificate

NAMESPACE: Final = "urn:edgewright:bench"
APPLICATION_URI: Final = "urn:edgewright:bench:server"
POLICIES: Final = [
    ua.SecurityPolicyType.NoSecurity,
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
]
FILETIME_1970: Final = 116_444_736_000_000_000
TRAILER_BYTES: Final = 12
"""Behind the items: three empty arrays (diagnostics, results, diagnostics)."""
HANDLE_AT: Final = 12
"""Place of the request's handle in a publish response."""
SUBSCRIPTION_AT: Final = 28
SEQUENCE_AT: Final = 37
"""Behind an empty array of available sequence numbers."""


class Capture:
    """A publish response for a subscription's items, as bytes to write into."""

    def __init__(self, handles: list[int]) -> None:
        """Encode it once."""
        self.count = len(handles)
        begin = len(_encoded([])) - TRAILER_BYTES
        self._bytes = bytearray(_encoded(handles))
        fields: list[tuple[str, str]] = [("handle", "<u4"), ("mask", "u1"), ("type", "u1")]
        fields.append(("value", "<f8"))
        if self._bytes[begin + 4] & 0x02:
            fields.append(("status", "<u4"))
        fields += [("source", "<i8"), ("server", "<i8")]
        self._items = np.frombuffer(self._bytes, np.dtype(fields), self.count, begin)
        assert self._items["handle"].tolist() == handles, "the capture is not laid out as thought"
        self._ticks = 0

    def next(self, *, request: int, subscription: int, sequence: int) -> bytes:
        """Return the response with new values and the present time."""
        self._ticks += 1
        self._items["value"] = np.arange(self.count) + self._ticks % 1000 / 100
        now = FILETIME_1970 + time.time_ns() // 100
        self._items["source"] = now
        self._items["server"] = now
        struct.pack_into("<I", self._bytes, HANDLE_AT, request)
        struct.pack_into("<I", self._bytes, SUBSCRIPTION_AT, subscription)
        struct.pack_into("<I", self._bytes, SEQUENCE_AT, sequence)
        return bytes(self._bytes)


@dataclass(slots=True)
class _Replayed:
    """A subscription, and what is sent for it."""

    subscription: InternalSubscription
    capture: Capture


class Replay:
    """Answers publish requests with captures, at one rate."""

    def __init__(self, server: Server, *, period_s: float) -> None:
        """Begin without a subscription."""
        self._server = server
        self._period_s = period_s
        self._replayed: dict[int, _Replayed] = {}
        self.offered = 0
        self.withheld = 0
        """Values that could not be sent, because no publish request was there."""

    async def run(self) -> None:
        """Send at the rate; what is late is sent at once, and no more than that."""
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + self._period_s, time.monotonic() - self._period_s)
            await asyncio.sleep(max(due_s - time.monotonic(), 0))
            self._send_all()

    def _send_all(self) -> None:
        assert self._server.bserver is not None
        live = self._server.iserver.subscription_service.subscriptions
        for protocol in list(self._server.bserver.clients):
            processor: UaProcessor | None = protocol.processor
            if processor is None or processor.session is None:
                continue
            for number, subscription in live.items():
                if subscription.session_id == processor.session.session_id:
                    self._send(processor, number, subscription)

    def _send(
        self, processor: UaProcessor, number: int, subscription: InternalSubscription
    ) -> None:
        if subscription._startup:  # noqa: SLF001 - the first values go out by the library
            return
        items = subscription.monitored_item_srv._monitored_items  # noqa: SLF001 - no public way
        replayed = self._replayed.get(number)
        if replayed is None or replayed.capture.count != len(items):
            before = replayed.capture.count if replayed else 0
            self.offered += len(items) - before  # the first value of each item
            handles = [int(item.client_handle or 0) for item in items.values()]
            replayed = _Replayed(subscription, Capture(handles))
            self._replayed[number] = replayed
            return
        if not replayed.capture.count:
            return
        request: PublishRequestData | None = processor.get_publish_request(ua.UInt32(number))
        if request is None:
            self.withheld += replayed.capture.count
            return
        sequence = subscription._notification_seq  # noqa: SLF001 - shared with its keep-alives
        subscription._notification_seq += 1  # noqa: SLF001
        body = replayed.capture.next(
            request=_request_header(request).RequestHandle, subscription=number, sequence=sequence
        )
        message = processor._connection.message_to_binary(  # noqa: SLF001 - as its own responses
            body, request_id=_sequence_id(request)
        )
        processor._transport.write(message)  # noqa: SLF001
        self.offered += replayed.capture.count


def _request_header(request: PublishRequestData) -> ua.RequestHeader:
    header: Any = request.requesthdr
    assert isinstance(header, ua.RequestHeader)
    return header


def _sequence_id(request: PublishRequestData) -> int:
    header: Any = request.seqhdr
    return int(header.RequestId)


def _encoded(handles: list[int]) -> bytes:
    now = ua.DateTime.now()
    change = ua.DataChangeNotification(
        MonitoredItems=[
            ua.MonitoredItemNotification(
                ClientHandle=ua.UInt32(handle),
                Value=ua.DataValue(
                    ua.Variant(0.0, ua.VariantType.Double),
                    SourceTimestamp=now,
                    ServerTimestamp=now,
                ),
            )
            for handle in handles
        ]
    )
    response = ua.PublishResponse()
    response.Parameters.NotificationMessage.NotificationData = [change]
    response.Parameters.AvailableSequenceNumbers = []
    encoded: bytes = struct_to_binary(response)
    return encoded


def node_list(tag_count: int) -> str:
    """Return the server's nodes as a tag list."""
    lines = [f"t{number:05d},ns=2;i={number + 1}" for number in range(tag_count)]
    return "\n".join(["tag,node", *lines]) + "\n"


async def _main(tag_count: int, period_s: float, folder: Path) -> None:
    server = Server()
    await server.init()
    await server.set_application_uri(APPLICATION_URI)
    certificate, key = own_certificate(folder, application_uri=APPLICATION_URI)
    await server.load_certificate(certificate)
    await server.load_private_key(key)
    server.set_security_policy(POLICIES)
    server.set_endpoint(f"opc.tcp://{HOST}:0")
    index = await server.register_namespace(NAMESPACE)
    assert index == 2, index
    for number in range(tag_count):
        await server.nodes.objects.add_variable(
            ua.NodeId(ua.Int32(number + 1), ua.Int16(2)), f"t{number:05d}", 0.0
        )
    replay = Replay(server, period_s=period_s)
    tasks: list[asyncio.Task[None]] = []

    async def start() -> int:
        await server.start()
        tasks.append(asyncio.create_task(replay.run(), name="replay"))
        assert server.bserver is not None
        return int(server.bserver.port)

    await serve(start, lambda: {"offered": replay.offered, "withheld": replay.withheld})


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    order = json.loads(sys.argv[1])
    asyncio.run(_main(order["tag_count"], order["period_s"], Path(order["folder"])))
