"""The threat model as a program: who knew what while a private network was used (SPEC 15)."""
