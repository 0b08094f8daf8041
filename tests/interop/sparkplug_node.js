// Encodes and decodes Sparkplug B payloads with the package `sparkplug-payload`.
//
// One JSON object a line in, one a line out:
//   {"encode": payload}   -> {"bytes": base64}
//   {"decode": base64}    -> {"payload": payload}, or {"error": text}
// 64-bit integers are text in JSON: {"long": "123"} going in, plain text coming out.
"use strict";
const readline = require("readline");
const Long = require("long");
const spb = require("sparkplug-payload").get("spBv1.0");

function taken(value) {
  if (Array.isArray(value)) return value.map(taken);
  if (value === null || typeof value !== "object") return value;
  if ("long" in value) return Long.fromString(value.long, value.long[0] !== "-");
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, taken(each)]));
}

function given(value) {
  if (Long.isLong(value)) return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(given);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, given(each)]));
}

function answer(question) {
  if ("encode" in question) {
    const bytes = spb.encodePayload(taken(question.encode));
    return { bytes: Buffer.from(bytes).toString("base64") };
  }
  try {
    return { payload: given(spb.decodePayload(Buffer.from(question.decode, "base64"))) };
  } catch (error) {
    return { error: String(error) };
  }
}

console.log("ready");
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  console.log(JSON.stringify(answer(JSON.parse(line))));
});
