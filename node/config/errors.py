"""Why a network file is refused (SPEC 7)."""


class NetworkFileError(Exception):
    """The network file cannot be used; the message names the setting and what belongs there."""


class NetworkFileMissingError(NetworkFileError):
    """There is no such file, or it cannot be read: check the path given to --network."""


class NetworkFileMalformedError(NetworkFileError):
    """It is no JSON of the schema psp.network/1: get the file again from the network's operator."""


class UnknownSettingError(NetworkFileError):
    """A setting that does not exist, perhaps misspelt: the message names the nearest."""


class MissingSettingError(NetworkFileError):
    """A setting has no value. None has a default: two nodes must not differ without a word."""


class SettingRangeError(NetworkFileError):
    """A setting has a value of the wrong kind, outside its bounds, or at odds with another."""


class NetworkNotDeployedError(NetworkFileError):
    """The file has constants but no `trust`: deploy the contracts, or sign a static file, first."""
