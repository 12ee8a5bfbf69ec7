"""Ways into the network for programs that know nothing of it (SPEC 16)."""
