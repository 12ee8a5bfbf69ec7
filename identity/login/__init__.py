"""The login service: sign in with a wallet, for FastAPI applications (SPEC 21).

``peerstream.identity.login.auth`` has ``SiweAuth``, ``.memory`` and ``.sql`` the stores.
"""
