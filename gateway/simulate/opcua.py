"""The OPC UA server of the plant: anonymous or with a user, plain or Basic256Sha256.

Nodes are `ns=2;s=P101.Flow` in the namespace `urn:edgewright:plant`, each with `EURange` and
`EngineeringUnits`. Every value carries the source time of the scan that it comes from. A client
may write the nodes declared writable, within their range.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asyncua import ua
from asyncua.common.callback import Callback, CallbackService, CallbackType, ServerItemCallback
from asyncua.common.node import Node
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.user_managers import UserManager
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from pydantic import SecretStr

from gateway.core.errors import ConfigError
from gateway.core.ports import Clock
from gateway.core.tags import TagId
from gateway.simulate.books import OfferedBook
from gateway.simulate.certificate import own_certificate
from gateway.simulate.opcua_wire import Counter, CountingServer, to_datetime
from gateway.simulate.points import NAMESPACE_INDEX, NAMESPACE_URI
from gateway.simulate.server import ServedNode, ServerState

DOUBLE = ua.NodeId(ua.Int32(ObjectIds.Double))
GOOD = ua.StatusCode(ua.UInt32(StatusCodes.Good))
NO_DATA = ua.StatusCode(ua.UInt32(StatusCodes.BadNoData))
APPLICATION_URI = "urn:edgewright:simulator"
UNECE_NAMESPACE = "http://www.opcfoundation.org/UA/units/un/cefact"
UNECE_CODES = {
    "/min": ("RPM", "r/min"),
    "m3/h": ("MQH", "m³/h"),
    "bar": ("BAR", "bar"),
    "mbar": ("MBR", "mbar"),
    "A": ("AMP", "A"),
    "Cel": ("CEL", "°C"),
    "mm/s": ("C16", "mm/s"),
}
"""UCUM code to the common code of UNECE Recommendation 20, and how people write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the server listens and whom it lets in."""

    host: str
    port: int
    """0 takes a free one, and keeps it over restarts."""
    user: str = ""
    """Empty: anonymous clients."""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))


class OpcuaServer:
    """Implements `SimulatedServer` with asyncua."""

    def __init__(
        self,
        nodes: Sequence[ServedNode],
        *,
        access: Access,
        book: OfferedBook,
        state_folder: Path,
        clock: Clock,
        on_write: Callable[[TagId, float], None] | None = None,
    ) -> None:
        """Prepare; connects to nothing.

        Args:
            nodes: The variables, in the order of the values in `show`.
            access: Where to listen.
            book: Counts what is offered; must know the nodes' tags.
            state_folder: Keeps the certificate.
            clock: Stamps writes and the book.
            on_write: Told of every value that a client has written.
        """
        self.name = "opcua"
        self.book = book
        self.state = ServerState.STOPPED
        self._nodes = tuple(nodes)
        self._access = access
        self._port = access.port
        self._folder = state_folder
        self._clock = clock
        self._on_write = on_write
        self._counter = Counter(book, clock)
        self._server = CountingServer(self._counter)
        self._node_ids = [_node_id(node.identifier) for node in self._nodes]
        self._writable = {
            node_id: node
            for node_id, node in zip(self._node_ids, self._nodes, strict=True)
            if node.is_writable
        }

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"opc.tcp://{self._access.host}:{self._port}"

    async def start(self, values: Sequence[float], time_ns: int) -> None:
        """Build the address space, which takes a second or two, and listen."""
        server = self._server
        await server.init()
        await server.set_application_uri(APPLICATION_URI)
        server.set_server_name("Edgewright simulated plant")
        server.set_endpoint(self.endpoint)
        certificate, key = own_certificate(self._folder, application_uri=APPLICATION_URI)
        await server.load_certificate(certificate)
        await server.load_private_key(key)
        server.set_security_policy(
            [
                ua.SecurityPolicyType.NoSecurity,
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
            ]
        )
        if self._access.user:
            server.set_identity_tokens([ua.UserNameIdentityToken])
            server.iserver.set_user_manager(_OneUser(self._access))
        else:
            server.set_identity_tokens([ua.AnonymousIdentityToken])
        await self._add_nodes()
        await self.show(values, time_ns)
        server.subscribe_server_callback(CallbackType.PostRead, self._counter.count_read)
        server.subscribe_server_callback(CallbackType.PreWrite, self._check_write)
        server.subscribe_server_callback(CallbackType.PostWrite, self._pass_write_on)
        await server.prepare()
        await self._listen()

    async def stop(self) -> None:
        """Close everything; a hung server too."""
        await self._wake()
        await self._server.close()
        await self._server.forget_sessions()
        await self._server.stop()
        self.state = ServerState.STOPPED

    async def show(self, values: Sequence[float], time_ns: int) -> None:
        """Make these the present values; a value that is not a number becomes Bad."""
        if self.state is ServerState.HUNG:
            return  # the task that scans is the one that is stuck
        time = to_datetime(time_ns)
        for node_id, value in zip(self._node_ids, values, strict=True):
            await self._server.write_attribute_value(node_id, _data_value(value, time))

    async def fail(self, state: ServerState) -> None:
        """Die, hang or refuse."""
        if self.state is not ServerState.SERVING:
            await self.restore()
        if state is ServerState.DEAD:
            await self._server.reset()
        elif state is ServerState.REFUSING:
            await self._server.close()
        else:
            assert state is ServerState.HUNG, state
            self._counter.is_silent = True
            for transport in self._server.transports():
                transport.pause_reading()
        self.state = state

    async def restore(self) -> None:
        """Serve again; after a death without any session."""
        if self.state is ServerState.HUNG:
            await self._wake()
        elif self.state is not ServerState.SERVING:
            await self._listen()

    async def _wake(self) -> None:
        self._counter.is_silent = False
        for transport in self._server.transports():
            transport.resume_reading()
        self.state = ServerState.SERVING

    async def _listen(self) -> None:
        try:
            self._port = await self._server.open(self._access.host, self._port)
        except OSError as error:
            raise ConfigError(
                f"opcua: cannot listen on {self.endpoint}: {error.strerror}; "
                "choose another address, or port 0 for a free one"
            ) from error
        self.state = ServerState.SERVING

    async def _add_nodes(self) -> None:
        server = self._server
        index = await server.register_namespace(NAMESPACE_URI)
        assert index == NAMESPACE_INDEX, index
        plant = await server.nodes.objects.add_folder(_node_id("Plant"), _name("Plant"))
        parents: dict[str, Node] = {}
        for node_id, node in zip(self._node_ids, self._nodes, strict=True):
            asset, dot, name = node.identifier.rpartition(".")
            parent = plant
            if dot:
                if asset not in parents:
                    parents[asset] = await plant.add_object(_node_id(asset), _name(asset))
                parent = parents[asset]
            variable = await parent.add_variable(
                node_id, _name(name), 0.0, ua.VariantType.Double, DOUBLE
            )
            if node.is_writable:
                await variable.set_writable()
            await _describe(variable, node)
            self._counter.know(node_id, self.book.index(node.tag))

    def _check_write(self, event: Callback, service: CallbackService) -> None:
        """Refuse a value outside the range, and stamp the others with our own time."""
        del service
        assert isinstance(event, ServerItemCallback)
        if not event.is_external:
            return
        time = to_datetime(self._clock.now_ns())
        writes: list[ua.WriteValue] = event.request_params.NodesToWrite
        for write in writes:
            node = self._writable.get(write.NodeId)
            if node is None or write.AttributeId != AttributeIds.Value:
                continue
            value = write.Value.Value.Value
            # asyncua itself answers a value of another type with BadTypeMismatch.
            if isinstance(value, float) and not node.low <= value <= node.high:
                raise ServiceError(StatusCodes.BadOutOfRange)
            write.Value = dataclasses.replace(write.Value, SourceTimestamp=time)

    def _pass_write_on(self, event: Callback, service: CallbackService) -> None:
        del service
        assert isinstance(event, ServerItemCallback)
        if not event.is_external or self._on_write is None:
            return
        writes: list[ua.WriteValue] = event.request_params.NodesToWrite
        statuses: list[ua.StatusCode] = event.response_params
        for write, status in zip(writes, statuses, strict=True):
            node = self._writable.get(write.NodeId)
            if node and status.is_good() and write.AttributeId == AttributeIds.Value:
                self._on_write(node.tag, write.Value.Value.Value)


class _OneUser(UserManager):
    """Lets one user in, by password."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,
    ) -> User | None:
        """Return the user, or none to refuse."""
        del iserver, certificate
        access = self._access
        if (username, password) != (access.user, access.password.get_secret_value()):
            return None
        return User(role=UserRole.User, name=access.user)


