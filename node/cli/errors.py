"""What goes wrong at the command line itself (SPEC 13)."""


class CommandError(Exception):
    """The command cannot be carried out as it was given; the subclass says what to change."""


class MissingExtraError(CommandError):
    """It is not installed: `pip install 'peerstream[node]'`, for a login `'peerstream[login]'`."""


class StoppedError(CommandError):
    """You stopped it, by Ctrl-C or a signal: what it had started is ended."""


class UnknownNameError(CommandError):
    """There is no command of that name."""


class NetworkNotNamedError(CommandError):
    """No network is named: give --network FILE, or set PSP_NETWORK."""


class BadArgumentError(CommandError):
    """An argument has a value that makes no sense: see `--help` of the command."""


class BadAddressError(CommandError):
    """That is neither an Ethereum address nor a contact card: copy it again, whole."""


class ServiceMissingError(CommandError):
    """Say which service of the address: 0x…:web, web.0x….psp.alt, or a port that stands for one."""


class PortTakenError(CommandError):
    """Nothing can listen on that local port: a program has it, or it wants root. Take another."""


class WalletFileError(CommandError):
    """The wallet file cannot be used: 32 bytes in hexadecimal or a V3 keystore, chmod 600."""


class WalletPassphraseError(CommandError):
    """The passphrase does not open the wallet file: type it again."""


class WalletDeclinedError(CommandError):
    """Nothing was signed: run the command again if that was not meant."""


class WalletTimeoutError(CommandError):
    """The wallet did not sign within five minutes: run the command again, and open its new page."""


class ExternalSignerError(CommandError):
    """The external signer did not sign: its own window or log says why."""


class SignatureFileError(CommandError):
    """The file holds no signature: 0x and hexadecimal digits, as the wallet gave them."""


class PassphraseMismatchError(CommandError):
    """The two passphrases differ: start again."""


class EmptyPassphraseError(CommandError):
    """An empty passphrase protects nothing: choose one, or use --vault key-file."""


class NoTerminalError(CommandError):
    """A passphrase is needed and there is no terminal: run it in one, or use another --vault."""


class NoRelayError(CommandError):
    """There are no keys of a relay here: make them with `psp relay init`."""


class FileMissingError(CommandError):
    """There is no such file, or it cannot be read: check the path."""


class NoRegistryError(CommandError):
    """The network has no chain, so nothing is registered: its relay file is signed instead."""


class OwnNodeError(CommandError):
    """Writing tells an endpoint the account: mark a node of yours own_node, or use --stranger."""


class NotConfirmedError(CommandError):
    """Nothing was signed or sent: answer `y` when asked, or give --yes."""


class NotListedError(CommandError):
    """The account lists no identity key yet: list one by `psp registry identity set`."""


class OtherKeyListedError(CommandError):
    """The account lists another identity key: replace it by `psp registry identity rotate`."""


class RelayProofError(CommandError):
    """The proof is not for this operator and network: `psp relay init --operator` makes one."""


class DaemonRefusedError(CommandError):
    """The daemon does not do that; the message has its reason."""


class DaemonAnswerError(CommandError):
    """The daemon gave no answer that makes sense: is it of this version? Restart `psp up`."""


class FileExistsHereError(CommandError):
    """There is a file of that name already: name another one, or move it away."""


class SystemRefusedError(CommandError):
    """The operating system refused; the message has its reason: a path, a right, or room."""


class UnexpectedError(CommandError):
    """A fault of PeerStream: run it again with PSP_DEBUG=1 and report what it prints."""
