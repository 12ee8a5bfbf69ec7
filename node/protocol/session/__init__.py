"""Sessions: the end-to-end association of two addresses over one or more circuits (SPEC 5)."""
