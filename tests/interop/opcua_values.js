// An OPC UA server of node-opcua with values of many kinds; ends by itself after some seconds.
// usage: node opcua_values.js SECONDS [MONITORED_ITEMS_MAX]
// Prints `ready PORT`. Namespace 1: Analog (EURange 0 to 200) and Plain count up by 1 every 20 ms,
// Array holds [k, 10 k, 100 k], Mode is a text, Changed a date, Structure a structure, Old has a
// source time of 1984, N0 to N49 are constant.
"use strict";
const fs = require("fs");
const os = require("os");
const path = require("path");
const opcua = require("node-opcua");

const seconds = Number(process.argv[2]);
const itemsMax = Number(process.argv[3] || 1000);
const TICK_MS = 20;

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "opcua-values-"));
  const certificates = new opcua.OPCUACertificateManager({
    rootFolder: folder,
    automaticallyAcceptUnknownCertificate: true,
  });
  const server = new opcua.OPCUAServer({
    port: 0,
    hostname: "127.0.0.1",
    host: "127.0.0.1",
    serverCertificateManager: certificates,
    userCertificateManager: certificates,
    securityModes: [opcua.MessageSecurityMode.None],
    securityPolicies: [opcua.SecurityPolicy.None],
    serverInfo: { applicationUri: "urn:edgewright:values" },
    serverCapabilities: {
      maxMonitoredItems: itemsMax,
      maxMonitoredItemsPerSubscription: itemsMax,
      operationLimits: { maxNodesPerRead: 20, maxMonitoredItemsPerCall: 20 },
    },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const own = space.getOwnNamespace();
  const plant = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Plant" });
  const make = (name, options) =>
    own.addVariable({
      componentOf: plant,
      browseName: name,
      nodeId: `s=${name}`,
      minimumSamplingInterval: TICK_MS,
      ...options,
    });
  const analog = own.addAnalogDataItem({
    componentOf: plant,
    browseName: "Analog",
    nodeId: "s=Analog",
    dataType: "Double",
    minimumSamplingInterval: TICK_MS,
    engineeringUnitsRange: { low: 0, high: 200 },
    engineeringUnits: opcua.standardUnits.degree_celsius,
  });
  const plain = make("Plain", { dataType: "Double" });
  const array = make("Array", { dataType: "Double", valueRank: 1, arrayDimensions: [3] });
  const mode = make("Mode", { dataType: "String" });
  const changed = make("Changed", { dataType: "DateTime" });
  const structure = make("Structure", { dataType: "Range" });
  const old = make("Old", { dataType: "Double" });
  structure.setValueFromSource({
    dataType: opcua.DataType.ExtensionObject,
    value: new opcua.Range({ low: 1, high: 2 }),
  });
  changed.setValueFromSource({
    dataType: opcua.DataType.DateTime,
    value: new Date("2026-03-04T05:06:07.500Z"),
  });
  for (let number = 0; number < 50; number++) {
    make(`N${number}`, { dataType: "Double" }).setValueFromSource({
      dataType: opcua.DataType.Double,
      value: number,
    });
  }
  let count = 0;
  const tick = () => {
    const value = { dataType: opcua.DataType.Double, value: count % 200 };
    analog.setValueFromSource(value);
    plain.setValueFromSource(value);
    array.setValueFromSource({
      dataType: opcua.DataType.Double,
      arrayType: opcua.VariantArrayType.Array,
      value: [count, 10 * count, 100 * count],
    });
    mode.setValueFromSource({
      dataType: opcua.DataType.String,
      value: Math.floor(count / 50) % 2 ? "auto" : "manual",
    });
    old.setValueFromSource(value, opcua.StatusCodes.Good, new Date("1984-01-01T00:00:00Z"));
    count += 1;
  };
  tick();
  await server.start();
  setInterval(tick, TICK_MS);
  setTimeout(() => process.exit(0), seconds * 1000);
  console.log(`ready ${server.endpoints[0].port}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
