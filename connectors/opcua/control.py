"""Writing and calling: a session that also changes something at the machine.

Everything that can be found out is found out before: the type, whether the value fits, what a
method takes. Then one request goes out, never a second one, and the node is read until it shows
the value, for a bounded time: servers in front of a controller show the old one for a while.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from asyncua import ua
from asyncua.common.ua_utils import get_base_data_type
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua.event_link import EventLink
from connectors.opcua.nodes import MethodAddress, NodeAddress
from connectors.opcua.numbers import ENUMERATION, holds_numbers, number_for
from connectors.opcua.session import LIBRARY_FAILURES
from gateway.core.errors import CommandError, DeviceError

CONFIRM_S = 1.0
"""So long a node is read again until it shows what was written."""
CONFIRM_PAUSE_S = 0.05
CONFIRM_TOLERANCE = 1e-6
"""Relative; a Float gives back seven digits."""
ANY_DIMENSIONS = 0
"""Value ranks (OPC 10000-3, 5.6.2): from here on it is an array; -2 and -3 leave it open."""
ARGUMENTS = "InputArguments"
"""Browse name of the property that says what a method takes (OPC 10000-3, 5.7)."""
_CHECK_BY_CODE = {
    StatusCodes.BadUserAccessDenied: "Give the gateway's user the right at the server.",
    StatusCodes.BadNotWritable: "The server lets nobody write this node: take `writable` out of "
    "the tag list, or name a method that sets it in the column `call`.",
    StatusCodes.BadWriteNotSupported: "The server takes no write of this form to the node.",
    StatusCodes.BadTypeMismatch: "The server wants another type than it shows: tell its maker.",
    StatusCodes.BadOutOfRange: "The server takes no such value: put its range into `low`, `high`.",
    StatusCodes.BadNodeIdUnknown: "Check the node ids in the tag list.",
    StatusCodes.BadNodeIdInvalid: "Check the node ids in the tag list.",
    StatusCodes.BadMethodInvalid: "Check the column `call`: the object has no such method.",
    StatusCodes.BadNotExecutable: "The machine does not allow it now: check its state and mode.",
    StatusCodes.BadInvalidState: "The machine does not allow it now: check its state and mode.",
    StatusCodes.BadNotSupported: "The server does not do this.",
    StatusCodes.BadNotImplemented: "The server does not do this.",
    StatusCodes.BadInvalidArgument: "The method takes no such value: check its range.",
    StatusCodes.BadArgumentsMissing: "The method wants more than one value: it cannot be called.",
    StatusCodes.BadSecurityModeInsufficient: "Set `security`, and `mode` to SignAndEncrypt.",
}


class ControlLink(EventLink):
    """The whole session: it also hears events, writes values and calls methods."""

    async def write(self, node: NodeAddress, value: float) -> float:
        """Write a number in the type that the node has, and return what is read back.

        Raises:
            CommandError: the node cannot hold it; nothing was written.
            DeviceError: the server refuses, or does not give the value back.
        """
        node_id = self._known(node)
        with self._answers(f"does not tell the type of {node}; nothing was written"):
            type_id = await self._type_of_value(node_id, node)
        number = _fitting(type_id, value, f"{node}")
        with self._answers(f"refuses a write to {node}"):
            variant = ua.Variant(number, ua.VariantType(type_id))
            # Without times and status: most servers refuse to have those written.
            [status] = await self._session.write_attributes([node_id], [ua.DataValue(variant)])
            status.check()
        return await self._confirmed(node_id, node, value)

    async def call(self, method: MethodAddress, node: NodeAddress, value: float) -> float:
        """Call a method with a value, or with nothing if it takes nothing, and read a node back.

        Args:
            method: What to call.
            node: Shows what the method did.
            value: As the server counts.
        Raises:
            CommandError: the method takes no such value; it was not called.
            DeviceError: the server refuses, or does not give the value back.
        """
        node_id, method_id = self._known(node), self._known(method.method)
        with self._answers(f"does not tell what {method.method} takes; it was not called"):
            if method.object is None:
                object_id = await self._owner_of(method_id, method)
            else:
                object_id = self._known(method.object)
            arguments = await self._arguments_of(method_id, method, value)
        with self._answers(f"refuses to call {method.method}"):
            request = ua.CallMethodRequest(
                ObjectId=object_id, MethodId=method_id, InputArguments=arguments
            )
            [result] = await self._session.call([request])
            result.StatusCode.check()
            for status in result.InputArgumentResults or ():
                status.check()
        return await self._confirmed(node_id, node, value)

    def _known(self, node: NodeAddress) -> ua.NodeId:
        node_id = self.node_id(node)
        if node_id is None:
            raise CommandError(
                f"{self._device} has no namespace for {node}: nothing was written. "
                "Check the node ids in the tag list."
            )
        return node_id

    async def _type_of_value(self, node_id: ua.NodeId, node: NodeAddress) -> int:
        """Return the type that a node's value has now; where it has none, the declared one."""
        [data] = await self._session.read_attributes([node_id], AttributeIds.Value)
        variant = data.Value
        if variant is None or variant.VariantType == ua.VariantType.Null:
            rank = await self._attribute(node_id, AttributeIds.ValueRank)
            is_array = isinstance(rank, int) and rank >= ANY_DIMENSIONS
            type_id = await self._base_type(await self._attribute(node_id, AttributeIds.DataType))
        else:
            is_array = bool(variant.is_array)
            type_id = int(variant.VariantType.value)
        if is_array:
            raise CommandError(f"{node} holds an array: its elements are not written one by one")
        if not holds_numbers(type_id):
            raise CommandError(f"{node} holds no number: nothing was written")
        return type_id

    async def _attribute(self, node_id: ua.NodeId, attribute: AttributeIds) -> object:
        """Return what an attribute holds; None when it is empty."""
        [data] = await self._session.read_attributes([node_id], attribute)
        if data.StatusCode is not None:
            data.StatusCode.check()
        return None if data.Value is None else data.Value.Value

    async def _base_type(self, data_type: object) -> int:
        """Return the built-in type behind a data type; an enumeration is an Int32."""
        if not isinstance(data_type, ua.NodeId):
            raise ValueError(f"{data_type!r} is no data type")
        base = await get_base_data_type(self._client.get_node(data_type))
        type_id = int(base.nodeid.Identifier)
        return int(ua.VariantType.Int32.value) if type_id == ENUMERATION else type_id

    async def _owner_of(self, method_id: ua.NodeId, method: MethodAddress) -> ua.NodeId:
        """Return the one object that a method belongs to."""
        parents = await self._neighbours(
            method_id, ObjectIds.HasComponent, ua.BrowseDirection.Inverse, ua.NodeClass.Object
        )
        if len(parents) != 1:
            names = ", ".join(str(each.BrowseName.Name) for each in parents) or "no object"
            raise CommandError(
                f"{method.method} belongs to {names}: write `object > method` in the column "
                "`call`; nothing was called"
            )
        owner = parents[0].NodeId
        assert isinstance(owner, ua.NodeId)
        return owner

    async def _arguments_of(
        self, method_id: ua.NodeId, method: MethodAddress, value: float
    ) -> list[ua.Variant]:
        """Return the arguments to call a method with: the value, or none."""
        properties = await self._neighbours(
            method_id, ObjectIds.HasProperty, ua.BrowseDirection.Forward, ua.NodeClass.Variable
        )
        found = [each.NodeId for each in properties if each.BrowseName.Name == ARGUMENTS]
        if not found:
            return []
        arguments = await self._attribute(found[0], AttributeIds.Value)
        if not arguments:
            return []
        if not isinstance(arguments, list):
            raise ValueError(f"{arguments!r} is no list of arguments")
        if len(arguments) > 1:
            names = ", ".join(str(each.Name) for each in arguments)
            raise CommandError(
                f"{method.method} takes {len(arguments)} values ({names}): only methods with one "
                "or none can be called"
            )
        argument = arguments[0]
        type_id = await self._base_type(argument.DataType)
        if argument.ValueRank >= ANY_DIMENSIONS or not holds_numbers(type_id):
            raise CommandError(
                f"{method.method} takes {argument.Name!r}, which is no single number: structures, "
                "arrays and text cannot be given"
            )
        number = _fitting(type_id, value, f"{method.method}, {argument.Name!r}")
        return [ua.Variant(number, ua.VariantType(type_id))]

    async def _neighbours(
        self,
        node_id: ua.NodeId,
        reference: int,
        direction: ua.BrowseDirection,
        node_class: ua.NodeClass,
    ) -> list[ua.ReferenceDescription]:
        """Return what a node refers to, or is referred to by; a few nodes, in one answer."""
        description = ua.BrowseDescription(
            NodeId=node_id,
            BrowseDirection=direction,
            ReferenceTypeId=ua.NodeId(ua.Int32(reference)),
            IncludeSubtypes=True,
            NodeClassMask=int(node_class),
            ResultMask=int(ua.BrowseResultMask.All),
        )
        [result] = await self._session.browse(ua.BrowseParameters(NodesToBrowse=[description]))
        result.StatusCode.check()
        return list(result.References or ())

    async def _confirmed(self, node_id: ua.NodeId, node: NodeAddress, value: float) -> float:
        """Return what a node shows: the value as soon as it does, else the last within a time."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + CONFIRM_S
        while True:
            with self._answers(f"has taken the value but does not give {node} back"):
                shown = await self._attribute(node_id, AttributeIds.Value)
                if not isinstance(shown, bool | int | float):
                    raise ValueError(f"{node_id} shows {shown!r}")
            limit = CONFIRM_TOLERANCE * max(1.0, abs(value))
            if abs(float(shown) - value) <= limit or loop.time() >= end_s:
                return float(shown)
            await asyncio.sleep(CONFIRM_PAUSE_S)

    @contextmanager
    def _answers(self, what: str) -> Iterator[None]:
        """Turn what the library raises into our errors: a command is not tried again."""
        try:
            yield
        except LIBRARY_FAILURES as error:
            check = "Check the machine before asking again."
            if isinstance(error, UaStatusCodeError):
                check = _CHECK_BY_CODE.get(error.code, "See the code at the end.")
            raise DeviceError(
                f"{self._device} {what}. {check} The gateway does not try it again.\n{error!r}"
            ) from error


def _fitting(type_id: int, value: float, where: str) -> bool | int | float:
    try:
        return number_for(type_id, value)
    except ValueError as error:
        raise CommandError(f"{where}: {error}; nothing was written") from error
