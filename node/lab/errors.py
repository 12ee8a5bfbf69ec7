"""What can go wrong while a private network is started, used or ended (SPEC 14)."""


class LabError(Exception):
    """A private network on this machine is not what was asked for; the subclass says why."""


class ProcessEndedError(LabError):
    """A process of the private network ended by itself; the message holds what it last wrote.

    Nothing is wrong with your command: look at the log that the message names.
    """


class ProcessFailedError(LabError):
    """A process of the private network gave up and said why: the message starts with its name."""


class NetworkStartError(LabError):
    """The private network was not ready in time: end other programs that load the machine."""


class TooManyRelaysError(LabError):
    """Each relay has an operator account of its own and there are 64: ask for at most 61."""


class NotRunningError(LabError):
    """There is no such private network: start one with `psp devnet up`."""


class AlreadyRunningError(LabError):
    """It runs already: end it with `psp devnet down`, or give this one another --state-dir."""


class LeftoverProcessError(LabError):
    """Some of its processes could not be ended: the message has their ids, for you to look at."""


class DemoFailedError(LabError):
    """The file did not arrive as it was sent: please report it, with the logs that are named."""
