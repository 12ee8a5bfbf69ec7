// The package on the vectors that Python shares: `node vectors.mjs BUNDLE VECTOR`.
import { readFile } from "node:fs/promises";

const { checksum, grantTerms, wrapGrant, writeMessage } = await import(process.argv[2]);
const read = async (name) => JSON.parse(await readFile(`${process.argv[3]}/${name}.json`, "utf8"));
const grant = await read("grant");
const parsed = await read("parsing_positive");
const { statement, resource, issuedAt } = grantTerms(grant.typedData);
const messages = Object.values(parsed).map(({ fields }) => writeMessage(fields));
const addresses = Object.values(parsed).map(({ fields }) => checksum(fields.address.toLowerCase()));
console.log(
  JSON.stringify({
    statement,
    resource,
    issuedAt,
    grant: wrapGrant(grant.message, grant.signature),
    messages,
    addresses,
  }),
);
