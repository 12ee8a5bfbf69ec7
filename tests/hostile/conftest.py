"""libp2p is imported here once, with the warnings that its own imports cause put aside."""

import warnings

with warnings.catch_warnings():
    # libp2p 0.8.1 imports websockets.legacy, which websockets deprecates; nothing of ours uses it.
    warnings.filterwarnings("ignore", "websockets.legacy", DeprecationWarning)
    warnings.filterwarnings("ignore", "websockets.server", DeprecationWarning)
    import libp2p  # noqa: F401