async def _describe(variable: Node, node: ServedNode) -> None:
    """Add the standard properties of an analog item (OPC 10000-8, 5.3.2.3)."""
    if math.isfinite(node.low) and math.isfinite(node.high):
        await variable.add_property(
            _node_id(f"{node.identifier}.EURange"),
            ua.QualifiedName("EURange", 0),
            ua.Range(node.low, node.high),
        )
    if node.unit in UNECE_CODES:
        code, text = UNECE_CODES[node.unit]
        unit = ua.EUInformation(
            UNECE_NAMESPACE,
            # OPC 10000-8, 5.6.4.3: the code's letters as the bytes of a number.
            int.from_bytes(code.encode(), "big"),
            ua.LocalizedText(text),
            ua.LocalizedText(text),
        )
        await variable.add_property(
            _node_id(f"{node.identifier}.EngineeringUnits"),
            ua.QualifiedName("EngineeringUnits", 0),
            unit,
        )


def _data_value(value: float, time: ua.DateTime) -> ua.DataValue:
    if math.isnan(value):
        variant, status = ua.Variant(None, ua.VariantType.Null), NO_DATA
    else:
        variant, status = ua.Variant(value, ua.VariantType.Double), GOOD
    return ua.DataValue(variant, status, SourceTimestamp=time, ServerTimestamp=time)


def _node_id(identifier: str) -> ua.NodeId:
    return ua.NodeId(ua.String(identifier), ua.Int16(NAMESPACE_INDEX))


def _name(text: str) -> ua.QualifiedName:
    return ua.QualifiedName(text, NAMESPACE_INDEX)
