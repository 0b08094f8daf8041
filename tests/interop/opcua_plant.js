// A plant on a server of node-opcua: analog items with range and unit, under nested folders.
// usage: node opcua_plant.js PORT first|second EXTRA_COUNT SECONDS_MAX
// "second" is the same plant after a change: one node more, one gone, another range and unit.
// EXTRA_COUNT further variables lie in folders of 1000. Prints `ready`.
const os = require("os"), path = require("path"), fs = require("fs");
const { OPCUAServer, OPCUACertificateManager, MessageSecurityMode, SecurityPolicy, DataType, Variant,
        VariantArrayType, StatusCodes, makeEUInformation, standardUnits, makeAccessLevelFlag,
        makeNodeId } = require("node-opcua");
const [port, stage, extraCount, secondsMax] = process.argv.slice(2);

(async () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "opcua-pki-"));
  const manager = new OPCUACertificateManager({
    rootFolder: root, automaticallyAcceptUnknownCertificate: true });
  const server = new OPCUAServer({
    port: Number(port), host: "127.0.0.1", hostname: "127.0.0.1",
    serverCertificateManager: manager, userCertificateManager: manager,
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.SignAndEncrypt],
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    serverInfo: { applicationUri: "urn:interop:plant" },
    serverCapabilities: { maxBrowseContinuationPoints: 3,
      operationLimits: { maxNodesPerBrowse: 50, maxNodesPerRead: 200 } },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const own = space.registerNamespace("urn:interop:machines");
  const plant = own.addFolder(space.rootFolder.objects, { browseName: "Plant", nodeId: "s=Plant" });
  const litresPerBlink = makeEUInformation("ZZZ", "l/blink", "not in any table");

  const analog = (parent, name, low, high, units, more = {}) => own.addAnalogDataItem({
    componentOf: parent, browseName: name, nodeId: `s=${parent.browseName.name}.${name}`,
    dataType: "Double", engineeringUnitsRange: { low, high }, engineeringUnits: units,
    value: { dataType: DataType.Double, value: (low + high) / 2 }, ...more });

  const readOnly = { accessLevel: makeAccessLevelFlag("CurrentRead"),
                     userAccessLevel: makeAccessLevelFlag("CurrentRead") };
  for (const pump of ["P101", "P102"]) {
    const object = own.addObject({ organizedBy: plant, browseName: pump, nodeId: `s=${pump}` });
    const isChanged = stage === "second" && pump === "P101";
    analog(object, "Flow", 0, isChanged ? 30 : 20, standardUnits.cubic_metre_per_hour, readOnly);
    analog(object, "Temperature", -20, 120,
      isChanged ? standardUnits.kelvin : standardUnits.degree_celsius, readOnly);
    analog(object, "Setpoint", 0, 3600, standardUnits.revolutions_per_minute);
    analog(object, "Odd", 0, 1, litresPerBlink, readOnly);
    if (!(stage === "second" && pump === "P102"))
      analog(object, "Pressure", 0, 10, standardUnits.bar, readOnly);
    if (isChanged) analog(object, "Vibration", 0, 40, makeEUInformation("C16", "mm/s", ""), readOnly);
    own.addVariable({ componentOf: object, browseName: "Running", nodeId: `s=${pump}.Running`,
      dataType: "Boolean", value: { dataType: DataType.Boolean, value: true }, ...readOnly });
    own.addVariable({ componentOf: object, browseName: "Name", nodeId: `s=${pump}.Name`,
      dataType: "String", value: { dataType: DataType.String, value: `feed pump ${pump}` } });
    own.addVariable({ componentOf: object, browseName: "Spectrum", nodeId: `s=${pump}.Spectrum`,
      dataType: "Double", valueRank: 1, value: { dataType: DataType.Double,
        arrayType: VariantArrayType.Array, value: new Float64Array([1, 2, 3]) } });
    // Leads back to the top, and round and round.
    object.addReference({ referenceType: "Organizes", nodeId: plant.nodeId });
  }
  for (let i = 0, folder = null; i < Number(extraCount); i++) {
    if (i % 1000 === 0) {
      folder = own.addFolder(plant, { browseName: `Line${i / 1000}`, nodeId: `i=${5000000 + i}` });
    }
    own.addVariable({ componentOf: folder, browseName: `v${i}`, nodeId: `i=${10000 + i}`,
      dataType: "Double", value: { dataType: DataType.Double, value: i } });
  }
  await server.start();
  console.log("ready");
  setTimeout(() => process.exit(0), Number(secondsMax) * 1000);
})();
