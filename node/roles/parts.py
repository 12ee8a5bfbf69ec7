"""What the roles of one node share (SPEC 10.2)."""

from dataclasses import dataclass

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import Environment, PinStore
from peerstream.node.roles.circuits import Circuits
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.neighbours import Neighbours


@dataclass(frozen=True, slots=True)
class NodeParts:
    """One node: what it runs on, whom it knows, over which circuits it speaks."""

    environment: Environment
    network: NetworkParameters
    neighbours: Neighbours
    keeper: DirectoryKeeper
    circuits: Circuits
    pins: PinStore
