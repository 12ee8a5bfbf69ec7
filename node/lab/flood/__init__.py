"""Floods on a private network: what they cost their target, and whom they keep out (SPEC 14.8)."""
