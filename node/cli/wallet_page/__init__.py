"""One page on loopback on which a wallet of the browser signs one delegation (SPEC 22.6)."""
