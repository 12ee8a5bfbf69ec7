"""Why a daemon does not start (SPEC 17.1)."""


class DaemonError(Exception):
    """The daemon cannot run as it is configured; the subclass says what to change."""


class ConfigurationFileError(DaemonError):
    """The configuration cannot be read, or is no TOML: check the path and the line it names."""


class UnknownSettingError(DaemonError):
    """The configuration has a key that there is not: use the one named, or see docs/daemon.md."""


class SettingError(DaemonError):
    """A setting has a value that makes no sense: docs/daemon.md lists what each may be."""


class NotLoopbackError(DaemonError):
    """A way in must be on this machine alone: bind it to 127.0.0.1:PORT or [::1]:PORT."""


class UnknownServiceError(DaemonError):
    """No service of that name is exposed: `psp status` shows which are."""


class ListenerError(DaemonError):
    """The port cannot be bound: another program has it, so stop that or configure another port."""
