"""Which exit code an error has (SPEC 13.2).

By the names of its classes: looking them up must not import the half of the node that has them.
"""

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """The exit codes of `psp`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    NETWORK = 5
    INTERRUPTED = 130


_CODES: Final = {
    # PortErrors and ChainErrors that are nothing of a network
    Exit.FAILED: (
        "StorageError",
        "DaemonError",
        "TransactionError",
        "RequestFileError",
        "EvidenceFileError",
        "DeploymentFileError",
    ),
    Exit.USAGE: (
        "CycloptsError",
        "UnknownNameError",
        "BadArgumentError",
        "BadAddressError",
        "AddressError",
        "NetworkNotNamedError",
        "BadServiceError",
        "BadAllowError",
        "ServiceConflictError",
        "AliasError",
        "ConfigurationFileError",
        "NotLoopbackError",
        "SettingError",
        "UnknownSettingError",
        "ServiceMissingError",
        "GatewayError",
    ),
    Exit.NOT_FOUND: (
        "FileMissingError",
        "NetworkFileMissingError",
        "NoIdentityError",
        "NoRelayError",
        "NotListedError",
        "NotRunningError",
        "UnknownContactError",
        "UnknownSecretError",
        "DaemonNotRunningError",
        "UnknownAliasError",
        "EnsError",
        "NoLockError",
        "AddressUnknownError",
        "DescriptorUnavailableError",
        "FileNotFoundError",
    ),
    Exit.DENIED: (
        "IdentityError",
        "CallDeniedError",
        "DelegationEndedError",
        "NotConfirmedError",
        "WrongKeyError",
        "IdentityRequiredError",
        "NotSignedError",
        "IdentityMovedError",
        "StatePermissionError",
        "WrongPassphraseError",
        "KeyringError",
        "CredentialError",
        "WalletPassphraseError",
        "WalletDeclinedError",
        "PermissionError",
    ),
    Exit.NETWORK: (
        "ChainError",
        "NetworkError",
        "PortError",
        "RoleError",
        "DirectoryUnavailableError",
        "TooSlowError",
    ),
}
_CODE_OF: Final = {name: code for code, names in _CODES.items() for name in names}


def exit_code(error: BaseException) -> Exit:
    """Return the code of an error; the nearest of its classes that has one decides."""
    for kind in type(error).__mro__:
        if kind.__name__ in _CODE_OF:
            return _CODE_OF[kind.__name__]
    return Exit.FAILED


def cause_of(error: BaseException) -> BaseException:
    """Return the one error of the groups that nurseries make; of several the one with a code."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [cause_of(inner) for inner in error.exceptions]
    return next((cause for cause in causes if exit_code(cause) is not Exit.FAILED), causes[0])
