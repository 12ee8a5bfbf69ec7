"""A network that nobody runs, for commands that only want its name."""

import json

from peerstream.identity.network import NetworkMode
from peerstream.node.config import NetworkParameters, committed_constants


def write_network(path):
    """Write the file of a static network; return where it is."""
    constants = committed_constants("devnet")
    values = {name: getattr(constants, name) for name in constants.constants_json()}
    parameters = NetworkParameters(**values, mode=NetworkMode.STATIC, static_signer=b"\1" * 32)
    path.write_text(json.dumps(parameters.to_json()))
    return path
