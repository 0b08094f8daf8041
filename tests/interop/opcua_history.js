// A server of node-opcua whose values change all the time and are kept in its history.
//
// Arguments: port, milliseconds between two values. Prints `ready PORT`.
// ns=1;s=Flow counts upwards, ns=1;s=Level and ns=1;s=T0 to T7 at half the pace; all keep a history.
// ns=1;s=Speed counts and keeps none. ns=1;s=Limit never changes and keeps a history.
// Values must stay for over 50 ms: the server samples no faster.

const {
    OPCUAServer,
    DataType,
    MessageSecurityMode,
    SecurityPolicy,
    makeAccessLevelFlag,
} = require("node-opcua");

const KEPT_MAX = 1_000_000;

async function main() {
    const [port, period] = process.argv.slice(2).map(Number);
    const server = new OPCUAServer({
        port,
        securityPolicies: [SecurityPolicy.None],
        securityModes: [MessageSecurityMode.None],
        allowAnonymous: true,
        serverCapabilities: { maxSessions: 20 },
    });
    await server.initialize();
    const addressSpace = server.engine.addressSpace;
    const own = addressSpace.getOwnNamespace();
    const add = (name, isKept) => {
        const variable = own.addVariable({
            organizedBy: addressSpace.rootFolder.objects,
            nodeId: `s=${name}`,
            browseName: name,
            dataType: "Double",
            minimumSamplingInterval: 50,
            accessLevel: makeAccessLevelFlag("CurrentRead"),
        });
        variable.setValueFromSource({ dataType: DataType.Double, value: 0 });
        if (isKept) {
            addressSpace.installHistoricalDataNode(variable, { maxOnlineValues: KEPT_MAX });
        }
        return variable;
    };
    const [flow, speed] = [add("Flow", true), add("Speed", false)];
    const slow = ["Level", ...Array.from({ length: 8 }, (_, k) => `T${k}`)].map((name) => add(name, true));
    add("Limit", true);
    let count = 0;
    setInterval(() => {
        count += 1;
        const set = (variable, value) =>
            variable.setValueFromSource({ dataType: DataType.Double, value });
        set(flow, count);
        set(speed, count);
        if (count % 2 === 0) {
            slow.forEach((variable) => set(variable, count / 2));
        }
    }, period);
    await server.start();
    console.log(`ready ${server.endpoints[0].port}`);
}

main();
