"""The service `file`: files between two verified addresses, resumable and checked (SPEC 11)."""
