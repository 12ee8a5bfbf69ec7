// Prints the EIP-712 digest that viem makes of each typed data in a vector file, and whose each signature is.
import { readFileSync } from "node:fs";
import { hashTypedData, recoverTypedDataAddress, type Hex, type TypedDataDefinition } from "viem";

interface Case {
  typed_data: TypedDataDefinition;
  signature: string;
}

const { cases } = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as { cases: Case[] };
const found = cases.map(async ({ typed_data, signature }) => ({
  digest: hashTypedData(typed_data),
  signer: await recoverTypedDataAddress({ ...typed_data, signature: `0x${signature}` as Hex }),
}));
console.log(JSON.stringify(await Promise.all(found)));
