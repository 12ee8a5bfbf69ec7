"""Links and circuits: frames, credits, relays and the owner's side of a path (SPEC 4)."""
