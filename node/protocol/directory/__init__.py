"""Who the relays are, which of them to use, and where descriptors lie (SPEC 6)."""
