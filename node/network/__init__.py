"""Links on libp2p: the hardened host, our Noise and Yamux data plane, the driver (SPEC 9)."""
