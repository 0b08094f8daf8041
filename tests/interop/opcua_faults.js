// A server of node-opcua that does to its other clients what a test asks for, by calling a method.
//
// Arguments: address to listen on, port, milliseconds between two values. Prints `ready PORT`.
// ns=1;s=Flow and ns=1;s=Level count upwards. Methods of the object ns=1;s=Faults:
// ns=1;s=EndOne ends the newest subscription of every other session, ns=1;s=EndAll all of them,
// ns=1;s=Forget ends the other sessions and leaves their connections, ns=1;s=Stop announces a
// shutdown, goes on for a second, and stops the server.

const {
    OPCUAServer,
    DataType,
    MessageSecurityMode,
    SecurityPolicy,
    StatusCodes,
} = require("node-opcua");

const STOP_MS = 1000;

async function main() {
    const [host, ...numbers] = process.argv.slice(2);
    const [port, period] = numbers.map(Number);
    const server = new OPCUAServer({
        host,
        port,
        hostname: host,
        securityPolicies: [SecurityPolicy.None],
        securityModes: [MessageSecurityMode.None],
    });
    await server.initialize();
    const addressSpace = server.engine.addressSpace;
    const own = addressSpace.getOwnNamespace();
    const objects = addressSpace.rootFolder.objects;
    const variables = ["Flow", "Level"].map((name) =>
        own.addVariable({
            organizedBy: objects,
            nodeId: `s=${name}`,
            browseName: name,
            dataType: "Double",
            minimumSamplingInterval: 50,
        })
    );
    let count = 0;
    const tick = () => {
        count += 1;
        for (const variable of variables) {
            variable.setValueFromSource({ dataType: DataType.Double, value: count });
        }
    };
    tick();
    setInterval(tick, period);
    const othersOf = (context) =>
        Object.values(server.engine._sessions).filter((each) => each !== context.session);
    const actions = {
        EndOne: (session) => session.publishEngine.subscriptions.at(-1).terminate(),
        EndAll: (session) => session.publishEngine.subscriptions.forEach((each) => each.terminate()),
        Forget: (session) => server.engine.closeSession(session.authenticationToken, true, "Forcing"),
        Stop: () => setTimeout(() => server.shutdown(STOP_MS), 10),
    };
    const faults = own.addObject({ organizedBy: objects, nodeId: "s=Faults", browseName: "Faults" });
    for (const [name, act] of Object.entries(actions)) {
        const method = own.addMethod(faults, { nodeId: `s=${name}`, browseName: name });
        method.bindMethod(async (_, context) => {
            othersOf(context).forEach(act);
            return { statusCode: StatusCodes.Good };
        });
    }
    await server.start();
    console.log(`ready ${server.endpoints[0].port}`);
}

main();
