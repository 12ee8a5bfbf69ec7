"""HTTP/1.1 between two streams, read and written anew (SPEC 19.5 and 19.7)."""
