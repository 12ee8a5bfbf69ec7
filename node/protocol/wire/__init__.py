"""Bytes of a link: frames, control messages, optional fields, versions, sizes (SPEC 0)."""
