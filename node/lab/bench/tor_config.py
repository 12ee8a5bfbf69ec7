"""The configuration of a private Tor network on 127.0.0.1 (tor(1))."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Profile = Literal["public", "vanilla"]
PROFILES: Final[tuple[Profile, ...]] = ("public", "vanilla")
PORTS_OF_A_NODE: Final = 4
FIRST_VOTE_S: Final = 20  # between votes until the first consensus
EXIT_PORT: Final = 1  # nobody goes there: without exits a consensus builds no circuits at all
_LATER_VOTE_S: Final = 300  # so that voting does not disturb the measurement

# The public network's consensus parameters. Its limits against floods are left out: they are for
# addresses that are no relay's, and here every address is one.
_PARAMETERS: Final = (
    "CircuitPriorityHalflifeMsec=30000 KISTSchedRunInterval=3 cc_alg=2 cc_cwnd_full_gap=4"
    " cc_cwnd_full_minpct=25 cc_cwnd_inc=1 cc_cwnd_inc_rate=31 cc_cwnd_min=124 cc_sscap_exit=600"
    " cc_sscap_onion=475 cc_vegas_alpha_exit=186 cc_vegas_beta_onion=372 cc_vegas_delta_exit=310"
    " cc_vegas_delta_onion=434 cc_vegas_gamma_onion=248 circ_max_cell_queue_size=1250"
    " circ_max_cell_queue_size_out=1000 hs_service_max_rdv_failures=1 hsdir_spread_store=4"
)
# What people use, and the scheduler that writes at once: Tor at its best on a loopback interface.
_SCHEDULERS: Final = {"public": "", "vanilla": "Schedulers Vanilla\n"}
# On loopback Tor learns so short a time for building circuits that a moment of load makes it drop
# them, and dials hang for a minute: it shall not learn.
_PATIENCE: Final = "LearnCircuitBuildTimeout 0\nCircuitBuildTimeout 10\n"


@dataclass(frozen=True, slots=True)
class TorNode:
    """A node: its name, its data directory and the ports of 127.0.0.1 that are its own."""

    name: str
    directory: Path
    or_port: int
    directory_port: int
    control_port: int
    socks_port: int

    @property
    def service_directories(self) -> Path:
        """Where its onion services live."""
        return self.directory / "services"


def common_part(node: TorNode, profile: Profile, authorities: Sequence[str]) -> str:
    """Return what every node has. authorities: their DirAuthority lines."""
    lines = "\n".join(authorities)
    return f"""TestingTorNetwork 1
DataDirectory {node.directory}
Nickname {node.name}
Address 127.0.0.1
Log notice file {node.directory}/notice.log
RunAsDaemon 0
SafeLogging 0
ShutdownWaitLength 0
DisableDebuggerAttachment 0
ControlPort 127.0.0.1:{node.control_port}
CookieAuthentication 0
TestingEnableConnBwEvent 0
TestingEnableCellStatsEvent 0
{lines}
{_SCHEDULERS[profile]}"""


def relay_part(node: TorNode) -> str:
    """Return what relays have besides."""
    return f"""ORPort 127.0.0.1:{node.or_port} IPv4Only
SocksPort 0
AssumeReachable 1
BridgeRelay 0
ExitRelay 1
ExitPolicy accept *:{EXIT_PORT}
ExitPolicy reject *:*
ExitPolicyRejectPrivate 0
"""


def authority_part(node: TorNode) -> str:
    """Return what a relay has besides that is a directory authority."""
    return f"""DirPort 127.0.0.1:{node.directory_port} IPv4Only
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
V3AuthVotingInterval {_LATER_VOTE_S}
V3AuthVoteDelay 4
V3AuthDistDelay 4
TestingV3AuthInitialVotingInterval {FIRST_VOTE_S}
TestingV3AuthInitialVoteDelay 4
TestingV3AuthInitialDistDelay 4
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
V3AuthNIntervalsValid 10
ContactInfo bench@localhost
ConsensusParams {_PARAMETERS}
"""


def client_part(node: TorNode) -> str:
    """Return what the caller has besides."""
    return f"SocksPort 127.0.0.1:{node.socks_port}\nConfluxEnabled 0\n{_PATIENCE}"


def service_part(node: TorNode, number: int, port: int, target: int) -> str:
    """Return what the callee has besides: so many onion services in front of one local port."""
    parts = [
        f"HiddenServiceDir {node.service_directories}/{index}\n"
        f"HiddenServicePort {port} 127.0.0.1:{target}\n"
        for index in range(number)
    ]
    return f"SocksPort 0\n{_PATIENCE}" + "".join(parts)
