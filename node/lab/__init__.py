"""Private networks on one machine, as real processes (SPEC 14)."""
