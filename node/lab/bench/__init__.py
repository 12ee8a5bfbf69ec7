"""Private networks measured: ours and Tor's, by the same applications (docs/performance.md)."""
