// A node-opcua server with the security that the arguments name, an alarm and methods.
//
// usage: node opcua_secure.js PORT PKI_FOLDER POLICIES MODES TRUST
//   POLICIES  of None, Basic256Sha256, Aes128_Sha256_RsaOaep, Aes256_Sha256_RsaPss; comma between
//   MODES     of None, Sign, SignAndEncrypt; comma between
//   TRUST     accept (any client's certificate) or refuse (those nobody moved to its trusted folder)
// Lets in anybody anonymous, the user gateway with the password "correct horse", and users with
// a certificate that the TRUST rule admits. Prints "ready PORT".
const {
  DataType,
  MessageSecurityMode,
  OPCUACertificateManager,
  OPCUAServer,
  SecurityPolicy,
  StatusCodes,
  Variant,
} = require("node-opcua");

const [portText, folder, policies, modes, trust] = process.argv.slice(2);

function addPlant(server) {
  const space = server.engine.addressSpace;
  space.installAlarmsAndConditionsService();
  const own = space.getOwnNamespace();
  const pump = own.addObject({
    browseName: "P101",
    nodeId: "s=P101",
    organizedBy: space.rootFolder.objects,
    notifierOf: space.rootFolder.objects.server,
    eventNotifier: 1,
  });
  const variable = (name, dataType, value, more = {}) => {
    const node = own.addVariable({
      browseName: name,
      componentOf: pump,
      dataType,
      nodeId: `s=P101.${name}`,
      minimumSamplingInterval: 20,
      ...more,
    });
    node.setValueFromSource({ dataType, value });
    return node;
  };
  variable("Flow", DataType.Double, 1.5);
  const level = variable("Level", DataType.Double, 50, { eventSourceOf: pump });
  const speed = variable("Speed", DataType.Double, 0);
  const running = variable("Running", DataType.Boolean, false);
  own.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
    browseName: "LevelAlarm",
    conditionName: "Level High",
    conditionSource: level,
    componentOf: pump,
    highHighLimit: 95,
    highLimit: 80,
    inputNode: level,
    lowLimit: 10,
    lowLowLimit: 5,
    nodeId: "s=P101.LevelAlarm",
  });
  const method = (name, inputArguments, act) => {
    own
      .addMethod(pump, { browseName: name, nodeId: `s=P101.${name}`, inputArguments })
      .bindMethod((inputs, _context, callback) => {
        callback(null, { outputArguments: [], statusCode: act(inputs) });
      });
  };
  method("Start", [], () => {
    running.setValueFromSource({ dataType: DataType.Boolean, value: true });
    return StatusCodes.Good;
  });
  method("SetSpeed", [{ name: "Speed", dataType: DataType.Int16 }], (inputs) => {
    if (inputs[0].dataType !== DataType.Int16) return StatusCodes.BadTypeMismatch;
    if (inputs[0].value > 3000) return StatusCodes.BadOutOfRange;
    speed.setValueFromSource({ dataType: DataType.Double, value: inputs[0].value });
    return StatusCodes.Good;
  });
  method("SetLevel", [{ name: "Level", dataType: DataType.Double }], (inputs) => {
    level.setValueFromSource(new Variant({ dataType: DataType.Double, value: inputs[0].value }));
    return StatusCodes.Good;
  });
}

(async () => {
  const manager = new OPCUACertificateManager({
    automaticallyAcceptUnknownCertificate: trust === "accept",
    rootFolder: folder,
  });
  const server = new OPCUAServer({
    allowAnonymous: true,
    host: "127.0.0.1",
    hostname: "127.0.0.1",
    port: Number(portText),
    securityModes: modes.split(",").map((mode) => MessageSecurityMode[mode]),
    securityPolicies: policies.split(",").map((policy) => SecurityPolicy[policy]),
    serverCertificateManager: manager,
    userCertificateManager: manager,
    userManager: {
      isValidUser: (name, password) => name === "gateway" && password === "correct horse",
    },
  });
  await server.initialize();
  addPlant(server);
  await server.start();
  console.log(`ready ${portText}`);
})();
