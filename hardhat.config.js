import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

const require = createRequire(import.meta.url);
// Runs of each fuzz test and each invariant: fewer where coverage is measured, more in a long proof.
const runs = Number(process.env.SOLIDITY_RUNS ?? 256);

export default defineConfig({
  paths: {
    sources: "contracts",
    tests: { solidity: "tests/contracts" },
    artifacts: "build/artifacts",
    cache: "build/cache",
  },
  solidity: {
    version: require("solc/package.json").version, // the bare number: Hardhat adds no commit suffix
    path: require.resolve("solc/soljson.js"), // the compiler of npm: nothing is downloaded at build time
    settings: {
      evmVersion: "cancun",
      optimizer: { enabled: true, runs: 10_000 },
      metadata: { bytecodeHash: "none", appendCBOR: false }, // equal sources give equal bytes
      outputSelection: { "*": { "*": ["storageLayout"] } },
    },
  },
  test: {
    solidity: {
      fuzz: { runs, seed: "0x1234" },
      invariant: { runs, depth: 64, failOnRevert: true },
    },
  },
});
