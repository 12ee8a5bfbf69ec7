"""One process that stays: a node, what leads into and out of it, and its local API (SPEC 17)."""
