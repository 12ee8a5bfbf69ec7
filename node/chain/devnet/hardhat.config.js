// What `hardhat node` runs as a devnet; hardhat.config.js of the project compiles the contracts.
import { defineConfig } from "hardhat/config";

const started = Number(process.env.PSP_DEVNET_GENESIS) * 1000;

export default defineConfig({
  paths: { sources: "contracts", artifacts: "build/artifacts", cache: "build/cache" },
  networks: {
    node: {
      type: "edr-simulated",
      chainId: 31337,
      hardfork: "prague",
      initialDate: new Date(started),
      // Else ten transactions within a second carry the chain's time ahead of the clock.
      allowBlocksWithSameTimestamp: true,
      accounts: {
        mnemonic: process.env.PSP_DEVNET_MNEMONIC,
        count: Number(process.env.PSP_DEVNET_ACCOUNTS),
      },
    },
  },
});
