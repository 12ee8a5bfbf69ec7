"""What a node keeps on disk, and how it survives being killed (SPEC 7.4)."""
