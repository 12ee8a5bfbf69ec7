"""The HTTP edge that every FastAPI application of ours shares: refusals, headers, cookies, limits.

It knows nothing of logins; whoever serves HTTP may use it (SPEC 21.5).
"""
