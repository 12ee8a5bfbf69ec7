"""The Python API, and how a process is put together (SPEC 10)."""
