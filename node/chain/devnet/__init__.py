"""Private chains for development and tests: embedded, anvil or hardhat (SPEC 8.6)."""
