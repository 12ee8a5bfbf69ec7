"""The onion: one-shot circuit setup, its reply, and the layers on cells (SPEC 3)."""
