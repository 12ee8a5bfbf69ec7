"""PeerStream: dial any Ethereum address without telling anyone where you are."""

__version__ = "0.1.0"
