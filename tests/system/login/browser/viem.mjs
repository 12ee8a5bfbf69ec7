// Reads messages, one JSON text a line; says of each what viem reads in it.
import { createInterface } from "node:readline";
import { createSiweMessage, parseSiweMessage, validateSiweMessage } from "viem/siwe";

const written = (fields) => {
  try {
    return createSiweMessage(fields);
  } catch {
    return null;
  }
};
const shown = (value) => (value instanceof Date ? (isNaN(value) ? null : value.toISOString()) : value);
for await (const line of createInterface({ input: process.stdin })) {
  const text = JSON.parse(line);
  const fields = parseSiweMessage(text);
  const valid = validateSiweMessage({ message: fields, time: new Date(0) });
  const read = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, shown(value)]));
  console.log(JSON.stringify({ read, valid, written: written(fields) === text }));
}
