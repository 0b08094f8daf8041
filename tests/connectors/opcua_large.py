"""An OPC UA server of asyncua with many nodes: `python -m tests.connectors.opcua_large COUNT S`.

`FLAT_COUNT` variables lie in one flat folder, which asyncua's server tells in one answer whatever
the client asks for; the others in folders of a hundred. The last folder also points
to the flat one. Prints `ready PORT` and ends by itself after S seconds.
"""

import asyncio
import gc
import sys

from asyncua import ua
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds

FLAT_COUNT = 2000
FOLDER_SIZE = 100
NAMESPACE = "urn:edgewright:large"


def item(identifier: str, name: str, parent: ua.NodeId, *, is_variable: bool) -> ua.AddNodesItem:
    """Return what adds a node below a parent."""
    attributes: ua.VariableAttributes | ua.ObjectAttributes = ua.ObjectAttributes()
    kind = ObjectIds.FolderType
    if is_variable:
        attributes = ua.VariableAttributes()
        attributes.DataType = ua.NodeId(ua.Int32(ObjectIds.Double))
        attributes.Value = ua.Variant(1.5, ua.VariantType.Double)
        kind = ObjectIds.BaseDataVariableType
    attributes.DisplayName = ua.LocalizedText(name)
    return ua.AddNodesItem(
        ParentNodeId=parent,
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.Organizes)),
        RequestedNewNodeId=ua.NodeId(ua.String(identifier), ua.Int16(2)),
        BrowseName=ua.QualifiedName(name, 2),
        NodeClass=ua.NodeClass.Variable if is_variable else ua.NodeClass.Object,
        NodeAttributes=attributes,
        TypeDefinition=ua.NodeId(ua.Int32(kind)),
    )


def items(count: int) -> list[ua.AddNodesItem]:
    """Return folders and variables, each folder before what is in it."""
    made = [item("Flat", "Flat", ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder)), is_variable=False)]
    flat = made[0].RequestedNewNodeId
    folder = flat
    for i in range(count):
        if i < FLAT_COUNT:
            parent = flat
        else:
            if (i - FLAT_COUNT) % FOLDER_SIZE == 0:
                name = f"Folder{i // FOLDER_SIZE}"
                above = ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
                made.append(item(name, name, above, is_variable=False))
                folder = made[-1].RequestedNewNodeId
            parent = folder
        made.append(item(f"v{i}", f"v{i}", parent, is_variable=True))
    return made


async def serve(count: int, seconds: float) -> None:
    """Serve until the time is over."""
    gc.disable()  # else it costs two thirds of making so many nodes
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace(NAMESPACE)
    made = items(count)
    results = await server.iserver.isession.add_nodes(made)
    assert all(result.StatusCode.is_good() for result in results)
    back = ua.AddReferencesItem(
        SourceNodeId=ua.NodeId(ua.String(f"Folder{(count - 1) // FOLDER_SIZE}"), ua.Int16(2)),
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.Organizes)),
        IsForward=True,
        TargetNodeId=made[0].RequestedNewNodeId,
        TargetNodeClass=ua.NodeClass.Object,
    )
    await server.iserver.isession.add_references([back])
    await server.start()
    assert server.bserver is not None
    print(f"ready {server.bserver.port}", flush=True)
    await asyncio.sleep(seconds)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
