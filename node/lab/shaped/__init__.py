"""Private networks whose machines are apart: delay, loss and rate between them (SPEC 14.7)."""
